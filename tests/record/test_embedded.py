"""The embedded PostgreSQL through the doors that everyone uses."""

import asyncio
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import asyncpg
import pytest

from majordomo.places import Places
from majordomo.record import embedded
from majordomo.record.postgres_cluster import ClusterError, clean_environment, shared_buffers
from majordomo.record.postgres_server import ServerBusyError, probe
from majordomo.settings import Settings


def value(dsn: str, sql: str) -> object:
    """The first value of a query's answer."""

    async def ask() -> object:
        connection = await asyncpg.connect(dsn)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    return asyncio.run(ask())


def settings_for(data_dir: Path, **more: object) -> Settings:
    return Settings(**{"data_dir": data_dir, "database_url": None, **more})


@pytest.fixture
def server(data_dir):
    """A running server with an owner: this process."""
    server = embedded.open_server(settings_for(data_dir))
    embedded.start(server, lambda line: None)
    yield server
    server.release()


def test_a_test_gets_a_migrated_database(postgres_dsn):
    """The fixture that all other tests rest on holds the product's tables, empty."""
    assert value(postgres_dsn, "SELECT count(*) FROM llm_requests") == 0


def test_databases_of_tests_are_apart(postgres_dsn, empty_dsn):
    """What one test's database holds is not in another's."""
    assert value(empty_dsn, "SELECT to_regclass('llm_requests')") is None


def test_a_fresh_directory_becomes_a_utf8_database_under_a_bad_locale(short_tmp, monkeypatch):
    """The shell's LANG, PGPORT and PGDATA reach neither initdb nor the server."""
    for name, bad in (("LANG", "xx_YY.nonsense"), ("LC_ALL", "xx_YY"), ("PGPORT", "1"), ("PGDATA", "/nowhere")):
        monkeypatch.setenv(name, bad)
    with embedded.database_for(settings_for(short_tmp / "fresh"), lambda line: None, migrated=False) as dsn:
        assert value(dsn, "SHOW server_encoding") == "UTF8"
        assert value(dsn, "SELECT upper('ä')") == "Ä"
        assert value(dsn, "SHOW port") == "5432"
    assert not any(name.startswith("PG") for name in clean_environment())


def test_the_gateway_is_no_superuser_and_the_superuser_cannot_log_in(postgres_server):
    """Whoever speaks through the gateway cannot run programs; the bootstrap superuser has no way in at all."""
    assert value(postgres_server.dsn(), "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        value(postgres_server.dsn().replace("majordomo:", "postgres:", 1), "SELECT 1")


def test_the_socket_asks_for_the_password(postgres_server):
    """Reaching the socket is not enough: without the right password nobody enters, whoever they are."""
    with pytest.raises(asyncpg.InvalidPasswordError):
        value(postgres_server.dsn().replace(postgres_server.cluster.password(), "wrong"), "SELECT 1")


def test_there_is_no_tcp_unless_asked_for(postgres_server):
    """By default only the unix socket listens."""
    assert value(postgres_server.dsn(), "SHOW listen_addresses") == ""


def test_tcp_listens_on_loopback_by_password(data_dir, free_port):
    """Other programs may be let in over 127.0.0.1, with the same password."""
    server = embedded.open_server(settings_for(data_dir, postgres_port=free_port))
    try:
        embedded.start(server, lambda line: None)
        dsn = f"postgresql://majordomo:{server.cluster.password()}@127.0.0.1:{free_port}/majordomo"
        assert value(dsn, "SELECT 1") == 1
        with pytest.raises(asyncpg.InvalidPasswordError):
            value(f"postgresql://majordomo:x@127.0.0.1:{free_port}/majordomo", "SELECT 1")
        assert embedded.running_dsn(data_dir) == server.dsn()
    finally:
        server.release()


def test_only_the_owner_may_enter_the_directories(postgres_server):
    """Cluster, socket directory, socket, password, log and locks are closed to everybody else."""
    home = postgres_server.cluster.home
    for place in (
        home / "data",
        home / "socket",
        postgres_server.cluster.socket,
        home / "password",
        home / "server.log",
    ):
        assert stat.S_IMODE(place.stat().st_mode) & 0o077 == 0, place


def test_no_secret_is_in_the_argument_list(postgres_server):
    """Anyone may read a process's arguments."""
    arguments = Path(f"/proc/{postgres_server.process.pid}/cmdline").read_text()
    assert postgres_server.cluster.password() not in arguments


def test_the_password_is_renewed_when_its_file_is_lost(data_dir):
    """A deleted password file costs nothing but a restart."""
    with embedded.database_for(settings_for(data_dir), migrated=False) as dsn:
        before = dsn
    (Places(data_dir).postgres_dir / "password").unlink()
    with embedded.database_for(settings_for(data_dir), migrated=False) as dsn:
        assert dsn != before
        assert value(dsn, "SELECT 1") == 1


def test_an_interrupted_initdb_is_made_anew(short_tmp):
    """Half a cluster never counts as one."""
    home = Places(short_tmp / "d").postgres_dir
    (home / "making-deadbeef").mkdir(parents=True)
    (home / "making-deadbeef" / "PG_VERSION").write_text("18\n")
    for part in (short_tmp / "d", home):
        part.chmod(0o711)
    with embedded.database_for(settings_for(short_tmp / "d"), lambda line: None, migrated=False) as dsn:
        assert value(dsn, "SELECT 1") == 1
    assert not list(home.glob("making-*"))


def test_foreign_files_in_the_place_of_the_cluster_are_left_alone(short_tmp):
    """A directory with files that are no cluster is not overwritten."""
    data = short_tmp / "d" / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "precious.txt").write_text("mine")
    with (
        pytest.raises(ClusterError, match="not empty"),
        embedded.database_for(settings_for(short_tmp / "d"), lambda line: None),
    ):
        pass
    assert (data / "precious.txt").read_text() == "mine"


