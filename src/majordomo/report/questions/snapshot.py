"""One moment of the database for all statements of a question, so that its figures agree with each other."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from majordomo.record.database import Connection

#: With less memory, a bitmap of a busy month's pages forgets which rows of them were meant.
_SETTINGS = "SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL work_mem = '32MB'"


@asynccontextmanager
async def snapshot(connection: Connection) -> AsyncIterator[None]:
    """A read-only transaction that sees one moment, whose plans are made for the values at hand.

    Filters that are not given are NULL parameters; only a plan that knows so leaves them, and whole months, out.
    """
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute(_SETTINGS)
        yield
