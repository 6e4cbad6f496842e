"""Starting, pinning, measuring and ending the processes of a benchmark run (Linux)."""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import psutil

CONTENDER_CORE = 0
LOAD_CORE = 1
BOTH_CORES = frozenset({CONTENDER_CORE, LOAD_CORE})
TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
PR_SET_PDEATHSIG = 1
STOP_SECONDS = 60.0  # a product that is stopped may still bring rows into its database
INSTRUMENT_PRIORITY = 10
INSTRUMENT_ENV = {"GOMAXPROCS": "1", "GOGC": "off"}  # of the Go parts that measure: no pauses of their own

_libc = ctypes.CDLL(None, use_errno=True)


class BenchmarkError(Exception):
    """A part of the benchmark could not be run; the message says why and what to do."""


class Crew:
    """All processes of the benchmark. Leaving the context ends them, in the reverse order of their start."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._running):
            stop(process)

    def start(
        self,
        name: str,
        command: list[str],
        *,
        cores: Iterable[int],
        env: Mapping[str, str] | None = None,
        measures: bool = False,
    ) -> subprocess.Popen[bytes]:
        """Start a program on the given cores; its output goes to ``logs/NAME.log``.

        ``measures``: it is part of what measures delays, see ``become_instrument``.
        """
        allowed = frozenset(cores)

        def in_child() -> None:
            os.sched_setaffinity(0, allowed)
            if measures:
                become_instrument()
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)  # nothing outlives a benchmark that was killed

        with (self.logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                preexec_fn=in_child,
            )
        self._running.append(process)
        return process

    def log_tail(self, name: str) -> str:
        """The last lines that a program wrote, for an error message."""
        return "\n".join((self.logs / f"{name}.log").read_text(errors="replace").splitlines()[-8:])


def become_instrument() -> None:
    """Go before whatever else wants this core, where that is allowed (root): an instrument must not be what waits."""
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(INSTRUMENT_PRIORITY))


def stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, then SIGKILL to what is left of the process and its descendants."""
    family = tree(process.pid)
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)


def tree(pid: int) -> list[psutil.Process]:
    """The process and all its descendants; empty if it is gone."""
    try:
        head = psutil.Process(pid)
        return [head, *head.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def pin(processes: Iterable[psutil.Process], core: int) -> None:
    """Put every thread of the processes on one core."""
    for process in processes:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for thread in Path(f"/proc/{process.pid}/task").iterdir():
                with contextlib.suppress(ProcessLookupError):
                    os.sched_setaffinity(int(thread.name), {core})


def cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """User and system time used so far, by ``/proc/PID/stat``, including children that ended."""
    total = 0
    for process in processes:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            total += sum(int(ticks) for ticks in fields[11:15])  # utime, stime, cutime, cstime
    return total * TICK_SECONDS


def memory_mb(processes: Iterable[psutil.Process], kind: str = "Pss") -> float:
    """Sum of ``Pss`` or ``Rss`` in MB (10^6 bytes)."""
    kilobytes = 0
    for process in processes:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
                if line.startswith(f"{kind}:"):
                    kilobytes += int(line.split()[1])
    return kilobytes * 1024 / 1e6


def reset_peak(pid: int) -> None:
    """Let the kernel's high-water mark of a process start anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_mb(pid: int) -> float:
    """The high-water mark of resident memory since the last reset, in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise BenchmarkError(f"process {pid} has no VmHWM")


def free_port() -> int:
    """A loopback TCP port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(check: Callable[[], bool], *, seconds: float, what: str, step: float = 0.02) -> float:
    """Poll until ``check`` is true; the seconds it took.

    Raises:
        BenchmarkError: naming ``what``, after the time is up.
    """
    begin = time.perf_counter()
    while not check():
        if time.perf_counter() - begin > seconds:
            raise BenchmarkError(f"{what}: not within {seconds:g} s")
        time.sleep(step)
    return time.perf_counter() - begin


def answers(url: str, timeout: float = 1.0) -> bool:
    """Whether an HTTP GET is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def listens(port: int) -> bool:
    """Whether something accepts connections on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0
