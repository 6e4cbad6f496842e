"""The recorded requests of Claude Code 2.1.197 (see ``tests/claude_code/README.md``)."""

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from majordomo.meter.claude_plan_mode import SessionModes
from majordomo.meter.claude_request import ClaudeHead, ClaudeRequest, claude_head, read_claude_request

FOLDER = Path(__file__).parents[1] / "claude_code"
SESSION = "11111111-2222-4333-8444-555555555555"


class Recorded(NamedTuple):
    """One request as it was recorded, its body as the CLI writes JSON."""

    name: str  # file and number
    target: str
    head: ClaudeHead
    body: bytes
    said: dict[str, Any]


@cache
def recorded() -> list[Recorded]:
    """Every recorded request for a message over the gateway's own route, in order."""
    files = json.loads(gzip.decompress((FOLDER / "requests.json.gz").read_bytes()))
    found = []
    for name, rows in files.items():
        for number, row in enumerate(rows):
            if not row["target"].startswith("/v1/messages?"):
                continue
            headers = {key.lower(): value for key, value in row["headers"]}
            version = headers["user-agent"].partition("/")[2].partition(" ")[0]
            head = claude_head(
                version,
                headers.get("x-claude-code-session-id"),
                headers.get("x-claude-code-agent-id"),
                headers.get("anthropic-beta", ""),
            )
            body = json.dumps(row["body"], separators=(",", ":"), ensure_ascii=False).encode()
            found.append(Recorded(f"{name}/{number}", row["target"], head, body, row["body"]))
    return found


def head(version: str | None = "2.1.197", session: str | None = SESSION, agent: str | None = None, beta: str = ""):
    """The head of a request."""
    return claude_head(version, session, agent, beta)


def asked(body: Any, of: ClaudeHead | None = None, modes: SessionModes | None = None) -> ClaudeRequest:
    """What the details say of ``body``: JSON text, or a value."""
    text = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()
    return read_claude_request(text, of or head(), modes or SessionModes(), b"key")[1]
