"""Sums what is over by two dimensions at a time: an hour from its rows, a day from its hours.

The writer sums one dimension at a time with every batch; two at a time would cost it more than the rows themselves. So
it only notes which hours have changed (``pair_periods``), in the transaction that changes them. What has ended is then
summed here, in the background. Until then, and whenever rows arrive late or are priced again, questions read the rows
of these hours. See ``docs/decisions/sums-of-two-dimensions.md``.
"""

import asyncio
import datetime as dt
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

import msgspec

from majordomo.clock import steady
from majordomo.record.database import Connection
from majordomo.record.pairs import BUILT_IN, COLUMNS, METADATA_PREFIX, names_of, statement_for
from majordomo.record.statements import statement

#: An organisation's metadata keys that are summed: with these there are 58 pairs, each with at most a cell a request.
MOST_METADATA_KEYS: Final = 8
#: Hours with a longer value have no sums by its dimension: two values must fit into an entry of an index.
VALUE_LIMIT: Final = 256
#: How long after its end an hour is summed (s): most of its replies have ended by then.
SETTLE_SECONDS: Final = 60.0
#: What changed again rests this many times as long as summing it took, so that late rows never keep the server busy.
REST: Final = 100
#: Rest (s) of an hour whose rows are not those that the writer has counted: retention has dropped them.
REST_WITHOUT_ROWS: Final = 3600.0
#: Share of the time in which the database works for this.
BUSY_SHARE: Final = 0.5
#: Periods taken from the list at a time; the newest come first again after these.
_PERIODS: Final = 50
#: Advisory lock, "pairs" read as a number: two processes never sum at once.
_LOCK_KEY: Final = int.from_bytes(b"pairs", signed=True)

_LENGTHS: Final = {"hourly": dt.timedelta(hours=1), "daily": dt.timedelta(days=1)}
_HALF: Final = dt.timedelta(minutes=30)


class Period(msgspec.Struct, frozen=True):
    """An hour (``tier`` ``hourly``) or a UTC day (``daily``) of one organisation."""

    org_id: UUID
    tier: str
    bucket_start: dt.datetime

    @property
    def which(self) -> tuple[UUID, str, dt.datetime]:
        """Its key in ``pair_periods``."""
        return self.org_id, self.tier, self.bucket_start

    @property
    def bounds(self) -> tuple[UUID, dt.datetime, dt.datetime]:
        """Whose rows it is about, from when, and until when."""
        return self.org_id, self.bucket_start, self.bucket_start + _LENGTHS[self.tier]


class _ChangedError(Exception):
    """Rows came while they were summed, or are not those that were counted: nothing is kept."""


