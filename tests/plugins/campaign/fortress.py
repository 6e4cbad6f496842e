"""The gateway under siege, ``majordomo serve`` with everything real, and what can be done to it."""

import contextlib
import fcntl
import http.client
import os
import random
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import psutil

from majordomo.demo.gateway_process import GatewayProcess
from majordomo.places import Places
from majordomo.record import embedded
from majordomo.record.segments import journal_folders, segment_numbers, segment_path
from majordomo.settings import Settings
from majordomo.supervisor import Status, read_status

WORKERS = 2

#: Longest time for anything that must come to pass (s): a busy machine is no failure.
PATIENCE = 90.0

#: Between two looks at something that must come to pass (s).
_LOOK = 0.05


class Blow(NamedTuple):
    """What was done to the gateway, and when it took effect (s since the Unix epoch)."""

    name: str
    began: float
    ended: float
    loses: bool  # requests under way may have been lost
    refuses: bool  # requests may have been refused, or found nobody


class _Serve(GatewayProcess):
    """Counts as started once it serves, whether there is a database or not; its port is known."""

    def _wait_until_it_serves(self) -> None:
        port = int(self._process.args[-1])

        def serves() -> bool:
            code = self._process.poll()
            assert code is None, f"serve ended with {code}: {''.join(self.lines)}"
            return _get(port, "/health") == 200

        until(serves, lambda: f"serve does not serve: {''.join(self.lines)}")


