"""Routes about usage: how much, of what, when. Sums that equal the rows, limited to the asking organisation."""

from collections.abc import Iterable
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Request

from majordomo.report.identity import Asking
from majordomo.report.questions import pivot
from majordomo.report.questions.cells import split_at
from majordomo.report.questions.periods import Granularity, Period, bucket_starts, usual_granularity
from majordomo.report.questions.usage import Usage
from majordomo.report.usage.parameters import (
    CompareParameter,
    DimensionParameter,
    Given,
    reading,
    understand,
    understood,
)
from majordomo.report.usage.shapes import (
    BreakdownAnswer,
    PeriodOut,
    Points,
    RestOut,
    SeriesOut,
    ShareOut,
    SummaryAnswer,
    SummaryOut,
    TimeseriesAnswer,
    UsageOut,
)

router = APIRouter(prefix="/api/v1/usage", tags=["usage"])

Order = Literal["total_cost", "requests", "errors", "prompt_tokens", "output_tokens"]
Metric = Literal[
    "requests",
    "errors",
    "unpriced",
    "prompt_tokens",
    "uncached_tokens",
    "cached_tokens",
    "cache_creation_tokens",
    "output_tokens",
    "reasoning_tokens",
    "input_cost",
    "cache_read_cost",
    "cache_creation_cost",
    "output_cost",
    "tool_cost",
    "total_cost",
    "cache_hit_rate",
    "mean_response_ms",
]
_DEFAULT_METRICS: Final[tuple[Metric, ...]] = ("total_cost", "requests")

#: Metrics that are worked out from amounts; the others are amounts themselves.
_MADE_OF: Final = {
    "uncached_tokens": ("prompt_tokens", "cached_tokens", "cache_creation_tokens"),
    "cache_hit_rate": ("cached_tokens", "prompt_tokens"),
    "mean_response_ms": ("response_time_ms", "timed_requests"),
}

OrderParameter = Annotated[Order, Query(alias="sort", description="What makes a value the foremost.")]


@router.get("/summary", summary="Usage in all")
async def summary(
    request: Request,
    asking: Asking,
    given: Given,
    compare: CompareParameter = None,
) -> SummaryAnswer:
    """Requests, tokens and costs, each by class; and of the time before."""
    async with reading(request) as connection:
        asked = await understand(connection, asking, given)
        found = await pivot.summary(connection, asked.scope)
        before = await pivot.summary(connection, asked.previous) if compare else None
    return SummaryAnswer(
        **_summary(found, asked.period).__dict__,
        previous=_summary(before, asked.period.previous) if before else None,
    )


@router.get("/breakdown", summary="Usage by one dimension")
async def breakdown(
    request: Request,
    asking: Asking,
    given: Given,
    group_by: DimensionParameter,
    limit: Annotated[int, Query(ge=1, le=pivot.MOST_VALUES, description="Values; the others are the rest.")] = 10,
    order: OrderParameter = "total_cost",
    compare: CompareParameter = None,
) -> BreakdownAnswer:
    """The foremost values, those without one, and the rest: they always add up to the total."""
    async with reading(request) as connection:
        asked = await understand(connection, asking, given)
        by = understood(lambda: asked.dimension(group_by))
        found = await pivot.breakdown(connection, asked.scope, by, limit, order)
        before = None
        if compare:
            shown = [share.value for share in found.shares if share.value is not None]
            before = await pivot.breakdown(connection, asked.previous, by, pivot.MOST_VALUES, order, shown)
    earlier = {share.value: share.usage for share in before.shares} if before else {}
    return BreakdownAnswer(
        period=PeriodOut.of(asked.period),
        previous_period=PeriodOut.of(asked.period.previous) if before else None,
        group_by=by.name,
        rows=[
            ShareOut(
                value=share.value,
                label=asked.known.label(by.name, share.value),
                usage=UsageOut.of(share.usage),
                previous=UsageOut.of(earlier.get(share.value, Usage())) if before else None,
            )
            for share in found.shares
        ],
        rest=None
        if found.rest is None
        else RestOut(
            values=found.rest_values,
            usage=UsageOut.of(found.rest),
            previous=UsageOut.of(before.rest or Usage()) if before else None,
        ),
        total=UsageOut.of(found.total),
        previous_total=UsageOut.of(before.total) if before else None,
    )


@router.get("/timeseries", summary="Usage over time")
async def timeseries(
    request: Request,
    asking: Asking,
    given: Given,
    group_by: DimensionParameter | None = None,
    granularity: Annotated[Granularity | None, Query(description="Chosen by the period's length if left out.")] = None,
    metric: Annotated[
        list[Metric] | None, Query(description="Repeatable; total_cost and requests if left out.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=pivot.MOST_SERIES, description="Values; the others are one series.")] = 8,
    order: OrderParameter = "total_cost",
    compare: CompareParameter = None,
) -> TimeseriesAnswer:
    """In hours, days, weeks or months of a time zone; in all, or stacked by the foremost values of a dimension."""
    metrics = list(dict.fromkeys(metric or _DEFAULT_METRICS))
    async with reading(request) as connection:
        asked = await understand(connection, asking, given)
        by = understood(lambda: asked.dimension(group_by)) if group_by is not None else None
        width = granularity or usual_granularity(asked.period)
        starts = understood(lambda: bucket_starts(asked.period, width))
        amounts = _amounts(metrics)
        found = await pivot.timeline(connection, asked.scope, starts, by, limit, order, amounts=amounts)
        before = None
        if compare:
            earlier = understood(lambda: bucket_starts(asked.period.previous, width))
            before = await pivot.timeline(connection, asked.previous, earlier, amounts=amounts)
    await request.app.state.halves.note(asked.scope.org_id, split_at(asked.scope, starts))
    return TimeseriesAnswer(
        period=PeriodOut.of(asked.period),
        granularity=width,
        group_by=by.name if by else None,
        buckets=found.starts,
        series=[
            SeriesOut(
                value=one.value,
                label=asked.known.label(by.name, one.value) if by else None,
                is_rest=one.is_rest,
                points=_points(one.points, metrics),
            )
            for one in found.series
        ],
        total=_points(found.total, metrics),
        previous_period=PeriodOut.of(asked.period.previous) if before else None,
        previous_total=_points(before.total, metrics) if before else None,
    )


def _summary(found: pivot.Summary, period: Period) -> SummaryOut:
    return SummaryOut(
        period=PeriodOut.of(period), usage=UsageOut.of(found.usage), estimated=found.estimated, lost=found.lost
    )


def _amounts(metrics: Iterable[str]) -> frozenset[str]:
    """What has to be added up for these."""
    return frozenset(amount for name in metrics for amount in _MADE_OF.get(name, (name,)))


def _points(usages: list[Usage], metrics: list[Metric]) -> Points:
    return {name: [getattr(usage, name) for usage in usages] for name in metrics}
