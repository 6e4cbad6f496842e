"""``majordomo serve``: starts the processes of the gateway, keeps them running, stops them in the right order.

The order of starting: port, PostgreSQL, then back office and front desks together. The order of stopping: front desks
(they let running requests finish), back office (it brings what they recorded into the database), PostgreSQL. A process
that falls is started again, ever more slowly if it goes on falling; the others are not touched.

Plain synchronous code over ``select``, in the main thread: the processes are told by the kernel to stop when the thread
that started them is gone, so even a ``kill -9`` of the supervisor leaves nothing behind (Linux; elsewhere leftovers are
found by their locks at the next start). As process 1 of a container it also collects orphans.
"""

import contextlib
import fcntl
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import FrameType

import msgspec

from majordomo import logs
from majordomo.child_process import Backoff, Child, say_exit
from majordomo.launch import Firsts, Launch, SupervisorError, reveal
from majordomo.places import Places
from majordomo.ports import Claim, claim
from majordomo.record import embedded
from majordomo.record.postgres_server import PostgresServer, ServerBusyError
from majordomo.settings import Settings, origins

#: ``-P``: a file of the working directory must not be taken for a module.
_PYTHON = (sys.executable, "-P", "-m")

#: How long the back office may take to bring the rest of the journals in. What is left waits for the next start.
BACK_OFFICE_PATIENCE = 30.0

#: What a front desk gets on top of ``shutdown_grace`` before it is killed; its journal is safe either way.
FRONT_DESK_MARGIN = 5.0

#: A recovering PostgreSQL does not keep the front desks from starting any longer than this (s).
DATABASE_HEAD_START = 5.0

#: Seconds until the banner is shown although a process is not ready yet.
BANNER_PATIENCE = 15.0

#: A front desk that has never been ready and fell that often will not be ready: better say so and stop.
HOPELESS = 5

#: In the run directory, while the service runs.
STATUS_NAME = "supervisor.json"

#: A look whether the service runs holds its lock for an instant; a start tries again for that long (s).
_LOCK_PATIENCE = 1.0

#: Seconds between two looks at what sends no signal: the size of PostgreSQL's log.
_LOOK = 5.0

#: Two signals within this time are one wish: a terminal and a wrapper may both pass a Ctrl-C on.
_SAME_WISH = 0.5

#: How long another command may use the embedded database before the start of the service gives up.
_NEIGHBOUR_PATIENCE = 20.0

_log = logs.logger("supervisor")


@dataclass(frozen=True)
class Programs:
    """The command lines of the processes; tests put stand-ins here."""

    front_desk: Sequence[str] = (*_PYTHON, "majordomo.front_desk")
    back_office: Sequence[str] = (*_PYTHON, "majordomo.back_office")


@dataclass(frozen=True)
class Running:
    """What there is to say once the gateway serves."""

    host: str
    port: int
    firsts: Firsts
    embedded: PostgresServer | None
    waiting_for: list[str]  # names of the processes that are not ready yet


class ProcessStatus(msgspec.Struct):
    """One process in the status file."""

    name: str
    state: str
    pid: int | None
    restarts: int


class Status(msgspec.Struct):
    """``run/supervisor.json``: what ``doctor`` shows of the running service."""

    pid: int
    host: str
    port: int
    processes: list[ProcessStatus]


