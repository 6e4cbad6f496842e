"""A gateway with two developers' keys and a small, known history for the documented SQL to be asked about."""

import asyncio
import datetime as dt
import http.client
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import msgspec
import pytest
from gateway_fixture import Gateway, running_gateway

from majordomo.record.postgres_server import PostgresServer

SQL = Path(__file__).with_name("sql")
USD = Decimal

CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"
GEMINI = "/v1beta/models/gemini-2.5-flash:generateContent"


class Turn(msgspec.Struct, frozen=True):
    """What a turn of Claude Code's has besides: its mode, and what the reply holds."""

    tools: tuple[str, ...] = ()
    thinking: bool = False
    planning: bool = False

    @property
    def stop_reason(self) -> str:
        """As Anthropic says it."""
        return "tool_use" if self.tools else "end_turn"


class Asked(msgspec.Struct, frozen=True):
    """One request of the history, with what it costs by hand. ``cost`` None: no price is known."""

    developer: str  # whose key
    path: str
    model: str
    tokens: tuple[int, int]  # in, out
    cost: Decimal | None
    metadata: dict[str, str]
    days_ago: int = 0
    status: int = 200
    provider: str | None = None
    turn: Turn | None = None  # of the one session of Claude Code's


#: The session that the companion named for all turns.
SESSION = "5e5510aa-0000-4000-8000-000000000001"
PLAN_MODE = "<system-reminder>\nPlan mode is active. The user does not want you to execute yet.\n</system-reminder>"

# USD per million: gpt-4o-mini 0.15 and 0.60, claude-haiku-4-5 1 and 5, gemini-2.5-flash 0.30 and 2.50
HISTORY = (
    # 1000 x 0.15 + 100 x 0.60 = 210 millionths
    Asked("Alice", CHAT, "gpt-4o-mini", (1000, 100), USD("0.00021"),
          {"Feature": "chat", "Team": "support", "User-Id": "u1", "Developer": "alice", "Project": "web-shop"}),
    # 2000 x 0.15 + 500 x 0.60 = 600; the same keys in other spellings
    Asked("Alice", CHAT, "gpt-4o-mini", (2000, 500), USD("0.0006"),
          {"FEATURE": "chat", "team": "support", "uSER-iD": "u2", "developer": "alice"}),
    # 3000 x 1 + 700 x 5 = 6500
    Asked("Bob", MESSAGES, "claude-haiku-4-5", (3000, 700), USD("0.0065"),
          {"Feature": "document-review", "Team": "legal", "User-Id": "u1", "Developer": "bob", "Project": "shop-api"},
          turn=Turn(("Bash", "Read"), thinking=True)),
    # 100 x 1 + 20 x 5 = 200
    Asked("Bob", MESSAGES, "claude-haiku-4-5", (100, 20), USD("0.0002"),
          {"Feature": "document-review", "Team": "legal", "User-Id": "u3", "Project": "shop-api"},
          turn=Turn(("Read",), planning=True)),
    # 500 x 0.30 + 200 x 2.50 = 650
    Asked("Alice", GEMINI, "gemini-2.5-flash", (500, 200), USD("0.00065"),
          {"Feature": "email-drafting", "Team": "growth", "User-Id": "u2", "Project": "web-shop"}),
    # a model that nobody has a price for: unknown, not 0
    Asked("Bob", CHAT, "house-llama-7b", (10, 10), None,
          {"Feature": "labels", "Team": "platform", "User-Id": "u4", "Developer": "carol"}, provider="baseten"),
    # refused by the provider: nothing was used, nothing is owed
    Asked("Alice", CHAT, "gpt-4o-mini", (0, 0), USD("0"), {"Feature": "chat", "User-Id": "u5"}, status=429),
    # 333 x 0.15 + 11 x 0.60 = 56.55; no metadata at all
    Asked("Bob", CHAT, "gpt-4o-mini", (333, 11), USD("0.00005655"), {}),
    # 4000 x 0.15 + 1000 x 0.60 = 1200, eight days ago
    Asked("Alice", CHAT, "gpt-4o-mini", (4000, 1000), USD("0.0012"),
          {"Feature": "chat", "Team": "support", "User-Id": "u1", "Developer": "alice"}, days_ago=8),
    # 9000 x 1 + 2000 x 5 = 19000, four months ago
    Asked("Bob", MESSAGES, "claude-haiku-4-5", (9000, 2000), USD("0.019"),
          {"Feature": "document-review", "Team": "legal", "User-Id": "u6", "Developer": "bob"}, days_ago=125,
          turn=Turn(thinking=True)),
)  # fmt: skip


class Row(msgspec.Struct, frozen=True):
    """One request of the history and what the gateway itself noted of it."""

    asked: Asked
    id: str
    requested_at: dt.datetime
    response_time_ms: int

    def tag(self, name: str) -> str | None:
        """A metadata value under the key's canonical name."""
        return next((value for key, value in self.asked.metadata.items() if key.title() == name), None)


