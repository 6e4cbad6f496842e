"""Claude Code in a terminal behind the companion, with a person who types, resizes, interrupts, quits and kills.

However it ends: the session has ended, and no process, port or file is left.
"""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from claude_cli import ledgers
from claude_cli.cli import ClaudeCode
from claude_cli.provider import ScriptedProvider, usage
from claude_cli.terminal import CTRL_C, ESCAPE, SHIFT_TAB, Terminal
from gateway_fixture import Gateway
from wire import eventually

from majordomo.demo.script import Script, ToolCall
from majordomo.meter import claude_display

ClaudeAt = Callable[..., ClaudeCode]


class Desk:
    """A place to sit down at: Claude Code behind a companion, and a look around afterwards."""

    def __init__(self, gateway: Gateway, claude: ClaudeCode) -> None:
        self.gateway = gateway
        self.claude = claude
        self.tag = gateway.tag()
        self._ports = _listening()
        claude.go_behind_companion(gateway, self.tag)

    def left_behind(self) -> list[str]:
        """Processes that work there, ports that were not open before, files of the companion."""
        found = [f"process {one}" for one in _working_in(self.claude.work)]
        found += [f"port {port}" for port in _listening() - self._ports]
        folder = Path(self.claude.environment["MAJORDOMO_COMPANION_DIR"])
        return found + [f"file {path}" for path in folder.rglob("*") if path.is_file()]

    def check_all_is_over(self, requests: int) -> None:
        """Nothing is left, and the session has ended with all its requests."""
        rows = self.gateway.rows(self.tag, requests)
        (session,) = {row["claude_session_id"] for row in rows}
        ended = "SELECT ended_by, total_requests FROM claude_sessions WHERE id = $1 AND ended_at IS NOT NULL"
        eventually(lambda: self.gateway.sql(ended, session), "the session has ended")
        assert [tuple(row) for row in self.gateway.sql(ended, session)] == [("owner", requests)]
        eventually(lambda: not self.left_behind(), "nothing is left")


def _listening() -> set[int]:
    return {one.laddr.port for one in psutil.net_connections("tcp") if one.status == psutil.CONN_LISTEN}


def _working_in(folder: Path) -> list[str]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == folder:
                found.append(f"{process.pid} {process.name()}")
        except (psutil.Error, OSError):
            continue
    return found


@pytest.fixture
def desk(claude_gateway: Gateway, claude_at: ClaudeAt) -> Desk:
    return Desk(claude_gateway, claude_at())


def test_what_usage_shows_is_what_was_booked(desk: Desk, claude_provider: ScriptedProvider) -> None:
    """Title, tools, a plan in and out; /usage on the screen, the state file and the rows agree."""
    claude_provider.queue(
        Script(tools=(ToolCall("Bash", {"command": "echo a"}),), thinking="Hm.", usage=usage(40_001, 3_000)),
        Script(text="That went well.", usage=usage(40_002, 500, short=3_000)),
        Script(text="This is the plan.", usage=usage(40_003, 500, read=3_000)),
        Script(text="So it is done.", usage=usage(40_004, 500)),
    )
    with Terminal(desk.claude) as terminal:
        terminal.enter("work on it")
        terminal.expect("That went well.")
        for mode in ("accept edits on", "plan mode on"):
            terminal.press(SHIFT_TAB)
            terminal.expect(mode)
        terminal.enter("plan it")
        terminal.expect("This is the plan.")
        terminal.press(SHIFT_TAB)
        terminal.watch(lambda: "plan mode on" not in str(terminal.screen), "plan mode stays on")
        terminal.enter("do it")
        terminal.expect("So it is done.")
        terminal.enter("/usage")
        served = claude_provider.messages()
        rows = ledgers.rows_of(desk.gateway, desk.tag, len(served))
        booked = ledgers.sums(rows)
        terminal.expect(f"Total cost:            {claude_display.money(max(booked))}")
        terminal.press(ESCAPE)
        terminal.expect("dialog dismissed")
        terminal.enter("/exit")
        assert terminal.wait() == 0
        last = str(terminal.screen)
    names = ("is_plan_mode", "has_thinking", "tool_names")
    main = [[row[name] for name in names] for one, row in ledgers.pairs(served, rows) if one.kind == "main"]
    assert main == [[False, True, ["Bash"]], [False, False, []], [True, False, []], [False, False, []]]
    assert "title" in {row["query_class"] for row in rows}
    state = json.loads((desk.claude.home / ".claude.json").read_text())
    assert state["projects"][str(desk.claude.work)]["lastCost"] in booked
    assert last.count("majordomo-companion:") == 1  # the closing line, and no difference to tell of
    desk.check_all_is_over(len(served))


