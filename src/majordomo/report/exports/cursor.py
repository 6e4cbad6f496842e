"""Rows of a statement in batches, through a cursor on the server: neither side holds all of them."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import asyncpg

from majordomo.record.database import Connection

BATCH_ROWS: Final = 1000


async def batches(
    connection: Connection, name: str, statement: str, parameters: Sequence[Any]
) -> AsyncIterator[list[asyncpg.Record]]:
    """The rows, at most ``BATCH_ROWS`` at a time, within the transaction that is open.

    ``name``: of the cursor; always with the same columns, as prepared statements remember them. A declared cursor is
    planned to give its first rows soon: an index in the order asked for, rather than a sort of everything.
    """
    await connection.execute(f"DECLARE {name} NO SCROLL CURSOR FOR {statement}", *parameters)
    while found := await connection.fetch(f"FETCH {BATCH_ROWS} FROM {name}"):
        yield found
    await connection.execute(f"CLOSE {name}")
