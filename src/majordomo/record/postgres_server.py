"""Runs the embedded PostgreSQL: one direct child, never doubled, never left behind.

Two locks tell everything. ``owner.lock`` is held by the one process that looks after the server. ``server.lock`` is
inherited by the server and so by each of its processes: while one of them lives, the kernel keeps it. A new owner that
finds it free knows that nothing of a former server is left, whatever ``postmaster.pid`` says: its process id may belong
to someone else by now, or to a zombie that a careless process 1 never reaps. One that finds it taken stops what is left
and waits.

On Linux the server is told to shut down (SIGINT, a fast and clean shutdown) when its owner dies, even by ``kill -9``.
Elsewhere such a server survives its owner, and the next start stops it.
"""

import contextlib
import fcntl
import os
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from majordomo.death_signal import set_death_signal
from majordomo.record.postgres_binaries import Binaries
from majordomo.record.postgres_cluster import DATABASE, ROLE, Cluster, ClusterError, clean_environment

#: Between two looks at something that will happen soon.
_POLL = 0.01

#: Somebody who only looks whether the cluster is owned holds the lock for less than that (s).
_LOOK_PATIENCE = 0.2

#: How long a fast shutdown may take (it writes all dirty pages) before the server is stopped without a checkpoint.
STOP_PATIENCE = 60.0

#: A server log beyond this is cut when it is next looked at: errors in a loop must not fill the disk.
LOG_LIMIT = 10 * 1024 * 1024

#: Answers to one question to the server; an answer takes a millisecond, unless the machine is overloaded.
_PROBE_TIMEOUT = 5.0

Probe = Literal["ready", "starting", "away"]

_PROTOCOL_3 = 196608
_CANNOT_CONNECT_NOW = b"C57P03\0"


class ServerError(Exception):
    """The embedded server does not run. The message says why and what to do."""


class ServerBusyError(ServerError):
    """Another process looks after this cluster."""

    def __init__(self, message: str, owner: int | None) -> None:
        super().__init__(message)
        self.owner = owner


