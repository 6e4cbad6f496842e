"""Requests that were stored a moment ago, oldest first: those of these ids, or all behind one."""

import datetime as dt
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import msgspec

from majordomo.record.database import Connection
from majordomo.report.questions import cells
from majordomo.report.questions.cells import Scope
from majordomo.report.questions.explorer import RequestLine
from majordomo.report.questions.filters import Filter
from majordomo.report.questions.relations import Parameters
from majordomo.report.questions.requests import decoded
from majordomo.report.questions.scope import BEGINNING, END
from majordomo.report.sql import question

#: How far behind one request others are looked for, and how much earlier they may have begun: a request is stored when
#: it ends, and some take minutes.
_BACK: Final = dt.timedelta(hours=1)
_LONGEST: Final = dt.timedelta(minutes=15)
#: How far the time in an id may be from the request's own.
_SKEW: Final = dt.timedelta(hours=1)

_COLUMNS: Final = ", ".join(f"r.{name}" for name in RequestLine.__struct_fields__)
_NAMES: Final = "SELECT id, name FROM api_keys WHERE id = ANY ($1::uuid[])"
_STORED: Final = "SELECT created_at FROM llm_requests WHERE id = $1 AND org_id = $2"


class NamedLine(msgspec.Struct, frozen=True):
    """A request, and the name of its gateway key; None where that is gone."""

    request: RequestLine
    key_name: str | None


class Behind(msgspec.Struct, frozen=True):
    """What was stored behind a request; ``more``: before these, there were others."""

    lines: list[NamedLine]
    more: bool


async def named(
    connection: Connection, org_id: UUID, filters: tuple[Filter, ...], ids: Sequence[UUID]
) -> list[NamedLine]:
    """Those of these requests that the organisation has and that pass, in the order in which they were stored."""
    since, until = _bounds(ids)
    scope = Scope(org_id=org_id, since=since, until=until, filters=filters)
    statement, parameters = cells.over_rows(scope, question("explorer"), columns=_COLUMNS)
    statement += f" AND r.id = ANY ({parameters.put(list(ids), 'uuid[]')}) ORDER BY r.created_at, r.id"
    return await _lines(connection, statement, parameters)


async def behind(
    connection: Connection, org_id: UUID, filters: tuple[Filter, ...], last: UUID, now: dt.datetime, limit: int
) -> Behind | None:
    """What was stored behind ``last``, the newest ``limit`` of it; None if the organisation has no such request."""
    stored: dt.datetime | None = await connection.fetchval(_STORED, last, org_id)
    if stored is None:
        return None
    since = max(stored, now - _BACK) - _LONGEST
    scope = Scope(org_id=org_id, since=since, filters=filters)
    statement, parameters = cells.over_rows(scope, question("explorer"), columns=_COLUMNS)
    moment, request_id = parameters.put(stored, "timestamptz"), parameters.put(last, "uuid")
    statement += f" AND (r.created_at, r.id) > ({moment}, {request_id}) ORDER BY r.created_at DESC, r.id DESC"
    statement += f" LIMIT {parameters.put(limit + 1, 'int')}"
    lines = await _lines(connection, statement, parameters)
    return Behind(lines[:limit][::-1], len(lines) > limit or stored < now - _BACK)


async def _lines(connection: Connection, statement: str, parameters: Parameters) -> list[NamedLine]:
    lines = [RequestLine(**decoded(row)) for row in await connection.fetch(statement, *parameters)]
    keys = {line.majordomo_api_key_id for line in lines}
    names = {row["id"]: row["name"] for row in await connection.fetch(_NAMES, keys)} if keys else {}
    return [NamedLine(line, names.get(line.majordomo_api_key_id)) for line in lines]


def _bounds(ids: Sequence[UUID]) -> tuple[dt.datetime, dt.datetime]:
    """Between which times such ids are made, so that few partitions are looked into."""
    if not ids or any(one.version != 7 for one in ids):
        return BEGINNING, END
    stamps = [one.int >> 80 for one in ids]
    try:
        first, last = (BEGINNING + dt.timedelta(milliseconds=stamp) for stamp in (min(stamps), max(stamps)))
        return max(first, BEGINNING + _SKEW) - _SKEW, min(last, END - _SKEW) + _SKEW
    except OverflowError:  # an id of the far future
        return BEGINNING, END
