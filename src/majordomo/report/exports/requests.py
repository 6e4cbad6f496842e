"""The requests of a scope as rows of a file: the columns of ``llm_requests`` by their names, oldest first."""

from collections.abc import AsyncIterator
from typing import Any, Final

from majordomo.record.database import Connection
from majordomo.report.exports.columns import Column, Kind, Row
from majordomo.report.exports.cursor import batches
from majordomo.report.questions import cells
from majordomo.report.questions.cells import Scope
from majordomo.report.sql import question

_TEXT, _JSON, _INTEGER, _DECIMAL, _TIME, _BOOLEAN = Kind

#: Left out: bodies and where they are kept, what the gateway only needs itself, and ``indexed_metadata``, which is a
#: part of ``raw_metadata``.
COLUMNS: Final = (
    Column("id", _TEXT),
    Column("org_id", _TEXT),
    Column("majordomo_api_key_id", _TEXT),
    Column("key_name", _TEXT),  # the gateway key's name; not in the table
    Column("provider_api_key_hash", _TEXT),
    Column("provider_api_key_alias", _TEXT),
    Column("provider", _TEXT),
    Column("model", _TEXT),
    Column("requested_model", _TEXT),
    Column("api", _TEXT),
    Column("request_method", _TEXT),
    Column("request_path", _TEXT),
    Column("requested_at", _TIME),
    Column("responded_at", _TIME),
    Column("response_time_ms", _INTEGER),
    Column("time_to_first_byte_ms", _INTEGER),
    Column("status_code", _INTEGER),
    Column("outcome", _TEXT),
    Column("streamed", _BOOLEAN),
    Column("input_tokens", _INTEGER),
    Column("output_tokens", _INTEGER),
    Column("cached_tokens", _INTEGER),
    Column("cache_creation_tokens", _INTEGER),
    Column("cache_creation_5m_tokens", _INTEGER),
    Column("cache_creation_1h_tokens", _INTEGER),
    Column("reasoning_tokens", _INTEGER),
    Column("prompt_tokens", _INTEGER),
    Column("usage_state", _TEXT),
    Column("service_tier", _TEXT),
    Column("input_cost", _DECIMAL),
    Column("output_cost", _DECIMAL),
    Column("cache_read_cost", _DECIMAL),
    Column("cache_creation_cost", _DECIMAL),
    Column("tool_cost", _DECIMAL),
    Column("total_cost", _DECIMAL),
    Column("price_version", _TEXT),
    Column("model_alias_found", _BOOLEAN),
    Column("error_type", _TEXT),
    Column("error_message", _TEXT),
    Column("problems", _JSON),
    Column("raw_metadata", _JSON),
    Column("overridden_metadata", _JSON),
    Column("client", _TEXT),
    Column("claude_session_id", _TEXT),
    Column("agent_id", _TEXT),
    Column("parent_agent_id", _TEXT),
    Column("trace_id", _TEXT),
    Column("span_path", _TEXT),
    Column("span_name", _TEXT),
    Column("usage", _JSON),
    Column("billed", _JSON),
)

_SELECTED: Final = {
    "key_name": "r.majordomo_api_key_id::text AS key_name",  # looked up in what is known anyway
    "problems": "to_json(r.problems)::text AS problems",
    **{name: f"r.{name}::text AS {name}" for name in ("id", "org_id", "majordomo_api_key_id", "claude_session_id")},
}
_KEY_NAME: Final = [column.name for column in COLUMNS].index("key_name")


async def request_rows(connection: Connection, scope: Scope) -> AsyncIterator[list[Row]]:
    """Every request of ``scope``, in batches; within a ``snapshot``."""
    columns = ", ".join(_SELECTED.get(column.name, f"r.{column.name}") for column in COLUMNS)
    statement, parameters = cells.over_rows(scope, question("explorer"), columns=columns)
    ordered = f"{statement} ORDER BY r.requested_at, r.id"
    async for found in batches(connection, "export_requests", ordered, parameters):
        yield [_named(row, scope) for row in found]


def _named(row: Any, scope: Scope) -> Row:
    values = list(row.values())
    values[_KEY_NAME] = scope.known.keys.get(values[_KEY_NAME])
    return values
