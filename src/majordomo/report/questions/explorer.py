"""The requests of a scope, newest first, page by page; rows that arrive meanwhile change no page that was begun."""

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
from majordomo.report.questions.requests import decoded
from majordomo.report.sql import question

DEFAULT_REQUESTS: Final = 50
MOST_REQUESTS: Final = 200  # of one page

#: A filter by a metadata key with more values than this finds few rows: they are looked up first and sorted then. With
#: fewer, the newest rows are walked until enough match.
_SELECTIVE_VALUES: Final = 200
_SELECTIVE: Final = frozenset((Dimension("session"), Dimension("run")))


class RequestLine(msgspec.Struct, frozen=True, kw_only=True):
    """One request, short. ``total_cost`` is USD, None where it is not known."""

    id: UUID
    requested_at: dt.datetime
    majordomo_api_key_id: UUID
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
    total_cost: Decimal | None
    response_time_ms: int | None
    time_to_first_byte_ms: int | None
    error_type: str | None
    client: str | None
    claude_session_id: UUID | None
    trace_id: str | None
    raw_metadata: dict[str, str]


class Page(msgspec.Struct, frozen=True):
    """Some requests, and where the next page begins; None after the last."""

    requests: list[RequestLine]
    next_cursor: str | None


async def explore(
    connection: Connection,
    scope: Scope,
    limit: int = DEFAULT_REQUESTS,
    cursor: str | None = None,
    *,
    errors: bool = False,
    unpriced: bool = False,
) -> Page:
    """The newest requests of ``scope`` behind ``cursor``; with ``errors`` or ``unpriced`` only such.

    Raises:
        CursorError: the cursor is not one that a page gave.
    """
    limit = max(1, min(limit, MOST_REQUESTS))
    columns = ", ".join(f"r.{name}" for name in RequestLine.__struct_fields__)
    statement, parameters = cells.over_rows(scope, question("explorer"), columns=columns)
    if errors:
        statement += f" AND ({question('failed').strip()})"
    if unpriced:
        statement += " AND r.total_cost IS NULL AND r.usage_state <> 'none'"
    if cursor is not None:
        at, last = read_cursor(cursor)
        request_id = read_uuid(last)
        if request_id is None:
            raise CursorError("this cursor is another list's; leave it out to begin anew")
        moment, last_id = parameters.put(at, "timestamptz"), parameters.put(request_id, "uuid")
        statement += f" AND r.requested_at <= {moment} AND (r.requested_at, r.id) < ({moment}, {last_id})"
    if _finds_few(scope):
        statement = f"WITH found AS MATERIALIZED ({statement}) TABLE found"
    order = "ORDER BY requested_at DESC, id DESC"
    rows = await connection.fetch(f"{statement} {order} LIMIT {parameters.put(limit + 1, 'int')}", *parameters)
    lines = [RequestLine(**decoded(row)) for row in rows[:limit]]
    return Page(lines, write_cursor(lines[-1].requested_at, str(lines[-1].id)) if len(rows) > limit else None)


def _finds_few(scope: Scope) -> bool:
    """Whether some filter keeps so few rows that finding them first is quicker than walking back through time."""
    for chosen in scope.filters:
        if chosen.leaves_out or None in chosen.values:
            continue
        known = scope.known.metadata.get(chosen.dimension.name) if chosen.dimension.is_metadata else None
        many = known is not None and known.approx_cardinality > _SELECTIVE_VALUES and known.indexed_since is not None
        if many or chosen.dimension in _SELECTIVE:
            return True
    return False
