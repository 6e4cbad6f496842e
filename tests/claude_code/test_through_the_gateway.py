"""The simple way: Claude Code pointed at the gateway by two variables."""

import socket
from collections.abc import Callable
from decimal import Decimal

from claude_cli.cli import ClaudeCode
from claude_cli.loopback import Loopback
from claude_cli.provider import ScriptedProvider, usage
from gateway_fixture import Gateway

from majordomo.demo.script import Script, ToolCall

ClaudeAt = Callable[..., ClaudeCode]


def test_every_turn_of_a_task_is_one_exact_row(
    claude_gateway: Gateway, claude_at: ClaudeAt, claude_provider: ScriptedProvider
) -> None:
    claude, tag = claude_at(), claude_gateway.tag()
    claude.go_through(claude_gateway, tag)
    claude_provider.queue(
        Script(tools=(ToolCall("Bash", {"command": "echo done"}),), usage=usage(2_000, 31, short=4_000)),
        Script(text="It is done.", usage=usage(12, 7, read=4_000, short=300)),
    )
    result = claude.ask("Do it.", "--model", "claude-opus-4-8")
    rows = claude_gateway.rows(tag, 2)
    assert result.text == "It is done."
    assert [one.kind for one in claude_provider.messages()] == ["main", "main"]
    assert [row["model"] for row in rows] == ["claude-opus-4-8", "claude-opus-4-8"]
    assert [row["total_cost"] for row in rows] == [Decimal("0.035775"), Decimal("0.00411")]


def test_the_tool_sees_no_other_network_where_the_kernel_permits_to_keep_it_in(
    loopback: Loopback, claude_at: ClaudeAt
) -> None:
    names = [name for _, name in socket.if_nameindex()]
    assert names == ["lo"] if loopback.closed_off else "lo" in names
    assert claude_at(None).environment["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"] == "1"
