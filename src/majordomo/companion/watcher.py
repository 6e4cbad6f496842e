"""A small process that clears up should the companion be killed: it ends the session and removes the files.

It is forked before anything heavy is imported, hears through a pipe what there will be to clear up, and acts when the
pipe closes without a word of good-bye. It has no terminal, so that no key of the keyboard reaches it.
"""

import contextlib
import os
import signal
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from majordomo.companion.gateway import Gateway, GatewayAway

_IGNORED = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGTSTP,
    signal.SIGUSR1,
    signal.SIGUSR2,
)

_GOOD_BYE = b"bye\n"


class Watcher:
    """Our end of the pipe."""

    def __init__(self, gateway: Gateway | None, session_id: str, inherited: tuple[int, ...] = ()) -> None:
        """Fork the watcher. ``inherited``: descriptors that it must not keep open."""
        reading, writing = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                os.close(writing)
                _watch(reading, gateway, session_id, inherited)
            finally:
                os._exit(0)
        os.close(reading)
        self._pipe = writing

    def mind(self, *files: Path) -> None:
        """Remove these too, should we be killed."""
        for file in files:
            os.write(self._pipe, os.fsencode(file.absolute()) + b"\0\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """We have cleared up ourselves; after an error it does so in our place."""
        with contextlib.suppress(OSError):
            if kind is None:
                os.write(self._pipe, _GOOD_BYE)
        os.close(self._pipe)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)


def _watch(reading: int, gateway: Gateway | None, session_id: str, inherited: tuple[int, ...]) -> None:
    os.setsid()
    for sign in _IGNORED:
        signal.signal(sign, signal.SIG_IGN)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    for descriptor in (*inherited, nothing):
        os.close(descriptor)
    with os.fdopen(reading, "rb") as pipe:
        files = _listen(pipe)
    if files is None:
        return
    for file in files:
        with contextlib.suppress(OSError):
            file.unlink()
    if gateway is not None:
        with contextlib.suppress(GatewayAway):
            gateway.end(session_id)


def _listen(pipe: BinaryIO) -> list[Path] | None:
    """What is to be removed, once the companion was killed; None if it said good-bye."""
    said = pipe.read()
    if said.endswith(_GOOD_BYE):
        return None
    return [Path(os.fsdecode(name)) for name in said.split(b"\0\n") if name]
