"""The control API of Claude Code's sessions: five routes, each for the sessions of the key that asks.

Their JSON is camelCase, unlike the rest of the API: so they were promised.
"""

import datetime as dt
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from majordomo.clock import wall_us
from majordomo.ids import new_uuid, read_uuid
from majordomo.record.claude_sessions import SESSION_NAME_LIMIT
from majordomo.report.auth import Caller
from majordomo.report.bodies import read_json, takes
from majordomo.report.errors import ApiError
from majordomo.report.questions import claude_sessions
from majordomo.report.questions.cells import Scope
from majordomo.report.questions.dimensions import Dimension
from majordomo.report.questions.filters import Filter
from majordomo.report.questions.plain import exact, exact_double

router = APIRouter(prefix="/api/v1/claude-sessions", tags=["Claude Code sessions"])

DEFAULT_LIMIT = 50
MOST_LIMIT = 200
MOST_OFFSET = 10_000_000  # whoever pages on to there has asked for something else

_CAMEL = ConfigDict(alias_generator=to_camel, populate_by_name=True, from_attributes=True)


def _usd(amount: Any) -> Any:
    return None if amount is None else exact_double(amount) if isinstance(amount, float) else exact(amount)


Usd = Annotated[str, BeforeValidator(_usd), Field(description="USD in decimal, every digit")]

Limit = Annotated[int, Query(ge=1, le=MOST_LIMIT, description="How many at most.")]
Offset = Annotated[int, Query(ge=0, le=MOST_OFFSET, description="How many to pass over.")]


class Session(BaseModel):
    """One session and its sums."""

    model_config = _CAMEL

    id: UUID
    majordomo_api_key_id: UUID
    session_name: str | None
    started_at: dt.datetime
    ended_at: dt.datetime | None
    total_requests: int
    total_input_tokens: int
    total_output_tokens: int
    total_cost: Usd
    created_at: dt.datetime
    source: str = Field(description="`companion`, or `client`: the client's own session header began it")
    last_request_at: dt.datetime | None
    usage_cost: Usd = Field(description="What Claude Code's /usage shows for these requests")
    ended_by: str | None = Field(description="`owner`, or `idle`: nothing came for a while")


class Sessions(BaseModel):
    """Some sessions, newest first; ``numRecords`` is how many there are in all."""

    model_config = _CAMEL

    sessions: list[Session]
    num_records: int


class SessionRequest(BaseModel):
    """One request of a session. From ``messageCount`` on all are null where it has no details."""

    model_config = _CAMEL

    id: UUID
    requested_at: dt.datetime
    responded_at: dt.datetime | None
    response_time_ms: int | None
    provider: str
    model: str | None
    requested_model: str | None
    request_path: str
    status_code: int | None
    outcome: str
    streamed: bool | None
    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None
    cache_creation_tokens: int | None
    reasoning_tokens: int | None
    prompt_tokens: int | None
    usage_state: str
    service_tier: str | None
    total_cost: Usd | None = Field(description="null where no price is known")
    error_type: str | None
    agent_id: str | None
    parent_agent_id: str | None
    message_count: int | None
    user_message_count: int | None
    assistant_message_count: int | None
    tool_names: list[str] | None
    tool_use_count: int | None
    has_thinking: bool | None
    is_plan_mode: bool | None
    stop_reason: str | None
    system_prompt_hash: str | None
    usage_cost: Usd | None
    query_class: str | None
    client_session_id: UUID | None
    client_version: str | None
    effort: str | None
    context_window: int | None


class SessionRequests(BaseModel):
    """Some requests of a session, oldest first; ``numRecords`` is how many there are in all."""

    model_config = _CAMEL

    requests: list[SessionRequest]
    num_records: int


class NewSession(BaseModel):
    """What a session may be started with; all of it may be left out."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    id: str | None = Field(
        None,
        pattern="^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$",
        description="A UUID of the client's own making, so that it can ask again without starting a second session.",
    )
    session_name: str | None = Field(None, max_length=SESSION_NAME_LIMIT, pattern="^[^\\u0000]*$")


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    openapi_extra=takes(NewSession),
    responses={409: {"description": "The id is another key's session"}},
    summary="Start a session",
)
async def start(request: Request, caller: Caller) -> Session:
    """With no body at all, with a name, or with an id of the client's own: asked again, the same session answers."""
    asked = await read_json(request, NewSession)
    session_id = (asked.id and read_uuid(asked.id)) or new_uuid(wall_us())
    async with request.app.state.connections.acquire() as connection:
        try:
            started = await claude_sessions.start(
                connection, session_id, caller.org_id, caller.key_id, asked.session_name or None
            )
        except claude_sessions.ForeignSessionError:
            raise ApiError(
                HTTPStatus.CONFLICT, "session_id_taken", "this id is another key's session; choose a new UUID"
            ) from None
    return Session.model_validate(started)


@router.get("", summary="List sessions")
async def list_sessions(request: Request, caller: Caller, limit: Limit = DEFAULT_LIMIT, offset: Offset = 0) -> Sessions:
    """The key's own, newest first."""
    async with request.app.state.connections.acquire() as connection:
        own = Scope(org_id=caller.org_id, filters=(Filter(Dimension("key"), (str(caller.key_id),)),))
        found = await claude_sessions.sessions(connection, own, limit, offset)
        count = await claude_sessions.count_sessions(connection, caller.key_id)
    return Sessions(sessions=[Session.model_validate(each) for each in found], num_records=count)


@router.get("/{session_id}", responses={404: {"description": "The key has no such session"}}, summary="One session")
async def show(request: Request, caller: Caller, session_id: str) -> Session:
    """A session of the key's own."""
    async with request.app.state.connections.acquire() as connection:
        found = await claude_sessions.session(connection, _id(session_id), caller.key_id)
    if found is None:
        raise _not_found()
    return Session.model_validate(found)


@router.post(
    "/{session_id}/end",
    responses={404: {"description": "The key has no such session"}, 409: {"description": "It was ended before"}},
    summary="End a session",
)
async def end(request: Request, caller: Caller, session_id: str) -> Session:
    """Once. A session that was closed for idleness can still be ended; requests that come later still count in it."""
    async with request.app.state.connections.acquire() as connection:
        try:
            ended = await claude_sessions.end(connection, _id(session_id), caller.key_id)
        except claude_sessions.EndedSessionError:
            raise ApiError(HTTPStatus.CONFLICT, "session_ended", "this session was ended before") from None
    if ended is None:
        raise _not_found()
    return Session.model_validate(ended)


@router.get(
    "/{session_id}/requests",
    responses={404: {"description": "The key has no such session"}},
    summary="The requests of a session",
)
async def list_requests(
    request: Request, caller: Caller, session_id: str, limit: Limit = DEFAULT_LIMIT, offset: Offset = 0
) -> SessionRequests:
    """In the order in which they came, each with what is known of it from Claude Code."""
    async with request.app.state.connections.acquire() as connection:
        session = await claude_sessions.session(connection, _id(session_id), caller.key_id)
        if session is None:
            raise _not_found()
        found = await claude_sessions.requests(connection, session, limit, offset)
        count = await claude_sessions.count_requests(connection, session)
    return SessionRequests(requests=[SessionRequest.model_validate(each) for each in found], num_records=count)


def _id(text: str) -> UUID:
    found = read_uuid(text)
    if found is None:
        raise _not_found()
    return found


def _not_found() -> ApiError:
    return ApiError(HTTPStatus.NOT_FOUND, "session_not_found", "this key has no session of this id")
