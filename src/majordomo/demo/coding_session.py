"""A Claude Code session of the demo: the requests that the tool makes for one task, in order, with its headers."""

import json
import uuid
from collections.abc import Iterator
from random import Random
from typing import Any

from majordomo.demo.call import Call
from majordomo.demo.cast import ANTHROPIC, pace, tagged

MAIN_MODEL = "claude-opus-4-8"
SMALL_MODEL = "claude-haiku-4-5-20251001"

DEVELOPERS = ("alice", "bob", "charlie")
PROJECTS = ("backend-api", "web-shop", "data-pipeline")

#: Tools that a task calls, with an input that looks like one.
TOOLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("Read", {"file_path": "/app/src/orders.py"}),
    ("Bash", {"command": "pytest -x"}),
    ("Edit", {"file_path": "/app/src/orders.py", "old_string": "a", "new_string": "b"}),
    ("Grep", {"pattern": "def total"}),
)

#: System prompt and tools: what the first turn writes to the cache and every later one reads.
BASE_TOKENS = 18_400

PLAN_MODE = "Plan mode is active. The user indicated that they do not want you to execute yet."


def coding_session(random: Random) -> Iterator[Call]:
    """One task: a title by the small model, then a loop of tool calls until the answer."""
    session = str(uuid.UUID(int=random.getrandbits(128), version=4))
    headers = _headers(session, random.choice(DEVELOPERS), random.choice(PROJECTS))
    yield _title(random, headers)
    planning = random.random() < 0.3
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": [{"type": "text", "text": "Fix the failing order test."}]}
    ]
    if planning:
        messages.append({"role": "system", "content": PLAN_MODE})
    cached, fresh = 0, BASE_TOKENS
    turns = random.randint(2, 5)
    for turn in range(turns):
        last = turn == turns - 1
        yield _turn(random, headers, list(messages), cached, fresh, last=last)
        cached += fresh
        fresh = random.randint(300, 2_600)
        name, given = random.choice(TOOLS)
        use = f"toolu_{turn}"
        messages.append(
            {"role": "assistant", "content": [{"type": "tool_use", "id": use, "name": name, "input": given}]}
        )
        messages.append({"role": "user", "content": [{"type": "tool_result", "tool_use_id": use, "content": "ok"}]})


def _headers(session: str, developer: str, project: str) -> dict[str, str]:
    own = {
        "User-Agent": "claude-cli/2.1.197 (external, cli)",
        "X-Claude-Code-Session-Id": session,
        "x-app": "cli",
        "anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14",
    }
    tags = {"Client": "claude-code", "Team": "engineering", "Feature": "claude-code"}
    return {**own, **tagged(ANTHROPIC, **tags, Developer=developer, Project=project)}


def _body(model: str, messages: list[dict[str, Any]], headers: dict[str, str], **more: Any) -> dict[str, Any]:
    told = {"device_id": "0" * 64, "account_uuid": "", "session_id": headers["X-Claude-Code-Session-Id"]}
    return {
        "model": model,
        "messages": messages,
        "system": [
            {"type": "text", "text": "You are Claude Code, Anthropic's official CLI for Claude."},
            {"type": "text", "text": "Working directory: /app", "cache_control": {"type": "ephemeral"}},
        ],
        "tools": [{"name": name, "input_schema": {"type": "object"}} for name, _ in TOOLS],
        "metadata": {"user_id": json.dumps(told)},
        "max_tokens": 64_000,
        **more,
        "stream": True,
    }


def _title(random: Random, headers: dict[str, str]) -> Call:
    messages = [{"role": "user", "content": "Fix the failing order test."}]
    return Call(
        path="/v1/messages?beta=true",
        body={**_body(SMALL_MODEL, messages, headers), "tools": []},
        headers=headers,
        script={
            **pace(random),
            "text": '{"title":"Fix order test"}',
            "usage": _usage(540, 0, 0, random.randint(12, 25)),
        },
    )


def _turn(
    random: Random, headers: dict[str, str], messages: list[dict[str, Any]], cached: int, fresh: int, *, last: bool
) -> Call:
    script: dict[str, Any] = {
        **pace(random),
        "usage": _usage(random.randint(3, 12), fresh, cached, random.randint(80, 900)),
    }
    if random.random() < 0.5:
        script["thinking"] = "The test expects the discount first."
    if not last:
        script["tools"] = [dict(zip(("name", "input"), random.choice(TOOLS), strict=True))]
    return Call(
        path="/v1/messages?beta=true",
        body=_body(MAIN_MODEL, messages, headers, thinking={"type": "adaptive"}),
        headers=headers,
        script=script,
    )


def _usage(fresh: int, written: int, read: int, output: int) -> dict[str, Any]:
    return {
        "input_tokens": fresh,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output,
        "service_tier": "standard",
        "inference_geo": "not_available",
    }
