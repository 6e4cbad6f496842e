"""Routes of what Claude Code was used for: in all, its sessions, and one of them request by request."""

import datetime as dt
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from majordomo.meter.claude_display import money as as_the_cli_shows
from majordomo.report.errors import ApiError
from majordomo.report.identity import Asking
from majordomo.report.questions import claude_code
from majordomo.report.questions.claude_ledgers import REASONS, told
from majordomo.report.questions.claude_sessions import Session
from majordomo.report.questions.cursors import CursorError
from majordomo.report.questions.plain import exact, exact_double
from majordomo.report.usage.parameters import CursorParameter, Given, reading, understand
from majordomo.report.usage.shapes import PeriodOut, Usd

router = APIRouter(prefix="/api/v1/usage/claude-code", tags=["usage"])


def _double(amount: Any) -> Any:
    return exact_double(amount) if isinstance(amount, float) else amount


UsageUsd = Annotated[Usd, BeforeValidator(_double), Field(description="USD as Claude Code's own /usage books it")]


class _Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class WorkOut(_Out):
    """Claude Code's requests in all."""

    requests: int
    sessions: int
    thinking_requests: int = Field(description="whose reply has thinking in it")
    thinking_cost: Usd
    plan_mode_requests: int
    plan_mode_cost: Usd
    subagent_requests: int
    subagent_cost: Usd
    tool_uses: int
    total_cost: Usd
    usage_cost: UsageUsd


class ToolOut(_Out):
    """Replies that called one tool; null: those that called none. One that called several is in each of them."""

    tool: str | None
    requests: int
    total_cost: Usd


class ClaudeCodeAnswer(BaseModel):
    """Its requests in all, and by tool, costliest first."""

    period: PeriodOut
    work: WorkOut
    tools: list[ToolOut]


class SessionLineOut(_Out):
    """A session; from ``requests`` on: of its requests in the period that pass the filters."""

    id: UUID
    majordomo_api_key_id: UUID
    key_name: str | None
    session_name: str | None
    started_at: dt.datetime
    ended_at: dt.datetime | None
    ended_by: str | None = Field(description="`owner`, or `idle`: nothing came for a while")
    source: str = Field(description="`companion`, or `client`: the client's own session header began it")
    requests: int
    total_cost: Usd
    usage_cost: UsageUsd
    prompt_tokens: int
    output_tokens: int
    last_at: dt.datetime


class SessionsAnswer(BaseModel):
    """Some sessions, the last asked in first. ``next_cursor`` leads to the next page; null after the last."""

    period: PeriodOut
    sessions: list[SessionLineOut]
    next_cursor: str | None


class SessionOut(_Out):
    """One session and its sums, as they were added up with its rows."""

    id: UUID
    majordomo_api_key_id: UUID
    key_name: str | None
    session_name: str | None
    state: str = Field(description="`open`, `ended` by its owner, or `idle`")
    source: str
    started_at: dt.datetime
    ended_at: dt.datetime | None
    last_request_at: dt.datetime | None
    duration_ms: int
    total_requests: int
    total_input_tokens: int
    total_output_tokens: int
    total_cost: Usd
    usage_cost: UsageUsd
    usage_shows: str = Field(description="the same as /usage prints it")

    @classmethod
    def of(cls, session: Session) -> "SessionOut":
        """The same as JSON has it."""
        named = {name: getattr(session, name) for name in Session.__struct_fields__ if name in cls.model_fields}
        return cls(
            **named,
            state=session.state,
            duration_ms=session.duration // dt.timedelta(milliseconds=1),
            usage_shows=as_the_cli_shows(session.usage_cost),
        )


class SessionRequestOut(_Out):
    """One request of a session. From ``query_class`` on all are null where it has no details."""

    id: UUID
    requested_at: dt.datetime
    response_time_ms: int | None
    provider: str
    model: str | None
    status_code: int | None
    outcome: str
    error_type: str | None
    prompt_tokens: int | None
    cached_tokens: int | None
    output_tokens: int | None
    total_cost: Usd | None
    ending: str = Field(description="what went wrong, or else why the reply stopped")
    query_class: str | None
    usage_cost: UsageUsd | None
    agent_id: str | None
    parent_agent_id: str | None
    tool_names: list[str] | None
    has_thinking: bool | None
    is_plan_mode: bool | None
    message_count: int | None
    effort: str | None


