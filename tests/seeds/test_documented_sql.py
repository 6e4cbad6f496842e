"""Every SQL statement of the product's documents runs word for word on real rows and gives the right answer.

The answers are worked out here anew, in Python, from what was asked and the costs worked out by hand.
"""

import datetime as dt
import itertools
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

SQL = Path(__file__).with_name("sql")
NOW = dt.datetime.now(dt.UTC)


def total(rows: Iterable[Any]) -> Decimal | None:
    """As SUM(total_cost): what is unknown is left out, and nothing known is NULL."""
    known = [row.asked.cost for row in rows if row.asked.cost is not None]
    return sum(known, Decimal(0)) if known else None


def grouped(rows: Iterable[Any], key: Callable[[Any], Any]) -> dict[Any, list[Any]]:
    """Rows by a value."""
    groups: dict[Any, list[Any]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def dearest_first(lines: Iterable[tuple[Any, ...]], column: int) -> list[tuple[Any, ...]]:
    """As ORDER BY total_cost DESC: what is unknown comes first."""
    return sorted(lines, key=lambda line: (line[column] is not None, -(line[column] or 0)))


def tokens(rows: Iterable[Any], which: int) -> int:
    """Tokens in (0) or out (1). A refused request has none."""
    return sum(row.asked.tokens[which] for row in rows)


def test_the_history_is_in_the_table_as_it_was_made(past: Any) -> None:
    got = past.gateway.sql("SELECT id::text, total_cost, model, input_tokens FROM llm_requests ORDER BY id")
    assert [(row["id"], row["total_cost"]) for row in got] == sorted((row.id, row.asked.cost) for row in past.rows)


def test_spend_by_feature(past: Any) -> None:
    groups = grouped([row for row in past.rows if row.tag("Feature")], lambda row: row.tag("Feature"))
    expected = [(name, len(rows), tokens(rows, 0), tokens(rows, 1), total(rows)) for name, rows in groups.items()]
    got = past.ask("spend_by_feature")
    assert got == dearest_first(expected, 4)


def test_spend_by_team_monthly(past: Any) -> None:
    recent = [row for row in past.rows if row.asked.days_ago < 90]
    groups = grouped(
        recent,
        lambda row: (row.tag("Team"), row.requested_at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)),
    )
    lines = [(team, month, total(rows)) for (team, month), rows in groups.items()]
    expected = sorted(lines, key=lambda line: (-line[1].timestamp(), line[2] is not None, -(line[2] or 0)))
    assert past.ask("spend_by_team_monthly") == expected


def test_spend_by_model(past: Any) -> None:
    groups = grouped(past.rows, lambda row: row.asked.model)
    expected = [
        (name, len(rows), total(rows), Decimal(sum(row.response_time_ms for row in rows)) / len(rows))
        for name, rows in groups.items()
    ]
    got = past.ask("spend_by_model")
    assert [line[:3] for line in got] == [line[:3] for line in dearest_first(expected, 2)]
    for line, (_, _, _, average) in zip(got, dearest_first(expected, 2), strict=True):
        assert abs(line[3] - average) < Decimal("0.000001")
        assert average >= 20  # the provider took that long


def test_top_spenders_this_week(past: Any) -> None:
    this_week = [row for row in past.rows if row.asked.days_ago < 7 and row.tag("User-Id")]
    groups = grouped(this_week, lambda row: row.tag("User-Id"))
    expected = dearest_first([(name, len(rows), total(rows)) for name, rows in groups.items()], 2)
    assert past.ask("top_spenders_this_week") == expected


def test_indexed_metadata_finds_what_was_activated(past: Any) -> None:
    rows = [row for row in past.rows if row.tag("Feature") == "document-review" and row.asked.developer == "Bob"]
    assert past.ask("indexed_metadata") == [(len(rows), total(rows))]
    assert past.gateway.sql("SELECT count(*) FROM llm_requests WHERE indexed_metadata ? 'Team'") == [(0,)]


def test_verify_it_works(past: Any) -> None:
    newest = sorted(past.rows, key=lambda row: row.requested_at, reverse=True)[:5]
    got = past.ask("verify_it_works")
    assert [(line[0], line[3], line[4]) for line in got] == [
        (row.asked.model, row.asked.cost, row.requested_at) for row in newest
    ]
    assert [(line[1] or 0, line[2] or 0) for line in got] == [row.asked.tokens for row in newest]


def test_cost_per_developer_by_metadata(past: Any) -> None:
    groups = grouped([row for row in past.rows if row.tag("Developer")], lambda row: row.tag("Developer"))
    expected = dearest_first([(name, len(rows), total(rows)) for name, rows in groups.items()], 2)
    assert past.ask("cost_per_developer_by_metadata") == expected