class Fortress:
    """A gateway on a data directory and a port that outlive its processes."""

    def __init__(
        self,
        data_dir: Path,
        provider_url: str,
        *,
        database_url: str | None = None,
        workers: int = WORKERS,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.data_dir = data_dir
        self.workers = workers
        self.places = Places(data_dir)
        self.port = free_low_port()
        self.postmasters: set[int] = set()
        self._provider_url = provider_url
        self._database_url = database_url
        self._variables = variables or {}
        self.process = self._start()
        self.wait_until_sound()
        self.dsn = database_url or embedded.running_dsn(data_dir) or ""

    def _start(self) -> GatewayProcess:
        return _Serve(
            self._provider_url,
            self.data_dir,
            port=self.port,
            database_url=self._database_url,
            settings={
                "MAJORDOMO_WORKERS": str(self.workers),
                "MAJORDOMO_LOG_FORMAT": "text",
                "MAJORDOMO_JOURNAL_SEGMENT_BYTES": str(64 * 1024),  # the smallest: many ends of segments to be hit
                **self._variables,
            },
        )

    # -- what it looks like -------------------------------------------------------------------------------------------

    def pid(self, name: str) -> int:
        """The process of that name in the supervisor's status, once it runs."""

        def look() -> int | None:
            status = self.status()
            pids = [one.pid for one in status.processes if one.name == name] if status else []
            return pids[0] if pids else None

        return int(until(look, lambda: f"no {name} runs: {self.said()}"))

    def status(self) -> Status | None:
        """What the supervisor says of its processes; None while none runs."""
        return read_status(self.places)

    def sound(self) -> bool:
        """Whether every process runs and is ready, and the gateway says so."""
        status = self.status()
        if status is None or any(one.state not in ("ready", "running") for one in status.processes):
            return False
        if not all(one.pid and _lives(one.pid) for one in status.processes):
            return False  # the supervisor has not yet heard
        return _get(self.port, "/readyz") == 200

    def wait_until_sound(self) -> None:
        """Wait for everything to be back; then count the processes."""
        until(self.sound, lambda: f"the gateway does not recover: {self.status()}; {self.said()}")
        # What was killed is collected by now, and what was told to stop must have.
        until(lambda: not self.strangers(), lambda: f"left running or doubled: {self.strangers()}; {self.said()}")

    def said(self) -> str:
        """The last lines of its output."""
        return "".join(list(self.process.lines)[-40:])

    def living(self) -> dict[int, str]:
        """Every process that works in the data directory: id and command line. They all have their place in there."""
        found = {}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if Path(process.cwd()).is_relative_to(self.data_dir) and process.status() != psutil.STATUS_ZOMBIE:
                    found[process.pid] = " ".join(process.cmdline())[:120]
        return found

    def strangers(self) -> dict[int, str]:
        """Processes besides one supervisor, its children as often as they should be, and PostgreSQL's own."""
        status = self.status()
        living = self.living()
        known = {self.process.pid}
        if status is not None and status.pid == self.process.pid:
            known |= {one.pid for one in status.processes if one.pid}
            for one in status.processes:
                if one.name == "PostgreSQL" and one.pid:
                    self.postmasters.add(one.pid)
                    with contextlib.suppress(psutil.NoSuchProcess):
                        known |= {child.pid for child in psutil.Process(one.pid).children()}
        return {pid: told for pid, told in living.items() if pid not in known}

    async def unsettled(self, connection: "asyncpg.Connection[asyncpg.Record]") -> str | None:
        """What of the journals is not in the database yet; None when all is, and dead journals are gone."""
        folders = dict(journal_folders(self.places.journal_dir))
        if len(folders) != self.workers:
            return f"{len(folders)} journals for {self.workers} front desks"
        rows = await connection.fetch("SELECT journal_id, segment, byte_offset FROM journal_positions")
        positions: dict[UUID, tuple[int, int]] = {row[0]: (row[1], row[2]) for row in rows}
        for journal_id, folder in folders.items():
            numbers = segment_numbers(folder)
            end = (numbers[-1], segment_path(folder, numbers[-1]).stat().st_size) if numbers else (0, 0)
            if positions.get(journal_id) != end:
                return f"journal {journal_id} ends at {end} and is stored up to {positions.get(journal_id)}"
        return None

    # -- what can be done to it ---------------------------------------------------------------------------------------

    def strike(self, plan: "Plan", dice: random.Random) -> Blow:
        """Carry a plan out; the gateway may need a while to recover."""
        began = time.time()
        plan.act(self, dice)
        return Blow(plan.name, began, time.time(), plan.loses, plan.refuses)

    def kill(self, *names: str) -> None:
        """kill -9 of processes, all at once."""
        pids = [self.pid(name) for name in names]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):  # killed by chance while it was down anyway
                os.kill(pid, signal.SIGKILL)

    def kill_supervisor_and_start_again(self) -> None:
        """kill -9 of ``serve``, and another one at once."""
        former = self.process
        os.kill(former.pid, signal.SIGKILL)
        former._process.wait()
        self.process = self._start()
        former.close()  # its output ends with the last of its children

    def kill_everything(self) -> None:
        """kill -9 of every process at once, as when the machine falls."""
        for pid in self.living():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process._process.wait()

    def start_again(self) -> None:
        """A new start after the end of ``serve``."""
        former = self.process
        self.process = self._start()
        former.close()  # its output ends with the last of its children

    def kill_everything_and_start_again(self) -> None:
        """The machine falls, and rises."""
        self.kill_everything()
        self.start_again()

    def kill_while_stopping(self, dice: random.Random) -> None:
        """SIGTERM, and kill -9 of the supervisor while it waits for the others; then a new start."""
        former = self.process
        os.kill(former.pid, signal.SIGTERM)
        time.sleep(dice.uniform(0, 0.5))
        os.kill(former.pid, signal.SIGKILL)
        former._process.wait()
        self.process = self._start()
        former.close()

    def restart(self) -> None:
        """SIGTERM, wait for the end, start again."""
        self.process.close()
        assert self.exit_code() == 0, f"it stopped with {self.exit_code()}: {self.said()}"
        self.process = self._start()

    def exit_code(self) -> int | None:
        """How ``serve`` ended."""
        return self.process._process.poll()

    def kill_one_backend(self, dice: random.Random) -> None:
        """kill -9 of one of PostgreSQL's own processes, which makes it throw all connections out and recover."""
        backends = psutil.Process(self.pid("PostgreSQL")).children()
        with contextlib.suppress(psutil.NoSuchProcess):
            dice.choice(backends).kill()

    def kill_again_as_it_starts(self, name: str, dice: random.Random) -> None:
        """kill -9, and once more in the first moments of its successor."""
        killed = self.pid(name)
        self.kill(name)
        successor = until(lambda: pid if (pid := self.pid(name)) != killed else None, lambda: f"no successor of {name}")
        time.sleep(dice.uniform(0, 0.6))
        with contextlib.suppress(ProcessLookupError):
            os.kill(successor, signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, and then nothing may be left: no process, socket, lock, journal."""
        self.process.close()
        assert self.exit_code() == 0, f"it stopped with {self.exit_code()}: {self.said()}"

    def leftovers(self) -> list[str]:
        """What a stopped gateway should not have left behind."""
        left = [f"process {pid}: {told}" for pid, told in self.living().items()]
        left += [f"journal {path.name}" for path in self.places.journal_dir.iterdir()]
        left += [f"dead letters {path.name}" for path in self.places.dead_letter_dir.iterdir()]
        left += [f"socket {path}" for path in self.data_dir.rglob("*") if path.is_socket()]
        left += [f"file {path}" for path in self.data_dir.rglob("postmaster.pid")]
        kept = {"serve.lock", "keys.copy", "budgets.copy"}
        left += [f"file {path}" for path in self.places.run_dir.iterdir() if path.name not in kept]
        if self.places.short_dir.exists():
            left += [f"socket {path}" for path in self.places.short_dir.rglob("*") if path.is_socket()]
        for lock in self.data_dir.rglob("*.lock"):
            if _is_locked(lock):
                left.append(f"lock {lock}")
        left += [f"shared memory of {pid}" for pid in _memory_makers() & self.postmasters]
        with socket.socket() as looking:
            if looking.connect_ex(("127.0.0.1", self.port)) == 0:
                left.append(f"listener on port {self.port}")
        return left


@dataclass(frozen=True)
class Plan:
    """One way to hurt it, and what its callers may feel of it."""

    name: str
    act: Callable[[Fortress, random.Random], None]
    loses: bool = False
    refuses: bool = False


def _desk(dice: random.Random) -> str:
    return f"front desk {dice.randint(1, WORKERS)}"


RESTART = Plan("SIGTERM and a new start", lambda hit, _: hit.restart(), refuses=True)
FREEZE = Plan("PostgreSQL frozen", lambda hit, dice: freeze(hit.pid("PostgreSQL"), dice.uniform(0.5, 2.0)))

#: Callers may feel the end of a front desk, and nothing else.
BLOWS = (
    Plan("kill -9 of a front desk", lambda hit, dice: hit.kill(_desk(dice)), loses=True, refuses=True),
    Plan("kill -9 of the back office", lambda hit, _: hit.kill("back office")),
    Plan("kill -9 of the supervisor", lambda hit, _: hit.kill_supervisor_and_start_again(), refuses=True),
    Plan("kill -9 of PostgreSQL", lambda hit, _: hit.kill("PostgreSQL")),
    Plan("kill -9 of a backend", lambda hit, dice: hit.kill_one_backend(dice)),
    Plan("kill -9 of back office and PostgreSQL", lambda hit, _: hit.kill("PostgreSQL", "back office")),
    Plan(
        "kill -9 of all but the supervisor",
        lambda hit, _: hit.kill("front desk 1", "front desk 2", "back office", "PostgreSQL"),
        loses=True,
        refuses=True,
    ),
    Plan("kill -9 of everything", lambda hit, _: hit.kill_everything_and_start_again(), loses=True, refuses=True),
    Plan("kill -9 while it stops", lambda hit, dice: hit.kill_while_stopping(dice), refuses=True),
    Plan(
        "kill -9 of a front desk, again as it starts",
        lambda hit, dice: hit.kill_again_as_it_starts(_desk(dice), dice),
        loses=True,
        refuses=True,
    ),
    Plan(
        "kill -9 of back office or PostgreSQL, again as it starts",
        lambda hit, dice: hit.kill_again_as_it_starts(dice.choice(("back office", "PostgreSQL")), dice),
    ),
    RESTART,
    FREEZE,
)


def freeze(postmaster: int, seconds: float) -> None:
    """A PostgreSQL that takes connections and answers nothing: SIGSTOP to each of its processes, SIGCONT after a while.

    A backend that it starts meanwhile does not exist: the postmaster stands still, too.
    """
    server = psutil.Process(postmaster)
    frozen = [server, *server.children()]
    for process in frozen:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.suspend()
    try:
        time.sleep(seconds)
    finally:
        for process in frozen:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()


def until(look: Callable[[], Any], failure: Callable[[], str]) -> Any:
    """Wait until ``look`` finds something."""
    deadline = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < deadline, failure()
        time.sleep(_LOOK)
    return found


def _get(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def free_low_port() -> int:
    """A free TCP port outside of the range that the kernel takes callers' ports from.

    Inside of it, a caller that tries again and again while nobody listens ends up connected to itself.
    """
    for port in random.sample(range(20_000, 32_000), 200):
        with socket.socket() as trying, contextlib.suppress(OSError):
            trying.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no free port")


@contextlib.contextmanager
def stopped_database(data_dir: Path) -> Iterator[str]:
    """The database of a stopped gateway: its own server, started for this."""
    server = embedded.open_server(Settings(data_dir=data_dir, database_url=None))
    try:
        embedded.start(server, lambda line: None)
        yield server.dsn()
    finally:
        server.release()


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _is_locked(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _memory_makers() -> set[int]:
    """The processes that made the System V shared memory there is."""
    table = Path("/proc/sysvipc/shm")
    lines = table.read_text().splitlines()[1:] if table.exists() else []
    return {int(line.split()[4]) for line in lines}
