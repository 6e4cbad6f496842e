"""A spent budget stops Claude Code at once and readably, in the middle of its work, and a raise lets it go on."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from claude_cli.cli import ClaudeCode
from claude_cli.provider import ScriptedProvider, usage
from claude_cli.terminal import Terminal
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


def limit(gateway: Gateway, tag: str, dollars: str, **also: Any) -> Budget:
    """A budget for the requests of one test."""
    terms = {"name": tag, "window": "lifetime", "metadata": {"Test-Case": tag}, "contact": "ann@example.com"}
    draft = Draft(limit=dollars, **(terms | also))
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


def test_with_a_subscription_s_login_it_stops_just_as_well(
    claude_at: ClaudeAt, claude_gateway: Gateway, claude_provider: ScriptedProvider
) -> None:
    tag = claude_gateway.tag()
    limit(claude_gateway, tag, "1.00")
    claude_provider.queue(Script(tools=(BASH,), usage=DEAR))
    claude = claude_at(CLAUDE_CODE_OAUTH_TOKEN="sk-ant-oat01-dummy-" + "x" * 40)
    del claude.environment["ANTHROPIC_API_KEY"]
    claude.go_through(claude_gateway, tag)
    result = claude.ask("Work.", "--permission-mode", "acceptEdits", "--allowedTools", "Bash")
    assert result.exit_code == 1
    assert result.text.startswith("API Error: 402 ")
    assert len(claude_provider.messages()) == 1
    assert outcomes(claude_gateway, tag, 2) == [SERVED, REFUSED]


def test_a_cap_in_turns_stops_the_main_loop_and_not_what_runs_beside_it(
    claude_at: ClaudeAt, claude_provider: ScriptedProvider
) -> None:
    claude_provider.queue(Script(tools=(AGENT,)), Script(text="The part is done."), Script(text="Never asked for."))
    claude = claude_at(claude_provider.url)
    claude.go_behind_companion(None, "", "--max-turns", "1")
    result = claude.ask("Delegate.", "--permission-mode", "acceptEdits")
    assert result.exit_code == 1
    assert result.text.startswith("API Error: 402 ")
    assert "budget '--max-turns' has no room for this request: 1 of 1 turns spent" in result.text
    assert [one.kind for one in claude_provider.messages()] == ["main", "agent"]


def test_in_a_terminal_a_title_that_cannot_be_paid_disturbs_nobody_and_a_raise_lets_the_next_prompt_through(
    claude_at: ClaudeAt, claude_gateway: Gateway, claude_provider: ScriptedProvider
) -> None:
    tag = claude_gateway.tag()
    limit(claude_gateway, tag, "0.000001", name=f"{tag} titles", models=["claude-haiku*"])
    budget = limit(claude_gateway, tag, "1.00")
    claude_provider.queue(Script(text="Dear it was.", usage=DEAR), Script(text="Done at last."))
    claude = claude_at()
    claude.go_through(claude_gateway, tag)
    with Terminal(claude) as terminal:
        terminal.enter("work on it")
        terminal.expect("Dear it was.")
        assert "402" not in str(terminal.screen)
        terminal.enter("more of it")
        terminal.expect("API Error: 402 The budget")
        tomorrow = moment_of(wall_us() + 86_400_000_000)
        ask_database(claude_gateway, lambda c: raise_limit(c, budget, "5", tomorrow, "a test", "more work"))
        terminal.enter("now then")
        terminal.expect("Done at last.")
        terminal.enter("/exit")
        assert terminal.wait() == 0
    rows = claude_gateway.rows(tag, 5)  # a title that was refused is asked for once more, with the next prompt
    titles = [row["outcome"] for row in rows if row["requested_model"].startswith("claude-haiku")]
    assert titles == ["refused", "refused"]
    assert sorted(row["outcome"] for row in rows) == ["completed", "completed", *["refused"] * 3]
    assert all(one.kind == "main" for one in claude_provider.messages())
