"""How the limits stand, in the terminal's title: the one line that a full-screen program leaves alone.

One short write at a time, a few seconds apart, and only where there is a terminal; the title that was there comes back
at the end. Nothing is ever written into the child's screen.
"""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress

#: How often the title may change (s).
EVERY_SECONDS = 3.0

_PUSH, _POP = b"\x1b[22;2t", b"\x1b[23;2t"  # remember the title, bring it back (xterm and most of its kin)


class Title:
    """The title of the terminal that a file descriptor writes to."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._shown = ""
        self.usable = os.isatty(descriptor) and os.environ.get("TERM", "dumb") not in ("", "dumb", "linux")

    async def keep(self, status: Callable[[], str | None]) -> None:
        """Show the status until cancelled."""
        while self.usable:
            self.show(status())
            await asyncio.sleep(EVERY_SECONDS)

    def show(self, words: str | None) -> None:
        """Show these words, if they are new."""
        if not self.usable or not words or words == self._shown:
            return
        printable = "".join(one for one in words if one.isprintable())[:100]
        self._write((b"" if self._shown else _PUSH) + f"\x1b]2;majordomo: {printable}\x07".encode())
        self._shown = words

    def restore(self) -> None:
        """Bring back what was there before."""
        if self._shown:
            self._shown = ""
            self._write(_POP)

    def _write(self, data: bytes) -> None:
        with suppress(OSError):
            os.write(self._descriptor, data)
