"""The companion's sum beside Claude Code's own account: equal figures say nothing, different ones say one line."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from majordomo.companion.claude_state import Recorded, ResultFile, ServerPrices, last_result, last_sessions
from majordomo.companion.drift import Booking, DriftCheck, compare
from majordomo.meter.claude_release import Price

ONE, TWO, OLD = "150bb3d0-6541-40ed-b486-73249c4d1844", "a29610e1-c918-46e4-b1f0-f2ca0a1c736b", "0eee8376-cece"
OPUS, HAIKU = "claude-opus-4-8", "claude-haiku-4-5-20251001"
COST = 0.008141250000000001  # USD: 1,234 in, 77 out, 5 read, 7 written, as the CLI booked it


def project(session: str, cost: float, models: dict[str, float] | None = None) -> dict[str, Any]:
    """An entry of the state file as the CLI writes it when a session ends."""
    costs = {OPUS + "[1m]": cost} if models is None else models
    return {
        "allowedTools": [],
        "lastGracefulShutdown": True,
        "lastVersionBase": "2.1.197",
        "lastCost": cost,
        "lastDuration": 9980,
        "lastModelUsage": {model: {"inputTokens": 1234, "costUSD": usd} for model, usd in costs.items()},
        "lastSessionId": session,
    }


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state file in which nothing has ended yet."""
    path = tmp_path / ".claude.json"
    write(path, {"/work": {"allowedTools": []}})
    return path


def write(path: Path, projects: dict[str, Any], **more: Any) -> None:
    path.write_text(json.dumps({"numStartups": 3, "projects": projects, **more}))


def booked(*sessions: str, cost: float = COST, model: str = OPUS) -> list[Booking]:
    return [Booking(session, model, cost) for session in sessions]


def test_an_equal_account_says_nothing(state: Path):
    check = DriftCheck(state)
    write(state, {"/work": project(ONE, COST + COST)})
    assert check.line(booked(ONE, ONE)) is None


def test_a_different_account_is_told_in_one_line_with_both_figures_the_models_and_the_version(state: Path):
    check = DriftCheck(state)
    write(state, {"/work": project(ONE, 0.75, {OPUS + "[1m]": 0.5, HAIKU: 0.25})})
    line = check.line([Booking(ONE, OPUS, 0.5), Booking(ONE, HAIKU, 0.125)])
    assert line is not None
    assert "\n" not in line
    assert "Claude Code 2.1.197 counted $0.75, booked here $0.63" in line
    assert f"{HAIKU} $0.2500 against $0.1250" in line
    assert OPUS not in line


def test_a_difference_that_rounding_would_hide_is_shown_with_every_digit(state: Path):
    check = DriftCheck(state)
    write(state, {"/work": project(ONE, COST + 0.000001)})
    line = check.line(booked(ONE)) or ""
    assert "counted $0.00814225, booked here $0.008141250000000001" in line


def test_another_order_of_addition_is_no_difference(state: Path):
    costs = [0.1, 0.2, 0.3]
    check = DriftCheck(state)
    assert sum(costs) != sum(reversed(costs))
    write(state, {"/work": project(ONE, sum(reversed(costs)))})
    assert check.line([Booking(ONE, OPUS, cost) for cost in costs]) is None


def test_after_clear_the_process_goes_on_summing_under_another_session(state: Path):
    check = DriftCheck(state)
    write(state, {"/work": project(TWO, COST + COST)})
    assert check.line(booked(ONE, TWO)) is None
    assert check.line(booked(ONE, TWO, TWO, TWO)) is not None


def test_a_resumed_last_session_starts_from_its_old_cost(state: Path):
    write(state, {"/work": project(ONE, COST + COST)})
    check = DriftCheck(state)
    write(state, {"/work": project(ONE, 0.02442375)})  # as recorded
    assert check.line(booked(ONE)) is None
    write(state, {"/work": project(ONE, 0.03)})
    line = check.line(booked(ONE))
    assert line is not None
    assert "counted $0.0300, booked here $0.0244" in line


def test_an_older_session_that_is_resumed_starts_anew(state: Path):
    write(state, {"/work": project(TWO, 5.0)})
    check = DriftCheck(state)
    write(state, {"/work": project(ONE, COST)})
    assert check.line(booked(ONE)) is None


def test_sessions_one_after_the_other_in_one_shell_are_each_a_process(state: Path):
    check = DriftCheck(state)
    write(state, {"/work": project(TWO, COST)})
    assert check.line(booked(ONE, ONE, TWO)) is None


@pytest.mark.parametrize("session", [OLD, TWO], ids=["old and unchanged", "another process's"])
def test_what_was_not_written_by_this_run_is_no_witness(state: Path, session: str):
    write(state, {"/work": project(OLD, 9.0)})
    check = DriftCheck(state)
    write(state, {"/work": project(session, 9.0)})
    assert check.line(booked(ONE)) is None
    assert check.line([Booking(ONE, OPUS, COST), *booked(OLD)]) is None