def test_escape_ends_a_reply_that_the_provider_bills_and_usage_does_not_show(
    desk: Desk, claude_provider: ScriptedProvider
) -> None:
    long = "One word after the other. " * 40
    claude_provider.queue(Script(text=long, events=80, event_delay_ms=50, usage=usage(40_001, 3_000)))
    with Terminal(desk.claude) as terminal:
        terminal.enter("talk")
        terminal.expect("One word after")
        terminal.press(ESCAPE)
        terminal.expect("Interrupted")
        terminal.enter("/exit")
        assert terminal.wait() == 0
    served = claude_provider.messages()
    rows = ledgers.rows_of(desk.gateway, desk.tag, len(served))
    (row,) = [row for row in rows if row["query_class"] == "main"]
    assert (row["outcome"], row["usage_cost"]) == ("client_closed", 0)
    assert row["total_cost"] > 0
    desk.check_all_is_over(len(served))


def test_a_new_size_reaches_it(desk: Desk, claude_provider: ScriptedProvider) -> None:
    with Terminal(desk.claude, columns=110) as terminal:
        terminal.expect("─" * 110)
        terminal.resize(40, 90)
        terminal.watch(lambda: "─" * 90 in _lines(terminal), "it does not draw itself anew")
        terminal.enter("hello")
        terminal.expect("Here is a short and friendly answer.")
        terminal.resize(50, 130)
        terminal.watch(lambda: "─" * 130 in _lines(terminal), "it does not draw itself anew")
        terminal.enter("/exit")
        assert terminal.wait() == 0
    desk.check_all_is_over(len(claude_provider.messages()))


def _lines(terminal: Terminal) -> list[str]:
    return str(terminal.screen).splitlines()


def _ctrl_c_twice(terminal: Terminal) -> int:
    terminal.press(CTRL_C)
    terminal.expect("Press Ctrl-C again to exit")
    terminal.press(CTRL_C)
    return 0


def _kill_the_companion_gently(terminal: Terminal) -> int:
    os.kill(terminal.process.pid, signal.SIGTERM)
    return 143  # what the tool itself makes of it


def _kill_the_companion(terminal: Terminal) -> int:
    os.kill(terminal.process.pid, signal.SIGKILL)
    return -signal.SIGKILL


def _crash_the_tool(terminal: Terminal) -> int:
    terminal.tool().kill()
    return 128 + signal.SIGKILL


def _close_the_window(terminal: Terminal) -> int:
    os.kill(terminal.process.pid, signal.SIGHUP)
    return 129


@pytest.mark.parametrize(
    "end", [_ctrl_c_twice, _kill_the_companion_gently, _kill_the_companion, _crash_the_tool, _close_the_window]
)
def test_however_it_ends_the_session_ends_and_nothing_is_left(
    desk: Desk, claude_provider: ScriptedProvider, end: Callable[[Terminal], int]
) -> None:
    with Terminal(desk.claude) as terminal:
        assert len(desk.left_behind()) >= 3  # companion, tool, the companion's port: it would be seen
        terminal.enter("hello")
        terminal.expect("Here is a short and friendly answer.")
        code = end(terminal)
        assert terminal.wait() == code
    desk.check_all_is_over(len(claude_provider.messages()))
