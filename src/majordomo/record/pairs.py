"""Sums by two dimensions at a time, of hours and days that are over: written from the rows, after them.

The writer sums one dimension at a time with every batch; two at a time would cost it more than the rows themselves. So
it only notes which hours have changed (``pair_periods``), in the transaction that changes them. What has ended is then
summed here, in the background, an hour from its rows and a day from its hours. Until then, and whenever rows arrive
late or are priced again, questions read the rows of these hours. See ``docs/decisions/sums-of-two-dimensions.md``.
"""

import asyncio
import datetime as dt
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import combinations
from typing import Final
from uuid import UUID

import msgspec

from majordomo.clock import steady
from majordomo.record.database import Connection
from majordomo.record.latency import DIGITS, STEP
from majordomo.record.statements import statement

#: Dimensions of every organisation, in the order in which they come first in a pair; metadata keys come behind them.
BUILT_IN: Final = ("model", "key", "client", "query_class")
METADATA_PREFIX: Final = "metadata."
#: An organisation's metadata keys that are summed: with these there are 58 pairs, each with at most a cell a request.
MOST_METADATA_KEYS: Final = 8
#: Hours with a longer value have no sums by its dimension: two values must fit into an entry of an index.
VALUE_LIMIT: Final = 256

HISTOGRAMS: Final = ("response_times", "first_byte_times")
#: What a cell adds up, in the order of the tables' columns.
COLUMNS: Final = (
    "requests",
    "errors",
    "unpriced",
    "timed_requests",
    "response_time_ms",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cache_creation_tokens",
    "reasoning_tokens",
    "prompt_tokens",
    "estimated",
    "lost",
    "input_cost",
    "output_cost",
    "cache_read_cost",
    "cache_creation_cost",
    "tool_cost",
    "total_cost",
    *HISTOGRAMS,
)

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

_ON_ROWS: Final = {
    "model": "nullif(r.model, '')",
    "key": "r.majordomo_api_key_id::text",
    "client": "r.client",
    "query_class": "d.query_class",
}
_LENGTHS: Final = {"hourly": dt.timedelta(hours=1), "daily": dt.timedelta(days=1)}


class Period(msgspec.Struct, frozen=True):
    """An hour (``tier`` ``hourly``) or a UTC day (``daily``) of one organisation."""

    org_id: UUID
    tier: str
    bucket_start: dt.datetime

    @property
    def until(self) -> dt.datetime:
        """Where it ends."""
        return self.bucket_start + _LENGTHS[self.tier]


class _ChangedError(Exception):
    """Rows came while they were summed, or are not those that were counted: nothing is kept."""


def pair_of(one: str, other: str) -> tuple[str, str]:
    """Two dimensions as they stand in the tables."""
    first, second = sorted((one, other), key=_place)
    return first, second


