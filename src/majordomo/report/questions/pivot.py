"""Usage in all, by a dimension, and over time: every answer adds up to the same total.

Asked within a ``snapshot``, several answers agree with each other.
"""

import datetime as dt
from collections.abc import Iterable, Sequence

import msgspec

from majordomo.record.database import Connection
from majordomo.record.rollup import value_in_rollup
from majordomo.report.questions import cells, relations
from majordomo.report.questions.cells import Scope, Wanted
from majordomo.report.questions.dimensions import Dimension
from majordomo.report.questions.pairs import pair_for
from majordomo.report.questions.relations import AMOUNTS, Parameters
from majordomo.report.questions.scope import Tiers
from majordomo.report.questions.usage import Usage
from majordomo.report.sql import question

DEFAULT_VALUES = 10
MOST_VALUES = 1000  # values of one answer; further ones are its rest
MOST_EXPORTED = 100_000  # values of a file
MOST_SERIES = 50  # of one chart; nobody tells more colours apart


class Summary(msgspec.Struct, frozen=True):
    """All usage of a scope, and how much of it is not the provider's own last word."""

    usage: Usage
    estimated: int  # rows with some count of our own
    lost: int  # rows whose end was never learnt: tokens and cost unknown


class Share(msgspec.Struct, frozen=True):
    """One value's usage. ``value`` None: the requests that have none."""

    value: str | None
    usage: Usage


class Breakdown(msgspec.Struct, frozen=True):
    """Usage by one dimension, foremost first. ``shares`` and ``rest`` add up to ``total``."""

    shares: list[Share]
    rest: Usage | None  # the values beyond the limit, together
    rest_values: int  # how many these are
    total: Usage


class Series(msgspec.Struct, frozen=True):
    """One value's usage in each bucket. ``value`` None: the requests that have none, or the rest of the values."""

    value: str | None
    points: list[Usage]
    is_rest: bool = False


class Timeline(msgspec.Struct, frozen=True):
    """Usage over time. ``series`` add up to ``total``, bucket by bucket; without a dimension there are none."""

    starts: list[dt.datetime]
    series: list[Series]
    total: list[Usage]


async def usage(connection: Connection, scope: Scope) -> Usage:
    """All usage in ``scope``, added up."""
    rows = await cells.add_up(connection, scope, Wanted())
    return Usage.of(rows[0]) if rows else Usage()


async def summary(connection: Connection, scope: Scope) -> Summary:
    """All usage in ``scope``."""
    whole = await usage(connection, scope)
    return Summary(whole, *await _uncertain(connection, scope))


async def _uncertain(connection: Connection, scope: Scope) -> tuple[int, int]:
    """How many rows are estimated, and how many lost."""
    pair = pair_for(scope.dimensions)
    cut_up = Tiers([scope.stretch])
    if pair is not None:
        cut_up = await cells.in_pairs(connection, scope, (), pair)
    estimated = lost = 0
    for tier, stretches in (("rows", cut_up.in_rows), ("hourly", cut_up.hourly), ("daily", cut_up.daily)):
        if not stretches:
            continue
        if tier == "rows":
            statement, parameters = cells.over_rows(scope, question("uncertain"), stretches=stretches)
        else:
            assert pair is not None
            extra = Parameters()
            sums = relations.by_pair(*pair, (), extra, tier)
            statement, parameters = cells.over(sums, scope, question("uncertain_sums"), None, (), stretches, extra)
        row = await connection.fetchrow(statement, *parameters)
        assert row is not None
        estimated, lost = estimated + row["estimated"], lost + row["lost"]
    return estimated, lost


async def breakdown(
    connection: Connection,
    scope: Scope,
    by: Dimension,
    limit: int = DEFAULT_VALUES,
    order: str = cells.ORDERS[0],
    shown: Sequence[str] | None = None,
    most: int = MOST_VALUES,
) -> Breakdown:
    """Usage by one dimension: the ``limit`` foremost values (at most ``most``), or those ``shown``, and the rest."""
    wanted = Wanted(by=by, limit=_bounded(limit, most), order=order, shown=_tuple(shown))
    rows = await cells.add_up(connection, scope, wanted)
    usages: dict[str | None, Usage] = {}
    rest, rest_values = None, 0
    for row in rows:
        if row["is_rest"]:
            rest, rest_values = Usage.of(row), row["value_count"]
        else:
            _add(usages, _spelt(row["value"], by), Usage.of(row))
    shares = [Share(value, usage) for value, usage in usages.items()]
    shares.sort(key=lambda share: (-getattr(share.usage, order), -share.usage.requests, share.value or ""))
    return Breakdown(shares, rest, rest_values, sum(usages.values(), rest or Usage()))


async def timeline(
    connection: Connection,
    scope: Scope,
    starts: Sequence[dt.datetime],
    by: Dimension | None = None,
    limit: int = DEFAULT_VALUES,
    order: str = cells.ORDERS[0],
    shown: Sequence[str] | None = None,
    amounts: Iterable[str] = AMOUNTS,
) -> Timeline:
    """Usage in buckets of time that begin at ``starts``, in all or by the foremost values of a dimension.

    Only ``amounts`` are added up, and requests; the others are told as 0.
    """
    wanted = Wanted(
        by=by,
        starts=tuple(starts),
        limit=_bounded(limit, MOST_SERIES),
        order=order,
        shown=_tuple(shown),
        amounts=frozenset(amounts),
    )
    told = wanted.amounts | {"requests", order}
    rows = await cells.add_up(connection, scope, wanted)
    found: dict[tuple[bool, str | None], dict[int, Usage]] = {}
    for row in rows:
        value = _spelt(row["value"], by) if by else None
        usage_then = Usage(**{name: row[name] for name in told})
        _add(found.setdefault((row["is_rest"], value), {}), row["bucket"] - 1, usage_then)
    numbers = range(len(starts))
    series = [
        Series(value, [points.get(number, Usage()) for number in numbers], is_rest)
        for (is_rest, value), points in found.items()
    ]
    series.sort(key=lambda one: (one.is_rest, -sum(getattr(point, order) for point in one.points), one.value or ""))
    total = [sum((one.points[number] for one in series), Usage()) for number in numbers]
    return Timeline(list(starts), series if by else [], total)


def _bounded(limit: int, most: int) -> int:
    return max(1, min(limit, most))


def _tuple(shown: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if shown is None else tuple(shown)


def _spelt(value: str | None, by: Dimension) -> str | None:
    """Sums cut a very long metadata value and rows do not; both are one share."""
    return value_in_rollup(value) if value is not None and by.is_metadata else value


def _add(usages: dict[object, Usage] | dict[str | None, Usage] | dict[int, Usage], place: object, more: Usage) -> None:
    usages[place] = usages[place] + more if place in usages else more  # type: ignore[index]