class Past:
    """The history as it is in the database, and the door to ask about it."""

    def __init__(self, gateway: Gateway, keys: dict[str, Any], rows: list[Row]) -> None:
        self.gateway = gateway
        self.keys = keys
        self.rows = rows
        self.session = SESSION

    def ask(self, name: str, **replaced: str) -> list[tuple[Any, ...]]:
        """The answer to ``sql/NAME.sql``, run word for word (but for a placeholder that the document names as one)."""
        text = (SQL / f"{name}.sql").read_text()
        for placeholder, value in replaced.items():
            assert placeholder.replace("_", "-") in text
            text = text.replace(placeholder.replace("_", "-"), value)
        return [tuple(row) for row in self.gateway.sql(text)]


@pytest.fixture(scope="session")
def past(postgres_server: PostgresServer) -> Iterator[Past]:
    """The history, made by real requests; the older ones are then moved back in time."""
    with running_gateway(postgres_server, "seeds") as gateway:
        keys = {name: gateway.create_key(name) for name in ("Alice", "Bob")}
        _activate_feature(gateway, keys["Bob"])
        ids = [_send(gateway, keys[asked.developer]["key"], asked) for asked in HISTORY]
        gateway.wait_for_rows(len(ids))
        asyncio.run(_age(gateway.dsn, ids))
        rows = [_noted(gateway, asked, id_) for asked, id_ in zip(HISTORY, ids, strict=True)]
        yield Past(gateway, keys, rows)


def _send(gateway: Gateway, key: str, asked: Asked) -> str:
    """Make the request; the id that the gateway gave it."""
    headers = {f"X-Majordomo-{name}": value for name, value in asked.metadata.items()}
    headers |= {"X-Majordomo-Key": key, "x-script": json.dumps(_script(asked))}
    if asked.provider is not None:
        headers["X-Majordomo-Provider"] = asked.provider
    texts = ["Hello"]
    if asked.turn is not None:
        headers["X-Majordomo-Client"] = "claude-code"
        headers["X-Majordomo-ClaudeCode-Session-Id"] = SESSION
        headers["User-Agent"] = "claude-cli/2.1.197 (external, cli)"
        texts += [PLAN_MODE] if asked.turn.planning else []
    messages = [{"role": "user", "content": [{"type": "text", "text": text} for text in texts]}]
    body = {"model": asked.model, "max_tokens": 100, "messages": messages}
    connection = http.client.HTTPConnection(urlsplit(gateway.base_url).netloc, timeout=30)
    try:
        connection.request("POST", asked.path, json.dumps(body), headers)
        reply = connection.getresponse()
        reply.read()
        assert reply.status == asked.status
        return reply.headers["X-Majordomo-Request-Id"]
    finally:
        connection.close()


def _script(asked: Asked) -> dict[str, Any]:
    given, got = asked.tokens
    if asked.path == CHAT:
        usage = {"prompt_tokens": given, "completion_tokens": got, "total_tokens": given + got}
    elif asked.path == MESSAGES:
        usage = {"input_tokens": given, "output_tokens": got}
    else:
        usage = {"promptTokenCount": given, "candidatesTokenCount": got, "totalTokenCount": given + got}
    script = {"status": asked.status, "usage": usage, "delay_ms": 20}
    if asked.turn is not None:
        script["tools"] = [{"name": name} for name in asked.turn.tools]
        script["thinking"] = "Let me see." if asked.turn.thinking else None
    return script


def _activate_feature(gateway: Gateway, key: dict[str, Any]) -> None:
    """Have ``Feature`` of one key indexed, and wait until new rows are."""
    probe = Asked("Bob", CHAT, "gpt-4o-mini", (1, 1), None, {"Feature": "probe", "Probe": "1"})
    activate = "UPDATE llm_requests_metadata_keys SET is_active = true, activated_at = now() WHERE key_name = 'Feature'"
    indexed = "SELECT count(*) FROM llm_requests WHERE indexed_metadata <> '{}'"
    _send(gateway, key["key"], probe)
    gateway.wait_for_rows(1)
    gateway.sql(activate)
    sent = 1
    while not gateway.sql(indexed)[0][0]:
        assert sent < 50, "the activated key is not copied to indexed_metadata"
        _send(gateway, key["key"], probe)
        sent += 1
        gateway.wait_for_rows(sent)
    gateway.sql("DELETE FROM llm_requests WHERE raw_metadata ? 'Probe'")


async def _age(dsn: str, ids: list[str]) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for asked, id_ in zip(HISTORY, ids, strict=True):
            if asked.days_ago:
                for table, moment in (("llm_requests", "requested_at"), ("claude_request_details", "created_at")):
                    earlier = f"UPDATE {table} SET {moment} = {moment} - make_interval(days => $2)"
                    await connection.execute(f"{earlier} WHERE id = $1::text::uuid", id_, asked.days_ago)
    finally:
        await connection.close()


def _noted(gateway: Gateway, asked: Asked, id_: str) -> Row:
    ((requested_at, took),) = gateway.sql(
        "SELECT requested_at, response_time_ms FROM llm_requests WHERE id = $1::text::uuid", id_
    )
    return Row(asked, id_, requested_at, took)