class PostgresServer:
    """One server over one cluster. ``start`` it from the main thread: it stops when the thread that started it ends."""

    def __init__(self, cluster: Cluster, binaries: Binaries) -> None:
        self.cluster = cluster
        self.binaries = binaries
        self.process: subprocess.Popen[bytes] | None = None
        self._owner_lock: int | None = None

    def __repr__(self) -> str:
        return f"PostgresServer({str(self.cluster.home)!r}, pid={self.process.pid if self.process else None})"

    def own(self) -> None:
        """Become the one process that looks after this cluster.

        Raises:
            ServerBusyError: when another one does.
        """
        if self._owner_lock is not None:
            return
        handle = _open_lock(self.cluster.home / "owner.lock")
        began = time.monotonic()
        while not _try_lock(handle, fcntl.LOCK_EX):
            if time.monotonic() - began > _LOOK_PATIENCE:
                owner = _read_owner(handle)
                os.close(handle)
                raise ServerBusyError(
                    f"the embedded database in {self.cluster.home} is in use by another majordomo process "
                    f"({owner or 'unknown'})",
                    owner,
                )
            time.sleep(_POLL)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        self._owner_lock = handle

    def start(self, cancelled: Callable[[], bool] = lambda: False) -> None:
        """Start the server and return at once; ``wait_ready`` waits. Needs ``own``.

        Raises:
            ClusterError, ServerError: when it cannot be started.
        """
        assert self._owner_lock is not None, "own() comes first"
        assert threading.current_thread() is threading.main_thread(), "the server dies with the thread that starts it"
        server_lock = self._take_server_lock(cancelled)
        try:
            self.cluster.prepare(self.binaries, server_lock)
            self._clear_lock_files()
            self.process = self._spawn(server_lock)
        finally:
            os.close(server_lock)  # the server has its own by now

    def wait_ready(
        self, cancelled: Callable[[], bool] = lambda: False, tick: Callable[[float], None] | None = None
    ) -> bool:
        """Wait until the server answers: however long a recovery takes, as long as the server lives.

        ``tick`` is called now and then with the seconds waited so far. False if cancelled.

        Raises:
            ServerError: when the server stopped instead.
        """
        assert self.process is not None
        began = time.monotonic()
        while probe(self.cluster.socket) != "ready":
            if self.process.poll() is not None:
                raise ServerError(f"the embedded PostgreSQL stopped while starting: {self.last_words()}")
            if cancelled():
                return False
            if tick:
                tick(time.monotonic() - began)
            time.sleep(_POLL)
        return True

    def poll(self) -> int | None:
        """Exit code if the server has stopped, None while it runs. Also keeps its log within bounds."""
        if self.process is None:
            return 0
        with contextlib.suppress(OSError):
            if self.cluster.log.stat().st_size > LOG_LIMIT:
                os.truncate(self.cluster.log, 0)  # the server appends, so it goes on at the new end
        return self.process.poll()

    def stop(self, at_once: Callable[[], bool] = lambda: False) -> None:
        """Shut the server down: connections are closed, everything is written.

        When ``at_once`` says so, or it takes too long, it is stopped without that and recovers at its next start.
        """
        process, self.process = self.process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + STOP_PATIENCE
        while process.poll() is None:
            if at_once() or time.monotonic() > deadline:
                process.send_signal(signal.SIGQUIT)
                process.wait()
            time.sleep(_POLL)

    def release(self, at_once: Callable[[], bool] = lambda: False) -> None:
        """Stop the server and let another process look after the cluster."""
        self.stop(at_once)
        handle, self._owner_lock = self._owner_lock, None
        if handle is not None:
            os.close(handle)

    def dsn(self, database: str = DATABASE) -> str:
        """How to connect, password included."""
        return socket_dsn(self.cluster.socket, self.cluster.password(), database)

    def last_words(self) -> str:
        """The end of the server's log, for a message."""
        try:
            with self.cluster.log.open("rb") as stream:
                stream.seek(max(0, self.cluster.log.stat().st_size - 2000))
                lines = stream.read().decode(errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return (" / ".join(lines[-3:]) or "it left no word") + f" (whole log: {self.cluster.log})"

    def _spawn(self, server_lock: int) -> subprocess.Popen[bytes]:
        death_signal = set_death_signal()
        parent = os.getpid()

        def between_fork_and_exec() -> None:
            death_signal(signal.SIGINT)
            if os.getppid() != parent:
                os._exit(1)  # the owner died before the link was made

        with self.cluster.log.open("ab") as log:
            self.cluster.log.chmod(0o600)
            return subprocess.Popen(
                self.cluster.command(self.binaries),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.cluster.home,
                env=clean_environment(),
                pass_fds=(server_lock,),
                start_new_session=True,
                umask=0o077,
                preexec_fn=between_fork_and_exec,
                **self.cluster.drop(),
            )

    def _take_server_lock(self, cancelled: Callable[[], bool]) -> int:
        """The lock that says that no process of a former server is left; stops what is.

        Raises:
            ServerError: when what is left does not stop.
        """
        handle = _open_lock(self.cluster.home / "server.lock")
        began = time.monotonic()
        told: list[int] = []
        while True:
            if _try_lock(handle, fcntl.LOCK_EX):
                return handle
            waited = time.monotonic() - began
            sign = signal.SIGINT if waited < STOP_PATIENCE else signal.SIGQUIT
            if sign not in told:
                told.append(sign)
                self._signal_leftover(sign)
            if waited > 2 * STOP_PATIENCE or cancelled():
                os.close(handle)
                raise ServerError(
                    f"a former server on {self.cluster.data} still runs and does not stop; look for it with "
                    f"`lsof {self.cluster.home / 'server.lock'}` and stop it"
                )
            time.sleep(_POLL)

    def _signal_leftover(self, sign: int) -> None:
        pid = _postmaster_pid(self.cluster.data)
        if pid and is_postmaster_of(pid, self.cluster.data):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, sign)

    def _clear_lock_files(self) -> None:
        """Remove PostgreSQL's own lock files where they say nothing any more: it believes them if their id is in use.

        That may be by a stranger's process, or by a zombie. The server lock was free, so none of *our* servers runs;
        one that somebody started by hand is left in peace.
        """
        pid = _postmaster_pid(self.cluster.data)
        if pid is not None and is_postmaster_of(pid, self.cluster.data):
            raise ServerError(
                f"a PostgreSQL that majordomo did not start (process {pid}) runs on {self.cluster.data}; stop it with "
                f"`kill -INT {pid}`, then start again"
            )
        (self.cluster.data / "postmaster.pid").unlink(missing_ok=True)
        socket = self.cluster.socket
        socket.with_name(f"{socket.name}.lock").unlink(missing_ok=True)


