"""``majordomo usage sessions`` and ``usage session``: what a session did, what it cost, and why ``/usage`` differs."""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from recorded_rows import KEYS, exchange, in_session, record

from majordomo.meter.claude_code import ClaudeDetails
from majordomo.meter.reading import UsageState
from majordomo.record.frames import Outcome

Run = Callable[..., tuple[int, str, str]]
Query = Callable[..., list[tuple[object, ...]]]

NOON_US = 1_763_726_400_000_000  # 2025-11-21 12:00 UTC
MINUTE_US = 60_000_000
USD = 10**15
SESSION = UUID("0199c0de-0000-7000-8000-0000000000bb")
OTHER = UUID("0199c0de-0000-7000-8000-0000000000cc")


def asked(
    minute: float,
    billed: int | None,
    booked: float | None,
    query_class: str = "main",
    session: UUID = SESSION,
    **given: Any,
) -> Any:
    """A request at so many minutes after noon; ``billed`` in thousandths of a USD."""
    tools = given.pop("tools", ())
    plan = given.pop("plan", False)
    agent = given.pop("agent", None)
    costs = None if billed is None else (billed * USD // 1000, 0, 0, 0, 0)
    made = exchange(
        int(NOON_US + minute * MINUTE_US), provider="anthropic", costs=costs, **{"model": "claude-opus", **given}
    )
    details = ClaudeDetails(
        usage_cost=booked or 0.0, query_class=query_class, tool_names=tools, tool_use_count=len(tools),
        is_plan_mode=plan, has_thinking=bool(tools), stop_reason="tool_use" if tools else "end_turn",
    )  # fmt: skip
    return in_session(made, session, None if booked is None else details, agent_id=agent)


@pytest.fixture
def history(postgres_dsn: str, tmp_path: Path, query: Query) -> None:
    """One session of every kind of request, and a shorter one of another key two days later."""
    query("INSERT INTO api_keys (id, name, key_hash) VALUES ($1, 'alice', 'a'), ($2, 'bob', 'b')", *KEYS)
    record(
        postgres_dsn,
        tmp_path,
        [
            asked(0, 100, 0.1, tools=("Bash", "Read")),
            asked(1, 200, 0.2, tools=("Bash",), plan=True, metadata={"Team": "legal"}),
            asked(2, 50, 0.05, "subagent", model="claude-haiku", agent="a1f"),
            asked(3, 30, 0.0, "auto_mode", model="claude-haiku"),
            asked(4, 20, 0.0, "auto_mode", model="claude-haiku"),
            asked(5, 70, 0.0, outcome=Outcome.CLIENT_CLOSED, state=UsageState.DRAINED),
            asked(6, 900, 0.6),  # long context: billed at other rates
            asked(7, None, 0.25, model="claude-next"),  # no price known
            asked(8, 0, None, status=529, state=UsageState.NONE),
            asked(61.5, 10, 0.01),
            asked(2 * 24 * 60, 5, 0.005, session=OTHER, key=KEYS[1], model="claude-haiku"),
        ],
    )


def table_row(out: str, first: str) -> list[str]:
    """The cells of the table row that begins with ``first``."""
    line = next(line for line in out.splitlines() if line.strip().startswith(first))
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_sessions_are_listed_with_both_costs(majordomo: Run, history: None) -> None:
    """Newest first: key, state, duration, requests, tokens, what is billed and what /usage shows."""
    code, out, _ = majordomo("usage", "sessions")
    assert code == 0
    assert out.index(str(OTHER)) < out.index(str(SESSION))
    assert table_row(out, str(SESSION)) == [
        str(SESSION), "2025-11-21 12:00:00", "1:01:30", "open", "alice", "–", "10", "1,000", "100", "1.380", "$1.21",
    ]  # fmt: skip
    assert table_row(out, str(OTHER))[-2:] == ["0.005", "$0.0050"]


def test_a_narrow_terminal_shows_whole_ids_and_costs(
    majordomo: Run, history: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    out = majordomo("usage", "sessions")[1]
    assert table_row(out, str(SESSION))[0:2] == [str(SESSION), "11-21 12:00"]
    assert table_row(out, str(SESSION))[-2:] == ["1.380", "$1.21"]
    assert max(map(len, out.splitlines())) <= 80


def test_the_list_in_json_is_exact(majordomo: Run, history: None, query: Query) -> None:
    told = json.loads(majordomo("usage", "sessions", "--json")[1])
    assert told["numRecords"] == 2
    session = told["sessions"][1]
    [(total, usage)] = query("SELECT total_cost, usage_cost FROM claude_sessions WHERE id = $1", SESSION)
    assert (Decimal(session["total_cost"]), float(session["usage_cost"])) == (total, usage)
    assert (session["usage_shows"], session["state"], session["duration_seconds"]) == ("$1.21", "open", 3690.0)
    assert (session["source"], session["key_name"], session["session_name"]) == ("companion", "alice", None)


def test_filters_are_those_of_requests(majordomo: Run, history: None) -> None:
    """Of the session's time and key, or of any one of its requests in that time."""
    for filters, found in (
        (("--key", "bob"), [OTHER]),
        (("--key", "alice", "--key", "bob"), [OTHER, SESSION]),
        (("--from", "2025-11-22"), [OTHER]),
        (("--from", "2025-11-21T12:30", "--to", "2025-11-22"), [SESSION]),
        (("--to", "2025-11-21"), []),
        (("--model", "claude-opus"), [SESSION]),
        (("--model", "claude-haiku"), [OTHER, SESSION]),
        (("--provider", "openai"), []),
        (("--metadata", "team=legal"), [SESSION]),
        (("--metadata", "team=legal", "--model", "claude-haiku"), []),
        (("--filter", "query_class:auto_mode"), [SESSION]),
        (("--filter", "-model:claude-haiku"), [SESSION]),
        (("--filter", "-key:alice", "--filter", "Team"), []),
        (("--from", "2025-11-22", "--model", "claude-opus"), []),
        (("--from", "2025-11-21T18:00", "--to", "2025-11-21T19:00", "--timezone", "Asia/Kolkata"), [SESSION]),
        (("--org", "default"), [OTHER, SESSION]),
        (("--period", "today"), []),
        (("--limit", "1"), [OTHER]),
        (("--open",), [OTHER, SESSION]),
    ):
        code, out, _ = majordomo("usage", "sessions", *filters, "--json")
        told = [session["id"] for session in json.loads(out)["sessions"]]
        assert (code, told) == (0, [str(each) for each in found]), filters


def test_what_has_ended_says_how(majordomo: Run, history: None, query: Query) -> None:
    query("UPDATE claude_sessions SET ended_at = last_request_at, ended_by = 'idle' WHERE id = $1", SESSION)
    query("UPDATE claude_sessions SET ended_at = now(), ended_by = 'owner' WHERE id = $1", OTHER)
    out = majordomo("usage", "sessions")[1]
    assert table_row(out, str(SESSION))[3] == "idle"
    assert table_row(out, str(OTHER))[3] == "ended"
    code, out, _ = majordomo("usage", "sessions", "--open")
    assert (code, "No session matches" in out) == (0, True)


def test_a_session_is_told_request_by_request(majordomo: Run, history: None) -> None:
    """Offset, class, model, agent, tools, mode, tokens, both costs and how it ended."""
    code, out, _ = majordomo("usage", "session", str(SESSION))
    assert code == 0
    assert "10 requests, 1,000 input and 100 output tokens" in out
    assert table_row(out, "0:00:00") == [
        "0:00:00", "main", "claude-opus", "–", "Bash, Read", "thinking", "100", "10", "0.10", "0.10", "tool_use",
    ]  # fmt: skip
    assert "thinking plan" in table_row(out, "0:01:00")
    assert table_row(out, "0:02:00")[:4] == ["0:02:00", "subagent", "claude-haiku", "a1f"]
    assert table_row(out, "0:05:00")[-1] == "client_closed"
    assert table_row(out, "0:08:00")[-2:] == ["–", "529 overloaded"]
    assert "1:01:30" in out
    out = majordomo("usage", "session", str(SESSION), "--limit", "2")[1]
    assert "The last 2 of 10 requests" in out
    assert "0:07:00" not in out


def test_its_cost_is_told_by_model_class_agent_and_tool(majordomo: Run, history: None) -> None:
    out = majordomo("usage", "session", str(SESSION))[1]
    assert table_row(out, "claude-haiku") == ["claude-haiku", "3", "0.10", "0.05"]
    assert table_row(out, "claude-next") == ["claude-next", "1", "unknown", "0.25"]
    assert table_row(out, "auto_mode") == ["auto_mode", "2", "0.05", "0.00"]
    assert table_row(out, "a1f") == ["a1f", "1", "0.05", "0.05"]
    assert table_row(out, "Bash ") == ["Bash", "2", "0.30", "0.30"]
    assert table_row(out, "Read ") == ["Read", "1", "0.10", "0.10"]
    assert "counted in each of them" in out


def test_the_ledgers_difference_is_explained_to_the_last_digit(majordomo: Run, history: None, query: Query) -> None:
    """By class and reason; with what the rounding of doubles leaves, the parts add up to the whole."""
    out = majordomo("usage", "session", str(SESSION))[1]
    assert "Billed $1.38; /usage shows $1.21" in out
    assert "1 requests have no known price" in out
    ledgers = json.loads(majordomo("usage", "session", "latest", "--json")[1])["ledgers"]
    assert ledgers["gaps"] == []
    told = json.loads(majordomo("usage", "session", str(SESSION), "--json")[1])
    gaps = {(gap["query_class"], gap["why"]): gap for gap in told["ledgers"]["gaps"]}
    assert {key: (gap["requests"], gap["difference"]) for key, gap in gaps.items()} == {
        ("main", "other rates"): (1, "0.3"),
        ("main", "broken off"): (1, "0.07"),
        ("auto_mode", "not counted"): (2, "0.05"),
        ("main", "not priced"): (1, "-0.25"),
    }
    explained = sum(Decimal(gap["difference"]) for gap in gaps.values()) + Decimal(told["ledgers"]["rounding"])
    assert explained == Decimal(told["session"]["total_cost"]) - Decimal(told["session"]["usage_cost"])
    assert abs(Decimal(told["ledgers"]["rounding"])) < Decimal("1e-12")
    [(usage,)] = query("SELECT usage_cost FROM claude_sessions WHERE id = $1", SESSION)
    assert float(told["ledgers"]["usage_cost"]) == usage
    assert len(told["requests"]) == 10
    assert told["requests"][0]["usage_cost"] == "0.1"
    assert told["requests"][-1]["offset_seconds"] == 3690.0


def test_latest_is_the_session_that_was_asked_in_last(majordomo: Run, history: None) -> None:
    assert json.loads(majordomo("usage", "session", "latest", "--json")[1])["session"]["id"] == str(OTHER)


@pytest.mark.parametrize(("given", "said"), [("no uuid", "is no session id"), (str(uuid4()), "there is no session")])
def test_a_session_that_is_none_is_an_error_with_the_next_step(majordomo: Run, given: str, said: str) -> None:
    code, out, err = majordomo("usage", "session", given)
    assert (code, out) == (1, "")
    assert said in err
    assert "majordomo usage sessions" in err


def test_where_there_are_no_sessions_the_next_step_is_said(majordomo: Run) -> None:
    code, out, _ = majordomo("usage", "sessions")
    assert (code, "No Claude Code sessions yet" in out) == (0, True)
    assert majordomo("usage", "session", "latest")[0] == 1
    assert json.loads(majordomo("usage", "sessions", "--json")[1]) == {"sessions": [], "numRecords": 0}


def test_what_callers_sent_reaches_no_terminal_as_it_is(
    majordomo: Run, postgres_dsn: str, tmp_path: Path, query: Query
) -> None:
    """Names, models and tools with escape sequences are made harmless."""
    evil = "\x1b[31mred"
    made = exchange(NOON_US, model=evil)
    hostile = ClaudeDetails(query_class=evil, tool_names=(evil,), stop_reason=evil)
    record(postgres_dsn, tmp_path, [in_session(made, SESSION, hostile, agent_id=evil, claude_session_name=evil)])
    for command in (("sessions",), ("session", "latest")):
        code, out, _ = majordomo("usage", *command)
        assert (code, "\x1b[31m" in out) == (0, False)
        assert "red" in out
