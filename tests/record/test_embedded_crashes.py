"""The embedded PostgreSQL after ``kill -9`` of anything: nothing acknowledged is lost, nothing is doubled or left."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import pytest

from majordomo.places import Places
from majordomo.record import embedded
from majordomo.record.postgres_server import ServerError, probe
from majordomo.settings import Settings

OWNER = str(Path(__file__).parent.parent / "stand_ins" / "own_postgres.py")

#: What must happen soon is waited for that long (s) before the test fails.
PATIENCE = 60.0


def settings_for(data_dir: Path) -> Settings:
    return Settings(data_dir=data_dir, database_url=None)


def until(claim, what: str):
    """Wait until ``claim()`` holds."""
    deadline = time.monotonic() + PATIENCE
    while not claim():
        assert time.monotonic() < deadline, what
        time.sleep(0.005)


def postgres_processes(data_dir: Path) -> list[int]:
    """The server processes that work in this data directory's cluster."""
    home = Places(data_dir).postgres_dir
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").samefile(home / "data") and (process / "comm").read_text().strip() == "postgres":
                found.append(int(process.name))
        except OSError:
            continue
    return found


class Owner:
    """A process that owns a server."""

    def __init__(self, data_dir: Path) -> None:
        self.process = subprocess.Popen([sys.executable, OWNER, str(data_dir)], stdout=subprocess.PIPE)
        told = json.loads(self.process.stdout.readline())
        self.postmaster = told["postmaster"]
        self.dsn = told["dsn"]

    def kill(self, sign: int = signal.SIGKILL) -> None:
        self.process.send_signal(sign)
        self.process.wait()
        self.process.stdout.close()


async def _insert(dsn: str, seconds: float) -> list[int]:
    """Insert numbers one by one until the time is over or the server is gone; those that were acknowledged."""
    acknowledged = []
    try:
        connection = await asyncpg.connect(dsn)
        await connection.execute("CREATE TABLE IF NOT EXISTS acknowledged (n int)")
        over = time.monotonic() + seconds
        while not acknowledged or time.monotonic() < over:
            number = random.getrandbits(31)
            await connection.execute("INSERT INTO acknowledged VALUES ($1)", number)
            acknowledged.append(number)
        await connection.close()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
        pass
    return acknowledged


async def _numbers(dsn: str) -> set[int]:
    connection = await asyncpg.connect(dsn)
    try:
        return {row["n"] for row in await connection.fetch("SELECT n FROM acknowledged")}
    finally:
        await connection.close()


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_server_stops_cleanly_when_its_owner_is_killed(data_dir, sign):
    """However the owner ends, the server shuts down, and the next start needs no recovery."""
    owner = Owner(data_dir)
    acknowledged = asyncio.run(_insert(owner.dsn, 0.2))
    owner.kill(sign)
    until(lambda: not postgres_processes(data_dir), "the server was left behind")
    log = Places(data_dir).postgres_dir / "server.log"
    log.write_bytes(b"")
    with embedded.database_for(settings_for(data_dir), migrated=False) as dsn:
        assert acknowledged
        assert set(acknowledged) <= asyncio.run(_numbers(dsn))
    assert "recovery" not in log.read_text()


def test_a_killed_postmaster_is_started_again_with_all_acknowledged_rows(data_dir):
    """kill -9 of the server at random moments under load loses nothing that was acknowledged."""
    server = embedded.open_server(settings_for(data_dir))
    try:
        embedded.start(server, embedded.say)
        kept = set()
        for _ in range(3):
            killer = subprocess.Popen(["sh", "-c", f"sleep {random.uniform(0.05, 0.3)}; kill -9 {server.process.pid}"])
            kept |= set(asyncio.run(_insert(server.dsn(), PATIENCE)))
            killer.wait()
            until(lambda: server.poll() == -signal.SIGKILL, "the owner did not notice")
            embedded.start(server, embedded.say)
        assert kept
        assert kept <= asyncio.run(_numbers(server.dsn()))
    finally:
        server.release()
    assert not postgres_processes(data_dir)


def test_a_killed_backend_does_not_stop_the_server(data_dir):
    """PostgreSQL recovers by itself; the owner need not do anything."""
    server = embedded.open_server(settings_for(data_dir))
    try:
        embedded.start(server, embedded.say)

        async def kill_own_backend() -> None:
            connection = await asyncpg.connect(server.dsn())
            os.kill(await connection.fetchval("SELECT pg_backend_pid()"), signal.SIGKILL)
            with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
                while True:
                    await connection.fetchval("SELECT 1")

        asyncio.run(kill_own_backend())
        assert server.wait_ready()
        assert server.poll() is None
    finally:
        server.release()


