"""The real tool behind the companion: what it recorded of itself is compared with what was booked for it."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from claude_cli.cli import RUN_SECONDS, ClaudeCode
from claude_cli.provider import ScriptedProvider, usage
from claude_cli.terminal import Terminal

from majordomo.demo.script import Script
from majordomo.meter.claude_display import money

ClaudeAt = Callable[..., ClaudeCode]

#: A model that the tool's own table lacks, and what the server said that it costs: USD for a million tokens.
NEW_MODEL = "claude-next-9"
NEW_PRICE = {
    "inputTokens": 7,
    "outputTokens": 35,
    "promptCacheWriteTokens": 8.75,
    "promptCacheReadTokens": 0.7,
    "webSearchRequests": 0.01,
}


def ask(claude: ClaudeCode, out: Path, *arguments: str) -> tuple[float, str]:
    """One prompt whose JSON result goes into a file, in which something stands already: its cost, and what was said."""
    out.write_text("before\n")
    with out.open("a") as file:
        done = subprocess.run(
            claude.command("-p", "--output-format", "json", *arguments, "--", "Hello"),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.PIPE,
            text=True,
            env=claude.environment,
            cwd=claude.work,
            timeout=RUN_SECONDS,
            check=True,
        )
    before, result, rest = out.read_text().split("\n")
    assert (before, rest) == ("before", "")
    return float(json.loads(result)["total_cost_usd"]), done.stderr


def pipe(claude: ClaudeCode, *arguments: str) -> tuple[float, str]:
    """One prompt whose JSON result goes into a pipe, as for ``| jq``: its cost, and what was said."""
    done = subprocess.run(
        claude.command("-p", *arguments, "--", "Hello"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=claude.environment,
        cwd=claude.work,
        timeout=RUN_SECONDS,
        check=True,
    )
    return float(json.loads(done.stdout.splitlines()[-1])["total_cost_usd"]), done.stderr


def behind_companion(claude_at: ClaudeAt, provider: ScriptedProvider, **variables: str) -> ClaudeCode:
    claude = claude_at(provider.url, **variables)
    claude.go_behind_companion(None)
    return claude


def last_cost(claude: ClaudeCode) -> float:
    """What the tool noted in its state file."""
    return float(json.loads((claude.home / ".claude.json").read_text())["projects"][str(claude.work)]["lastCost"])


def test_an_equal_result_in_a_file_is_passed_over(
    claude_at: ClaudeAt, claude_provider: ScriptedProvider, tmp_path: Path
) -> None:
    claude_provider.queue(Script(usage=usage(1_234, 77, read=5_000, short=300, long=40)))
    cost, said = ask(behind_companion(claude_at, claude_provider), tmp_path / "out")
    assert cost > 0
    assert f"/usage shows {money(cost)}" in said
    assert "counted" not in said


@pytest.mark.parametrize("form", [("json",), ("stream-json", "--verbose")])
def test_a_result_in_a_pipe_is_compared_too(
    claude_at: ClaudeAt, claude_provider: ScriptedProvider, form: tuple[str, ...]
) -> None:
    claude_provider.queue(Script(usage=usage(1_234, 77, read=5_000, short=300, long=40)))
    cost, said = pipe(behind_companion(claude_at, claude_provider), "--output-format", *form)
    assert f"/usage shows {money(cost)}" in said
    assert "counted" not in said
    claude = behind_companion(claude_at, claude_provider, ANTHROPIC_DEFAULT_OPUS_MODEL="claude-haiku-4-5")
    claude_provider.queue(Script(usage=usage(1_000_000, 0)))
    cost, said = pipe(claude, "--output-format", *form, "--model", NEW_MODEL)
    assert cost == 1.0
    assert "counted $1.00, booked here $5.00" in said


def test_a_price_that_only_the_server_told_the_tool_is_known_to_the_companion(
    claude_at: ClaudeAt, claude_provider: ScriptedProvider, tmp_path: Path
) -> None:
    claude = behind_companion(claude_at, claude_provider)
    (claude.home / ".claude.json").write_text(json.dumps({"additionalModelCostsCache": {NEW_MODEL: NEW_PRICE}}))
    claude_provider.queue(Script(usage=usage(1_000_000, 10_000, short=100_000, long=100_000)))
    cost, said = ask(claude, tmp_path / "out", "--model", NEW_MODEL)
    assert cost == 7.0 + 0.35 + 2 * 0.875
    assert f"/usage shows {money(cost)}" in said
    assert "counted" not in said


def test_a_tool_that_counts_in_another_way_is_told_in_one_line(
    claude_at: ClaudeAt, claude_provider: ScriptedProvider, tmp_path: Path
) -> None:
    """A default model of the user's own is what the tool prices unknown models at; no request tells it."""
    claude = behind_companion(claude_at, claude_provider, ANTHROPIC_DEFAULT_OPUS_MODEL="claude-haiku-4-5")
    claude_provider.queue(Script(usage=usage(1_000_000, 0)))
    cost, said = ask(claude, tmp_path / "out", "--model", NEW_MODEL)
    assert cost == 1.0
    (line,) = [line for line in said.splitlines() if "counted" in line]
    assert f"Claude Code 2.1.197 counted $1.00, booked here $5.00 ({NEW_MODEL} $1.00 against $5.00)" in line


def say(terminal: Terminal, prompt: str, answer: str) -> None:
    """One turn, to its answer on the screen."""
    terminal.enter(prompt)
    terminal.expect(answer)


def leave(terminal: Terminal) -> str:
    """``/exit``; what stands on the screen afterwards."""
    terminal.enter("/exit")
    assert terminal.wait() == 0
    return str(terminal.screen)


def test_sessions_in_a_terminal_agree_through_clear_and_resume(
    claude_at: ClaudeAt, claude_provider: ScriptedProvider
) -> None:
    claude = behind_companion(claude_at, claude_provider)
    answers = iter(["Alpha came.", "Beta came.", "Gamma came."])
    claude_provider.play = lambda ask, kind: Script(
        text=next(answers) if kind == "main" else "A title", usage=usage(1_000, 50, read=2_000)
    )
    with Terminal(claude, "--model", "claude-sonnet-4-5") as first:
        say(first, "one", "Alpha came.")
        first.enter("/clear")
        first.watch(lambda: "Alpha came." not in str(first.screen), "the conversation is not cleared")
        say(first, "two", "Beta came.")
        said = leave(first)
    cost = last_cost(claude)
    assert f"/usage shows {money(cost)}" in said
    assert "counted" not in said
    served = claude_provider.messages()
    assert len({one.session for one in served}) == 2
    with Terminal(claude, "--model", "claude-sonnet-4-5", "--resume", served[-1].session) as second:
        second.expect("Beta came.")
        say(second, "three", "Gamma came.")
        said = leave(second)
    assert last_cost(claude) > cost  # it went on from there
    assert "majordomo-companion: " in said
    assert "counted" not in said
