"""What failed: by the provider's word for it, status, provider and model, each with its newest request."""

import datetime as dt
from typing import Final
from uuid import UUID

import msgspec

from majordomo.record.database import Connection
from majordomo.report.questions import cells
from majordomo.report.questions.cells import Scope
from majordomo.report.sql import question

MOST_KINDS: Final = 200
#: Failed rows lie far from each other, though in the order of time, which the planner takes for near: to look at their
#: metadata it would fetch all of them one by one, rather than those that an index on metadata has found.
_INDEX_SCANS: Final = "SET LOCAL enable_indexscan = {}"


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of failure."""

    error_type: str | None
    status_code: int | None
    outcome: str
    provider: str
    model: str | None
    requests: int
    first_at: dt.datetime
    last_at: dt.datetime
    sample_id: UUID
    sample_message: str | None


class Failures(msgspec.Struct, frozen=True):
    """The most frequent kinds, and how many requests and kinds there are in all."""

    kinds: list[Failure]
    all_requests: int
    all_kinds: int


async def failures(connection: Connection, scope: Scope, limit: int) -> Failures:
    """What failed in ``scope``; asked within a ``snapshot``."""
    by_metadata = any(chosen.dimension.is_metadata for chosen in scope.filters)
    if by_metadata:
        await connection.execute(_INDEX_SCANS.format("off"))
    statement, parameters = cells.over_rows(
        scope, question("errors"), failed=question("failed").strip(), limit=str(max(1, min(limit, MOST_KINDS)))
    )
    rows = await connection.fetch(statement, *parameters)
    if by_metadata:
        await connection.execute(_INDEX_SCANS.format("on"))
    kinds = [Failure(**{name: row[name] for name in Failure.__struct_fields__}) for row in rows]
    return Failures(kinds, rows[0]["all_requests"] if rows else 0, rows[0]["all_kinds"] if rows else 0)
