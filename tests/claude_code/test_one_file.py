"""The one file of the companion before the real tool: as the installed command, on a machine with a bare Python."""

import sys
from collections.abc import Callable
from pathlib import Path

from claude_cli import ledgers
from claude_cli.cli import ClaudeCode
from claude_cli.provider import ScriptedProvider, usage
from gateway_fixture import Gateway

from majordomo.companion import pack
from majordomo.demo.script import Script, ToolCall

ClaudeAt = Callable[..., ClaudeCode]


def test_the_built_file_runs_a_session_through_the_gateway(
    claude_gateway: Gateway, claude_at: ClaudeAt, claude_provider: ScriptedProvider, tmp_path: Path
) -> None:
    file, bare = tmp_path / "majordomo-companion", tmp_path / "bare"
    list(pack.build(file))
    bare.mkdir()
    (bare / "python3").symlink_to(sys._base_executable)
    claude, tag = claude_at(PATH=f"{bare}:/usr/bin:/bin"), claude_gateway.tag()
    claude.go_behind_companion(claude_gateway, tag)
    claude.launcher = [str(file), *claude.launcher[claude.launcher.index("exec") :]]
    claude_provider.queue(
        Script(tools=(ToolCall("Bash", {"command": "echo a"}),), usage=usage(1_000, 10, short=300)),
        Script(text="Done.", usage=usage(1_001, 20, read=300)),
    )
    result = claude.ask("Work.", "--allowedTools", "Bash(echo:*)")
    assert (result.exit_code, result.text) == (0, "Done.")
    rows = ledgers.rows_of(claude_gateway, tag, 2)
    assert result.cost in ledgers.sums(rows)
    assert [row["tool_names"] for row in rows] == [["Bash"], []]
    (session,) = {row["claude_session_id"] for row in rows}
    ended = claude_gateway.sql("SELECT ended_by, total_requests, source FROM claude_sessions WHERE id = $1", session)
    assert [tuple(row) for row in ended] == [("owner", 2, "companion")]
