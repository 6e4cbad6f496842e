"""How long requests took: percentiles of response time and of time to first byte, from histograms.

A histogram's steps grow by 5 %, and a percentile is told as the middle of the step that it falls into: it is off by at
most 2.5 %. Histograms add up: those of hours and days are written with the rows, by provider, model and key. Questions
that combine these, or are about anything else, read the rows.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from math import ceil
from typing import Final

import msgspec

from majordomo.record.database import Connection
from majordomo.record.latency import STEP, from_number
from majordomo.report.questions import cells, relations
from majordomo.report.questions.cells import Scope
from majordomo.report.questions.dimensions import Dimension
from majordomo.report.questions.pairs import pair_for
from majordomo.report.questions.relations import Parameters
from majordomo.report.questions.scope import Stretch
from majordomo.report.sql import question

PERCENTILES: Final = (50, 95, 99)
MEASURES: Final = ("response", "first_byte")

_SUMMED: Final = frozenset((Dimension("provider"), Dimension("model"), Dimension("key")))

Histogram = Counter[int]  # step: requests
_Cell = dict[str, Histogram]  # measure: its histogram


class Percentiles(msgspec.Struct, frozen=True):
    """Milliseconds that so many per cent of some requests stayed within; None where no request was timed."""

    requests: int  # how many were timed
    p50: float | None
    p95: float | None
    p99: float | None


class Times(msgspec.Struct, frozen=True):
    """Both measures of some requests."""

    response: Percentiles
    first_byte: Percentiles


class LatencyShare(msgspec.Struct, frozen=True):
    """One value's times. ``value`` None: the requests that have none; with ``is_rest``: all further values together."""

    value: str | None
    is_rest: bool
    times: Times


class Latency(msgspec.Struct, frozen=True):
    """Times in all, over time, and by the values with the most timed requests."""

    total: Times
    starts: list[dt.datetime]
    points: list[Times]
    shares: list[LatencyShare]


async def latency(
    connection: Connection, scope: Scope, starts: Sequence[dt.datetime], by: Dimension | None, limit: int
) -> Latency:
    """Percentiles of ``scope``: in all, in each bucket of time, and by a dimension."""
    over_time = await _cells(connection, scope, None, starts)
    points = [_times([over_time.get((None, number), {})]) for number in range(1, len(starts) + 1)]
    shares = [] if by is None else _shares(await _cells(connection, scope, by, ()), limit)
    return Latency(_times(over_time.values()), list(starts), points, shares)


def percentile(histogram: Histogram, per_cent: int) -> float | None:
    """The middle, in milliseconds, of the step that the nearest-rank percentile is in."""
    rank = ceil(histogram.total() * per_cent / 100)
    passed = 0
    for step in sorted(histogram):
        passed += histogram[step]
        if passed >= rank > 0:
            return 1.0 if step == 0 else round(STEP ** (step - 0.5), 1)
    return None


_Cells = dict[tuple[str | None, int], _Cell]


async def _cells(connection: Connection, scope: Scope, by: Dimension | None, starts: Sequence[dt.datetime]) -> _Cells:
    needed = cells.needed_by(scope, by)
    found: _Cells = {}
    pair = pair_for(needed, histograms=True)
    extra = Parameters()
    if len(needed) <= 1 and needed <= _SUMMED and not cells.split_at(scope, starts):
        tiers = cells.tiers(scope, starts)
        make = partial(relations.latency, next(iter(needed), None))
    elif pair is not None:
        tiers = await cells.in_pairs(connection, scope, starts, pair)
        make = partial(relations.by_pair, *pair, tiers.splits, extra)
    else:
        await _read_rows(connection, scope, by, starts, [scope.stretch], found)
        return found
    await _read_rows(connection, scope, by, starts, tiers.in_rows, found)
    for tier, real in (("hourly", tiers.hourly), ("daily", tiers.daily)):
        if real:
            extra.clear()
            sums = make(tier)
            statement, parameters = cells.over(sums, scope, question("latency_sums"), by, starts, real, extra)
            for row in await connection.fetch(statement, *parameters):
                cell = found.setdefault((row["value"], row["bucket"]), {})
                for measure in MEASURES:
                    cell.setdefault(measure, Counter()).update(from_number(row[measure]))
    return found


async def _read_rows(
    connection: Connection,
    scope: Scope,
    by: Dimension | None,
    starts: Sequence[dt.datetime],
    stretches: Sequence[Stretch],
    found: _Cells,
) -> None:
    if not stretches:
        return
    statement, parameters = cells.over_rows(
        scope, question("latency"), by, starts=starts, stretches=stretches, step=str(STEP)
    )
    for row in await connection.fetch(statement, *parameters):
        cell = found.setdefault((row["value"], row["bucket"]), {})
        cell.setdefault(row["measure"], Counter())[row["step"]] += row["requests"]


def _shares(found: dict[tuple[str | None, int], _Cell], limit: int) -> list[LatencyShare]:
    """The values with the most timed requests, those without one, and the rest."""
    by_value = {value: cell for (value, _), cell in found.items()}
    values = sorted((value for value in by_value if value is not None), key=lambda v: (-_timed(by_value[v]), v))
    shares = [LatencyShare(value, False, _times([by_value[value]])) for value in values[:limit]]
    if None in by_value:
        shares.append(LatencyShare(None, False, _times([by_value[None]])))
    if values[limit:]:
        shares.append(LatencyShare(None, True, _times([by_value[value] for value in values[limit:]])))
    return shares


def _timed(cell: _Cell) -> int:
    return cell.get("response", Histogram()).total()


def _times(some: Iterable[_Cell]) -> Times:
    sums: _Cell = {measure: Counter() for measure in MEASURES}
    for cell in some:
        for measure, histogram in cell.items():
            sums[measure].update(histogram)
    return Times(*(_percentiles(sums[measure]) for measure in MEASURES))


def _percentiles(histogram: Histogram) -> Percentiles:
    return Percentiles(histogram.total(), *(percentile(histogram, per_cent) for per_cent in PERCENTILES))
