"""The live screen of ``majordomo top``: looks again and again, and listens to the keyboard."""

import asyncio
import contextlib
import os
import sys
import termios
import tty
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import asyncpg
from rich.console import Console
from rich.live import Live

from majordomo.cli.top_screen import page
from majordomo.record.database import UNREACHABLE, Connection, DatabaseError, connect
from majordomo.report.questions.top import Top

_ENDS = frozenset(b"qQ\x03\x04\x1b")  # q, Ctrl-C, Ctrl-D, Escape


async def watch(dsn: str, look: Callable[[Any], Awaitable[Top]], every: float) -> None:
    """Until a key that ends it; ``every``: seconds between two looks. A database that goes away is waited for."""
    out = Console(highlight=False, markup=False, emoji=False)
    ended = asyncio.Event()
    connection: Connection | None = None
    seen: Top | None = None
    with _keyboard(ended), Live(console=out, screen=True, auto_refresh=False) as live:
        while not ended.is_set():
            trouble = None
            try:
                if connection is None or connection.is_closed():
                    connection = await connect(dsn, purpose="top")
                seen = await look(connection)
            except (DatabaseError, asyncpg.PostgresError, *UNREACHABLE) as wrong:
                trouble = str(wrong) or type(wrong).__name__
            live.update(page(seen, out.width, out.height, trouble), refresh=True)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(every):
                    await ended.wait()
    if connection is not None:
        await connection.close(timeout=1)


@contextlib.contextmanager
def _keyboard(ended: asyncio.Event) -> Iterator[None]:
    """Keys are heard as they are pressed, and not shown; the terminal is as before at the end."""
    handle = sys.stdin.fileno()
    if not os.isatty(handle):
        yield
        return
    before = termios.tcgetattr(handle)
    loop = asyncio.get_running_loop()

    def pressed() -> None:
        keys = os.read(handle, 64)
        if not keys or _ENDS.intersection(keys):
            ended.set()
            loop.remove_reader(handle)

    tty.setcbreak(handle)
    loop.add_reader(handle, pressed)
    try:
        yield
    finally:
        loop.remove_reader(handle)
        termios.tcsetattr(handle, termios.TCSADRAIN, before)
