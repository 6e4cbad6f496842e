"""With and without us in between, the provider gets the same requests: bodies to the byte, headers but for our own.

The tool runs twice over the same script, with the same session id, device id, home and directory. What still differs
between two runs of the tool itself is listed here, and nothing else is forgiven.
"""

import json
import re
import shutil
import uuid
from collections.abc import Callable
from typing import NamedTuple

import pytest
from claude_cli.cli import ClaudeCode
from claude_cli.provider import ScriptedProvider, Served, usage
from claude_cli.scenario import Director, Scenario, Step, Turn, perform
from gateway_fixture import Gateway

from majordomo.demo.script import Script, ToolCall

ClaudeAt = Callable[..., ClaudeCode]

#: Chance and the clock: the id that the tool gives to a sub-agent (in a header of its requests, and in the result of
#: the tool Agent), how long the sub-agent worked, and the words it adds to the name of a plan's file.
CHANCE = re.compile(rb"\ba[0-9a-f]{16}\b|(?<=duration_ms: )\d+|(?<=/\.claude/plans/)[a-z-]+(?=\.md)")

#: Headers of one connection, not of the request; and the length of a body, as a duration has more or fewer digits.
OF_THE_HOP = frozenset({"host", "connection", "content-length"})

DEVICE = "5eed" * 16


class Sent(NamedTuple):
    """One request as the provider got it, without what two runs cannot have in common."""

    method: str
    path: str
    query: str
    headers: list[tuple[str, str]]
    body: bytes


def sent(one: Served) -> Sent:
    """The request, once its length was checked."""
    assert one.ask.header("content-length") == str(len(one.body))
    headers = [
        (name, CHANCE.sub(b"*", value.encode()).decode()) for name, value in one.sent if name.lower() not in OF_THE_HOP
    ]
    return Sent(one.ask.method, one.ask.path, one.ask.query, headers, CHANCE.sub(b"*", one.body))


def bash(command: str) -> ToolCall:
    return ToolCall("Bash", {"command": command})


def script(session: str) -> Scenario:
    """A bit of everything, one after the other."""
    done = Step(Script(text="Done — “so”, 日本語, \U0001f600.", usage=usage(100, 10, short=3_000)))
    agent = ToolCall(
        "Agent", {"description": "A part", "prompt": "[[agent 1]] Do it.", "subagent_type": "general-purpose"}
    )
    turns = [
        Turn("Work on “it”: 日本語, \u007f\\u0000 \U0001f600.", (Step(Script(tools=(bash("echo a"),))), done)),
        Turn("Search.", (Step(Script(tools=(ToolCall("WebSearch", {"query": "rain"}),))), done), mode="plan"),
        Turn(
            "Fail.", (Step(Script(thinking="Hm."), (Script(status=529), Script(break_after=3))),), "claude-sonnet-4-5"
        ),
        Turn("Fail again.", (Step(Script(encoding="zstd"), (Script(error_after=3),)),), mode="default"),
        Turn("Delegate.", (Step(Script(tools=(agent,))), done)),
    ]
    arguments = ("--session-id", session, "--allowedTools", "WebSearch,Bash(echo:*),Agent")
    return Scenario("byte for byte", arguments, turns, {"1": (Step(Script(tools=(bash("echo b"),))), done)})


def run(claude: ClaudeCode, provider: ScriptedProvider, session: str) -> list[Sent]:
    """The requests of one run in a fresh home."""
    for folder in (claude.home, claude.work):
        shutil.rmtree(folder)
        folder.mkdir()
    (claude.home / ".claude.json").write_text(json.dumps({"userID": DEVICE}))
    scenario = script(session)
    provider.forget()
    perform(scenario, Director(scenario), provider, claude)
    return [sent(one) for one in provider.messages()]


@pytest.mark.parametrize("way", ["gateway", "companion", "companion without a gateway"])
def test_what_stands_in_between_changes_nothing_of_what_the_provider_gets(
    claude_gateway: Gateway, claude_at: ClaudeAt, claude_provider: ScriptedProvider, way: str
) -> None:
    session = str(uuid.uuid4())
    direct = claude_provider.url + "/anthropic"  # as the gateway calls it
    claude = claude_at(direct, ENABLE_TOOL_SEARCH="true")  # the companion sets it where the provider is Anthropic
    without = run(claude, claude_provider, session)
    if way == "gateway":
        claude.go_through(claude_gateway, claude_gateway.tag())
    elif way == "companion":
        del claude.environment["ANTHROPIC_BASE_URL"]
        claude.go_behind_companion(claude_gateway, claude_gateway.tag())
    else:
        claude.go_behind_companion(None)
    between = run(claude, claude_provider, session)
    kinds = {one.kind for one in claude_provider.messages()}
    assert kinds == {"main", "agent", "web search"}
    assert len(without) == 14
    assert sum(len(one.body) for one in without) > 500_000
    assert between == without