def socket_dsn(path: Path, password: str, database: str = DATABASE) -> str:
    """A DSN over a unix socket that both asyncpg and psql understand."""
    from urllib.parse import quote

    port = path.name.rpartition(".")[2]
    where = f"host={quote(str(path.parent), safe='')}&port={port}"
    return f"postgresql://{ROLE}:{quote(password, safe='')}@/{database}?{where}"


def probe(path: Path) -> Probe:
    """Ask the server on this unix socket whether it takes connections, without logging in.

    It is ready when it asks for a password; SQLSTATE 57P03 means that it is starting, recovering or stopping.
    """
    body = struct.pack("!I", _PROTOCOL_3) + b"user\0" + ROLE.encode() + b"\0database\0" + DATABASE.encode() + b"\0\0"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(_PROBE_TIMEOUT)
        try:
            link.connect(str(path))
            link.sendall(struct.pack("!I", len(body) + 4) + body)
            answer = link.recv(1024)
        except OSError:
            return "away"
    if not answer:
        return "starting"
    return "starting" if answer[:1] == b"E" and _CANNOT_CONNECT_NOW in answer else "ready"


def is_owned(home: Path) -> bool:
    """Whether a living process looks after the cluster. The look holds the lock for an instant; ``own`` tries again."""
    try:
        handle = os.open(home / "owner.lock", os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        return not _try_lock(handle, fcntl.LOCK_SH)
    finally:
        os.close(handle)


def is_postmaster_of(pid: int, data: Path) -> bool:
    """Whether process ``pid`` is a live PostgreSQL server on ``data``, and not some other process that got its "
    "number."""
    proc = Path("/proc") / str(pid)
    if not Path("/proc/self").exists():
        return _looks_like_postgres(pid)
    try:
        name, state = (proc / "stat").read_text().split("(", 1)[1].rsplit(")", 1)
    except (OSError, ValueError, IndexError):
        return False
    if state.split()[0] in "ZX" or name not in ("postgres", "postmaster"):
        return False
    try:
        return (proc / "cwd").samefile(data)
    except PermissionError:
        # Root without the right to trace, as in a container: another account's process tells only what anyone may know.
        with contextlib.suppress(OSError):
            return os.fsencode(data) in (proc / "cmdline").read_bytes().split(b"\0")
        return False
    except OSError:
        return False


def _looks_like_postgres(pid: int) -> bool:
    # macOS has no /proc; `ps` tells the program's name
    told = subprocess.run(
        ["/bin/ps", "-o", "comm=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    return Path(told.strip()).name in ("postgres", "postmaster")


def _postmaster_pid(data: Path) -> int | None:
    try:
        return abs(int((data / "postmaster.pid").read_text().split("\n", 1)[0]))
    except (OSError, ValueError):
        return None


def _open_lock(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as wrong:
        raise ClusterError(
            f"cannot open {path}: {wrong.strerror}; run this as the user who runs majordomo, or set --data-dir"
        ) from None


def _try_lock(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_owner(handle: int) -> int | None:
    try:
        return int(os.pread(handle, 32, 0))
    except ValueError:
        return None