class Supervisor:
    """One run of the service.

    ``announce`` is called when it serves, and again if the first key comes late; ``say`` with what takes long.
    """

    def __init__(
        self,
        settings: Settings,
        announce: Callable[[Running], None],
        say: Callable[[str], None] = embedded.say,
        programs: Programs | None = None,
    ) -> None:
        self._settings = settings
        self._announce = announce
        self._say = say
        self._programs = programs or Programs()
        self._places = Places(settings.data_dir)
        self._claim: Claim | None = None
        self._postgres: PostgresServer | None = None
        self._postgres_backoff = Backoff()
        self._postgres_restarts = 0
        self._postgres_again_at: float | None = None
        self._back_office: Child | None = None
        self._front_desks: list[Child] = []
        self._asked_to_stop: float | None = None
        self._at_once = False
        self._announced = False
        self._firsts_announced = False
        self._began = time.monotonic()
        self._selector = selectors.DefaultSelector()
        self._listened: dict[int, Child] = {}

    @property
    def _children(self) -> list[Child]:
        return [*([self._back_office] if self._back_office else []), *self._front_desks]

    def run(self) -> int:
        """Serve until SIGTERM or Ctrl-C; a second one stops at once. The exit code.

        Raises:
            SupervisorError, EmbeddedError: when the service cannot start.
        """
        self._places.make()
        with self._only_one(), self._signals():
            try:
                self._claim = claim(self._settings.host, self._settings.port)
                if self._start_database():
                    self._start_children()
                    self._watch()
            finally:
                self._stop()
        return 1 if self._at_once else 0

    # Starting

    @contextlib.contextmanager
    def _only_one(self) -> Iterator[None]:
        handle = os.open(self._places.service_lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            while not _lock(handle):
                if time.monotonic() - self._began > _LOCK_PATIENCE:
                    owner = os.pread(handle, 32, 0).decode(errors="replace").strip() or "unknown"
                    raise SupervisorError(
                        f"another `majordomo serve` (process {owner}) runs on {self._places.data_dir}; use that one, "
                        f"stop it (kill {owner}), or give this one a directory of its own with --data-dir"
                    )
                time.sleep(0.02)
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(handle)

    def _start_database(self) -> bool:
        """PostgreSQL, unless the user has one. False if asked to stop meanwhile."""
        if self._settings.database_url is not None:
            return True
        server = self._open_server()
        if server is None:
            return False
        self._postgres = server
        embedded.spawn(server, self._say, self._stopping)
        self._postgres_backoff.started()
        head_start = time.monotonic() + DATABASE_HEAD_START

        def enough() -> bool:
            return self._stopping() or time.monotonic() > head_start

        if not embedded.wait(server, self._say, enough) and not self._stopping():
            self._say("PostgreSQL is recovering; requests are taken meanwhile and recorded when it is back.")
        return not self._stopping()

    def _open_server(self) -> PostgresServer | None:
        told = False
        while not self._stopping():
            try:
                return embedded.open_server(self._settings)
            except ServerBusyError as busy:
                if time.monotonic() - self._began > _NEIGHBOUR_PATIENCE:
                    raise SupervisorError(f"{busy}; wait until it ends, or stop it (kill {busy.owner})") from None
                if not told:
                    self._say(f"Waiting for another majordomo command (process {busy.owner}) to leave the database …")
                    told = True
                time.sleep(0.05)
        return None

    def _start_children(self) -> None:
        self._back_office = Child("back office", self._programs.back_office, self._order(0))
        self._front_desks = [
            Child(f"front desk {number + 1}", self._programs.front_desk, self._order(number))
            for number in range(self._settings.workers)
        ]
        for child in (*self._front_desks, self._back_office):
            self._start_child(child)

    def _order(self, worker: int) -> bytes:
        assert self._claim is not None
        url = self._settings.database_url
        dsn = url.get_secret_value() if url else self._postgres.dsn() if self._postgres else ""
        told = reveal(self._settings)
        return Launch(
            worker, self._claim.host, self._claim.port, dsn, told, os.getpid(), dict(origins(self._settings))
        ).encode()

    def _start_child(self, child: Child) -> None:
        child.start()
        self._listened[child.output] = child
        self._selector.register(child.output, selectors.EVENT_READ, child)

    # Running

    def _watch(self) -> None:
        self._write_status()
        while not self._stopping():
            changed = self._wait(self._next_time())
            changed |= self._raise_the_fallen()
            changed |= self._look_after_postgres()
            self._maybe_announce()
            if changed:
                self._write_status()

    def _next_time(self) -> float:
        """Seconds until something is due."""
        due = [child.start_again_at for child in self._children if child.state == "waiting"]
        if self._postgres_again_at is not None:
            due.append(self._postgres_again_at)
        if not self._announced and time.monotonic() < self._began + BANNER_PATIENCE:
            due.append(self._began + BANNER_PATIENCE)
        return max(0.0, min([time.monotonic() + _LOOK, *due]) - time.monotonic())

    def _wait(self, seconds: float) -> bool:
        """Wait for signals and words of children. True if some child's state changed."""
        changed = False
        for key, _ in self._selector.select(seconds):
            if isinstance(key.data, Child):
                if key.data.output == key.fd and key.data.hear():
                    _log.info(f"{key.data.name} ready", pid=key.data.pid)
                    changed = True
                if key.data.output != key.fd:
                    self._forget(key.fd)
            else:
                with contextlib.suppress(BlockingIOError):
                    os.read(key.fd, 4096)
        self._adopt_orphans()
        return changed

    def _forget(self, handle: int) -> None:
        if self._listened.pop(handle, None):
            self._selector.unregister(handle)

    def _raise_the_fallen(self) -> bool:
        changed = False
        for child in self._children:
            if child.exit_code() is not None:
                self._forget(child.output)
                child.fell()
                changed = True
                self._stop_if_hopeless(child)
            if child.state == "waiting" and time.monotonic() >= child.start_again_at:
                self._start_child(child)
                changed = True
        return changed

    def _stop_if_hopeless(self, child: Child) -> None:
        if child in self._front_desks and child.backoff.falls >= HOPELESS and not self._any_desk_ever_ready():
            raise SupervisorError(f"the {child.name} stopped {HOPELESS} times without serving; its last lines say why")

    def _any_desk_ever_ready(self) -> bool:
        return any(desk.ever_ready for desk in self._front_desks)

    def _look_after_postgres(self) -> bool:
        if self._postgres is None:
            return False
        if self._postgres_again_at is None:
            code = self._postgres.poll()
            if code is None:
                return False
            wait = self._postgres_backoff.fell()
            self._postgres_restarts += 1
            self._postgres_again_at = time.monotonic() + wait
            _log.error("PostgreSQL stopped", how=say_exit(code), restart_in_seconds=round(wait, 1))
        if time.monotonic() < self._postgres_again_at:
            return True
        self._postgres_again_at = None
        self._postgres_backoff.started()
        try:
            self._postgres.start(self._stopping)
        except embedded.EmbeddedError as wrong:
            # Perhaps a full disk, which somebody may clear: the front desks go on recording in their journals.
            self._postgres_again_at = time.monotonic() + self._postgres_backoff.fell()
            _log.error("PostgreSQL does not start", reason=str(wrong))
        return True

    def _maybe_announce(self) -> None:
        firsts = self._back_office.firsts if self._back_office else Firsts()
        news = bool(firsts) and not self._firsts_announced
        if (self._announced and not news) or self._claim is None or not self._any_desk_ever_ready():
            return
        waiting = [child.name for child in self._children if not child.ever_ready]
        if waiting and time.monotonic() - self._began < BANNER_PATIENCE:
            return
        self._announced = True
        self._firsts_announced = bool(firsts)
        self._announce(Running(self._claim.host, self._claim.port, firsts, self._postgres, waiting))

    # Stopping

    def _stopping(self) -> bool:
        return self._asked_to_stop is not None

    def _stop(self) -> None:
        """Stop what runs, in order. Called once, whatever happened before."""
        if self._asked_to_stop is None:
            self._asked_to_stop = time.monotonic()
        self._tell_untold()
        self._stop_children(self._front_desks, self._settings.shutdown_grace + FRONT_DESK_MARGIN)
        self._stop_children([self._back_office] if self._back_office else [], BACK_OFFICE_PATIENCE)
        if self._postgres is not None:
            self._postgres.release(lambda: self._at_once)
        if self._claim is not None:
            self._claim.close()
        (self._places.run_dir / STATUS_NAME).unlink(missing_ok=True)

    def _tell_untold(self) -> None:
        # They are in the database by now, and their text nowhere else: a start that fails later must not swallow them.
        if self._back_office is None or self._firsts_announced:
            return
        firsts = self._back_office.firsts
        if firsts.key:
            self._say(f"Your first gateway key, shown this once: {firsts.key}")
        if firsts.link:
            port = self._claim.port if self._claim else None
            self._say(f"Your link to sign in, once: {self._settings.page_url(f'/sign-in#{firsts.link}', port)}")

    def _stop_children(self, children: Sequence[Child], patience: float) -> None:
        for child in children:
            if child.exit_code() is not None:
                self._forget(child.output)
            child.stop()
        deadline = time.monotonic() + patience
        while any(child.state == "stopping" for child in children):
            if time.monotonic() >= deadline or self._at_once:
                for child in children:
                    if child.state == "stopping" and not self._at_once:
                        _log.error(f"{child.name} did not stop in time and is killed", seconds=round(patience, 1))
                    child.tell(signal.SIGKILL)
            self._wait(min(0.2, max(0.01, deadline - time.monotonic())))
            for child in children:
                if child.state == "stopping" and child.exit_code() is not None:
                    self._forget(child.output)
                    child.collect()

    # Signals

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        ours, kernels = socket.socketpair()
        ours.setblocking(False)
        kernels.setblocking(False)
        before = {
            sign: signal.signal(sign, handler)
            for sign, handler in (
                (signal.SIGTERM, self._on_stop_signal),
                (signal.SIGINT, self._on_stop_signal),
                (signal.SIGHUP, self._on_stop_signal),  # the terminal is gone
                (signal.SIGCHLD, lambda _sign, _frame: None),  # only to wake the selector
            )
        }
        wakeup = signal.set_wakeup_fd(kernels.fileno(), warn_on_full_buffer=False)
        self._selector.register(ours, selectors.EVENT_READ, None)
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup)
            for sign, handler in before.items():
                signal.signal(sign, handler)
            self._selector.close()
            ours.close()
            kernels.close()

    def _on_stop_signal(self, sign: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._asked_to_stop is None:
            self._asked_to_stop = now
            self._say("Stopping: running requests may finish. Once more stops at once.")
        elif now - self._asked_to_stop > _SAME_WISH:
            self._at_once = True
            for child in self._children:
                child.tell(signal.SIGKILL)

    def _adopt_orphans(self) -> None:
        """As process 1: collect what others left behind, else it stays in the process table for ever."""
        if os.getpid() != 1:
            return
        ours = {child.pid for child in self._children}
        if self._postgres and self._postgres.process:
            ours.add(self._postgres.process.pid)
        with contextlib.suppress(ChildProcessError):
            while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if ended.si_pid in ours:
                    return  # its exit code is for whoever started it; the next round collects the rest
                os.waitpid(ended.si_pid, os.WNOHANG)

    # Being seen

    def _write_status(self) -> None:
        assert self._claim is not None
        processes = [ProcessStatus(child.name, child.state, child.pid, child.restarts) for child in self._children]
        if self._postgres is not None:
            state = "waiting" if self._postgres_again_at is not None else "running"
            pid = self._postgres.process.pid if self._postgres.process else None
            processes.append(ProcessStatus("PostgreSQL", state, pid, self._postgres_restarts))
        status = Status(os.getpid(), self._claim.host, self._claim.port, processes)
        fresh = self._places.run_dir / f"{STATUS_NAME}.new"
        with contextlib.suppress(OSError):  # a full disk: the service matters more
            fresh.write_bytes(msgspec.json.encode(status))
            fresh.rename(self._places.run_dir / STATUS_NAME)


def _lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def read_status(places: Places) -> Status | None:
    """What the running service says of itself; None if none runs. What a killed one left behind does not count."""
    try:
        with places.service_lock.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return None  # nobody holds it
    except BlockingIOError:
        pass
    except OSError:
        return None
    try:
        return msgspec.json.decode((places.run_dir / STATUS_NAME).read_bytes(), type=Status)
    except (OSError, msgspec.DecodeError):
        return None
