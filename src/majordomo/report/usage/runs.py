"""Routes of agent runs: a list, and one as a tree of what each part of it cost."""

import datetime as dt
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field

from majordomo.report.errors import ApiError
from majordomo.report.identity import Asking
from majordomo.report.questions import runs
from majordomo.report.questions.cursors import CursorError
from majordomo.report.usage.parameters import CursorParameter, Given, reading, understand
from majordomo.report.usage.shapes import PeriodOut, UsageOut

router = APIRouter(prefix="/api/v1/usage", tags=["usage"])

_MOST_RUN_CHARACTERS = 4096  # as much of a trace id as is recorded


class RunOut(BaseModel):
    """One run, as far as its requests are in the period and pass the filters."""

    run: str = Field(description="the X-Majordomo-Trace-Id")
    first_at: dt.datetime
    last_at: dt.datetime = Field(description="when its last request came")
    duration_ms: int = Field(description="from its first request to the end of its last reply")
    spans: int = Field(description="how many different span paths it has")
    usage: UsageOut


class RunsAnswer(BaseModel):
    """Some runs, the last seen first. ``next_cursor`` leads to the next page; null after the last."""

    period: PeriodOut
    runs: list[RunOut]
    next_cursor: str | None


class SpanOut(BaseModel):
    """One part of a run. ``path`` "" is the run itself; a span with nothing of its own only has others below it."""

    path: str
    parent: str | None
    depth: int
    name: str
    first_at: dt.datetime
    last_at: dt.datetime
    duration_ms: int
    models: list[str]
    own: UsageOut
    total: UsageOut = Field(description="with all below it")


class RunAnswer(BaseModel):
    """A run's spans, each before those below it."""

    run: str
    spans: list[SpanOut]
    left_out: int = Field(description="further spans, beyond the most that are told")


@router.get("/runs", summary="Agent runs")
async def list_runs(
    request: Request,
    asking: Asking,
    given: Given,
    limit: Annotated[int, Query(ge=1, le=runs.MOST_RUNS)] = runs.DEFAULT_RUNS,
    cursor: CursorParameter = None,
) -> RunsAnswer:
    """The last seen first: requests that name the same X-Majordomo-Trace-Id."""
    async with reading(request) as connection:
        asked = await understand(connection, asking, given)
        try:
            found = await runs.runs(connection, asked.scope, limit, cursor)
        except CursorError as wrong:
            raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", str(wrong)) from None
    told = [
        RunOut(
            run=one.run,
            first_at=one.first_at,
            last_at=one.last_at,
            duration_ms=_ms(one.ended_at - one.first_at),
            spans=one.spans,
            usage=UsageOut.of(one.usage),
        )
        for one in found.runs
    ]
    return RunsAnswer(period=PeriodOut.of(asked.period), runs=told, next_cursor=found.next_cursor)


@router.get(
    "/runs/{trace_id:path}",
    responses={404: {"description": "The organisation has no such run"}},
    summary="One agent run",
)
async def show_run(
    request: Request, asking: Asking, trace_id: Annotated[str, Path(max_length=_MOST_RUN_CHARACTERS)]
) -> RunAnswer:
    """A tree by X-Majordomo-Span-Path: what each part cost alone, and with all below it."""
    found = None
    if "\0" not in trace_id:
        async with reading(request) as connection:
            found = await runs.tree(connection, trace_id, asking.org_id)
    if found is None:
        raise ApiError(HTTPStatus.NOT_FOUND, "run_not_found", "this organisation has no run of this trace id")
    spans = [
        SpanOut(
            path=span.path,
            parent=span.parent,
            depth=span.depth,
            name=span.name,
            first_at=span.first_at,
            last_at=span.last_at,
            duration_ms=_ms(span.ended_at - span.first_at),
            models=span.models,
            own=UsageOut.of(span.own),
            total=UsageOut.of(span.total),
        )
        for span in found.spans
    ]
    return RunAnswer(run=trace_id, spans=spans, left_out=found.left_out)


def _ms(length: dt.timedelta) -> int:
    return length // dt.timedelta(milliseconds=1)
