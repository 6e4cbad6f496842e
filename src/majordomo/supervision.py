"""Parts of one process that run side by side: one that fails is started again and takes no other along."""

import asyncio
from collections.abc import Awaitable, Callable, Collection

import asyncpg

from majordomo.logs import logger
from majordomo.record.database import UNREACHABLE, DatabaseError

#: Wait before a failed part is started again, doubled with each failure from the first to the last (s).
FIRST_RETRY, LAST_RETRY = 0.2, 5.0

#: A part that ran this long (s) before it failed is taken as sound.
SOUND_AFTER = 60.0

#: How often a part that goes on in spite of its cancellation is told again (s).
TELL_AGAIN = 1.0

_log = logger("back office")


async def supervised(name: str, part: Callable[[], Awaitable[None]]) -> None:
    """Run ``part`` until it returns, starting it again whenever it raises. Never raises but when cancelled."""
    loop = asyncio.get_running_loop()
    retry = FIRST_RETRY
    failing = False
    while True:
        started = loop.time()
        try:
            await part()
            return
        except Exception as fault:
            if loop.time() - started > SOUND_AFTER:
                retry, failing = FIRST_RETRY, False
            _tell(name, fault, again=failing)
            failing = True
        await asyncio.sleep(retry)
        retry = min(retry * 2, LAST_RETRY)


async def cancel_until_ended(parts: Collection["asyncio.Task[None]"], patience: float) -> bool:
    """Cancel ``parts`` until all have ended; False if some have not after ``patience`` (s).

    Once is not enough: a part may lose a cancellation that comes just as what it waited for is there, as with
    ``asyncio.wait_for`` of Python 3.11, or wait for a server that never answers its goodbye.
    """
    deadline = asyncio.get_running_loop().time() + patience
    while asyncio.get_running_loop().time() < deadline:
        for part in parts:
            part.cancel()
        _, left = await asyncio.wait(parts, timeout=TELL_AGAIN)
        if not left:
            return True
    return False


def _tell(name: str, fault: Exception, *, again: bool) -> None:
    expected = isinstance(fault, (DatabaseError, asyncpg.PostgresError, asyncpg.InternalClientError, *UNREACHABLE))
    if not expected:
        _log.error("a part failed and is started again", name=name, exc_info=fault)
    elif not again:  # a database that is away is told once, not every few seconds
        _log.warning("a part waits for the database", name=name, reason=f"{type(fault).__name__}: {fault}")