def test_cost_per_developer_by_key(past: Any) -> None:
    groups = grouped(past.rows, lambda row: row.asked.developer)
    expected = dearest_first([(name, len(rows), total(rows)) for name, rows in groups.items()], 2)
    assert past.ask("cost_per_developer_by_key") == expected


def test_cost_per_project(past: Any) -> None:
    groups = grouped([row for row in past.rows if row.tag("Project")], lambda row: row.tag("Project"))
    expected = dearest_first([(name, len(rows), total(rows)) for name, rows in groups.items()], 2)
    assert past.ask("cost_per_project") == expected


@pytest.fixture(scope="session")
def turns(past: Any) -> list[Any]:
    """The requests of Claude Code's."""
    return [row for row in past.rows if row.asked.turn is not None]


def test_model_usage_breakdown(past: Any, turns: Any) -> None:
    rows = turns
    expected = [("claude-haiku-4-5", len(rows), tokens(rows, 0), tokens(rows, 1), total(rows))]
    assert past.ask("model_usage_breakdown") == expected


def test_tool_usage(past: Any, turns: Any) -> None:
    used = list(itertools.chain.from_iterable(row.asked.turn.tools for row in turns))
    expected = sorted(((tool, used.count(tool)) for tool in set(used)), key=lambda line: -line[1])
    assert past.ask("tool_usage") == expected


def test_thinking_cost(past: Any, turns: Any) -> None:
    groups = grouped(turns, lambda row: row.asked.turn.thinking)
    expected = {(flag, len(rows), total(rows)) for flag, rows in groups.items()}
    assert set(past.ask("thinking_cost")) == expected


def test_plan_mode_cost(past: Any, turns: Any) -> None:
    groups = grouped(turns, lambda row: "Plan Mode" if row.asked.turn.planning else "Full Mode")
    expected = {(mode, len(rows), total(rows)) for mode, rows in groups.items()}
    assert set(past.ask("plan_mode_cost")) == expected


def test_daily_spend(past: Any, turns: Any) -> None:
    groups = grouped(turns, lambda row: row.requested_at.date())
    expected = sorted(((day, len(rows), total(rows)) for day, rows in groups.items()), reverse=True)
    assert past.ask("daily_spend") == expected


def test_session_summary(past: Any, turns: Any) -> None:
    ((session, name, _, ended, *sums),) = past.ask("session_summary")
    assert (str(session), name, ended) == (past.session, "Bob", None)
    assert sums == [len(turns), tokens(turns, 0), tokens(turns, 1), total(turns)]


def test_requests_in_a_session(past: Any, turns: Any) -> None:
    expected = [
        (row.asked.model, *row.asked.tokens, row.asked.cost, list(turn.tools), len(turn.tools), turn.thinking,
         turn.planning, turn.stop_reason, row.requested_at)
        for row in sorted(turns, key=lambda row: row.requested_at)
        for turn in [row.asked.turn]
    ]  # fmt: skip
    assert len(expected) == 3
    assert past.ask("requests_in_a_session", your_session_uuid_here=past.session) == expected


def test_the_registry_has_every_key_with_its_counts(past: Any) -> None:
    seen: dict[tuple[str, str], list[str]] = {}
    for row in past.rows:
        for name, value in row.asked.metadata.items():
            seen.setdefault((row.asked.developer, name.title()), []).append(value)
    got = past.gateway.sql(
        "SELECT ak.name, mk.key_name, mk.request_count, mk.approx_cardinality, mk.is_active, mk.last_seen_at,"
        " mk.key_type, mk.hll_state IS NOT NULL AS sketched FROM llm_requests_metadata_keys mk"
        " JOIN api_keys ak ON ak.id = mk.majordomo_api_key_id WHERE mk.key_name <> 'Probe'"
    )
    assert {(row["name"], row["key_name"]) for row in got} == set(seen)
    for row in got:
        if (row["name"], row["key_name"]) == ("Bob", "Feature"):
            assert row["is_active"]
            continue  # the probes that waited for its activation were counted too
        values = seen[row["name"], row["key_name"]]
        assert (row["request_count"], row["approx_cardinality"]) == (len(values), len(set(values)))
        assert (row["is_active"], row["key_type"], row["sketched"]) == (False, "string", True)
        assert abs(row["last_seen_at"] - NOW) < dt.timedelta(hours=1)


def test_every_statement_is_run_by_some_test() -> None:
    asked = Path(__file__).read_text()
    assert [file.stem for file in SQL.glob("*.sql") if f'past.ask("{file.stem}"' not in asked] == []
