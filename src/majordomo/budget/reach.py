"""What a budget's scope meets here: unknown keys are errors, what no request has shown so far is worth a warning."""

from typing import Any
from uuid import UUID

import asyncpg

from majordomo.budget.definition import BudgetError, Draft, define
from majordomo.budget.matching import like
from majordomo.budget.model import Budget
from majordomo.record.api_keys import ApiKeyError, find
from majordomo.record.database import Connection
from majordomo.record.rows import NIL_ORG

_NEVER_SEEN = "SELECT NOT EXISTS (SELECT FROM {table} WHERE {condition})"


async def with_key_ids(
    connection: Connection, draft: dict[str, Any], org_id: bytes | None = None
) -> tuple[dict[str, Any], bytes]:
    """The fields of a draft, its keys named by their ids, and the organisation that the budget is to belong to.

    That is ``org_id`` or, if it is None, the one of the keys, and the default one without keys.

    Raises:
        BudgetError: a key is unknown, revoked or another organisation's, or several have its name; with everything else
            that is wrong.
    """
    wrong, ids = [], []
    for named in draft.get("keys", []):
        try:
            key = await find(connection, named)
        except ApiKeyError as unknown:
            wrong.append(f"key: {unknown}")
            continue
        owner = (await connection.fetchval("SELECT org_id FROM api_keys WHERE id = $1", key.id) or UUID(int=0)).bytes
        if org_id is None:
            org_id = owner
        if owner != org_id:
            wrong.append(f"key: no key of this organisation has the id or name {named!r}")
        elif not key.is_active:
            wrong.append(f"key {key.name!r} ({key.id}) is revoked, so no request would meet the scope")
        ids.append(str(key.id))
    if "name" in draft and "limit" in draft:
        try:
            define(Draft(**{**draft, "keys": ids}), bytes(16), NIL_ORG)
        except BudgetError as more:
            wrong.append(str(more))
    if wrong:
        raise BudgetError("\n".join(wrong))
    return ({**draft, "keys": ids} if "keys" in draft else draft), org_id or NIL_ORG


async def warnings(connection: Connection, budget: Budget) -> list[str]:
    """What of the scope no request has met so far. It may come, or be misspelt."""
    scope = budget.scope
    found = []
    names = [*scope.metadata, *([scope.each] if scope.each is not None and scope.each[:1].isupper() else [])]
    for name in names:
        if await _never(connection, "llm_requests_metadata_keys", "key_name = $1", name):
            bound = await connection.fetchval("SELECT EXISTS (SELECT FROM api_keys WHERE metadata ? $1)", name)
            if not bound:
                found.append(f"no request has carried the metadata key {name!r} so far; see: majordomo metadata list")
    for pattern in scope.models:
        condition = 'lower(model COLLATE "C") LIKE $1'
        if await _never(connection, "usage_by_model_daily", condition, like(pattern)):
            found.append(f"no request has been answered by a model like {pattern!r} so far")
    for provider in scope.providers:
        if await _never(connection, "usage_by_model_daily", "provider = $1", provider):
            found.append(f"no request has gone to the provider {provider!r} so far")
    for session in scope.sessions:
        if await _never(connection, "claude_sessions", "id = $1::text::uuid", session):
            found.append(f"there has been no Claude Code session {session} so far")
    return found


async def _never(connection: Connection, table: str, condition: str, value: str) -> bool:
    asked: asyncpg.Record | None = await connection.fetchrow(
        _NEVER_SEEN.format(table=table, condition=condition), value
    )
    return asked is not None and bool(asked[0])
