"""The requests themselves: the newest, or one with every field and its cost by bucket."""

import datetime as dt
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from majordomo.record.database import Connection
from majordomo.report.questions.scope import Scope
from majordomo.report.questions.snapshot import snapshot
from majordomo.report.sql import question

DEFAULT_REQUESTS = 20
MOST_REQUESTS = 10_000  # rows that one answer may hold in memory


class RequestLine(msgspec.Struct, frozen=True, kw_only=True):
    """One request, short. ``total_cost`` is USD, None where it is not known."""

    id: UUID
    requested_at: dt.datetime
    majordomo_api_key_id: UUID
    key_name: str | None  # None: the key no longer exists
    provider: str
    model: str | None
    status_code: int | None
    outcome: str
    usage_state: str
    prompt_tokens: int | None
    output_tokens: int | None
    total_cost: Decimal | None
    response_time_ms: int | None
    error_type: str | None


async def requests(
    connection: Connection, scope: Scope, limit: int = DEFAULT_REQUESTS, *, errors: bool = False, unpriced: bool = False
) -> list[RequestLine]:
    """The newest requests in ``scope``, newest first; with ``errors`` or ``unpriced`` only such."""
    async with snapshot(connection):
        rows = await connection.fetch(
            question("requests"),
            *scope.stretch,
            *scope.filters,
            errors,
            unpriced,
            max(1, min(limit, MOST_REQUESTS)),
        )
    return [RequestLine(**row) for row in rows]


async def request(connection: Connection, request_id: UUID, org_id: UUID | None = None) -> dict[str, Any] | None:
    """Every column of one row by its name, ``key_name`` besides, the JSON ones decoded; None if there is none (of this
    organisation).

    Numbers inside JSON columns keep their digits: those with a fraction are ``Decimal``.
    """
    row = await connection.fetchrow(question("request"), request_id, org_id)
    if row is None:
        return None
    return decoded(row)


def decoded(row: asyncpg.Record) -> dict[str, Any]:
    """A row's columns by name, the JSON ones decoded."""
    return {
        name: _DECODER.decode(value) if name in _JSON_COLUMNS and value is not None else value
        for name, value in row.items()
    }


async def latest_request(connection: Connection) -> UUID | None:
    """The id of the newest request; None if there is none."""
    found: UUID | None = await connection.fetchval(question("request_latest"))
    return found


_JSON_COLUMNS = ("usage", "billed", "raw_metadata", "indexed_metadata", "overridden_metadata")
_DECODER = msgspec.json.Decoder(float_hook=Decimal)
