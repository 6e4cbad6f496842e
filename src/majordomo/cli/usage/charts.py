"""How usage over time looks on a terminal, and as JSON."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from majordomo.cli.tables import cell, console, count, fitted, money_column, table
from majordomo.cli.usage.views import change, period_json, span_text, usage_json, value_text
from majordomo.report.questions.asking import Asked
from majordomo.report.questions.calendar import label
from majordomo.report.questions.periods import Granularity
from majordomo.report.questions.pivot import Series, Timeline
from majordomo.report.questions.usage import Usage

_BAR = 30  # columns of the longest bar
_EIGHTHS = " ▏▎▍▌▋▊▉█"


class Chart(msgspec.Struct, frozen=True):
    """An answer, and how it was asked for."""

    granularity: Granularity
    dimension: str | None
    found: Timeline
    before: Timeline | None


def chart_json(asked: Asked, chart: Chart) -> dict[str, Any]:
    """A timeline for programs."""
    series = [
        {
            "value": one.value,
            "label": asked.known.label(chart.dimension or "", one.value),
            "is_rest": one.is_rest,
            "points": [usage_json(point) for point in one.points],
        }
        for one in chart.found.series
    ]
    previous = chart.before and [usage_json(point) for point in chart.before.total]
    return {
        **period_json(asked.period),
        "granularity": chart.granularity,
        "dimension": chart.dimension,
        "buckets": chart.found.starts,
        "series": series,
        "total": [usage_json(point) for point in chart.found.total],
        "previous_total": previous,
    }


def print_chart(asked: Asked, chart: Chart) -> None:
    """A row a bucket: requests, cost, a bar of it, and the cost of each value."""
    out = console()
    found = chart.found
    whole = sum(found.total, Usage())
    out.print(cell(f"{span_text(asked.period)}: {count(whole.requests)} requests, by {chart.granularity}.", "bold"))
    values = [_name(asked, chart, one) for one in found.series]
    shown = table(
        f"{chart.granularity.capitalize()} ({asked.period.zone})", "Requests", "Cost USD", "", *values,
        numbers=("Requests", "Cost USD", *values),
    )  # fmt: skip
    *costs, total = money_column([*(point.total_cost for point in found.total), whole.total_cost])
    columns = [money_column([point.total_cost for point in one.points]) for one in found.series]
    bars = _bars([point.total_cost for point in found.total])
    for number, start in enumerate(found.starts):
        shown.add_row(
            label(start, chart.granularity, asked.period.zone),
            count(found.total[number].requests),
            costs[number],
            bars[number],
            *(column[number] for column in columns),
        )
    shown.add_section()
    sums = money_column([sum(one.points, Usage()).total_cost for one in found.series])
    shown.add_row("Total", count(whole.requests), total, "", *sums, style="bold")
    out.print(fitted(shown, out, list(reversed(values))))
    if chart.before is not None:
        earlier = sum(chart.before.total, Usage())
        now, then = money_column([whole.total_cost, earlier.total_cost])
        told = f"{then} USD against {now} ({change(whole.total_cost, earlier.total_cost)})"
        out.print(cell(f"Before, {span_text(asked.period.previous)}: {told}."))
    if whole.unpriced:
        out.print(cell(f"{count(whole.unpriced)} requests have no known price; they are not in the cost.", "yellow"))


def _name(asked: Asked, chart: Chart, one: Series) -> str:
    """A column's heading, made harmless and short."""
    text = "(others)" if one.is_rest else value_text(asked, chart.dimension or "", one.value)
    return cell(text if len(text) <= 24 else text[:23] + "…").plain


def _bars(amounts: Sequence[Decimal]) -> list[str]:
    """A bar for each, the largest ``_BAR`` columns long, to an eighth of one."""
    most = max(amounts, default=Decimal(0))
    lengths = [int(amount * _BAR * 8 / most) if most > 0 else 0 for amount in amounts]
    return ["█" * (length // 8) + _EIGHTHS[length % 8].strip() for length in lengths]
