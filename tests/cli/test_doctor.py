"""``majordomo doctor``: each thing that a new installation can have wrong is found, and what to do is said."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from pathlib import Path

import asyncpg
import pytest
from databases import drop_database

from majordomo.checkup import machine, service, storage, upstreams
from majordomo.checkup.finding import Finding, State
from majordomo.places import Places
from majordomo.record.dead_letter import DeadLetters
from majordomo.settings import ProviderSettings, Settings

PATIENCE = 60.0


class Provider:
    """Answers every request on loopback with a status, and with the time of its own clock."""

    def __init__(self, clock_ahead: float = 0.0, silent: bool = False) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._clock_ahead = clock_ahead
        self._silent = silent
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> "Provider":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()

    def _serve(self) -> None:
        kept = []
        while True:
            try:
                link, _ = self._listening.accept()
            except OSError:
                break
            kept.append(link)
            if not self._silent:
                link.recv(4096)
                date = formatdate(time.time() + self._clock_ahead, usegmt=True)
                link.sendall(f"HTTP/1.1 404 Not Found\r\nDate: {date}\r\nContent-Length: 0\r\n\r\n".encode())
        for link in kept:
            link.close()


def all_at(url: str) -> dict[str, ProviderSettings]:
    """The three usual providers, at one address."""
    return {name: ProviderSettings(base_url=url) for name in upstreams.USUAL}


def settings_for(data_dir: Path, **more: object) -> Settings:
    return Settings(**{"data_dir": data_dir, "database_url": None, **more})


def collect(findings) -> list[Finding]:
    async def run() -> list[Finding]:
        return [finding async for finding in findings]

    return asyncio.run(run())


def worst(findings) -> Finding:
    """The most severe finding; each that is not ok must say what to do."""
    findings = list(findings)
    assert all(finding.advice for finding in findings if finding.state is not State.OK), findings
    return max(findings, key=lambda finding: list(State).index(finding.state))


def doctor(*words: object, **settings: str) -> subprocess.CompletedProcess:
    """Run the command itself; providers are on loopback."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAJORDOMO_")}
    environment.update({f"MAJORDOMO_{name.upper()}": value for name, value in settings.items()})
    return subprocess.run(
        [sys.executable, "-m", "majordomo", "doctor", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=PATIENCE,
    )


def test_a_sound_installation_has_nothing_to_complain_of(data_dir, free_port):
    """Everything ok or to be done once, for people and for programs, exit code 0, nothing left running."""
    with Provider() as provider:
        addresses = {f"providers__{name}__base_url": provider.url for name in upstreams.USUAL}
        ran = doctor("--json", data_dir=str(data_dir), port=str(free_port), **addresses)
        assert ran.returncode == 0, ran.stdout
        found = {finding["check"]: finding for finding in json.loads(ran.stdout)["findings"]}
        assert {"python", "settings", "data directory", "disk space", "address", "database", "clock"} <= set(found)
        assert {"journal", "dead letters", "prices", "gateway", "provider openai"} <= set(found)
        assert not [finding for finding in found.values() if finding["state"] == "fail"]
        shown = doctor("--offline", data_dir=str(data_dir), port=str(free_port))
        assert shown.returncode == 0
        assert "data directory" in shown.stdout
        assert "provider" not in shown.stdout


def test_it_changes_nothing_on_a_machine_where_nothing_was_started(tmp_path, free_port):
    """No directory is made, no database."""
    ran = doctor("--offline", data_dir=str(tmp_path / "none"), port=str(free_port))
    assert ran.returncode == 0, ran.stdout
    assert not (tmp_path / "none").exists()


def test_something_that_fails_is_exit_code_1(tmp_path):
    """A program can rely on it."""
    ran = doctor(
        "--offline", "--json", data_dir=str(tmp_path / "d"), database_url="postgresql://u:hunter2@127.0.0.1:1/x"
    )
    assert ran.returncode == 1
    assert "hunter2" not in ran.stdout + ran.stderr
    failed = [finding for finding in json.loads(ran.stdout)["findings"] if finding["state"] == "fail"]
    assert [finding["check"] for finding in failed] == ["database"]


def test_wrong_settings_are_found(tmp_path):
    """Each one; what needs sound settings is left out rather than guessed."""
    ran = doctor("--json", data_dir=str(tmp_path / "d"), port="x", workers="0")
    failed = [finding["message"] for finding in json.loads(ran.stdout)["findings"] if finding["state"] == "fail"]
    assert len(failed) == 2
    assert ran.returncode == 1


def test_a_variable_with_a_typing_error_is_found():
    """It would be without effect and without a word."""
    found = worst(machine.environment({"MAJORDOMO_DATABSE_URL": "x", "MAJORDOMO_PROVIDERS__OPENAI__BASE_URL": "y"}))
    assert found.state is State.WARN
    assert "MAJORDOMO_DATABSE_URL" in found.message
    assert "MAJORDOMO_DATABASE_URL" in found.advice


def test_an_old_python_is_found(monkeypatch):
    """One that make would not have chosen."""
    monkeypatch.setattr(machine.sys, "version_info", (3, 9, 1))
    assert worst(machine.python()).state is State.FAIL


def test_a_data_directory_that_cannot_be_written_is_found(tmp_path, monkeypatch):
    """Also when it does not exist yet and would have to be made."""
    monkeypatch.setattr(machine.os, "access", lambda place, mode: False)
    assert worst(machine.directories(settings_for(tmp_path))).state is State.FAIL
    assert worst(machine.directories(settings_for(tmp_path / "not" / "yet"))).state is State.FAIL


def test_parts_of_the_data_directory_that_belong_to_others_are_found(tmp_path, monkeypatch):
    """As after a run with sudo."""
    Places(tmp_path).journal_dir.mkdir()
    monkeypatch.setattr(machine.os, "access", lambda place, mode: Path(place).name != "journal")
    found = worst(machine.directories(settings_for(tmp_path)))
    assert found.state is State.FAIL
    assert "chown" in found.advice


def test_a_file_in_the_place_of_the_data_directory_is_found(tmp_path):
    """Named as what it is."""
    (tmp_path / "file").write_text("")
    assert worst(machine.directories(settings_for(tmp_path / "file"))).state is State.FAIL


@pytest.mark.parametrize(("free", "state"), [(10**12, State.OK), (10**9, State.WARN), (10**7, State.FAIL)])
def test_little_space_is_found(tmp_path, monkeypatch, free, state):
    """Before the journal has to refuse requests."""
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda place: type("Usage", (), {"free": free}))
    assert worst(machine.space(tmp_path)).state is state


