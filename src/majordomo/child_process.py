"""One process that the supervisor looks after: started with an order, heard when ready, started again when it falls."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from majordomo import logs
from majordomo.death_signal import set_death_signal
from majordomo.launch import Firsts, Ready

State = Literal["starting", "ready", "waiting", "stopping", "stopped"]

#: Wait before the next start, doubled with each fall from the first to the second (s).
FIRST_WAIT, LONGEST_WAIT = 0.1, 10.0

#: Having run that long (s), a process is taken as sound, and its next fall as the first.
SOUND_AFTER = 30.0

#: A child's standard output carries one short line; more than this without a line's end is nonsense.
_LONGEST_LINE = 64 * 1024

_log = logs.logger("supervisor")


class Backoff:
    """How long to wait before something that fell is started again."""

    def __init__(self, steady: Callable[[], float] = time.monotonic) -> None:
        self._steady = steady
        self._started = 0.0
        self.falls = 0  # in a row

    def started(self) -> None:
        """It was started now."""
        self._started = self._steady()

    def fell(self) -> float:
        """It fell now; seconds to wait before the next start."""
        if self._steady() - self._started >= SOUND_AFTER:
            self.falls = 0
        self.falls += 1
        return min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(self.falls - 1, 30))


class Child:
    """One front desk, or the back office.

    ``command`` is the argument list, ``order`` the bytes for its standard input.
    """

    def __init__(self, name: str, command: Sequence[str], order: bytes) -> None:
        self.name = name
        self.state: State = "stopped"
        self.restarts = 0
        self.ever_ready = False
        self.firsts = Firsts()
        self.start_again_at = 0.0  # on the steady clock, while `waiting`
        self.backoff = Backoff()
        self._command = list(command)
        self._order = order
        self._process: subprocess.Popen[bytes] | None = None
        self._heard = b""

    def __repr__(self) -> str:
        return f"Child({self.name!r}, {self.state}, pid={self.pid})"

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process else None

    @property
    def output(self) -> int:
        """File descriptor of its standard output, for the supervisor to wait on; -1 when there is none."""
        return self._process.stdout.fileno() if self._process and self._process.stdout else -1

    def start(self) -> None:
        """Start the process and hand it its order."""
        death_signal = set_death_signal()
        parent = os.getpid()

        def between_fork_and_exec() -> None:
            # From its very first moment, long before it could ask for that itself.
            death_signal(signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(1)

        self._heard = b""
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={name: value for name, value in os.environ.items() if not name.startswith("MAJORDOMO_")},
            start_new_session=True,  # Ctrl-C in the terminal is for the supervisor alone
            preexec_fn=between_fork_and_exec,
        )
        self.state = "starting"
        self.backoff.started()
        assert self._process.stdin is not None
        try:
            with self._process.stdin as stdin:
                stdin.write(self._order)
        except BrokenPipeError:
            pass  # it died at once: its exit says more

    def hear(self) -> bool:
        """Read what it said on standard output. True if it has just become ready."""
        assert self._process is not None and self._process.stdout is not None
        said = os.read(self._process.stdout.fileno(), 65_536)
        if not said:
            self._process.stdout.close()
            self._process.stdout = None
            return False
        *lines, self._heard = (self._heard + said).split(b"\n")
        self._heard = self._heard[-_LONGEST_LINE:]
        understood = [self._understand(line) for line in lines]
        return any(understood)

    def _understand(self, line: bytes) -> bool:
        try:
            told = msgspec.json.decode(line, type=Ready)
        except msgspec.DecodeError:
            sys.stderr.write(line.decode(errors="replace") + "\n")  # a stray print: for people, not for us
            return False
        if not told.ready or self.state != "starting":
            return False
        self.state = "ready"
        self.ever_ready = True
        self.firsts = told.firsts or self.firsts
        return True

    def exit_code(self) -> int | None:
        """Exit code if it has ended, negative for a signal; None while it runs or was never started."""
        return self._process.poll() if self._process else None

    def fell(self) -> None:
        """It ended without being asked to: plan its next start."""
        code = self.exit_code()
        self.collect()
        wait = self.backoff.fell()
        self.restarts += 1
        self.state = "waiting"
        self.start_again_at = time.monotonic() + wait
        _log.error(
            f"{self.name} stopped", how=say_exit(code), restart_in_seconds=round(wait, 1), restarts=self.restarts
        )

    def collect(self) -> None:
        """Forget the ended process."""
        process, self._process = self._process, None
        if process and process.stdout:
            process.stdout.close()
        self.state = "stopped"

    def tell(self, sign: int) -> None:
        """Send a signal, if it runs."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(sign)

    def stop(self) -> None:
        """Ask it to stop gracefully, or no longer start it again."""
        if self.exit_code() is None and self._process:
            self.state = "stopping"
            self.tell(signal.SIGTERM)
        else:
            self.collect()


def say_exit(code: int | None) -> str:
    """An exit code in words."""
    if code is None:
        return "running"
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
