"""Details of a real session: its modes, its tools, what each request was for, and the sum that the CLI shows."""

from collections.abc import Callable
from typing import Any

from claude_cli.cli import ClaudeCode
from claude_cli.provider import ScriptedProvider, usage
from gateway_fixture import Gateway

from majordomo.demo.reply import Ask
from majordomo.demo.script import Script, ToolCall

EXPLORE = ToolCall("Agent", {"description": "look", "prompt": "Find the README.", "subagent_type": "Explore"})
DETAILS = """
    SELECT d.query_class, d.is_plan_mode, d.tool_names, d.agent_id IS NOT NULL, d.effort, d.context_window
    FROM claude_request_details d JOIN llm_requests r ON r.id = d.llm_request_id
    WHERE r.raw_metadata->>'Test-Case' = $1 ORDER BY r.requested_at
"""
#: In the order of booking; none of these run side by side.
BOOKED = """
    SELECT sum(d.usage_cost ORDER BY r.requested_at)
    FROM claude_request_details d JOIN llm_requests r ON r.id = d.llm_request_id
    WHERE r.raw_metadata->>'Test-Case' = $1
"""
#: The session that its rows name.
SESSION = """
    SELECT usage_cost, total_requests, source FROM claude_sessions
    WHERE id IN (SELECT claude_session_id FROM llm_requests WHERE raw_metadata->>'Test-Case' = $1)
"""


def test_a_session_in_and_out_of_plan_mode_is_told_request_by_request(
    claude_gateway: Gateway, claude_at: Callable[..., ClaudeCode], claude_provider: ScriptedProvider
) -> None:
    """Main loop, sub-agent and compaction are in the mode that was set, and the costs add up to the CLI's own total."""
    tag = claude_gateway.tag()
    claude = claude_at(claude_gateway.base_url)
    claude.send_headers(claude_gateway.headers(tag, Client="claude-code"))
    claude_provider.play = exploring
    with claude.conversation("--model", "claude-opus-4-8") as session:
        session.say("Hello.")
        session.set_mode("plan")
        session.say("Plan to look around.")
        session.set_mode("default")
        session.say("Go on.")
        result = session.say("/compact")
        assert session.end() == 0
    claude_gateway.rows(tag, len(claude_provider.messages()))
    main, agent = ("high", 200_000), (None, 200_000)
    assert [tuple(row.values()) for row in claude_gateway.sql(DETAILS, tag)] == [
        ("main", False, [], False, *main),
        ("main", True, ["Agent"], False, *main),
        ("subagent", True, ["Read"], True, *agent),
        ("subagent", True, [], True, *agent),
        ("main", True, [], False, *main),
        ("main", False, [], False, *main),
        ("compaction", False, [], False, *main),
    ]
    assert claude_gateway.sql(BOOKED, tag)[0][0] == result.cost
    [(total, count, source)] = claude_gateway.sql(SESSION, tag)
    assert (total, count, source) == (result.cost, len(claude_provider.messages()), "client")


def exploring(ask: Ask, kind: str) -> Script:
    """A provider that has a sub-agent look when it is asked to plan, and the sub-agent read a file."""
    told: dict[str, Any] = usage(1_003, 77, read=12_345, short=201)
    body = ask.body
    if kind == "agent":
        return (
            Script(usage=told)
            if b"tool_result" in body
            else Script(tools=(ToolCall("Read", {"file_path": "x"}),), usage=told)
        )
    planning = b"look around" in body and b"tool_result" not in body
    return Script(tools=(EXPLORE,), usage=told) if planning else Script(text="Well.", usage=told)
