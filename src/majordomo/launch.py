"""What the supervisor tells a process that it starts, and what it hears back.

The order goes to the child's standard input as JSON, so that no secret stands in an argument list or environment. The
child answers with one JSON line on standard output when it is ready; its log lines go to standard error.
"""

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from majordomo.death_signal import stop_with_parent

if TYPE_CHECKING:
    from majordomo.settings import Settings


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
    origins: dict[str, str] = {}  # where each setting came from

    def encode(self) -> bytes:
        """As JSON, for the child's standard input."""
        return msgspec.json.encode(self)

    def read_settings(self) -> "Settings":
        """The supervisor's settings, checked again. Flags and files need not be read a second time."""
        from majordomo.settings import Settings

        return Settings(**self.settings)


class Firsts(msgspec.Struct, frozen=True):
    """What an installation's first start makes, told once and kept nowhere as it is."""

    key: str | None = None  # the first gateway key
    link: str | None = None  # the secret of the first user's one-time link

    def __bool__(self) -> bool:
        return self.key is not None or self.link is not None


class Ready(msgspec.Struct, frozen=True):
    """A child's one line on standard output."""

    ready: bool
    firsts: Firsts = Firsts()


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


def report_ready(firsts: Firsts = Firsts()) -> None:  # noqa: B008 - frozen
    """Tell the supervisor that this process serves. A supervisor that is gone is no reason to fail."""
    line = msgspec.json.encode(Ready(True, firsts)) + b"\n"
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
