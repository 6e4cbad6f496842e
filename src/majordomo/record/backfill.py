"""Brings the rows that were there before a metadata key became active into its index and its sums.

What is to be done follows from the tables alone: every active key is due until a run for its activation has finished.
A row is counted in the sums in the transaction that indexes it, and what is indexed is passed over; so a run that is
killed loses nothing, the next one goes on at its position, and no row is counted twice. Batches are small, and between
two of them the database has a rest.
"""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Final
from uuid import UUID

import asyncpg
import msgspec

from majordomo.clock import steady
from majordomo.price.bill import FEMTO_PER_USD
from majordomo.record.database import Connection
from majordomo.record.rollup import COUNTS, HOUR_US, Amounts, Rollup
from majordomo.record.statements import statement

#: Rows looked at in one transaction: some 100 ms where all of them have to be filled in.
BATCH_ROWS: Final = 1000
#: Share of the time in which the database works for this.
BUSY_SHARE: Final = 0.5
#: When every writer has heard of an activation (s).
HEARD_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.2
#: Advisory locks of runs, "fill" read as a number: two processes never work at the same key.
_LOCK_CLASS: Final = int.from_bytes(b"fill", signed=True)

_SINCE: Final = "SELECT extract(epoch FROM clock_timestamp() - $1::timestamptz)::float8"
_BEGUN: Final = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
_OPEN: Final = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Due(msgspec.Struct, frozen=True):
    """One metadata key of one gateway key, active since ``activated_at``."""

    majordomo_api_key_id: UUID
    key_name: str
    org_id: UUID
    activated_at: dt.datetime

    @property
    def _which(self) -> tuple[UUID, str, UUID]:
        return self.majordomo_api_key_id, self.key_name, self.org_id


class Step(msgspec.Struct, frozen=True):
    """What one transaction came to. ``rows_seen``, ``rows_total``: of the whole run so far, and about of all."""

    rows_filled: int
    rows_seen: int
    rows_total: int
    finished: bool


async def due(connection: Connection) -> list[Due]:
    """What is to be done, the longest active first."""
    return [Due(**row) for row in await connection.fetch(statement("backfill_pending"))]


async def run(
    connection: Connection,
    job: Due,
    *,
    batch_rows: int = BATCH_ROWS,
    heard_seconds: float | None = None,
    on_step: Callable[[Step], None] | None = None,
) -> bool:
    """Work at one key until it is finished or no longer active; False if another process does so already.

    ``heard_seconds``: when every writer has heard of the activation.

    Raises:
        asyncpg.PostgresError: the database failed; batches before are committed.
    """
    async with _claimed(connection, job) as ours:
        if not ours:
            return False
        await connection.execute(statement("backfill_begin"), *job._which, job.activated_at)
        await _wait_for_writers(connection, job.activated_at, HEARD_SECONDS if heard_seconds is None else heard_seconds)
        while True:
            began = steady()
            step = await take_step(connection, job, batch_rows)
            if step is not None and on_step is not None:
                on_step(step)
            if step is None or step.finished:
                return True
            await asyncio.sleep((steady() - began) * (1 / BUSY_SHARE - 1))


async def take_step(connection: Connection, job: Due, batch_rows: int = BATCH_ROWS) -> Step | None:
    """The next rows, in one transaction; None if the key is no longer active, or was activated anew."""
    async with connection.transaction():
        position = await connection.fetchrow(statement("backfill_position"), *job._which, job.activated_at)
        if position is None:
            return None
        after = position["after_at"], position["after_id"]
        key = job.majordomo_api_key_id, job.org_id
        last = await connection.fetchrow(statement("backfill_next"), *key, *after, batch_rows)
        rows = last["rows"] if last is not None else 0
        reached, filled = after, []
        if last is not None:
            reached = last["requested_at"], last["id"]
            fill = statement("backfill_fill").format(amounts=statement("amounts_of_rows"))
            filled = await connection.fetch(fill, *key, *after, *reached, job.key_name)
            if filled and position["summed"]:
                await _summed(job, filled).write(connection)
        finished = rows < batch_rows
        await connection.execute(statement("backfill_advance"), *job._which, *reached, rows, len(filled), finished)
        return Step(len(filled), position["rows_seen"] + rows, position["rows_total"], finished)


async def _wait_for_writers(connection: Connection, activated_at: dt.datetime, heard_seconds: float) -> None:
    """Until no transaction is open whose writer did not know of the activation: what it wrote must be seen."""
    since: float = await connection.fetchval(_SINCE, activated_at)
    if since < heard_seconds:
        await asyncio.sleep(heard_seconds - since)
    begun: int = await connection.fetchval(_BEGUN)
    while await connection.fetchval(_OPEN) < begun:
        await asyncio.sleep(_LOOK_SECONDS)


@asynccontextmanager
async def _claimed(connection: Connection, job: Due) -> AsyncIterator[bool]:
    name = f"{job.majordomo_api_key_id} {job.key_name}"
    ours: bool = await connection.fetchval("SELECT pg_try_advisory_lock($1, hashtext($2))", _LOCK_CLASS, name)
    try:
        yield ours
    finally:
        if ours and not connection.is_closed():
            await connection.execute("SELECT pg_advisory_unlock($1, hashtext($2))", _LOCK_CLASS, name)


def _summed(job: Due, rows: list[asyncpg.Record]) -> Rollup:
    rollup = Rollup()
    for row in rows:
        hour = (row["requested_at"] - _EPOCH) // dt.timedelta(microseconds=HOUR_US)
        cell = hour, job.org_id.bytes, job.majordomo_api_key_id.bytes, job.key_name
        rollup.add_value(*cell, row["value"], _amounts(row))
    return rollup


def _amounts(row: asyncpg.Record) -> Amounts:
    """A row's columns from ``requests`` on are the amounts, in order."""
    amounts = tuple(row.values())[2:]
    return (*amounts[:COUNTS], *(int(Decimal(cost) * FEMTO_PER_USD) for cost in amounts[COUNTS:]))
