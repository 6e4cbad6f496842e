"""What a budget's scope meets here: what nobody knows is an error, metadata that no request has shown a warning."""

import re
from collections.abc import Collection
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from majordomo.budget.definition import BudgetError, Draft, define
from majordomo.budget.matching import like, model_matches
from majordomo.budget.model import Budget
from majordomo.price.card import PriceBook
from majordomo.price.matching import matches
from majordomo.record.api_keys import ApiKeyError, find
from majordomo.record.database import Connection
from majordomo.record.rows import NIL_ORG

#: Where a pattern stops saying what it means. A model is known by what stands before, too: prices are listed without
#: the dates of revisions.
_WILD = re.compile(r"[*?]")


class Known(NamedTuple):
    """Providers and models that need not have been seen to be there."""

    providers: frozenset[str]
    prices: PriceBook

    def model(self, pattern: str) -> bool:
        """Whether a model with a listed price is meant by a pattern, or has a revision that may be."""
        told = _WILD.split(pattern.lower(), maxsplit=1)[0]
        for provider in self.prices.catalogue.providers():
            for model in self.prices.catalogue.models(provider):
                revision = told.startswith((f"{model.id.lower()}-", f"{model.id.lower()}@"))
                if revision or model_matches(pattern, model.id) or matches(model.match, told):
                    return True
        own = (name for layer in self.prices.layers for rule in layer.rates if rule.new_model for name in rule.models)
        aliases = (rule.model for layer in self.prices.layers for rule in layer.alias)
        return any(model_matches(pattern, name) or model_matches(name, pattern) for name in (*own, *aliases))


_NEVER_SEEN = "SELECT NOT EXISTS (SELECT FROM {table} WHERE org_id = $1 AND {condition})"


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


async def check(
    connection: Connection, budget: Budget, known: Known, fields: Collection[str], *, allow_unseen: bool = False
) -> list[str]:
    """What of the scope no request has met so far, for people; it may come, or be misspelt.

    Models, providers and sessions that nobody knows are errors, unless they are expected: ``allow_unseen``. Metadata
    comes into being with the first request that carries it, so there a word must do. Only ``fields`` of the draft are
    looked at: those that are new.

    Raises:
        BudgetError: the scope meets nothing, or cannot meet anything.
    """
    never: list[str] = []
    if "keys" in fields or "metadata" in fields:
        never += await _contradictions(connection, budget)
    unseen = await _unseen(connection, budget, known, fields)
    if unseen and not allow_unseen:
        hint = "if that is meant, say so: --allow-unseen, or allow_unseen over HTTP"
        never += [f"{finding}; {hint}" for finding in unseen]
    if never:
        raise BudgetError("\n".join(never))
    return [*unseen, *(await _untold(connection, budget))]


async def _contradictions(connection: Connection, budget: Budget) -> list[str]:
    """Metadata that the owner of every key of the scope has set otherwise, so that no caller can say it."""
    scope = budget.scope
    if not scope.keys or not scope.metadata:
        return []
    found = []
    rows = await connection.fetch(
        "SELECT name, metadata FROM api_keys WHERE id = ANY($1::uuid[])", [UUID(bytes=key) for key in scope.keys]
    )
    bound = [(row["name"], msgspec.json.decode(row["metadata"], type=dict[str, str])) for row in rows]
    for name, value in scope.metadata.items():
        if bound and all(metadata.get(name, value) != value for _, metadata in bound):
            key, metadata = bound[0]
            found.append(
                f"metadata {name}={value}: the key {key!r} has {name}={metadata[name]} bound to it, so no request "
                "would meet the scope"
            )
    return found


async def _unseen(connection: Connection, budget: Budget, known: Known, fields: Collection[str]) -> list[str]:
    scope = budget.scope
    found = []
    for pattern in scope.models if "models" in fields else ():
        condition = 'lower(model COLLATE "C") LIKE $2'
        if not known.model(pattern) and await _never(
            connection, budget, "usage_by_model_daily", condition, like(pattern)
        ):
            found.append(f"model {pattern!r}: no price list has one like it, and none has answered so far")
    for provider in scope.providers if "providers" in fields else ():
        if provider not in known.providers and await _never(
            connection, budget, "usage_by_model_daily", "provider = $2", provider
        ):
            names = ", ".join(sorted(known.providers))
            found.append(f"provider {provider!r}: none has this name, and none had so far; known are {names}")
    for session in scope.sessions if "sessions" in fields else ():
        if await _never(connection, budget, "claude_sessions", "id = $2::text::uuid", session):
            found.append(f"session {session}: there has been no such Claude Code session so far")
    return found


async def _untold(connection: Connection, budget: Budget) -> list[str]:
    scope = budget.scope
    found = []
    names = [*scope.metadata, *([scope.each] if scope.each is not None and scope.each[:1].isupper() else [])]
    for name in names:
        if await _never(connection, budget, "llm_requests_metadata_keys", "key_name = $2", name):
            bound = await connection.fetchval(
                "SELECT EXISTS (SELECT FROM api_keys WHERE org_id = $1 AND metadata ? $2)",
                UUID(bytes=budget.org_id),
                name,
            )
            if not bound:
                found.append(f"no request has carried the metadata key {name!r} so far; see: majordomo metadata list")
    return found


async def _never(connection: Connection, budget: Budget, table: str, condition: str, value: str) -> bool:
    asked: asyncpg.Record | None = await connection.fetchrow(
        _NEVER_SEEN.format(table=table, condition=condition), UUID(bytes=budget.org_id), value
    )
    return asked is not None and bool(asked[0])
