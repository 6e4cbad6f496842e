"""Routes of the requests themselves: page by page, and one with its cost bucket by bucket."""

import datetime as dt
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from majordomo.ids import read_uuid
from majordomo.report.errors import ApiError
from majordomo.report.identity import Asking
from majordomo.report.questions import explorer, requests
from majordomo.report.questions.billed import UNITS, billed_buckets
from majordomo.report.questions.cursors import CursorError
from majordomo.report.questions.plain import plain
from majordomo.report.usage.parameters import CursorParameter, Given, reading, understand
from majordomo.report.usage.shapes import PeriodOut, Usd

router = APIRouter(prefix="/api/v1/usage", tags=["usage"])


class RequestOut(BaseModel):
    """One request, short."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    requested_at: dt.datetime
    key: str = Field(description="the gateway key's id")
    key_name: str | None
    provider: str
    model: str | None
    requested_model: str | None
    status_code: int | None
    outcome: str
    streamed: bool | None
    usage_state: str
    prompt_tokens: int | None
    cached_tokens: int | None
    cache_creation_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    total_cost: Usd | None = Field(description="null where no price is known")
    unpriced: bool = Field(description="something was used and no price is known")
    response_time_ms: int | None
    time_to_first_byte_ms: int | None
    error_type: str | None
    client: str | None
    session: str | None = Field(description="the Claude Code session's id")
    run: str | None = Field(description="the X-Majordomo-Trace-Id")
    metadata: dict[str, str]


class RequestsAnswer(BaseModel):
    """Some requests, newest first. ``next_cursor`` leads to the next page; null after the last."""

    period: PeriodOut
    requests: list[RequestOut]
    next_cursor: str | None


class BilledOut(BaseModel):
    """One billed quantity. Rate and cost are null where today's prices do not give the cost that was recorded."""

    model: str | None
    bucket: str
    unit: str
    count: int
    rate: Usd | None = Field(description="USD for one")
    cost: Usd | None
    above: int = Field(description="the rate is that of prompts of more tokens than this; 0: of all, or the shortest")


class RequestAnswer(BaseModel):
    """One request: every column of `llm_requests` by its name, and what it was billed for."""

    request: dict[str, Any]
    key_name: str | None
    buckets: list[BilledOut]
    price_version: str | None = Field(description="the prices that it was billed by")


@router.get("/requests", summary="The requests themselves")
async def list_requests(
    request: Request,
    asking: Asking,
    given: Given,
    errors: Annotated[bool, Query(description="Only those that failed.")] = False,
    unpriced: Annotated[bool, Query(description="Only those without a known price.")] = False,
    limit: Annotated[int, Query(ge=1, le=explorer.MOST_REQUESTS)] = explorer.DEFAULT_REQUESTS,
    cursor: CursorParameter = None,
) -> RequestsAnswer:
    """Newest first. Requests that arrive meanwhile change no page behind a cursor."""
    async with reading(request) as connection:
        asked = await understand(connection, asking, given)
        try:
            page = await explorer.explore(connection, asked.scope, limit, cursor, errors=errors, unpriced=unpriced)
        except CursorError as wrong:
            raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", str(wrong)) from None
    lines = [line_out(line, asked.known.label("key", str(line.majordomo_api_key_id))) for line in page.requests]
    return RequestsAnswer(period=PeriodOut.of(asked.period), requests=lines, next_cursor=page.next_cursor)


@router.get(
    "/requests/{request_id}",
    responses={404: {"description": "The organisation has no such request"}},
    summary="One request",
)
async def show_request(request: Request, asking: Asking, request_id: str) -> RequestAnswer:
    """Every field, and its cost bucket by bucket, each with its rate."""
    wanted = read_uuid(request_id)
    row = None
    if wanted is not None:
        async with reading(request) as connection:
            row = await requests.request(connection, wanted, asking.org_id)
    if row is None:
        raise ApiError(HTTPStatus.NOT_FOUND, "request_not_found", "this organisation has no request of this id")
    buckets = billed_buckets(row, request.app.state.pricer)
    key_name = row.pop("key_name")
    return RequestAnswer(
        request=plain(row),
        key_name=key_name,
        buckets=[BilledOut(**msgspec.structs.asdict(one), unit=UNITS.get(one.bucket, "tokens")) for one in buckets],
        price_version=row["price_version"],
    )


def line_out(line: explorer.RequestLine, key_name: str | None) -> RequestOut:
    """One request as it is told."""
    told = msgspec.structs.asdict(line)
    return RequestOut(
        **{name: told[name] for name in RequestOut.model_fields.keys() & told.keys() - {"id"}},
        id=str(line.id),
        key=str(line.majordomo_api_key_id),
        key_name=key_name,
        unpriced=line.total_cost is None and line.usage_state != "none",
        session=None if line.claude_session_id is None else str(line.claude_session_id),
        run=line.trace_id,
        metadata=line.raw_metadata,
    )
