"""What the supervisor tells a process that it starts, and what it hears back.

The order goes to the child's standard input as JSON, so that no secret stands in an argument list or environment. The
child answers with one JSON line on standard output when it is ready; its log lines go to standard error.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

if TYPE_CHECKING:
    from majordomo.settings import Settings

_PR_SET_PDEATHSIG = 1


class SupervisorError(Exception):
    """The service cannot start. The message says why and what to do."""


class Launch(msgspec.Struct, frozen=True):
    """The order to one child process."""

    worker: int  # number of the front desk, from 0; 0 for the back office
    host: str
    port: int  # never 0: the supervisor has found a free one by now
    database_url: str
    settings: dict[str, Any]  # every field of Settings as JSON, secrets in clear text
    supervisor: int | None = None  # process id of the supervisor

    def encode(self) -> bytes:
        """As JSON, for the child's standard input."""
        return msgspec.json.encode(self)

    def read_settings(self) -> "Settings":
        """The supervisor's settings, checked again. Flags and files need not be read a second time."""
        from majordomo.settings import Settings

        return Settings(**self.settings)


class Ready(msgspec.Struct, frozen=True):
    """A child's one line on standard output."""

    ready: bool
    first_key: str | None = None


def reveal(settings: "Settings") -> dict[str, Any]:
    """All settings as JSON values, secrets in clear text. For a child's standard input only."""
    revealed = msgspec.to_builtins(settings.model_dump(mode="python"), enc_hook=_plain)
    assert isinstance(revealed, dict)
    return revealed


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return value.get_secret_value()


def read_launch(stream: BinaryIO | None = None) -> Launch:
    """Read the order from standard input until its end.

    Raises:
        msgspec.DecodeError: when this is no order, as when someone starts the module by hand.
    """
    return msgspec.json.decode((stream or sys.stdin.buffer).read(), type=Launch)


def report_ready(first_key: str | None = None) -> None:
    """Tell the supervisor that this process serves. A supervisor that is gone is no reason to fail."""
    line = msgspec.json.encode(Ready(True, first_key)) + b"\n"
    try:
        os.write(1, line)
    except OSError:
        return


def become_child(supervisor: int | None = None) -> None:
    """What each child does first: leave Ctrl-C to the supervisor, and stop when the supervisor is gone.

    ``supervisor`` (from the order) makes it sure: should it have died in this very moment, SIGTERM comes at once.

    Without this, a supervisor killed with ``kill -9`` would leave its children holding the port.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stop_with_parent(signal.SIGTERM, supervisor)


def stop_with_parent(sign: int, parent: int | None = None) -> None:
    """Have the kernel send ``sign`` to this process when the thread that started it ends.

    The link is per thread, so children must be started from a thread that lives as long as the process: the main one.
    ``parent``: the id of the process that should be the parent. If it is already gone, the signal comes at once.
    Linux only. Elsewhere nothing happens: there the supervisor stops its children whenever it can run a signal handler,
    and what a ``kill -9`` leaves is found by its lock and stopped at the next start.
    """
    set_death_signal()(sign)
    if parent is not None and os.getppid() != parent:
        os.kill(os.getpid(), sign)


def set_death_signal() -> Callable[[int], None]:
    """The system call as a function that is safe between fork and exec: all look-ups are done beforehand."""
    if not sys.platform.startswith("linux"):
        return lambda sign: None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def set_it(sign: int) -> None:
        prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(sign), 0, 0, 0)

    return set_it
