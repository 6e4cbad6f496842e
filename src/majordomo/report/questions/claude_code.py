"""What an organisation's use of Claude Code came to: its modes, its tools, its sessions."""

import datetime as dt
from decimal import Decimal
from typing import Final
from uuid import UUID

import msgspec

from majordomo.ids import read_uuid
from majordomo.record.database import Connection
from majordomo.report.questions import cells
from majordomo.report.questions.cells import Scope
from majordomo.report.questions.cursors import CursorError, read_cursor, write_cursor
from majordomo.report.questions.dimensions import Dimension
from majordomo.report.questions.relations import Parameters
from majordomo.report.sql import question

MOST_TOOLS: Final = 200
DEFAULT_SESSIONS: Final = 50
MOST_SESSIONS: Final = 200  # of one page

#: Whatever is grouped by it is read together with the details of Claude Code's.
_WITH_DETAILS: Final = Dimension("query_class")


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """Requests that Claude Code sent. ``*_cost`` is USD; ``usage_cost`` what its own /usage books, in its doubles."""

    requests: int
    sessions: int
    thinking_requests: int
    thinking_cost: Decimal
    plan_mode_requests: int
    plan_mode_cost: Decimal
    subagent_requests: int
    subagent_cost: Decimal
    tool_uses: int
    total_cost: Decimal
    usage_cost: float


class Tool(msgspec.Struct, frozen=True):
    """What the replies that called one tool cost (USD); None: those that called none."""

    tool: str | None
    requests: int
    total_cost: Decimal


class SessionLine(msgspec.Struct, frozen=True, kw_only=True):
    """A session, and what those of its requests cost that were asked about."""

    id: UUID
    majordomo_api_key_id: UUID
    key_name: str | None
    session_name: str | None
    started_at: dt.datetime
    ended_at: dt.datetime | None
    ended_by: str | None
    source: str
    requests: int
    total_cost: Decimal
    usage_cost: float
    prompt_tokens: int
    output_tokens: int
    last_at: dt.datetime


class Page(msgspec.Struct, frozen=True):
    """Some sessions, and where the next page begins; None after the last."""

    sessions: list[SessionLine]
    next_cursor: str | None


async def work(connection: Connection, scope: Scope) -> tuple[Work, list[Tool]]:
    """All of Claude Code's requests in ``scope``, and the tools that their replies called, costliest first."""
    statement, parameters = cells.over_rows(scope, question("claude_code"), _WITH_DETAILS)
    row = await connection.fetchrow(statement, *parameters)
    assert row is not None
    statement, parameters = cells.over_rows(scope, question("claude_code_tools"), _WITH_DETAILS, limit=str(MOST_TOOLS))
    tools = await connection.fetch(statement, *parameters)
    return Work(**row), [Tool(**tool) for tool in tools]


async def sessions(
    connection: Connection, scope: Scope, limit: int = DEFAULT_SESSIONS, cursor: str | None = None
) -> Page:
    """Sessions with requests in ``scope``, the last asked in first.

    Raises:
        CursorError: the cursor is not one that a page gave.
    """
    limit = max(1, min(limit, MOST_SESSIONS))
    parameters = Parameters()
    behind = "true" if cursor is None else _behind(cursor, parameters)
    statement, parameters = cells.over_rows(
        scope,
        question("claude_code_sessions"),
        _WITH_DETAILS,
        extra=parameters,
        behind=behind,
        limit=str(limit + 1),
    )
    rows = await connection.fetch(statement, *parameters)
    lines = [SessionLine(**row) for row in rows[:limit]]
    return Page(lines, write_cursor(lines[-1].last_at, str(lines[-1].id)) if len(rows) > limit else None)


def _behind(cursor: str, parameters: Parameters) -> str:
    at, last = read_cursor(cursor)
    session_id = read_uuid(last)
    if session_id is None:
        raise CursorError("this cursor is another list's; leave it out to begin anew")
    return f"(a.last_at, s.id) < ({parameters.put(at, 'timestamptz')}, {parameters.put(session_id, 'uuid')})"
