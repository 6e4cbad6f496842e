"""How long requests took: percentiles of response time and of time to first byte, from histograms.

A histogram's steps grow by 5 %, and a percentile is told as the middle of the step that it falls into: it is off by at
most 2.5 %. Histograms add up, so one is kept for each hour and the percentiles of any time come from their sum.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Sequence
from math import ceil
from typing import Final

import msgspec

from majordomo.record.database import Connection
from majordomo.report.questions import cells
from majordomo.report.questions.cells import Scope
from majordomo.report.questions.dimensions import Dimension
from majordomo.report.sql import question

#: How much wider each step is than the one before; percentiles are off by at most its square root.
STEP: Final = 1.05
PERCENTILES: Final = (50, 95, 99)
MEASURES: Final = ("response", "first_byte")

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


async def _cells(
    connection: Connection, scope: Scope, by: Dimension | None, starts: Sequence[dt.datetime]
) -> dict[tuple[str | None, int], _Cell]:
    statement, parameters = cells.over_rows(scope, question("latency"), by, starts=starts, step=str(STEP))
    found: dict[tuple[str | None, int], _Cell] = {}
    for row in await connection.fetch(statement, *parameters):
        cell = found.setdefault((row["value"], row["bucket"]), {})
        cell.setdefault(row["measure"], Counter())[row["step"]] += row["requests"]
    return found


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
