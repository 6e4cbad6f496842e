"""Claude Code's sessions: started, ended, listed, and told request by request."""

import datetime as dt
from decimal import Decimal
from uuid import UUID

import msgspec

from majordomo.record.database import Connection
from majordomo.report.questions import cells, relations
from majordomo.report.questions.cells import Scope
from majordomo.report.questions.dimensions import Dimension
from majordomo.report.questions.relations import Parameters, Relation
from majordomo.report.questions.snapshot import snapshot
from majordomo.report.sql import question

MOST_SESSIONS = 10_000  # rows that one answer may hold in memory
MOST_REQUESTS = 100_000  # of one session; the busiest have some thousand

_KEY = Dimension("key")
#: Sessions as filters see them: they are a key's, and all else is their requests'.
_SESSIONS = Relation("claude_sessions s", "s.started_at", {"key": "s.majordomo_api_key_id::text"}, "", "s.org_id")


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One session and its sums, in USD as the provider bills them and as ``/usage`` shows them."""

    id: UUID
    majordomo_api_key_id: UUID
    key_name: str | None  # None: the key no longer exists
    session_name: str | None
    started_at: dt.datetime
    ended_at: dt.datetime | None
    total_requests: int
    total_input_tokens: int
    total_output_tokens: int
    total_cost: Decimal
    created_at: dt.datetime
    source: str  # companion or client
    last_request_at: dt.datetime | None
    usage_cost: float
    ended_by: str | None  # owner or idle

    @property
    def state(self) -> str:
        """``open``, ``ended`` by its owner, or ``idle``."""
        return "open" if self.ended_at is None else "idle" if self.ended_by == "idle" else "ended"

    @property
    def duration(self) -> dt.timedelta:
        """From its start to its end, or to its last request while it is open."""
        until = self.ended_at or self.last_request_at or self.started_at
        return max(dt.timedelta(0), until - self.started_at)


class SessionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request of a session. From ``message_count`` on all are None where it has no details."""

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
    total_cost: Decimal | None
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
    usage_cost: float | None
    query_class: str | None
    client_session_id: UUID | None
    client_version: str | None
    effort: str | None
    context_window: int | None

    @property
    def modes(self) -> str:
        """``thinking``, ``plan``, both or none."""
        return " ".join(name for name, on in (("thinking", self.has_thinking), ("plan", self.is_plan_mode)) if on)

    @property
    def ending(self) -> str:
        """What went wrong, or else why the reply stopped."""
        told = [] if self.outcome == "completed" else [self.outcome]
        told += [] if self.status_code in (None, 200) else [str(self.status_code)]
        told += [self.error_type] if self.error_type else []
        return " ".join(told) or self.stop_reason or self.outcome


class ForeignSessionError(Exception):
    """The id is taken by a session of another key."""


class EndedSessionError(Exception):
    """The session was ended by its owner before."""


async def start(connection: Connection, session_id: UUID, org_id: UUID, key_id: UUID, name: str | None) -> Session:
    """Start a session, or find the one of this id that the same key has started before.

    Raises:
        ForeignSessionError: the id is another key's.
    """
    if await connection.fetchval(question("claude_session_start"), session_id, org_id, key_id, name) is None:
        raise ForeignSessionError
    found = await session(connection, session_id, key_id)
    assert found is not None
    return found


async def end(connection: Connection, session_id: UUID, key_id: UUID) -> Session | None:
    """End a session of this key; None if it has no such session.

    Raises:
        EndedSessionError: it was ended before.
    """
    ended = await connection.fetchval(question("claude_session_end"), session_id, key_id)
    found = await session(connection, session_id, key_id)
    if ended is None and found is not None:
        raise EndedSessionError
    return found


async def session(
    connection: Connection, session_id: UUID, key_id: UUID | None = None, org_id: UUID | None = None
) -> Session | None:
    """One session; with ``key_id`` or ``org_id`` only if it is theirs."""
    row = await connection.fetchrow(question("claude_session"), session_id, key_id, org_id)
    return None if row is None else Session(**row)


async def latest_session(connection: Connection) -> UUID | None:
    """The session that was asked in last; None if there is none."""
    found: UUID | None = await connection.fetchval(question("claude_session_latest"))
    return found


async def sessions(
    connection: Connection, scope: Scope, limit: int, offset: int = 0, *, only_open: bool = False
) -> list[Session]:
    """Sessions that went on in ``scope``'s time, newest first; filters but those by key: with such a request in it."""
    parameters = Parameters()
    since, until = (parameters.put(bound, "timestamptz") for bound in scope.stretch)
    conditions = [f"s.started_at < {until}", f"coalesce(s.last_request_at, s.started_at) >= {since}"]
    if scope.org_id is not None:
        conditions.append(f"s.org_id = {parameters.put(scope.org_id, 'uuid')}")
    by_key = [chosen for chosen in scope.filters if chosen.dimension == _KEY]
    conditions += relations.matching(_SESSIONS, by_key, {}, parameters)
    if others := tuple(chosen for chosen in scope.filters if chosen.dimension != _KEY):
        of_requests = msgspec.structs.replace(scope, filters=others)
        conditions.append(cells.over_rows(of_requests, question("claude_session_has"), extra=parameters)[0])
    if only_open:
        conditions.append("s.ended_at IS NULL")
    statement = question("claude_sessions").format(
        conditions=" AND ".join(conditions),
        limit=parameters.put(min(limit, MOST_SESSIONS), "int"),
        offset=parameters.put(offset, "int"),
    )
    async with snapshot(connection):
        rows = await connection.fetch(statement, *parameters)
    return [Session(**row) for row in rows]


async def count_sessions(connection: Connection, key_id: UUID) -> int:
    """How many sessions a key has."""
    return int(
        await connection.fetchval("SELECT count(*) FROM claude_sessions WHERE majordomo_api_key_id = $1", key_id)
    )


async def requests(
    connection: Connection, of: Session, limit: int = MOST_REQUESTS, offset: int = 0
) -> list[SessionRequest]:
    """A session's requests, in the order in which they came."""
    rows = await connection.fetch(
        question("claude_session_requests"), of.id, of.majordomo_api_key_id, min(limit, MOST_REQUESTS), offset
    )
    return [SessionRequest(**row) for row in rows]


async def count_requests(connection: Connection, of: Session) -> int:
    """How many requests of a session are still there: retention drops old months."""
    count = "SELECT count(*) FROM llm_requests WHERE claude_session_id = $1 AND majordomo_api_key_id = $2"
    return int(await connection.fetchval(count, of.id, of.majordomo_api_key_id))
