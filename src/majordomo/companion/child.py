"""The command that ``exec`` runs: in our own process group and on our own terminal, with nothing in between.

What the terminal sends (Ctrl-C, Ctrl-Z, a new size) reaches the child by itself. Signals that are sent to the companion
alone are passed on. Needs only the standard library: it starts before anything else is imported.
"""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from types import FrameType

from majordomo.companion.errors import CompanionError
from majordomo.death_signal import set_death_signal

#: Passed on to the child when they come to us; what they mean there is its own business.
PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)

# As shells have it.
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126


def not_found(program: str) -> CompanionError:
    """There is no such command."""
    return CompanionError(f"{program}: no such command; is it installed and on the PATH?", _NOT_FOUND)


class Child:
    """A started command."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], output: int | None = None) -> None:
        """Start it. ``output``: its standard output, if not ours.

        Raises:
            CompanionError: it cannot be started.
        """
        death_signal = set_death_signal()
        parent = os.getpid()

        def between_fork_and_exec() -> None:
            # Without its proxy it could only retry for minutes.
            death_signal(signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(1)

        try:
            self._process = subprocess.Popen(
                list(command), env=dict(environment), stdout=output, preexec_fn=between_fork_and_exec
            )
        except FileNotFoundError:
            raise not_found(command[0]) from None
        except OSError as wrong:
            raise CompanionError(f"{command[0]} cannot be started: {wrong.strerror}", _NOT_EXECUTABLE) from None
        self.exit_code: int | None = None  # as a shell would tell it

    def send(self, sign: int) -> None:
        """Pass a signal on, if the child is still there."""
        if self.exit_code is None:
            os.kill(self._process.pid, sign)  # not yet waited for, so the id is still its own

    def look(self) -> None:
        """See whether it has ended or was stopped; called whenever SIGCHLD came.

        A child that was stopped alone (as Claude Code stops itself on Ctrl-Z) takes us along, so that the shell
        notices; when the shell lets us go on, so does the child.
        """
        while self.exit_code is None:
            try:
                pid, status = os.waitpid(self._process.pid, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                pid, status = self._process.pid, 0
            if pid == 0:
                return
            if os.WIFSTOPPED(status):
                if _in_the_foreground():
                    os.kill(os.getpid(), signal.SIGSTOP)
                    self.send(signal.SIGCONT)
                continue
            code = os.waitstatus_to_exitcode(status)
            self._process.returncode = code  # it is waited for: Popen need not look
            self.exit_code = code if code >= 0 else 128 - code


class Signals:
    """What comes to us while the proxy is not there yet is passed on by plain handlers."""

    def __init__(self, child: Child) -> None:
        self._child = child
        #: One that was ignored when we were called (nohup) stays so, for the child too.
        self.passed_on = [sign for sign in PASSED_ON if signal.getsignal(sign) is not signal.SIG_IGN]
        for sign in self.passed_on:
            signal.signal(sign, self._pass_on)
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            self.passed_on.append(signal.SIGINT)
            signal.signal(signal.SIGINT, self._pass_on)

    def _pass_on(self, sign: int, frame: FrameType | None) -> None:
        self.pass_on(sign)

    def pass_on(self, sign: int) -> None:
        """Send it to the child, unless the terminal has done so already."""
        if sign != signal.SIGINT or not _in_the_foreground():
            self._child.send(sign)


def _in_the_foreground() -> bool:
    """True while our process group is the one that the terminal's keys are for."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