class PartOut(_Out):
    """Some requests of a session together."""

    value: str | None
    requests: int
    unpriced: int
    total_cost: Usd
    usage_cost: Usd


class GapOut(_Out):
    """What requests of one class cost beyond what /usage shows for them, for one reason."""

    query_class: str | None
    why: str
    reason: str = Field(description="the same in words")
    requests: int
    difference: Usd = Field(description="negative where /usage shows more")


class SessionAnswer(BaseModel):
    """A session: its requests in order, its costs by several views, and why the two costs differ."""

    session: SessionOut
    requests: list[SessionRequestOut]
    by_model: list[PartOut]
    by_class: list[PartOut]
    by_agent: list[PartOut] = Field(description="null: the main loop")
    by_tool: list[PartOut] = Field(description="null: replies that called none")
    gaps: list[GapOut]
    rounding: Usd = Field(description="what is left of the difference: the rounding of doubles")
    unpriced: int


@router.get("", summary="What Claude Code was used for")
async def show_work(request: Request, asking: Asking, given: Given) -> ClaudeCodeAnswer:
    """Thinking, plan mode, sub-agents and tools, of requests that came with `X-Majordomo-Client: claude-code`."""
    async with reading(request) as connection:
        asked = await understand(connection, asking, given)
        work, tools = await claude_code.work(connection, asked.scope)
    return ClaudeCodeAnswer(
        period=PeriodOut.of(asked.period),
        work=WorkOut.model_validate(work),
        tools=[ToolOut.model_validate(tool) for tool in tools],
    )


@router.get("/sessions", summary="Sessions of Claude Code")
async def list_sessions(
    request: Request,
    asking: Asking,
    given: Given,
    limit: Annotated[int, Query(ge=1, le=claude_code.MOST_SESSIONS)] = claude_code.DEFAULT_SESSIONS,
    cursor: CursorParameter = None,
) -> SessionsAnswer:
    """Those with a request in the period that passes the filters, the last asked in first."""
    async with reading(request) as connection:
        asked = await understand(connection, asking, given)
        try:
            page = await claude_code.sessions(connection, asked.scope, limit, cursor)
        except CursorError as wrong:
            raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", str(wrong)) from None
    return SessionsAnswer(
        period=PeriodOut.of(asked.period),
        sessions=[SessionLineOut.model_validate(line) for line in page.sessions],
        next_cursor=page.next_cursor,
    )


@router.get(
    "/sessions/{session_id}",
    responses={404: {"description": "The organisation has no such session"}},
    summary="One session of Claude Code",
)
async def show_session(request: Request, asking: Asking, session_id: UUID) -> SessionAnswer:
    """Request by request; its cost by model, class, agent and tool; and why /usage shows another sum."""
    async with request.app.state.connections.acquire() as connection:
        found = await told(connection, session_id, org_id=asking.org_id)
    if found is None:
        raise ApiError(HTTPStatus.NOT_FOUND, "session_not_found", "this organisation has no session of this id")
    return SessionAnswer(
        session=SessionOut.of(found.session),
        requests=[SessionRequestOut.model_validate(one) for one in found.requests],
        by_model=[PartOut.model_validate(part) for part in found.by_model],
        by_class=[PartOut.model_validate(part) for part in found.by_class],
        by_agent=[PartOut.model_validate(part) for part in found.by_agent],
        by_tool=[PartOut.model_validate(part) for part in found.by_tool],
        gaps=[
            GapOut(
                query_class=gap.query_class,
                why=gap.why,
                reason=REASONS[gap.why],
                requests=gap.requests,
                difference=exact(gap.difference),
            )
            for gap in found.gaps
        ],
        rounding=exact(found.rounding),
        unpriced=found.unpriced,
    )
