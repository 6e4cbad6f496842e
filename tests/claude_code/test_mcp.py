"""Claude Code, given the MCP server, offers its tools to the model and can be asked what it cost."""

import json
import os
import sys
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from claude_cli.cli import ClaudeCode
from claude_cli.provider import ScriptedProvider, usage
from gateway_fixture import Gateway

from majordomo.demo.script import Script, ToolCall
from majordomo.report.mcp.server import NAMES

ClaudeAt = Callable[..., ClaudeCode]
TOOLS = [f"mcp__majordomo__{name}" for name in NAMES]


@pytest.fixture
def configured(claude_gateway: Gateway) -> list[str]:
    """The options with which Claude Code starts the server."""
    server = {
        "command": sys.executable,
        "args": ["-P", "-m", "majordomo", "mcp", "--url", claude_gateway.base_url],
        "env": {"MAJORDOMO_TOKEN": claude_gateway.token("member"), "PATH": os.environ["PATH"]},
    }
    config = json.dumps({"mcpServers": {"majordomo": server}})
    return ["--mcp-config", config, "--strict-mcp-config", "--allowedTools", ",".join(TOOLS)]


def tool_names(body: dict[str, Any]) -> list[str]:
    return [tool["name"] for tool in body["tools"] if tool["name"].startswith("mcp__")]


def heard(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The results of tools that a request brings, in order."""
    contents = [message["content"] for message in body["messages"] if isinstance(message["content"], list)]
    return [block for content in contents for block in content if block["type"] == "tool_result"]


def test_it_lists_the_tools_and_hears_what_it_cost(
    claude_gateway: Gateway, claude_at: ClaudeAt, claude_provider: ScriptedProvider, configured: list[str]
) -> None:
    """The model is offered every tool; it calls one, and the very cost of its own session so far comes back."""
    claude, tag = claude_at(), claude_gateway.tag()
    claude.go_through(claude_gateway, tag)
    claude_provider.queue(Script(text="Hello.", usage=usage(2_000, 31)))
    claude.ask("Hello", "--model", "claude-opus-4-8")
    row = claude_gateway.row(tag)
    asked = {"filters": [f"Test-Case:{tag}"], "period": "24h"}
    claude_provider.queue(
        Script(tools=(ToolCall("WaitForMcpServers", {}),)),  # the tool's own: it does not wait by itself
        Script(tools=(ToolCall("mcp__majordomo__spend_summary", asked),)),
        Script(text="That much."),
    )
    result = claude.ask("What did it cost?", *configured, "--model", "claude-opus-4-8")
    assert result.text == "That much."
    *_, calling, answered = claude_provider.messages()
    assert sorted(tool_names(calling.ask.json)) == sorted(TOOLS)
    block = heard(answered.ask.json)[-1]
    text = block["content"] if isinstance(block["content"], str) else block["content"][0]["text"]
    summary = json.loads(text)
    assert not block.get("is_error")
    assert Decimal(summary["usage"]["total_cost"]) >= row["total_cost"] > 0
    assert summary["usage"]["requests"] >= 1