def test_a_start_right_after_the_kill_waits_for_the_old_server(data_dir):
    """The owner is killed and the next comes while the server still shuts down: never two on one cluster."""
    for _ in range(3):
        owner = Owner(data_dir)
        owner.kill()
        with embedded.database_for(settings_for(data_dir), migrated=False) as dsn:
            assert asyncio.run(_insert(dsn, 0.02))
            assert owner.postmaster not in postgres_processes(data_dir)
    until(lambda: not postgres_processes(data_dir), "a server was left behind")


def test_what_an_owner_left_running_is_stopped_first(data_dir):
    """Where the kernel does not link lives (macOS), a server survives its owner; the next owner stops it."""
    server = embedded.open_server(settings_for(data_dir))
    embedded.start(server, embedded.say)
    survivor = server.process
    server.process = None
    os.close(server._owner_lock)  # what a kill -9 of the owner does
    server._owner_lock = None
    assert probe(server.cluster.socket) == "ready"
    assert embedded.running_dsn(data_dir) is None
    fresh = embedded.open_server(settings_for(data_dir))
    try:
        embedded.start(fresh, embedded.say)
        assert survivor.wait(PATIENCE) == 0
        assert fresh.process.pid != survivor.pid
    finally:
        fresh.release()


def _forge_lock_files(data_dir: Path, pid: int) -> None:
    """What a server leaves that was killed together with its owner: both of its lock files."""
    data = Places(data_dir).postgres_dir / "data"
    owner = data.stat()
    socket = Places(data_dir).postgres_dir / "socket" / ".s.PGSQL.5432"
    assert socket.parent.is_dir()
    for forged in (data / "postmaster.pid", socket.with_name(socket.name + ".lock")):
        forged.write_text(f"{pid}\n{data}\n{int(time.time())}\n5432\n/nowhere\n\n  12345 67890\nready\n")
        forged.chmod(0o600)
        os.chown(forged, owner.st_uid, owner.st_gid)


def test_a_recycled_process_id_does_not_block_the_start(data_dir):
    """After a restart of a container the number in its lock files may be anybody's, even of the same user."""
    owner = (Places(data_dir).postgres_dir / "data").stat()
    drop = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    with subprocess.Popen(["sleep", "600"], cwd="/", **drop) as stranger:
        _forge_lock_files(data_dir, stranger.pid)
        with embedded.database_for(settings_for(data_dir), migrated=False) as dsn:
            assert asyncio.run(_insert(dsn, 0.01))
        assert stranger.poll() is None
        stranger.kill()


def test_a_zombie_does_not_block_the_start(data_dir):
    """A dead server that process 1 never collected still has its number; it holds nothing else."""
    zombie = subprocess.Popen(["true"])
    until(lambda: Path(f"/proc/{zombie.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z", "no zombie")
    _forge_lock_files(data_dir, zombie.pid)
    with embedded.database_for(settings_for(data_dir), migrated=False) as dsn:
        assert asyncio.run(_insert(dsn, 0.01))
    zombie.wait()


def test_a_server_that_somebody_else_started_is_left_in_peace(data_dir):
    """Someone runs PostgreSQL on the cluster by hand: it is named, not killed, and not doubled."""
    server = embedded.open_server(settings_for(data_dir))
    cluster = server.cluster
    with subprocess.Popen(
        [
            server.binaries.postgres,
            "-D",
            cluster.data,
            "-h",
            "",
            "-k",
            cluster.data,
        ],
        stderr=subprocess.DEVNULL,
        cwd="/",
        **cluster.drop(),
    ) as foreign:
        until(lambda: probe(cluster.data / ".s.PGSQL.5432") == "ready", "the foreign server does not answer")
        with pytest.raises(ServerError, match=f"process {foreign.pid}"):
            server.start()
        assert foreign.poll() is None
        foreign.send_signal(signal.SIGINT)
        foreign.wait()
    embedded.start(server, embedded.say)
    server.release()


def test_a_long_recovery_is_waited_for(data_dir):
    """While PostgreSQL lives but does not answer, nobody gives up and nobody starts a second one."""
    server = embedded.open_server(settings_for(data_dir))
    try:
        embedded.spawn(server, embedded.say)
        server.process.send_signal(signal.SIGSTOP)
        ticks: list[float] = []
        resumer = subprocess.Popen(["sh", "-c", f"sleep 0.3; kill -CONT {server.process.pid}"])
        assert server.wait_ready(tick=ticks.append)
        resumer.wait()
        assert ticks
        assert server.poll() is None
    finally:
        server.release()


def test_the_log_stays_within_its_bound(data_dir, monkeypatch):
    """Errors in a loop do not fill the disk."""
    monkeypatch.setattr("majordomo.record.postgres_server.LOG_LIMIT", 1000)
    server = embedded.open_server(settings_for(data_dir))
    try:
        embedded.start(server, embedded.say)
        with server.cluster.log.open("ab") as log:
            log.write(b"x" * 5000)
        server.poll()
        assert server.cluster.log.stat().st_size < 1000
    finally:
        server.release()
