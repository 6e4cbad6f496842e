"""Organisations with everything that one can have, every text of it marked, and the ways in which each may ask."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
from recorded_rows import HOUR_US, Exchange, exchange, in_session, record, varied
from usage_book import SPAN_US, START_US

from majordomo.admit.refusal import BUDGET_CODES
from majordomo.admit.vault import Vault
from majordomo.budget import store
from majordomo.budget.definition import Draft
from majordomo.clock import wall_us
from majordomo.ids import new_uuid
from majordomo.meter.claude_code import ClaudeDetails
from majordomo.meter.reading import UsageState
from majordomo.record import api_keys, proxy_keys, sign_in, users
from majordomo.record.database import Connection, connect
from majordomo.record.frames import Outcome
from majordomo.record.users import DEFAULT_ORG
from majordomo.report.questions import claude_sessions, metadata_keys

COSTS = (10**12, 0, 0, 7 * 10**12, 0)


class Peopled(msgspec.Struct, frozen=True, kw_only=True):
    """One organisation. ``ids`` are of what belongs to it, by the names that paths of the API have for them."""

    mark: str
    org_id: UUID
    admin_token: str
    member_token: str
    cookie: str  # of the admin's session
    csrf_token: str
    key: str
    ids: dict[str, str]
    every_id: frozenset[str]  # of any row of it

    def headers(self, who: str) -> dict[str, str]:
        """What ``admin``, ``member``, ``key``, ``browser`` or ``nobody`` of it sends to be known."""
        return {
            "admin": {"Authorization": f"Bearer {self.admin_token}"},
            "member": {"Authorization": f"Bearer {self.member_token}"},
            "key": {"X-Majordomo-Key": self.key},
            "browser": {"Cookie": f"majordomo_session={self.cookie}", "X-CSRF-Token": self.csrf_token},
            "nobody": {},
        }[who]


def people(dsn: str, folder: Path, mark: str | None) -> Peopled:
    """A new organisation, or with None the one that is always there, unmarked."""

    async def run() -> Peopled:
        connection = await connect(dsn, purpose="tests")
        try:
            return await _people(connection, dsn, folder, mark)
        finally:
            await connection.close()

    return asyncio.run(run())


async def _people(connection: Connection, dsn: str, folder: Path, mark: str | None) -> Peopled:
    word = mark or "ours"
    org_id = DEFAULT_ORG if mark is None else (await users.create_org(connection, f"{word} org")).id
    admin = await users.create(connection, org_id, f"admin@{word}.example", f"{word} admin", "admin")
    member = await users.create(connection, org_id, f"member@{word}.example", f"{word} member", "member")
    other = await users.create(connection, org_id, f"other@{word}.example", f"{word} other", "member")
    admin_token, _ = await sign_in.make_token(connection, admin, f"{word} admin token")
    member_token, _ = await sign_in.make_token(connection, member, f"{word} member token")
    _, spare_token = await sign_in.make_token(connection, admin, f"{word} spare token")
    cookie = await sign_in.begin_session(connection, admin.id)
    session = await sign_in.session(connection, cookie)
    assert session is not None
    made = await api_keys.create(connection, f"{word} key", f"{word} words", org_id=org_id)
    spare = await api_keys.create(connection, f"{word} spare", metadata={"Team": f"{word}-team"}, org_id=org_id)
    key_id = made.key.id
    proxy_key = (await proxy_keys.create(connection, f"{word} proxy key", f"{word} words", org_id)).key
    await proxy_keys.put_credential(connection, proxy_key, "openai", f"{word}-credential", Vault(folder / "vault"))
    claude = new_uuid(START_US)
    await claude_sessions.start(connection, claude, org_id, key_id, f"{word} session")
    await asyncio.to_thread(record, dsn, folder / word, _traffic(word, org_id, key_id, claude))
    await metadata_keys.activate(connection, "Feature", (key_id,))
    budget = await store.create(
        connection, Draft(name=f"{word} budget", limit="5", keys=[str(key_id)]), admin.email, org_id=org_id.bytes
    )
    full = Draft(name=f"{word} full budget", limit="1", unit="requests", window="lifetime")  # of them: near, and over
    await store.create(connection, full, admin.email, org_id=org_id.bytes)
    requests = await connection.fetch("SELECT id FROM llm_requests WHERE org_id = $1 ORDER BY id", org_id)
    uuids = {
        "user_id": str(other.id),
        "token_id": str(spare_token.id),
        "key_id": str(spare.key.id),
        "proxy_key_id": str(proxy_key.id),
        "session_id": str(claude),
        "request_id": str(requests[0]["id"]),
        "budget": str(UUID(bytes=budget.id)),
        "journal_id": str(new_uuid(START_US)),
    }
    ids = {**uuids, "trace_id": f"{word}-run", "name": f"Own-{word.title()}", "provider": "openai"}
    further = [admin.id, member.id, key_id, *(row["id"] for row in requests)]
    return Peopled(
        mark=word,
        org_id=org_id,
        admin_token=admin_token,
        member_token=member_token,
        cookie=cookie,
        csrf_token=session.csrf_token,
        key=made.secret,
        ids=ids,
        every_id=frozenset([*uuids.values(), *map(str, further)]),
    )


def _traffic(word: str, org_id: UUID, key_id: UUID, claude: UUID) -> list[Any]:
    """Requests of all kinds, each with the mark in provider, model, alias, metadata, run, error and tool."""
    details = ClaudeDetails(message_count=3, tool_names=(f"{word}_tool",), tool_use_count=1, query_class="main")
    made = varied(60, START_US, SPAN_US)
    made += [exchange(START_US + n, key=key_id, costs=COSTS, metadata={"Feature": f"{word}-f"}) for n in range(5)]
    found = []
    for number, one in enumerate(made):
        opening, close = in_session(one, claude, details) if number % 3 == 0 else one
        metadata = {name: f"{word}-{value}" for name, value in opening.metadata.items()}
        found.append(
            (
                msgspec.structs.replace(
                    opening,
                    org_id=org_id.bytes,
                    api_key_id=key_id.bytes,
                    provider_key_alias=f"{word}-alias",
                    metadata={**metadata, f"Own-{word.title()}": word},
                    trace_id=f"{word}-run" if number % 4 == 0 else None,
                    span_path=f"{word}/span" if number % 4 == 0 else None,
                ),
                close
                and msgspec.structs.replace(
                    close,
                    model=close.model and f"{word}-{close.model}",
                    error_type=close.error_type and f"{word}_error",
                    error_message=close.error_type and f"{word} said no",
                ),
            )
        )
    return [*found, _refused(word, org_id, key_id)]


def _refused(word: str, org_id: UUID, key_id: UUID) -> Exchange:
    """A request that a budget has just refused, told as the gate tells it."""
    made = exchange(wall_us() - HOUR_US, key=key_id, outcome=Outcome.REFUSED, status=402, state=UsageState.NONE)
    opening, close = made
    assert close is not None
    close = msgspec.structs.replace(
        close, error_type=min(BUDGET_CODES), error_message=f"the budget '{word} full budget' is spent"
    )
    return msgspec.structs.replace(opening, org_id=org_id.bytes), close
