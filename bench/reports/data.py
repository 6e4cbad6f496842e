"""Ten million requests over ninety days, as three organisations would have made them, and their sums.

The rows are made by the server itself; the sums go through the product's own ``Rollup``, hour by hour, and are compared
with the rows in the end. What is there already is kept: a second run begins at once.
"""

import asyncio
import datetime as dt
import math
from collections.abc import Callable
from uuid import UUID

import msgspec

from bench.processes import BenchmarkError
from bench.reports.rollups import build_pairs, build_sums, check_sums
from bench.reports.sql import statement
from majordomo.record import api_keys, users
from majordomo.record.database import Connection, connect
from majordomo.record.migrate import migrate
from majordomo.record.partitions import add_partitions

DAYS = 90
SUMMED_KEYS = ("Feature", "Team")
#: Active, and with too many values for sums.
FINE_KEY = "User-Id"
QUIET_KEYS = ("Environment", "Developer", "Project")
_VALUES = {"Feature": 20, "Team": 8, FINE_KEY: 59_000, "Environment": 2, "Developer": 40, "Project": 12}
#: Gateway keys of each organisation, and which share of all requests is made with them.
_KEYS = ((12, 0.6), (6, 0.25), (3, 0.15))
_AT_ONCE = 2
_NO_TIMEOUT_MS = 0

Say = Callable[[str, int, int], None]  # what is being made, how much of it is done, of how much


class Made(msgspec.Struct, frozen=True):
    """What the database holds. ``until`` is where the ninety days end."""

    rows: int
    until: dt.datetime

    @property
    def since(self) -> dt.datetime:
        """Where they begin."""
        return self.until - dt.timedelta(days=DAYS)


async def made(dsn: str) -> Made | None:
    """What an earlier run made; None if it made nothing, or was stopped."""
    connection = await connect(dsn, purpose="bench")
    try:
        if await connection.fetchval("SELECT to_regclass('bench_made')") is None:
            return None
        row = await connection.fetchrow("SELECT rows, until FROM bench_made")
        return Made(row["rows"], row["until"]) if row else None
    finally:
        await connection.close()


async def make(dsn: str, rows: int, say: Say) -> Made:
    """Fill an empty database with ``rows`` requests.

    Raises:
        BenchmarkError: it is not empty, or sums and rows differ.
    """
    await migrate(dsn)
    connection = await connect(dsn, purpose="bench", statement_timeout_ms=_NO_TIMEOUT_MS)
    try:
        if await connection.fetchval("SELECT EXISTS (SELECT FROM llm_requests)"):
            raise BenchmarkError(
                "the database has rows of an earlier run that was stopped; give --data another directory"
            )
        until = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        found = Made(rows, until)
        for month in {(found.since + dt.timedelta(days=day)).date().replace(day=1) for day in range(DAYS + 1)}:
            await add_partitions(connection, today=month, months_ahead=0)
        keys, orgs = await _owners(connection)
        await _register(connection, keys, orgs, found)
        await _make_rows(dsn, found, keys, orgs, say)
        say("sessions", 0, 1)
        await connection.execute(statement("sessions"))
        await build_sums(dsn, found.since, DAYS, SUMMED_KEYS, say)
        await build_pairs(dsn, say)
        await check_sums(connection, SUMMED_KEYS)
        say("statistics", 0, 1)
        await connection.execute("VACUUM (ANALYZE)")
        await connection.execute(
            "CREATE TABLE bench_made AS SELECT $1::bigint AS rows, $2::timestamptz AS until", rows, until
        )
    finally:
        await connection.close()
    return found


async def _owners(connection: Connection) -> tuple[list[UUID], list[UUID]]:
    """The gateway keys, and the organisation of each."""
    keys, orgs = [], []
    for number, (count, _) in enumerate(_KEYS):
        org = users.DEFAULT_ORG if number == 0 else (await users.create_org(connection, f"org {number}")).id
        for one in range(count):
            made_key = await api_keys.create(connection, f"key {number}.{one}", org_id=org)
            keys.append(made_key.key.id)
            orgs.append(org)
    return keys, orgs


async def _register(connection: Connection, keys: list[UUID], orgs: list[UUID], found: Made) -> None:
    """The metadata keys as the writer would have entered them, active since before the first request."""
    for name, values in _VALUES.items():
        active = name in (*SUMMED_KEYS, FINE_KEY)
        await connection.execute(
            "INSERT INTO llm_requests_metadata_keys (majordomo_api_key_id, key_name, org_id, is_active, activated_at,"
            " request_count, last_seen_at, approx_cardinality, rollup_stopped_at)"
            " SELECT key, $3, org, $4::bool, CASE WHEN $4 THEN $5::timestamptz END, $6, $7, $8,"
            " CASE WHEN $9::bool THEN $5 END"
            " FROM unnest($1::uuid[], $2::uuid[]) given (key, org)",
            keys,
            orgs,
            name,
            active,
            found.since - dt.timedelta(days=1),
            found.rows // len(keys),
            found.until,
            values,
            name == FINE_KEY,
        )


async def _make_rows(dsn: str, found: Made, keys: list[UUID], orgs: list[UUID], say: Say) -> None:
    """Days one after the other, as the time of rows runs along the table; two of them at once."""
    counts = _by_day(found)
    bounds = [share for count, part in _KEYS for share in [part / count] * count]
    ends = [sum(bounds[: number + 1]) for number in range(len(bounds) - 1)]
    turns = asyncio.Queue[int]()
    for day in range(DAYS):
        turns.put_nowait(day)
    done = 0

    async def work() -> None:
        nonlocal done
        connection = await connect(dsn, purpose="bench", statement_timeout_ms=_NO_TIMEOUT_MS)
        try:
            while not turns.empty():
                day = turns.get_nowait()
                start = found.since + dt.timedelta(days=day)
                first = sum(counts[:day])
                await connection.execute(statement("rows_of_a_day"), start, counts[day], first, keys, orgs, ends)
                await connection.execute(statement("details_of_a_day"), start)
                done += counts[day]
                say("rows", done, found.rows)
        finally:
            await connection.close()

    await asyncio.gather(*(work() for _ in range(_AT_ONCE)))


def _by_day(found: Made) -> list[int]:
    """How many requests each day has: weekends fewer, and a third more at the end than in the beginning."""
    weights = [
        (0.55 if (found.since + dt.timedelta(days=day)).weekday() >= 5 else 1.0) * (1 + day / DAYS / 3)
        for day in range(DAYS)
    ]
    counts = [math.floor(found.rows * weight / sum(weights)) for weight in weights]
    counts[-1] += found.rows - sum(counts)
    return counts
