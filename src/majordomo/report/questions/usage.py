"""How much was used, and what it cost: in all, or by one dimension. Sums are exact; costs are ``Decimal`` USD."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Final

import asyncpg
import msgspec

from majordomo.record.database import Connection
from majordomo.record.registry import MAX_NAMES
from majordomo.record.rollup import value_in_rollup
from majordomo.report.questions.scope import END, Pieces, Scope, cut, only_rows
from majordomo.report.questions.snapshot import snapshot
from majordomo.report.sql import question

#: Dimensions besides metadata keys.
DIMENSIONS: Final = ("provider", "model", "key", "status", "outcome", "hour", "day", "month")
TIME_DIMENSIONS: Final = ("hour", "day", "month")

#: What the sums are kept by; the other dimensions are read from rows.
_SUMMED: Final = frozenset(("total", "provider", "model", "key", "hour", "day", "month"))

#: A writer may have begun a batch just before it learnt that a key is active; sums are trusted from a while later.
_ACTIVATION_LAG = dt.timedelta(minutes=5)

DEFAULT_VALUES = 50
MOST_VALUES = 100_000  # rows that one answer may hold in memory


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over some requests. A request whose cost is unknown adds its tokens, and nothing to the costs."""

    requests: int = 0
    errors: int = 0  # status 400 or more, or broken off, refused, stopped, lost
    unpriced: int = 0  # something was used and no price is known
    timed_requests: int = 0  # how many have a response time
    response_time_ms: int = 0  # the sum of these
    input_tokens: int = 0  # the providers' own numbers, which count cached tokens or do not
    output_tokens: int = 0  # reasoning included
    cached_tokens: int = 0
    cache_creation_tokens: int = 0
    reasoning_tokens: int = 0
    prompt_tokens: int = 0  # uncached + cache read + cache write
    input_cost: Decimal = Decimal(0)
    output_cost: Decimal = Decimal(0)
    cache_read_cost: Decimal = Decimal(0)
    cache_creation_cost: Decimal = Decimal(0)
    tool_cost: Decimal = Decimal(0)
    total_cost: Decimal = Decimal(0)

    @property
    def uncached_tokens(self) -> int:
        """Input tokens billed at the full rate."""
        return self.prompt_tokens - self.cached_tokens - self.cache_creation_tokens

    @property
    def cache_hit_rate(self) -> float | None:
        """Share of prompt tokens read from a cache; None if there were none."""
        return self.cached_tokens / self.prompt_tokens if self.prompt_tokens else None

    @property
    def error_rate(self) -> float | None:
        """Share of the requests that failed; None if there were none."""
        return self.errors / self.requests if self.requests else None

    @property
    def mean_response_ms(self) -> float | None:
        """Mean response time of the requests that have one."""
        return self.response_time_ms / self.timed_requests if self.timed_requests else None

    @property
    def cost_unknown(self) -> bool:
        """Whether all that was used has no known price: the sums of costs, which are 0 then, say nothing."""
        return self.unpriced > 0 and not self.total_cost and self.unpriced >= self.requests - self.errors

    @classmethod
    def of(cls, row: asyncpg.Record) -> "Usage":
        """The sums that a row of an answer has."""
        return cls(**{name: row[name] for name in cls.__struct_fields__})

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(**{name: getattr(self, name) + getattr(other, name) for name in Usage.__struct_fields__})


class Summary(msgspec.Struct, frozen=True):
    """All usage in a scope, and how much of it is not the provider's own last word."""

    usage: Usage
    estimated: int  # rows with some count of our own
    lost: int  # rows whose end was never learnt: tokens and cost unknown


class Share(msgspec.Struct, frozen=True):
    """The usage of one value of a dimension."""

    value: str | None  # None: the requests that have none
    label: str | None  # a key's name
    usage: Usage


class Breakdown(msgspec.Struct, frozen=True):
    """Usage by one dimension: costliest first, for time newest first. ``shares`` and ``rest`` add up to ``total``."""

    dimension: str
    shares: list[Share]
    rest: Usage | None  # the values beyond the limit, together
    rest_values: int  # how many these are
    total: Usage


