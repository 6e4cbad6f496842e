"""The simple way as ``majordomo-companion setup`` sets it up: the tool itself reads the settings."""

import subprocess
from collections.abc import Callable

from claude_cli.cli import ClaudeCode
from claude_cli.provider import ScriptedProvider
from companion_process import PATIENCE, command
from gateway_fixture import Gateway

ClaudeAt = Callable[..., ClaudeCode]


def setup(claude: ClaudeCode, *options: str) -> None:
    """Run it as the user of this tool."""
    words = command("setup", "--yes", *options)
    subprocess.run(words, env=claude.environment, cwd=claude.work, timeout=PATIENCE, check=True, capture_output=True)


def test_after_setup_every_session_is_recorded_with_its_details_whatever_the_shell_says(
    claude_gateway: Gateway, claude_at: ClaudeAt, claude_provider: ScriptedProvider
) -> None:
    tag = claude_gateway.tag()
    claude = claude_at("http://127.0.0.1:1", ANTHROPIC_CUSTOM_HEADERS="X-Corp: 7")
    setup(
        claude, "--gateway", claude_gateway.base_url, "--api-key", claude_gateway.key, "--metadata", f"Test-Case={tag}",
        "--metadata", "Developer=alice",
    )  # fmt: skip
    claude.ask("Hello")
    (served,) = claude_provider.messages()
    row = claude_gateway.row(tag)
    details = claude_gateway.sql("SELECT * FROM claude_request_details WHERE llm_request_id = $1", row["id"])
    assert "alice" in row["raw_metadata"]
    assert [one["query_class"] for one in details] == ["main"]
    sent = {name.lower() for name, _ in served.sent}
    assert "x-corp" not in sent  # the settings' headers take the place of the shell's
    assert not any(name.startswith("x-majordomo-") for name in sent)
    assert len(served.body) < 60_000  # without ENABLE_TOOL_SEARCH it has 76 KB


def test_after_remove_the_tool_goes_where_it_went_before(claude_gateway: Gateway, claude_at: ClaudeAt) -> None:
    claude = claude_at(claude_gateway.provider.url)
    setup(claude, "--gateway", "http://127.0.0.1:1", "--api-key", claude_gateway.key)
    setup(claude, "--remove")
    assert claude.ask("Hello").exit_code == 0