def pairs(dimensions: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs that are summed: all but those of a key and metadata, which are in ``usage_by_metadata``."""
    return [pair for two in combinations(dimensions, 2) if is_summed(pair := pair_of(*two))]


def is_summed(pair: tuple[str, str]) -> bool:
    """Whether a pair is one of these tables."""
    return pair[0] != "key" or pair[1] in BUILT_IN


def _place(dimension: str) -> tuple[int, str]:
    return BUILT_IN.index(dimension) if dimension in BUILT_IN else len(BUILT_IN), dimension


class Summing:
    """Keeps the sums of all organisations current."""

    def __init__(self, *, settle_seconds: float = SETTLE_SECONDS, busy_share: float = BUSY_SHARE) -> None:
        self._settle = dt.timedelta(seconds=settle_seconds)
        self._pause = 1 / busy_share - 1  # for each second of work
        self._wanted: dict[UUID, list[str]] = defaultdict(lambda: list(BUILT_IN))

    async def look(self, connection: Connection, on_waiting: Callable[[int], None] | None = None) -> int:
        """Sum what is due, the newest first, until nothing is; returns how many periods. 0 if another process does it.

        ``on_waiting`` is told how many are left, now and then and in the end.

        Raises:
            asyncpg.PostgresError: the database failed; what was summed before is kept.
        """
        summed = 0
        async with _alone(connection) as ours:
            while ours:
                await self._choose_dimensions(connection)
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

    async def _choose_dimensions(self, connection: Connection) -> None:
        for org_id, names in await connection.fetch(statement("pair_dimensions"), MOST_METADATA_KEYS):
            wanted = [*BUILT_IN, *(METADATA_PREFIX + name for name in names)]
            if self._wanted[org_id] != wanted:
                await connection.execute(statement("pair_periods_lacking"), org_id, wanted)
                self._wanted[org_id] = wanted

    async def _sum(self, connection: Connection, period: Period) -> None:
        claimed_at = await connection.fetchval(
            "UPDATE pair_periods SET claimed_at = clock_timestamp()"
            " WHERE org_id = $1 AND tier = $2 AND bucket_start = $3 RETURNING claimed_at",
            *_which(period),
        )
        began = steady()
        try:
            async with connection.transaction():
                dimensions = await self._replace(connection, period)
                finished = await connection.fetchval(
                    "UPDATE pair_periods SET is_current = true, is_due = false, dimensions = $5, wanted = $6,"
                    " claimed_at = NULL, rest_until = now() + $7 * interval '1 second'"
                    " WHERE org_id = $1 AND tier = $2 AND bucket_start = $3 AND claimed_at = $4 RETURNING true",
                    *_which(period),
                    claimed_at,
                    dimensions,
                    self._wanted[period.org_id],
                    (steady() - began) * REST,
                )
                if not finished:
                    raise _ChangedError
        except _ChangedError:
            await connection.execute(
                "UPDATE pair_periods SET claimed_at = NULL, rest_until = now() + $4 * interval '1 second'"
                " WHERE org_id = $1 AND tier = $2 AND bucket_start = $3",
                *_which(period),
                REST_WITHOUT_ROWS if self._is_over_long_since(period) else (steady() - began) * REST,
            )

    @staticmethod
    def _is_over_long_since(period: Period) -> bool:
        return dt.datetime.now(dt.UTC) - period.until > dt.timedelta(days=1)

    async def _replace(self, connection: Connection, period: Period) -> list[str]:
        """The cells anew; returns by which dimensions."""
        wanted = self._wanted[period.org_id]
        bounds = period.org_id, period.bucket_start, period.until
        await connection.execute(statement("pairs_clear").format(tier=period.tier), *_which(period))
        if period.tier == "daily":
            return await _sum_day(connection, bounds, wanted)
        return await _sum_hour(connection, bounds, wanted)


_Bounds = tuple[UUID, dt.datetime, dt.datetime]


async def _sum_hour(connection: Connection, bounds: _Bounds, wanted: Sequence[str]) -> list[str]:
    overlong = await connection.fetchval(statement("pair_overlong"), *bounds, _names(wanted), VALUE_LIMIT)
    dimensions = [one for one in wanted if one not in overlong]
    names = _names(dimensions)
    await connection.execute(_hour(dimensions), *bounds, *([names] if names else []))
    if not await connection.fetchval(statement("pair_hour_is_whole"), *bounds[:2]):
        raise _ChangedError
    return dimensions


async def _sum_day(connection: Connection, bounds: _Bounds, wanted: Sequence[str]) -> list[str]:
    hours = await connection.fetch(
        "SELECT is_current, dimensions FROM pair_periods"
        " WHERE org_id = $1 AND tier = 'hourly' AND bucket_start >= $2 AND bucket_start < $3",
        *bounds,
    )
    if not all(hour["is_current"] for hour in hours):
        raise _ChangedError
    dimensions = [one for one in wanted if all(one in hour["dimensions"] for hour in hours)]
    columns = ", ".join(COLUMNS)
    text = statement("pairs_of_a_day").format(columns=columns, sums=", ".join(f"sum({name})" for name in COLUMNS))
    await connection.execute(text, *bounds, dimensions)
    return dimensions


def _names(dimensions: Sequence[str]) -> list[str]:
    """Of the metadata keys among them."""
    return [one.removeprefix(METADATA_PREFIX) for one in dimensions if one not in BUILT_IN]


def _hour(dimensions: Sequence[str]) -> str:
    """The statement that sums an hour; $4 are the names of the metadata keys among the dimensions, if there are any."""
    names = _names(dimensions)
    on_rows = dict(_ON_ROWS)
    spelt = {one: f"'{one}'" for one in BUILT_IN}
    for place, name in enumerate(names, start=1):
        on_rows[METADATA_PREFIX + name] = f"r.raw_metadata ->> ($4::text[])[{place}]"
        spelt[METADATA_PREFIX + name] = f"'{METADATA_PREFIX}' || ($4::text[])[{place}]"
    columns = {one: f"d{number}" for number, one in enumerate(dimensions)}
    return statement("pairs_of_an_hour").format(
        columns=", ".join(COLUMNS),
        dimensions=", ".join(f"{on_rows[one]} AS {column}" for one, column in columns.items()),
        amounts=statement("amounts_of_rows").rstrip(),
        digits=DIGITS,
        step=STEP,
        pairs="UNION ALL\n".join(
            f"SELECT $1::uuid, $2::timestamptz, {spelt[first]}, {spelt[second]}, {columns[first]}, {columns[second]},"
            f" {_sums_by(first)}\n"
            f"FROM counted GROUP BY {columns[first]}, {columns[second]}{', provider' if first == 'model' else ''}\n"
            for first, second in pairs(dimensions)
        ),
    )


def _sums_by(first: str) -> str:
    """The cells' provider and sums; those by model alone have both it and histograms."""
    if first == "model":
        return ", ".join(["provider", *(f"coalesce(sum({name}), 0)" for name in COLUMNS)])
    return ", ".join(["''", *(f"sum({name})" for name in COLUMNS if name not in HISTOGRAMS), "NULL", "NULL"])


def _which(period: Period) -> tuple[UUID, str, dt.datetime]:
    return period.org_id, period.tier, period.bucket_start


@asynccontextmanager
async def _alone(connection: Connection) -> AsyncIterator[bool]:
    ours: bool = await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK_KEY)
    try:
        yield ours
    finally:
        if ours and not connection.is_closed():
            await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK_KEY)