async def summary(connection: Connection, scope: Scope) -> Summary:
    """All usage in ``scope``."""
    async with snapshot(connection):
        rows = await _fetch(connection, "usage_by", "total", 1, scope, _pieces("total", scope))
        uncertain = await connection.fetchrow(question("usage_uncertain"), *scope.stretch, *scope.filters)
    assert uncertain is not None
    return Summary(_usage(rows[0]) if rows else Usage(), uncertain["estimated"], uncertain["lost"])


async def by(connection: Connection, dimension: str, scope: Scope, limit: int = DEFAULT_VALUES) -> Breakdown:
    """Usage by one of ``DIMENSIONS``; the ``limit`` foremost values and the rest."""
    if dimension not in DIMENSIONS:
        raise ValueError(f"no dimension {dimension!r}")
    async with snapshot(connection):
        rows = await _fetch(connection, "usage_by", dimension, limit, scope, _pieces(dimension, scope))
        labels = await _key_names(connection) if dimension == "key" else {}
    return _breakdown(dimension, rows, labels)


async def by_metadata(connection: Connection, key: str, scope: Scope, limit: int = DEFAULT_VALUES) -> Breakdown:
    """Usage by the values of one metadata key, in its canonical spelling; requests without it have the value None."""
    async with snapshot(connection):
        pieces = await _metadata_pieces(connection, key, scope)
        rows = await _fetch(connection, "usage_by_metadata", key, limit, scope, pieces)
    return _breakdown(key, rows, {}, value_in_rollup)


async def _fetch(
    connection: Connection, name: str, dimension: str, limit: int, scope: Scope, pieces: Pieces
) -> list[asyncpg.Record]:
    limit = max(1, min(limit, MOST_VALUES))
    return await connection.fetch(question(name), dimension, limit, *scope.filters, *pieces.bounds)


def _pieces(dimension: str, scope: Scope) -> Pieces:
    if scope.metadata or dimension not in _SUMMED:
        return only_rows(scope.stretch)
    return cut(scope.stretch, daily=dimension != "hour")


async def _metadata_pieces(connection: Connection, key: str, scope: Scope) -> Pieces:
    """Sums may stand in for rows only since every key of the scope that sends this metadata has it active."""
    if scope.metadata or scope.provider is not None or scope.model is not None:
        return only_rows(scope.stretch)
    row = await connection.fetchrow(question("metadata_key_summed_since"), key, scope.filters[0], MAX_NAMES)
    assert row is not None
    if not row["everywhere"]:
        return only_rows(scope.stretch)
    since = row["since"]
    return cut(scope.stretch) if since is None else cut(scope.stretch, sums_from=min(since + _ACTIVATION_LAG, END))


async def _key_names(connection: Connection) -> dict[str, str]:
    rows = await connection.fetch("SELECT id, name FROM api_keys")
    return {str(row["id"]): row["name"] for row in rows}


def _breakdown(
    dimension: str, rows: list[asyncpg.Record], labels: dict[str, str], spelt: Callable[[str], str] = str
) -> Breakdown:
    """``spelt``: how sums spell a value; rows and sums of one long value become one share."""
    usages: dict[str | None, Usage] = {}
    rest, rest_values = None, 0
    for row in rows:
        if row["is_rest"]:
            rest, rest_values = _usage(row), row["value_count"]
        else:
            value = None if row["value"] is None else spelt(row["value"])
            usages[value] = usages[value] + _usage(row) if value in usages else _usage(row)
    shares = [Share(value, labels.get(value or ""), usage) for value, usage in usages.items()]
    total = sum(usages.values(), rest or Usage())
    return Breakdown(dimension, shares, rest, rest_values, total)


def _usage(row: asyncpg.Record) -> Usage:
    return Usage(**{name: row[name] for name in Usage.__struct_fields__})
