"""``majordomo db``."""

import asyncio
import json
import os
import subprocess
import sys

import asyncpg

from majordomo.cli.db import libpq_environment
from majordomo.record import embedded
from majordomo.settings import Settings

PATIENCE = 60.0


def db(*words: object, data_dir: object, dsn: str | None = None) -> subprocess.CompletedProcess:
    """Run ``majordomo db WORDS``."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAJORDOMO_")}
    environment["MAJORDOMO_DATA_DIR"] = str(data_dir)
    if dsn:
        environment["MAJORDOMO_DATABASE_URL"] = dsn
    return subprocess.run(
        [sys.executable, "-m", "majordomo", "db", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=PATIENCE,
    )


def test_url_prints_the_dsn_of_the_running_database_as_its_last_line(data_dir):
    """Whatever else is said goes elsewhere, so that $(majordomo db url) works; and the DSN does."""
    server = embedded.open_server(Settings(data_dir=data_dir, database_url=None))
    try:
        embedded.start(server, lambda line: None)
        ran = db("url", data_dir=data_dir)
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout.splitlines() == [server.dsn()]

        async def ask() -> int:
            connection = await asyncpg.connect(ran.stdout.strip())
            try:
                return await connection.fetchval("SELECT 42")
            finally:
                await connection.close()

        assert asyncio.run(ask()) == 42
    finally:
        server.release()


def test_url_of_a_stopped_database_says_when_it_runs(data_dir):
    """The address is right, but nobody answers there yet."""
    ran = db("url", data_dir=data_dir)
    assert ran.stdout.splitlines()[-1].startswith("postgresql://majordomo:")
    assert "runs only while" in ran.stderr


def test_url_of_ones_own_database_is_the_setting(tmp_path):
    """Nothing is connected to."""
    dsn = "postgresql://u:p@127.0.0.1:1/x"
    assert db("url", data_dir=tmp_path / "d", dsn=dsn).stdout == dsn + "\n"


def test_psql_asks_the_embedded_database_and_hands_arguments_on(data_dir):
    """Stopped before and after, migrated meanwhile."""
    ran = db("psql", "-At", "-c", "SELECT count(*) FROM llm_requests", data_dir=data_dir)
    assert (ran.returncode, ran.stdout) == (0, "0\n"), ran.stderr
    assert embedded.running_dsn(data_dir) is None


def test_psql_hands_its_exit_code_on(data_dir, postgres_dsn):
    """A script that asks learns that it went wrong; own database and embedded one alike."""
    assert db("psql", "-v", "ON_ERROR_STOP=1", "-f", "/nonexistent.sql", data_dir=data_dir).returncode == 1
    assert db("psql", "-c", "SELECT nonsense", data_dir=data_dir, dsn=postgres_dsn).returncode == 1


def test_psql_reaches_a_database_of_ones_own(tmp_path, postgres_dsn):
    """With the DSN of the settings, which is in no argument list."""
    ran = db("psql", "-At", "-c", "SELECT current_database()", data_dir=tmp_path / "d", dsn=postgres_dsn)
    assert ran.stdout.strip() == postgres_dsn.partition("@/")[2].partition("?")[0], ran.stderr


def test_migrate_brings_the_schema_once(tmp_path, empty_dsn):
    """The second time there is nothing to do."""
    first = db("migrate", "--json", data_dir=tmp_path / "d", dsn=empty_dsn)
    assert json.loads(first.stdout)["applied"][0]["version"] == 1
    assert "up to date" in db("migrate", data_dir=tmp_path / "d", dsn=empty_dsn).stdout


def test_an_unreachable_database_is_an_error_without_its_password(tmp_path):
    """Exit code 1, one message, no traceback."""
    ran = db("migrate", data_dir=tmp_path / "d", dsn="postgresql://u:hunter2@127.0.0.1:1/x")
    assert ran.returncode == 1
    assert "hunter2" not in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_dsn_becomes_libpqs_variables(monkeypatch):
    """Escapes, several hosts, IPv6, options of the query; nothing of the surroundings leaks in."""
    monkeypatch.setenv("PGPASSWORD", "surroundings")
    monkeypatch.setenv("PGSERVICE", "surroundings")
    cases = {
        "postgresql://a%40b:p%2Fw@h:5433/d?sslmode=require": {
            "PGUSER": "a@b", "PGPASSWORD": "p/w", "PGHOST": "h", "PGPORT": "5433", "PGDATABASE": "d",
            "PGSSLMODE": "require",
        },
        "postgresql://u@/d?host=%2Frun%2Fmy%20pg&port=1": {
            "PGUSER": "u", "PGHOST": "/run/my pg", "PGPORT": "1", "PGDATABASE": "d",
        },
        "postgresql://h1:1,h2:2/d": {"PGHOST": "h1,h2", "PGPORT": "1,2", "PGDATABASE": "d"},
        "postgresql://[::1]:5/d": {"PGHOST": "::1", "PGPORT": "5", "PGDATABASE": "d"},
    }  # fmt: skip
    for dsn, wanted in cases.items():
        assert {k: v for k, v in libpq_environment(dsn).items() if k.startswith("PG")} == wanted