def test_a_taken_port_is_found(tmp_path):
    """With who has it, and how to choose another."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        found = worst(machine.address(settings_for(tmp_path, port=other.getsockname()[1])))
    assert found.state is State.FAIL
    assert f"process {os.getpid()}" in found.message
    assert "--port" in found.advice


def test_listening_for_others_is_found(tmp_path):
    """It works, and it is meant to be deliberate."""
    found = worst(machine.address(settings_for(tmp_path, host="0.0.0.0", port=0)))
    assert (found.check, found.state) == ("exposure", State.WARN)


def test_missing_programs_of_the_embedded_database_are_found(tmp_path):
    """Before the first start fails."""
    found = worst(machine.embedded_programs(settings_for(tmp_path, postgres_bin=tmp_path)))
    assert found.state is State.FAIL
    assert "no postgres" in found.message


def test_a_sound_database_is_ok(postgres_dsn):
    """Reachable, new, UTF8, writable, of this schema, right in time."""
    findings = collect(storage.database(postgres_dsn))
    assert len(findings) == 6
    assert worst(findings).state is State.OK


def test_a_database_without_the_schema_is_found(empty_dsn):
    """`serve` would bring it; so does `db migrate`."""
    found = worst(collect(storage.database(empty_dsn)))
    assert (found.check, found.state) == ("database schema", State.WARN)


def test_a_database_of_a_newer_version_is_found(postgres_dsn):
    """An older majordomo must not write into it."""
    run_sql(postgres_dsn, "INSERT INTO schema_migrations (version, name, checksum) VALUES (9999, 'later', 'x')")
    assert worst(collect(storage.database(postgres_dsn))).check == "database schema"


def test_a_database_that_may_not_be_written_is_found(postgres_dsn):
    """A standby, or a role that may only read."""
    run_sql(
        postgres_dsn,
        "DO $$ BEGIN EXECUTE "
        "format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$",
    )
    found = worst(collect(storage.database(postgres_dsn)))
    assert (found.check, found.state) == ("database access", State.FAIL)


def test_a_database_that_does_not_hold_all_text_is_found(postgres_server):
    """SQL_ASCII takes anything and promises nothing."""
    run_sql(
        postgres_server.dsn(),
        "CREATE DATABASE ascii ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0",
    )
    try:
        found = [f for f in collect(storage.database(postgres_server.dsn("ascii"))) if f.check == "database encoding"]
        assert found[0].state is State.FAIL
    finally:
        drop_database(postgres_server.dsn(), "ascii")


def run_sql(dsn: str, sql: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(dsn)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("ahead", "state"), [(0.0, State.OK), (1.0, State.OK), (10.0, State.WARN), (-3600.0, State.FAIL)]
)
def test_clocks_that_disagree_are_found(ahead, state):
    """Seconds are a warning; an hour puts rows into the wrong hour."""
    assert storage.clock_finding("theirs", 1000.0 + ahead, 999.9, 1000.1).state is state


def test_an_unreachable_provider_is_found(tmp_path, free_port):
    """One that the settings name is meant to work."""
    with Provider() as provider:
        addresses = {**all_at(provider.url), "openai": ProviderSettings(base_url=f"http://127.0.0.1:{free_port}")}
        findings = collect(upstreams.providers(settings_for(tmp_path, providers=addresses)))
    assert [finding.check for finding in findings if finding.state is State.FAIL] == ["provider openai"]
    assert worst(findings).message.startswith(f"http://127.0.0.1:{free_port} cannot be reached")


def test_a_provider_that_does_not_answer_is_found(tmp_path, monkeypatch):
    """The check ends by itself."""
    monkeypatch.setattr(upstreams, "PATIENCE", 0.2)
    with Provider(silent=True) as provider:
        findings = collect(upstreams.providers(settings_for(tmp_path, providers=all_at(provider.url))))
    assert "no answer within" in worst(findings).message


def test_a_clock_apart_from_the_providers_is_found(tmp_path):
    """Without a database elsewhere this is the only other clock there is."""
    with Provider(clock_ahead=7200) as provider:
        findings = collect(upstreams.providers(settings_for(tmp_path, providers=all_at(provider.url))))
    assert (worst(findings).check, worst(findings).state) == ("clock", State.FAIL)


def test_a_new_provider_without_an_address_is_found(tmp_path):
    """As the front desk would refuse it."""
    findings = collect(upstreams.providers(settings_for(tmp_path, providers={"mine": ProviderSettings()})))
    assert worst(findings).state is State.FAIL


def test_dead_letters_are_found(tmp_path):
    """How many, why, and where they are."""
    DeadLetters(Places(tmp_path).dead_letter_dir).put(now_us=1_763_726_400_000_000, reason="value out of range")
    found = worst(service.letters(settings_for(tmp_path)))
    assert found.state is State.WARN
    assert "value out of range" in found.message
    assert str(Places(tmp_path).dead_letter_dir) in found.advice


def test_a_journal_that_waits_is_found(tmp_path):
    """What a killed gateway recorded and did not bring in."""
    folder = Places(tmp_path).journal_dir / "0199c0de-0000-7000-8000-000000000001"
    folder.mkdir(parents=True)
    (folder / "00000001.journal").write_bytes(b"x" * 4096)
    found = worst(service.journals(settings_for(tmp_path)))
    assert (found.state, "serve" in found.advice) == (State.WARN, True)


def test_stale_prices_are_found(tmp_path):
    """With the feed on, a week is long; without it, a quarter."""
    later = datetime.now(UTC) + timedelta(days=365)
    assert worst(service.prices(settings_for(tmp_path), later)).state is State.WARN
    assert worst(service.prices(settings_for(tmp_path, price_feed=False), later)).state is State.WARN


def test_a_stopped_gateway_is_no_fault(tmp_path):
    """It says how to start it."""
    assert worst(service.service(settings_for(tmp_path))).state is State.OK


def test_a_gateway_that_does_not_answer_is_found(short_tmp):
    """The supervisor runs, its port is silent."""
    stand_in = Path(__file__).parents[1] / "stand_ins" / "serve.py"
    environment = {**os.environ, "MAJORDOMO_DATABASE_URL": "postgresql://u:p@127.0.0.1:1/x"}
    with subprocess.Popen(
        [sys.executable, stand_in, short_tmp / "d", "0", "1", "", "--die-at-once"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as gateway:
        try:
            deadline = time.monotonic() + PATIENCE
            while True:
                findings = list(service.service(settings_for(short_tmp / "d")))
                if any(finding.state is State.FAIL and "back office" in finding.message for finding in findings):
                    break
                assert time.monotonic() < deadline, findings
                time.sleep(0.05)
            # the stand-in answers, but not as a gateway does
            assert any("/readyz" in finding.message for finding in findings)
        finally:
            gateway.terminate()
