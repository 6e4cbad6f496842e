"""The embedded database, for those who only want to connect to it.

``majordomo serve`` looks after the server while it runs (``open_server``). A command uses the running one, or starts it
for its own duration (``database_for``), and does not stop it under another command that has come to use it meanwhile.
"""

import contextlib
import fcntl
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from majordomo.places import PASSABLE, PRIVATE, Places, PlacesError, make_directory
from majordomo.record.postgres_account import Account, AccountError, choose_account
from majordomo.record.postgres_binaries import Binaries, BinariesError, find_binaries
from majordomo.record.postgres_cluster import (
    DEFAULT_PORT,
    Cluster,
    ClusterError,
    find_home,
    known_home,
    read_password,
)
from majordomo.record.postgres_server import PostgresServer, ServerBusyError, ServerError, is_owned, probe, socket_dsn
from majordomo.settings import Settings

#: Everything that can go wrong here; each message says what to do.
EmbeddedError = (AccountError, BinariesError, ClusterError, PlacesError, ServerError)

#: How long to wait for a server that another process is starting or stopping, before saying so and giving up.
NEIGHBOUR_PATIENCE = 60.0

_POLL = 0.02

Report = Callable[[str], None]


def say(line: str) -> None:
    """Tell the person at the terminal."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def open_server(settings: Settings, options: Mapping[str, str] | None = None) -> PostgresServer:
    """Find everything the embedded server of these settings needs, and make its home. It is owned, but not started.

    Raises:
        EmbeddedError: any of those; ``ServerBusyError`` when another process looks after it.
    """
    places = Places(settings.data_dir)
    make_directory(places.data_dir, PASSABLE if os.geteuid() == 0 else PRIVATE)
    account, home = _settle(places, settings.postgres_user)
    cluster = Cluster(
        home, account, socket_dir=_socket_dir(places, home), tcp_port=settings.postgres_port, options=options
    )
    server = PostgresServer(cluster, find_binaries(settings.postgres_bin, cluster.major()))
    server.own()
    try:
        server.binaries = reachable(server.binaries, home, account)
        if server.cluster.socket_dir.parent == places.short_dir:
            places.make_short_dir()
    except BaseException:
        server.release()
        raise
    return server


def _settle(places: Places, named: str | None) -> tuple[Account | None, Path]:
    """Account and home. Under a lock, as two first starts at once would otherwise settle in two places."""
    make_directory(places.postgres_dir, PASSABLE if os.geteuid() == 0 else PRIVATE)
    handle = os.open(places.postgres_dir / "settle.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        account = choose_account(named, _owner(known_home(places) / "data"))
        return account, find_home(places, account)
    finally:
        os.close(handle)


def _owner(data: Path) -> int | None:
    try:
        return data.stat().st_uid
    except OSError:
        return None


def _socket_dir(places: Places, home: Path) -> Path:
    return places.socket(home / "socket" / f".s.PGSQL.{DEFAULT_PORT}").parent


def reachable(binaries: Binaries, home: Path, account: Account | None) -> Binaries:
    """``binaries``, or a copy of them in ``home`` if ``account`` cannot run them where they are.

    Raises:
        BinariesError: when they cannot be copied either.
    """
    if account is None or (account.runs(binaries.postgres) and account.runs(binaries.initdb)):
        return binaries
    if not binaries.packaged:
        raise BinariesError(
            f"PostgreSQL must run as {account.name}, who cannot run the programs in {binaries.bin_dir}; make them "
            f"reachable for that account, or leave MAJORDOMO_POSTGRES_BIN out"
        )
    try:
        copied = binaries.copy_to(home / "binaries")
    except OSError as wrong:
        raise BinariesError(
            f"cannot copy PostgreSQL's programs to {home}, where {account.name} could run them: {wrong}"
        ) from None
    if not account.runs(copied.initdb):
        raise BinariesError(
            f"{account.name} cannot run the copied programs in {copied.bin_dir}; is the disk mounted noexec? Set "
            "--data-dir "
            f"to another one, or MAJORDOMO_POSTGRES_BIN to programs that any account can run"
        )
    return copied


def running_dsn(data_dir: Path) -> str | None:
    """The DSN of this data directory's running embedded server; None if none runs. Waits while one is starting.

    A server whose owner is gone does not count: it is shutting down, or about to be stopped by the next owner.

    Raises:
        ClusterError: when it runs, but this user may not read its password.
    """
    places = Places(data_dir)
    home = known_home(places)
    folder = _socket_dir(places, home)
    deadline = time.monotonic() + NEIGHBOUR_PATIENCE
    for socket in sorted(_sockets(folder)):
        while (state := probe(socket)) == "starting" and time.monotonic() < deadline:
            time.sleep(_POLL)
        if state == "ready" and is_owned(home):
            return socket_dsn(socket, read_password(home))
    return None


def _sockets(folder: Path) -> list[Path]:
    try:
        return [found for found in folder.glob(".s.PGSQL.*") if found.suffix != ".lock"]
    except PermissionError:
        raise ClusterError(f"{folder} belongs to another user; run this as the user who runs majordomo") from None


@contextlib.contextmanager
def database_for(settings: Settings, report: Report = say, *, migrated: bool = True) -> Iterator[str]:
    """The DSN of the database that these settings mean, for the duration of one command.

    A database of the user's own is handed out as it is. The embedded one is started if it does not run (and then
    brought to the newest schema, unless not ``migrated``), and stopped afterwards.

    Raises:
        EmbeddedError: any of those.
    """
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    with _embedded(settings, report, migrated) as dsn:
        yield dsn


def _migrate(dsn: str) -> None:
    import asyncio

    from majordomo.record.migrate import migrate

    asyncio.run(migrate(dsn))


@contextlib.contextmanager
def _embedded(settings: Settings, report: Report, migrated: bool) -> Iterator[str]:
    make_directory(settings.data_dir, PASSABLE if os.geteuid() == 0 else PRIVATE)
    places = Places(settings.data_dir)
    make_directory(places.postgres_dir, PASSABLE if os.geteuid() == 0 else PRIVATE)
    users = os.open(places.postgres_dir / "users.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(users, fcntl.LOCK_SH)  # waits while the last user stops its server
        dsn, server = _running_or_started(settings, report)
        try:
            if server is not None and migrated:
                _migrate(dsn)  # a server that others started is theirs to migrate, perhaps to an older schema
            yield dsn
        finally:
            if server is not None:
                _wait_for_other_users(users, report)
                server.release()
    finally:
        os.close(users)


def _running_or_started(settings: Settings, report: Report) -> tuple[str, PostgresServer | None]:
    deadline = time.monotonic() + NEIGHBOUR_PATIENCE
    while True:
        dsn = running_dsn(settings.data_dir)
        if dsn is not None:
            return dsn, None
        try:
            server = open_server(settings)
        except ServerBusyError:  # it is being started or stopped by a neighbour
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL)
            continue
        try:
            start(server, report)
            return server.dsn(), server
        except BaseException:
            server.release()
            raise


def start(server: PostgresServer, report: Report, cancelled: Callable[[], bool] = lambda: False) -> bool:
    """Start an owned server and wait until it answers, telling of what takes long. False if cancelled."""
    spawn(server, report, cancelled)
    return wait(server, report, cancelled)


def spawn(server: PostgresServer, report: Report, cancelled: Callable[[], bool] = lambda: False) -> None:
    """Start an owned server, making its cluster if there is none."""
    if server.cluster.major() is None:
        report("Making the embedded PostgreSQL database …")
    server.start(cancelled)


def wait(server: PostgresServer, report: Report, cancelled: Callable[[], bool] = lambda: False) -> bool:
    """Wait until a started server answers. False if cancelled."""
    told = [5.0]

    def tick(waited: float) -> None:
        if waited > told[0]:
            report(f"Still waiting for PostgreSQL, which may be recovering after a crash ({waited:.0f} s) …")
            told[0] *= 2

    return server.wait_ready(cancelled, tick)


def _wait_for_other_users(users: int, report: Report) -> None:
    told = False
    while True:
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if not told:
                report("Waiting for another majordomo command that uses the embedded database …")
                told = True
            time.sleep(_POLL)
