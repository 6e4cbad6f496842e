"""The route of how long requests took."""

import datetime as dt
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from majordomo.report.identity import Asking
from majordomo.report.questions import pivot
from majordomo.report.questions.cells import split_at
from majordomo.report.questions.latency import Times, latency
from majordomo.report.questions.periods import Granularity, bucket_starts, usual_granularity
from majordomo.report.usage.parameters import DimensionParameter, Given, reading, understand, understood
from majordomo.report.usage.shapes import PeriodOut

router = APIRouter(prefix="/api/v1/usage", tags=["usage"])


class PercentilesOut(BaseModel):
    """Milliseconds, within 2.5 % of the exact percentile; null where no request was timed."""

    model_config = ConfigDict(from_attributes=True)

    requests: int = Field(description="how many were timed")
    p50: float | None
    p95: float | None
    p99: float | None


class TimesOut(BaseModel):
    """From the request's arrival to the last byte of its reply, and to the first."""

    model_config = ConfigDict(from_attributes=True)

    response: PercentilesOut
    first_byte: PercentilesOut

    @classmethod
    def of(cls, times: Times) -> "TimesOut":
        """The same as JSON has it."""
        return cls.model_validate(times)


class LatencyShareOut(TimesOut):
    """One value's times; ``value`` is null for the requests that have none, and for the rest."""

    value: str | None
    label: str | None
    is_rest: bool


class LatencyAnswer(BaseModel):
    """Times in all, over time, and by the values with the most requests."""

    period: PeriodOut
    total: TimesOut
    granularity: Granularity
    buckets: list[dt.datetime]
    points: list[TimesOut] = Field(description="one for each bucket")
    group_by: str | None
    rows: list[LatencyShareOut]


@router.get("/latency", summary="How long requests took")
async def show_latency(
    request: Request,
    asking: Asking,
    given: Given,
    group_by: DimensionParameter | None = None,
    granularity: Annotated[Granularity | None, Query(description="Chosen by the period's length if left out.")] = None,
    limit: Annotated[int, Query(ge=1, le=pivot.MOST_SERIES, description="Values; the others are the rest.")] = 10,
) -> LatencyAnswer:
    """The 50th, 95th and 99th percentile of response time and time to first byte, of all requests that have them."""
    async with reading(request) as connection:
        asked = await understand(connection, asking, given)
        by = understood(lambda: asked.dimension(group_by)) if group_by is not None else None
        width = granularity or usual_granularity(asked.period)
        starts = understood(lambda: bucket_starts(asked.period, width))
        found = await latency(connection, asked.scope, starts, by, limit)
    await request.app.state.halves.note(asked.scope.org_id, split_at(asked.scope, starts))
    return LatencyAnswer(
        period=PeriodOut.of(asked.period),
        total=TimesOut.of(found.total),
        granularity=width,
        buckets=found.starts,
        points=[TimesOut.of(point) for point in found.points],
        group_by=by.name if by else None,
        rows=[
            LatencyShareOut(
                value=share.value,
                label=asked.known.label(by.name, share.value) if by else None,
                is_rest=share.is_rest,
                **TimesOut.of(share.times).__dict__,
            )
            for share in found.shares
        ],
    )
