"""Months: partitions are made before their month begins, and retention drops whole ones.

A row is never deleted for its age and never moved: dropping a table costs the same however many rows it has, and
leaves no dead rows behind. The rollups are not cut by month and outlive the rows.
"""

import datetime as dt
import re

import asyncpg

from majordomo.logs import logger
from majordomo.record.database import Connection

log = logger("partitions")

#: Tables cut by month. Details leave in the same step as the requests they belong to.
PARTITIONED = ("llm_requests", "claude_request_details")
MONTHS_AHEAD = 3  # how long a gateway may stand still without its rows falling into the default partition
LOCK_TIMEOUT_MS = 5_000  # for a short exclusive lock; better later than every reader queueing behind us

#: Advisory lock, "partitio" read as a number: replicas make and drop one after the other.
LOCK_KEY = int.from_bytes(b"partitio", signed=True)

_NAME = re.compile(r"_y(\d{4})m(\d{2})$")

_PARTITIONS_OF = """
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = to_regclass($1) ORDER BY c.relname
"""


async def add_partitions(
    connection: Connection, *, today: dt.date | None = None, months_ahead: int = MONTHS_AHEAD
) -> list[str]:
    """Make the partitions of this month and the next ``months_ahead`` (UTC) that are missing; returns their names.

    A month of which the default partition already holds rows is left out and logged: its rows stay where they are.
    """
    first = _month(today or dt.datetime.now(dt.UTC).date())
    made = []
    for table in PARTITIONED:
        existing = set(await _partitions(connection, table))
        for ahead in range(months_ahead + 1):
            name = _partition_name(table, _plus(first, ahead))
            if name not in existing and await _make(connection, table, name, _plus(first, ahead)):
                made.append(name)
    return made


async def drop_old_partitions(connection: Connection, *, keep_months: int, today: dt.date | None = None) -> list[str]:
    """Drop every month that ended at least ``keep_months`` full months before this one began; returns their names.

    Months still needed by a reader are left for the next call: the lock is waited for ``LOCK_TIMEOUT_MS`` only.

    Raises:
        ValueError: ``keep_months`` is below 1; that would drop the month being written.
    """
    if keep_months < 1:
        raise ValueError(f"keep_months = {keep_months}: keep at least one month")
    oldest_kept = _plus(_month(today or dt.datetime.now(dt.UTC).date()), -keep_months)
    dropped = []
    for table in PARTITIONED:
        for name in await _partitions(connection, table):
            month = _month_of(name)
            if month is None or month >= oldest_kept:
                continue
            if await _under_lock(connection, f'DROP TABLE "{name}"', name):
                dropped.append(name)
    if dropped:
        log.info("retention dropped partitions", names=dropped, keep_months=keep_months)
    return dropped


async def rows_outside_months(connection: Connection) -> int:
    """Rows in the default partition of ``llm_requests``: clocks off by months, or partitions missing."""
    return int(await connection.fetchval("SELECT count(*) FROM llm_requests_default"))


async def _make(connection: Connection, table: str, name: str, month: dt.date) -> bool:
    # Attaching takes a weaker lock on the parent than CREATE TABLE .. PARTITION OF: readers and writers go on.
    return await _under_lock(
        connection,
        f'CREATE TABLE "{name}" (LIKE {table} INCLUDING ALL); '
        f'ALTER TABLE {table} ATTACH PARTITION "{name}" '
        f"FOR VALUES FROM ('{month} 00:00:00+00') TO ('{_plus(month, 1)} 00:00:00+00')",
        name,
    )


async def _under_lock(connection: Connection, sql: str, name: str) -> bool:
    try:
        async with connection.transaction():
            await connection.execute(
                f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}; SELECT pg_advisory_xact_lock({LOCK_KEY}); {sql}"
            )
    except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
        log.warning("partition is in use; will try again", name=name)
        return False
    except (asyncpg.DuplicateTableError, asyncpg.UndefinedTableError):
        return False  # another replica was quicker
    except (asyncpg.CheckViolationError, asyncpg.InvalidObjectDefinitionError) as wrong:
        log.warning("partition could not be made", name=name, reason=str(wrong))
        return False
    return True


async def _partitions(connection: Connection, table: str) -> list[str]:
    return [row["relname"] for row in await connection.fetch(_PARTITIONS_OF, table)]


def _partition_name(table: str, month: dt.date) -> str:
    return f"{table}_y{month:%Y}m{month:%m}"


def _month_of(name: str) -> dt.date | None:
    found = _NAME.search(name)
    return dt.date(int(found[1]), int(found[2]), 1) if found else None


def _month(day: dt.date) -> dt.date:
    return day.replace(day=1)


def _plus(month: dt.date, months: int) -> dt.date:
    years, index = divmod(month.year * 12 + month.month - 1 + months, 12)
    return dt.date(years, index + 1, 1)
