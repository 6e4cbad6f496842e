"""``majordomo top``: its figures are those of the rows, and its screen is there until q."""

import json
import os
import pty
import select
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from claude_cli.screen import Screen
from recorded_rows import exchange, record

Run = Callable[..., tuple[int, str, str]]

FEMTO = 10**15
PATIENCE = 60.0


@pytest.fixture
def sent(postgres_dsn: str, tmp_path: Path) -> None:
    """Four requests that ended just now, and one of half an hour ago."""
    now = int(time.time() * 1e6) - 5_000_000
    usd = (FEMTO, 0, 0, FEMTO // 2, 0)
    made = [exchange(now + n, metadata={"Feature": "chat", "Team": "x"}, costs=usd, uncached=1000) for n in range(2)]
    made.append(exchange(now + 2, metadata={"Team": "\x1b[31mred"}, status=429, costs=None, model="gpt-5"))
    made.append(exchange(now - 300_000_000, ms=299_000, metadata={"Feature": "slow"}, costs=(FEMTO, 0, 0, 0, 0)))
    made.append(exchange(now - 1_800_000_000, costs=usd))
    record(postgres_dsn, tmp_path / "sent", made)


def test_one_look_adds_up_what_ended_in_the_window(majordomo: Run, sent: None, tmp_path: Path) -> None:
    """The one that took five minutes ended in it, the one of half an hour ago did not."""
    run = tmp_path / "data" / "run"
    run.mkdir(parents=True)
    status = {"at": int(time.time() * 1e6), "running": 3, "callers": 5, "counters": {}}
    for worker in range(2):
        (run / f"front-desk-{worker}.json").write_text(json.dumps(status))
    told = json.loads(majordomo("top", "--json", "--window", "60")[1])
    assert (told["total"]["requests"], told["total"]["errors"], told["total"]["unpriced"]) == (4, 1, 1)
    assert (told["total"]["total_cost"], Decimal(told["usd_per_hour"])) == ("4", Decimal(240))
    assert told["total"]["prompt_tokens"] == 2200
    assert (told["running"], told["callers"]) == (6, 10)
    assert {one["value"]: one["requests"] for one in told["by_feature"]} == {"chat": 2, "slow": 1, "": 1}
    assert {one["value"]: one["requests"] for one in told["by_model"]} == {"openai/gpt-5-mini": 3, "openai/gpt-5": 1}
    assert len(told["latest"]) == 5
    teams = json.loads(majordomo("top", "--json", "--by", "team")[1])
    assert (teams["metadata_key"], {one["value"] for one in teams["by_feature"]}) == ("Team", {"x", "\x1b[31mred", ""})


def test_a_budget_near_its_limit_is_shown(majordomo: Run, query: Callable[..., Any]) -> None:
    for name, spent in (("small", "4.5"), ("large", "3")):
        given = ("--name", name, "--limit", "5", "--unit", "usd", "--window", "day", "--json")
        budget = json.loads(majordomo("budgets", "create", *given)[1])["id"]
        query(
            "INSERT INTO budget_cells (budget_id, each_value, window_start, spent)"
            " VALUES ($1, '', date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC', $2)",
            budget,
            Decimal(spent),
        )
    near = json.loads(majordomo("top", "--json")[1])["near_limits"]
    assert [(one["budget"], one["percent"], one["spent"], one["limit"]) for one in near] == [
        ("small", "90", "4.5", "5")
    ]
    assert "Budget near its limit" in majordomo("top")[1]


def test_a_look_into_a_pipe_is_a_page_without_what_a_caller_may_do_to_a_terminal(majordomo: Run, sent: None) -> None:
    code, out, _ = majordomo("top", "--by", "Team")
    assert code == 0
    assert "$240.00 an hour" in out and "openai/gpt-5-mini" in out and "1 errors" in out
    assert "\x1b" not in out and "�[31mred" in out


def test_nothing_sent_is_a_page_too(majordomo: Run) -> None:
    code, out, _ = majordomo("top", "--once")
    assert (code, "$0.00 an hour" in out) == (0, True)


@pytest.mark.parametrize(("rows", "columns"), [(24, 80), (50, 130), (60, 210)])
def test_the_screen_is_live_and_leaves_the_terminal_as_it_was(
    rows: int, columns: int, sent: None, postgres_dsn: str, tmp_path: Path
) -> None:
    """In a terminal of its own: a request that comes is seen, q ends it, echo is on again."""
    terminal = Terminal(rows, columns, tmp_path, MAJORDOMO_DATABASE_URL=postgres_dsn)
    try:
        terminal.wait_for("openai/gpt-5-mini")
        terminal.wait_for("$240.00 an hour")
        assert not terminal.echoes()
        now = int(time.time() * 1e6)
        dear = (10 * FEMTO, 0, 0, 0, 0)
        record(
            postgres_dsn,
            tmp_path / "more",
            [exchange(now, model="gpt-new", metadata={"Feature": "newcomer"}, costs=dear)],
        )
        terminal.wait_for("newcomer")
        terminal.wait_for("openai/gpt-new")
        terminal.press("q")
        assert terminal.process.wait(PATIENCE) == 0
        assert terminal.echoes() and terminal.settings() == terminal.before
    finally:
        terminal.close()


class Terminal:
    """``majordomo top`` in a terminal, and what can be read on its screen."""

    def __init__(self, rows: int, columns: int, folder: Path, **settings: str) -> None:
        self._ours, self._theirs = pty.openpty()
        termios.tcsetwinsize(self._theirs, (rows, columns))
        self.before = self.settings()
        self._screen = Screen(rows, columns)
        environment = {**os.environ, "MAJORDOMO_DATA_DIR": str(folder / "data"), "TERM": "xterm-256color", **settings}
        environment.pop("COLUMNS", None)
        command = [sys.executable, "-m", "majordomo", "top", "--every", "0.3"]
        end = self._theirs
        self.process = subprocess.Popen(command, stdin=end, stdout=end, stderr=end, env=environment, cwd=folder)

    def wait_for(self, text: str) -> None:
        """Until this is on the screen."""
        deadline = time.monotonic() + PATIENCE
        while text not in str(self._screen):
            assert time.monotonic() < deadline, str(self._screen)
            if select.select([self._ours], [], [], 0.2)[0]:
                self._screen.feed(os.read(self._ours, 65536))

    def press(self, key: str) -> None:
        """Press a key."""
        os.write(self._ours, key.encode())

    def settings(self) -> list[Any]:
        """The terminal's own."""
        return termios.tcgetattr(self._theirs)

    def echoes(self) -> bool:
        """Whether keys are shown as they are pressed."""
        return bool(self.settings()[3] & termios.ECHO)

    def close(self) -> None:
        """End it all."""
        self.process.kill()
        self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)