class Summing:
    """Keeps the sums of all organisations current."""

    def __init__(self, *, settle_seconds: float = SETTLE_SECONDS, busy_share: float = BUSY_SHARE) -> None:
        self._settle = dt.timedelta(seconds=settle_seconds)
        self._pause = 1 / busy_share - 1  # for each second of work
        self._wanted: dict[UUID, list[str]] = defaultdict(lambda: list(BUILT_IN))
        self._halves: set[tuple[UUID, int]] = set()  # hours of the UTC day

    async def look(self, connection: Connection, on_waiting: Callable[[int], None] | None = None) -> int:
        """Sum what is due, the newest first, until nothing is; returns how many periods. 0 if another process does it.

        ``on_waiting`` is told how many are left, now and then and in the end.

        Raises:
            asyncpg.PostgresError: the database failed; what was summed before is kept.
        """
        summed = 0
        async with _alone(connection) as ours:
            while ours:
                await self._learn_what_is_wanted(connection)
                before = dt.datetime.now(dt.UTC) - self._settle
                due = await connection.fetch(statement("pair_periods_due"), before, _PERIODS)
                if on_waiting is not None:
                    on_waiting(due[0]["waiting"] if due else 0)
                if not due:
                    break
                for org_id, tier, bucket_start, _ in due:
                    began = steady()
                    await self._sum(connection, Period(org_id, tier, bucket_start))
                    summed += 1
                    await asyncio.sleep((steady() - began) * self._pause)
        return summed

    async def _learn_what_is_wanted(self, connection: Connection) -> None:
        for org_id, names in await connection.fetch(statement("pair_dimensions"), MOST_METADATA_KEYS):
            wanted = [*BUILT_IN, *(METADATA_PREFIX + name for name in names)]
            if self._wanted[org_id] != wanted:
                await connection.execute(statement("pair_periods_lacking"), org_id, wanted)
                self._wanted[org_id] = wanted
        halves = {(org_id, hour) for org_id, hour in await connection.fetch("TABLE pair_halves_wanted")}
        if halves - self._halves:
            await connection.execute(statement("pair_halves_lacking"))
            self._halves = halves

    async def _sum(self, connection: Connection, period: Period) -> None:
        claimed_at = await connection.fetchval(statement("pair_period_claim"), *period.which)
        began = steady()
        try:
            async with connection.transaction():
                dimensions = await self._replace(connection, period)
                has_half = await self._replace_half(connection, period, dimensions)
                wanted, rest = self._wanted[period.org_id], (steady() - began) * REST
                if not await connection.fetchval(
                    statement("pair_period_finish"), *period.which, claimed_at, dimensions, wanted, has_half, rest
                ):
                    raise _ChangedError
        except _ChangedError:
            rest = REST_WITHOUT_ROWS if _is_long_over(period) else (steady() - began) * REST
            await connection.execute(statement("pair_period_leave"), *period.which, rest)

    async def _replace(self, connection: Connection, period: Period) -> list[str]:
        """The cells anew; returns by which dimensions."""
        wanted = self._wanted[period.org_id]
        await connection.execute(statement("pairs_clear").format(table=period.tier), *period.which, period.bucket_start)
        if period.tier == "daily":
            return await _sum_day(connection, period, wanted)
        overlong = await connection.fetchval(statement("pair_overlong"), *period.bounds, names_of(wanted), VALUE_LIMIT)
        dimensions = [one for one in wanted if one not in overlong]
        await _sum_rows(connection, period, dimensions, "hourly", period.bucket_start)
        if not await connection.fetchval(statement("pair_hour_is_whole"), *period.bounds[:2]):
            raise _ChangedError
        return dimensions

    async def _replace_half(self, connection: Connection, period: Period, dimensions: Sequence[str]) -> bool:
        """The cells of an hour's second half anew, if somebody wants them; whether there are any now."""
        if period.tier == "daily":
            return False
        half = period.bucket_start + _HALF
        await connection.execute(statement("pairs_clear").format(table="half"), *period.which, half)
        if (period.org_id, half.hour) not in self._halves:
            return False
        await _sum_rows(connection, period, dimensions, "half", half)
        return True


async def _sum_rows(
    connection: Connection, period: Period, dimensions: Sequence[str], table: str, since: dt.datetime
) -> None:
    org_id, _, until = period.bounds
    names = names_of(dimensions)
    await connection.execute(statement_for(dimensions, table), org_id, since, until, *([names] if names else []))


async def _sum_day(connection: Connection, period: Period, wanted: Sequence[str]) -> list[str]:
    hours = await connection.fetch(
        "SELECT is_current, dimensions FROM pair_periods"
        " WHERE org_id = $1 AND tier = 'hourly' AND bucket_start >= $2 AND bucket_start < $3",
        *period.bounds,
    )
    if not all(hour["is_current"] for hour in hours):
        raise _ChangedError
    dimensions = [one for one in wanted if all(one in hour["dimensions"] for hour in hours)]
    sums = ", ".join(f"sum({name})" for name in COLUMNS)
    text = statement("pairs_of_a_day").format(columns=", ".join(COLUMNS), sums=sums)
    await connection.execute(text, *period.bounds, dimensions)
    return dimensions


def _is_long_over(period: Period) -> bool:
    return dt.datetime.now(dt.UTC) - period.bounds[2] > dt.timedelta(days=1)


@asynccontextmanager
async def _alone(connection: Connection) -> AsyncIterator[bool]:
    ours: bool = await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK_KEY)
    try:
        yield ours
    finally:
        if ours and not connection.is_closed():
            await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK_KEY)