def test_a_long_path_gets_a_short_private_socket_directory(short_tmp, made_data_dir):
    """A data directory too deep for a unix socket works, and the socket's directory is closed to others."""
    deep = short_tmp / ("x" * 60) / ("y" * 60)
    deep.parent.mkdir(mode=0o711)
    subprocess.run(["cp", "-a", made_data_dir, deep], check=True)
    with embedded.database_for(settings_for(deep), migrated=False) as dsn:
        assert value(dsn, "SELECT 1") == 1
        folder = Places(deep).short_dir / "socket"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert embedded.running_dsn(deep) == dsn


def test_a_short_directory_that_is_not_ours_is_refused(short_tmp, monkeypatch):
    """In a directory that anyone can write, somebody may have made ours before us."""
    monkeypatch.setattr("majordomo.places.SHORT_BASE", short_tmp)
    places = Places(short_tmp / "d")
    trap = places.short_dir.parent
    trap.mkdir()
    trap.chmod(0o777)
    with pytest.raises(Exception, match="another user made it or may write it"):
        places.make_short_dir()


def test_no_second_owner(server, data_dir):
    """One process looks after a cluster; the next is told who it is."""
    with pytest.raises(ServerBusyError) as busy:
        embedded.open_server(settings_for(data_dir))
    assert busy.value.owner == os.getpid()


def test_a_command_uses_the_running_server(server, data_dir):
    """It starts none of its own, and does not stop that one."""
    with embedded.database_for(settings_for(data_dir), migrated=False) as dsn:
        assert dsn == server.dsn()
    assert server.poll() is None
    assert probe(server.cluster.socket) == "ready"


def test_commands_at_once_share_one_server(data_dir):
    """Eight commands at the same moment all get their answer, from one server at a time, and none is left."""
    code = (
        "import sys; from pathlib import Path; from majordomo.record import embedded; import asyncio, asyncpg\n"
        "from majordomo.settings import load_settings\n"
        "async def ask(dsn):\n"
        "    c = await asyncpg.connect(dsn); print(await c.fetchval('SELECT 42')); await c.close()\n"
        "with embedded.database_for(load_settings(data_dir=Path(sys.argv[1])), migrated=False) as dsn:\n"
        "    asyncio.run(ask(dsn))\n"
    )
    commands = [
        subprocess.Popen(
            [sys.executable, "-c", code, data_dir], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(8)
    ]
    told = [command.communicate(timeout=120) for command in commands]
    assert [out.strip() for out, _ in told] == ["42"] * 8, told
    assert embedded.running_dsn(data_dir) is None


def test_nothing_runs_after_a_command(data_dir):
    """The server stops with the command that started it, also if that fails."""
    with (
        pytest.raises(RuntimeError, match="broken"),
        embedded.database_for(settings_for(data_dir), migrated=False),
    ):
        raise RuntimeError("broken")
    assert embedded.running_dsn(data_dir) is None
    assert probe(Places(data_dir).postgres_dir / "socket" / ".s.PGSQL.5432") == "away"


def test_a_database_of_ones_own_is_handed_out_as_it_is(tmp_path):
    """With a DSN in the settings nothing is embedded and nothing is made."""
    with embedded.database_for(Settings(data_dir=tmp_path / "d", database_url="postgresql://u:p@h/x")) as dsn:
        assert dsn == "postgresql://u:p@h/x"
    assert not (tmp_path / "d").exists()


def test_a_server_is_started_from_the_main_thread_only(data_dir):
    """It stops when the thread that started it ends, so another thread is an error at once, not later."""
    server = embedded.open_server(settings_for(data_dir))
    caught = []

    def run():
        try:
            server.start()
        except AssertionError as wrong:
            caught.append(wrong)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    server.release()
    assert len(caught) == 1


def test_the_server_keeps_its_own_settings_file(own_data_dir):
    """custom.conf is the owner's and is never overwritten."""
    (Places(own_data_dir).postgres_dir / "custom.conf").write_text("work_mem = '17MB'\n")
    (Places(own_data_dir).postgres_dir / "custom.conf").chmod(0o644)
    with embedded.database_for(settings_for(own_data_dir), migrated=False) as dsn:
        assert value(dsn, "SHOW work_mem") == "17MB"


def test_a_server_that_cannot_start_says_its_last_words(own_data_dir):
    """The message of a failed start holds the reason that PostgreSQL gave."""
    (Places(own_data_dir).postgres_dir / "custom.conf").write_text("work_mem = 'plenty'\n")
    (Places(own_data_dir).postgres_dir / "custom.conf").chmod(0o644)
    with (
        pytest.raises(Exception, match="work_mem"),
        embedded.database_for(settings_for(own_data_dir), migrated=False),
    ):
        pass


def test_pages_are_kept_in_a_share_of_the_memory_within_bounds() -> None:
    gigabytes = {memory: shared_buffers(memory << 30) >> 20 for memory in (1, 2, 4, 8, 64)}
    assert gigabytes == {1: 64, 2: 64, 4: 128, 8: 256, 64: 512}
