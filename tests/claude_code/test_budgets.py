"""A spent budget stops Claude Code at once and readably, in the middle of its work, and a raise lets it go on."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from claude_cli.cli import ClaudeCode
from claude_cli.provider import ScriptedProvider, usage
from gateway_fixture import Gateway

from majordomo.budget.definition import Draft
from majordomo.budget.model import Budget
from majordomo.budget.store import create, raise_limit
from majordomo.budget.windows import moment_of
from majordomo.clock import wall_us
from majordomo.demo.script import Script, ToolCall
from majordomo.record.database import Connection, connect

ClaudeAt = Callable[..., ClaudeCode]

#: What a reply used that costs $1.50, in a way that the gateway does not expect before it has seen it: 150 searches. It
#: then expects them of the model, so each test has a model of its own.
DEAR = usage(1_000, 10, searches=150)
BASH = ToolCall("Bash", {"command": "echo a"})
AGENT = ToolCall("Agent", {"description": "A part", "prompt": "Do it.", "subagent_type": "general-purpose"})


def ask_database(gateway: Gateway, question: Callable[[Connection], Awaitable[Any]]) -> Any:
    async def asking() -> Any:
        connection = await connect(gateway.dsn, purpose="tests")
        try:
            return await question(connection)
        finally:
            await connection.close()

    return asyncio.run(asking())


def limit(gateway: Gateway, tag: str, dollars: str) -> Budget:
    """A budget for the requests of one test."""
    draft = Draft(name=tag, limit=dollars, window="lifetime", metadata={"Test-Case": tag}, contact="ann@example.com")
    made: Budget = ask_database(gateway, lambda connection: create(connection, draft, "a test"))
    return made


def outcomes(gateway: Gateway, tag: str, count: int) -> list[tuple[str, int, str | None]]:
    """Outcome, status and error of the rows of one test that are for messages."""
    rows = gateway.rows(tag, count)
    return [(row["outcome"], row["status_code"], row["error_type"]) for row in rows]


SERVED = ("completed", 200, None)
REFUSED = ("refused", 402, "budget_exceeded")


def test_it_stops_in_the_middle_of_its_work_after_one_request_and_says_why(
    claude_at: ClaudeAt, claude_gateway: Gateway, claude_provider: ScriptedProvider
) -> None:
    tag = claude_gateway.tag()
    limit(claude_gateway, tag, "1.00")
    claude_provider.queue(Script(tools=(BASH,), usage=DEAR))
    claude = claude_at()
    claude.go_through(claude_gateway, tag)
    result = claude.ask(
        "Work.", "--model", "claude-opus-4-8", "--permission-mode", "acceptEdits", "--allowedTools", "Bash"
    )
    assert result.exit_code == 1
    assert (result.told["is_error"], result.told["api_error_status"]) == (True, 402)
    said = result.text
    assert said.startswith("API Error: 402 ")
    for part in (f"budget {tag!r}", "of $1.00 spent", "does not reset", "ask ann@example.com"):
        assert part in said
    assert len(claude_provider.messages()) == 1
    assert outcomes(claude_gateway, tag, 2) == [SERVED, REFUSED]


def test_the_next_prompt_works_when_the_budget_was_raised(
    claude_at: ClaudeAt, claude_gateway: Gateway, claude_provider: ScriptedProvider
) -> None:
    tag = claude_gateway.tag()
    budget = limit(claude_gateway, tag, "1.00")
    claude_provider.queue(Script(text="Dear.", usage=DEAR), Script(text="Done."))
    claude = claude_at()
    claude.go_through(claude_gateway, tag)
    with claude.conversation("--model", "claude-opus-4-7") as talk:
        assert talk.say("One.").text == "Dear."
        assert talk.say("Two.").text.startswith("API Error: 402 ")
        tomorrow = moment_of(wall_us() + 86_400_000_000)
        ask_database(claude_gateway, lambda c: raise_limit(c, budget, "5", tomorrow, "a test", "more work"))
        assert talk.say("Three.").text == "Done."
    assert outcomes(claude_gateway, tag, 3) == [SERVED, REFUSED, SERVED]


def test_a_sub_agent_is_stopped_and_so_is_the_main_loop_that_waits_for_it(
    claude_at: ClaudeAt, claude_gateway: Gateway, claude_provider: ScriptedProvider
) -> None:
    tag = claude_gateway.tag()
    limit(claude_gateway, tag, "1.00")
    claude_provider.queue(Script(tools=(AGENT,), usage=DEAR))
    claude = claude_at()
    claude.go_through(claude_gateway, tag)
    result = claude.ask("Delegate.", "--model", "claude-opus-4-6", "--permission-mode", "acceptEdits")
    assert result.exit_code == 1
    assert result.text.startswith("API Error: 402 ")
    assert len(claude_provider.messages()) == 1
    assert outcomes(claude_gateway, tag, 3) == [SERVED, REFUSED, REFUSED]


def test_auto_mode_does_without_the_check_that_cannot_be_paid_and_stops(
    claude_at: ClaudeAt, claude_gateway: Gateway, claude_provider: ScriptedProvider
) -> None:
    tag = claude_gateway.tag()
    limit(claude_gateway, tag, "1.00")
    claude_provider.queue(Script(tools=(ToolCall("Bash", {"command": "touch a"}),), usage=DEAR))
    claude = claude_at()
    claude.go_through(claude_gateway, tag)
    result = claude.ask("Work.", "--model", "claude-sonnet-4-6", "--permission-mode", "auto")
    assert result.exit_code == 1
    assert result.text.startswith("API Error: 402 ")
    assert len(claude_provider.messages()) == 1
    rows = claude_gateway.rows(tag, 2)
    assert {row["outcome"] for row in rows[1:]} == {"refused"}