def test_a_killed_session_leaves_no_account(state: Path):
    write(state, {"/work": project(ONE, COST)})
    check = DriftCheck(state)
    assert check.line(booked(ONE, ONE)) is None


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"projects": 3}', '{"projects": {"/work": 1, "/b": {"lastCost": "x"}}}', "\xff"]
)
def test_a_state_file_that_cannot_be_read_says_nothing_and_fails_nothing(tmp_path: Path, content: str):
    path = tmp_path / ".claude.json"
    path.write_bytes(content.encode("latin-1"))
    assert last_sessions(path) == {}
    assert dict(ServerPrices(path)) == {}
    assert DriftCheck(path).line(booked(ONE)) is None


def test_one_entry_that_is_broken_hides_no_other(state: Path):
    write(state, {"/a": {"lastCost": None, "lastSessionId": ONE}, "/b": project(TWO, COST)})
    assert list(last_sessions(state)) == ["/b"]


def test_prices_that_the_server_gave_are_read(state: Path):
    price = {
        "inputTokens": 7,
        "outputTokens": 35,
        "promptCacheWriteTokens": 8.75,
        "promptCacheReadTokens": 0.7,
        "webSearchRequests": 0.01,
    }
    write(state, {}, additionalModelCostsCache={"claude-next": price, "broken": {"inputTokens": "x"}})
    found = ServerPrices(state)
    assert dict(found) == {"claude-next": Price(7, 35, 0.7, 8.75, 8.75, 0.01)}
    write(state, {}, additionalModelCostsCache={"claude-next": {**price, "promptCacheWrite1hTokens": 14}})
    assert found["claude-next"].write_1h == 14


RESULT = {
    "type": "result",
    "session_id": ONE,
    "total_cost_usd": COST,
    "modelUsage": {OPUS + "[1m]": {"inputTokens": 1234, "costUSD": COST, "contextWindow": 1000000}},
}
MESSAGE = {"type": "assistant", "message": {"content": [{"type": "text", "text": '{"type":"result"}'}]}}


@pytest.mark.parametrize(
    "printed",
    [
        json.dumps(RESULT) + "\n",
        "\n".join(json.dumps(line) for line in [MESSAGE, {**RESULT, "total_cost_usd": 1.0}, MESSAGE, RESULT]),
        json.dumps([MESSAGE, RESULT]),
        json.dumps(RESULT) + "\nmajordomo-companion: 1 request\n",
    ],
    ids=["json", "stream-json", "verbose json", "with lines of others"],
)
def test_the_last_result_that_was_printed_counts(printed: str):
    assert last_result(printed.encode()) == Recorded(ONE, COST, {OPUS + "[1m]": COST})


@pytest.mark.parametrize("append", [True, False])
def test_the_childs_result_is_read_from_the_file_that_it_went_to(state: Path, tmp_path: Path, append: bool):
    """Standard output belongs to the child: the check runs in a process whose output is the same file."""
    program = (
        "import sys, subprocess, pathlib\n"
        "from majordomo.companion.claude_state import ResultFile\n"
        "from majordomo.companion.drift import Booking, DriftCheck\n"
        "command = ['claude', '-p', '--output-format', 'json', 'hi']\n"
        "check = DriftCheck(pathlib.Path(sys.argv[1]), ResultFile.of_child(command))\n"
        "subprocess.run([sys.executable, '-c', 'print(' + repr(sys.argv[2]) + ')'], check=True)\n"
        f"line = check.line([Booking({ONE!r}, {OPUS!r}, float(sys.argv[3]))])\n"
        "print(line, file=sys.stderr)\n"
    )
    out = tmp_path / "out.json"
    before = json.dumps({**RESULT, "session_id": ONE, "total_cost_usd": 7.0}) + "\n"
    for cost, expected in ((COST, "None"), (0.5, "counted $0.0081, booked here $0.5000")):
        out.write_text(before)
        with out.open("a" if append else "r+") as file:
            if not append:
                file.seek(len(before))
            command = [sys.executable, "-c", program, str(state), json.dumps(RESULT), str(cost)]
            run = subprocess.run(command, stdout=file, stderr=subprocess.PIPE, text=True, check=True, timeout=60)
        assert expected in run.stderr
        assert out.read_text() == before + json.dumps(RESULT) + "\n"


def test_only_output_that_is_a_result_in_a_file_is_looked_at(tmp_path: Path):
    with (tmp_path / "out").open("w") as file:
        number = file.fileno()
        assert ResultFile.of_child(["claude", "-p", "--output-format=stream-json", "x"], number) is not None
        assert ResultFile.of_child(["claude", "-p", "x"], number) is None
        assert ResultFile.of_child(["claude", "-p", "--", "--output-format", "json"], number) is None
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) as cat:
        assert cat.stdin is not None
        assert ResultFile.of_child(["claude", "-p", "--output-format", "json"], cat.stdin.fileno()) is None


def test_a_difference_is_measured_against_the_nearest_way_of_counting():
    difference = compare(Recorded(TWO, 1.0, {OPUS: 1.0}), Recorded(ONE, 0.5, {OPUS: 0.5}), booked(ONE, TWO, cost=0.3))
    assert difference is not None
    assert difference.ours == pytest.approx(1.1)
    assert difference.by_model == {OPUS: (1.0, pytest.approx(1.1))}
