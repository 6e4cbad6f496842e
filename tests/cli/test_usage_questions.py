"""Every question about usage on the command line: figures as the rows have them, readable tables, the same filters."""

import datetime as dt
import json
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import usage_book
from recorded_rows import HOUR_US, exchange, record, varied
from usage_book import DIMENSIONS, Row, labelled, money, passes

Run = Callable[..., tuple[int, str, str]]
Query = Callable[..., list[tuple[Any, ...]]]

DAYS = 6
END = dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0)
START = END - dt.timedelta(days=DAYS)


@pytest.fixture
def rows(postgres_dsn: str, tmp_path: Path, query: Query) -> list[Row]:
    """Six days of requests of all kinds, some in a session, some in runs."""
    start_us = int(START.timestamp()) * 1_000_000
    record(postgres_dsn, tmp_path, labelled(varied(300, start_us, DAYS * 24 * HOUR_US)))
    names = "r.*, d.query_class"
    found = query(
        f"SELECT row_to_json(x) FROM (SELECT {names} FROM llm_requests r"
        " LEFT JOIN claude_request_details d ON d.llm_request_id = r.id) x"
    )
    decoded = [json.loads(text, parse_float=Decimal) for (text,) in found]
    for row in decoded:
        row["requested_at"] = dt.datetime.fromisoformat(row["requested_at"])
        for name in usage_book.COSTS:
            row[name] = None if row[name] is None else Decimal(row[name])
    return decoded


@pytest.fixture
def ask(majordomo: Run) -> Callable[..., Any]:
    """``ask("summary")``: the JSON of an answer."""

    def asked(*arguments: str) -> Any:
        code, out, err = majordomo("usage", *arguments, "--json")
        assert code == 0, err
        return json.loads(out)

    return asked


def agrees(told: Any, some: list[Row]) -> bool:
    """Costs that nobody knows are null in rows of a breakdown."""
    sums = usage_book.sums(some)
    return all(told[name] == figure for name, figure in sums.items() if told[name] is not None or figure != "0")


@pytest.mark.parametrize("dimension", [*DIMENSIONS, "Feature", "user-id"])
def test_usage_by_every_dimension_is_that_of_the_rows(ask: Any, rows: list[Row], dimension: str) -> None:
    told = ask("by", dimension, "--limit", "1000")
    name = "User-Id" if dimension == "user-id" else dimension
    expected = usage_book.by(rows, lambda row: usage_book.value(row, name))
    assert {row["value"] for row in told["rows"]} == expected.keys()
    assert all(agrees(row, expected[row["value"]]) for row in told["rows"])
    assert agrees(told["total"], rows)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
@pytest.mark.parametrize("granularity", ["hour", "day", "week", "month"])
def test_usage_by_time_is_that_of_the_rows_newest_first(ask: Any, rows: list[Row], granularity: str, zone: str) -> None:
    told = ask("by", granularity, "--timezone", zone, "--limit", "4")
    expected = usage_book.by(rows, lambda row: usage_book.bucket(row["requested_at"], granularity, zone))
    newest = sorted(expected, reverse=True)
    assert [row["requests"] for row in told["rows"]] == [len(expected[start]) for start in newest[:4]]
    assert (told["rest"] or {"requests": 0})["requests"] == sum(len(expected[start]) for start in newest[4:])
    assert agrees(told["total"], rows)


@pytest.mark.parametrize(
    ("options", "filters"),
    [
        (("--filter", "model:gpt-5", "--filter", "model:chat"), ("model:gpt-5", "model:chat")),
        (("--filter", "-Feature:chat"), ("-Feature:chat",)),
        (("--filter", "-Feature", "--provider", "openai"), ("-Feature", "provider:openai")),
        (("--model", ""), ("-model",)),
        (("--metadata", "user-id=user-3"), ("User-Id:user-3",)),
        (("--filter", "run:run-1", "--filter", "-status:200"), ("run:run-1", "-status:200")),
    ],
)
def test_filters_are_those_of_the_api(
    ask: Any, rows: list[Row], options: tuple[str, ...], filters: tuple[str, ...]
) -> None:
    expected = [row for row in rows if passes(row, filters)]
    assert expected
    assert agrees(ask("summary", *options), expected)
    newest = sorted(expected, key=lambda row: (row["requested_at"], row["id"]), reverse=True)
    assert [one["id"] for one in ask("requests", *options, "--limit", "500")["requests"]] == [r["id"] for r in newest]


def test_the_time_before_is_beside_it(majordomo: Run, ask: Any, rows: list[Row]) -> None:
    middle = START + dt.timedelta(days=DAYS / 2)
    bounds = ("--from", middle.isoformat(), "--to", END.isoformat())
    now = [row for row in rows if middle <= row["requested_at"] < END]
    before = [row for row in rows if START <= row["requested_at"] < middle]
    told = ask("summary", *bounds, "--compare")
    assert agrees(told, now) and agrees(told["previous"], before) and before
    by_model = ask("by", "model", *bounds, "--compare")
    for row in by_model["rows"]:
        assert agrees(row["previous"], [one for one in before if usage_book.value(one, "model") == row["value"]])
    assert agrees(by_model["total"]["previous"], before)
    out = majordomo("usage", "summary", *bounds, "--compare")[1]
    assert f"{len(before)} requests" in out and "Before, " in out
    table = majordomo("usage", "by", "model", *bounds, "--compare")[1]
    assert "Before USD" in table and money(sum((r["total_cost"] or 0 for r in before), Decimal(0))) in table
    assert "--compare needs a time" in majordomo("usage", "summary", "--compare")[2]


def test_a_timeseries_adds_up_in_every_bucket(majordomo: Run, ask: Any, rows: list[Row]) -> None:
    told = ask("timeseries", "--period", "7d", "--by", "Feature", "--limit", "2")
    expected = usage_book.by(rows, lambda row: usage_book.bucket(row["requested_at"], "day", "UTC"))
    for number, start in enumerate(told["buckets"]):
        assert agrees(told["total"][number], expected.get(dt.datetime.fromisoformat(start), []))
        points = [one["points"][number]["requests"] for one in told["series"]]
        assert sum(points) == told["total"][number]["requests"]
    assert [one["is_rest"] for one in told["series"]][-1] is True
    out = majordomo("usage", "timeseries", "--last", "48h", "--granularity", "hour", "--compare")[1]
    assert "█" in out and "Before, " in out
    assert len([line for line in out.splitlines() if line.strip().startswith("20")]) >= 48
    assert "hour, day, week, month" in majordomo("usage", "timeseries", "--granularity", "minute")[2]


def test_errors_are_counted_by_kind(majordomo: Run, ask: Any, rows: list[Row]) -> None:
    failed = [row for row in rows if usage_book.failed(row)]
    told = ask("errors", "--limit", "200")
    assert (told["requests"], told["errors"]) == (len(rows), len(failed))
    assert sum(kind["requests"] for kind in told["rows"]) == len(failed)
    assert {kind["sample_id"] for kind in told["rows"]} <= {row["id"] for row in failed}
    out = majordomo("usage", "errors", "--limit", "1")[1]
    assert f"{len(failed)} of {len(rows)} requests failed" in out and "further kinds" in out


def test_latency_is_told_by_a_dimension(majordomo: Run, ask: Any, rows: list[Row]) -> None:
    timed = [row for row in rows if row["response_time_ms"] is not None]
    told = ask("latency", "--by", "provider", "--period", "30d")
    assert told["total"]["response"]["requests"] == len(timed)
    assert sum(row["times"]["response"]["requests"] for row in told["rows"]) == len(timed)
    times = sorted(row["response_time_ms"] for row in timed)
    median = times[-(-len(times) // 2) - 1]
    assert abs(told["total"]["response"]["p50"] - median) <= median * 0.03
    assert "openai" in majordomo("usage", "latency", "--by", "provider")[1]


def test_runs_and_one_as_a_tree(majordomo: Run, ask: Any, rows: list[Row]) -> None:
    expected = usage_book.by([row for row in rows if row["trace_id"]], lambda row: row["trace_id"])
    told = ask("runs")
    assert {one["run"]: one["usage"]["requests"] for one in told["runs"]} == {
        run: len(some) for run, some in expected.items()
    }
    tree = ask("run", "run-1")
    assert tree["spans"][0]["total"]["total_cost"] == usage_book.sums(expected["run-1"])["total_cost"]
    assert {row["span_path"] for row in expected["run-1"]} <= {span["path"] for span in tree["spans"]}
    out = majordomo("usage", "run", "run-1")[1]
    assert "search" in out and usage_book.sums(expected["run-1"])["total_cost"] in out
    assert "run-1" in majordomo("usage", "runs")[1]
    assert "usage runs" in majordomo("usage", "run", "nowhere")[2]


def test_what_if_prices_the_same_traffic_anew(majordomo: Run, ask: Any, postgres_dsn: str, tmp_path: Path) -> None:
    """A thousand tokens in, a hundred out, on gpt-5's prices instead: 1.25 and 10 USD a million."""
    now = int(time.time() * 1e6) - HOUR_US
    record(postgres_dsn, tmp_path, [exchange(now, uncached=1000, output=100, costs=(1, 0, 0, 1, 0))])
    told = ask("what-if", "gpt-5")
    assert [row["what_if_cost"] for row in told["rows"]] == ["0.00225"]
    assert told["total"]["difference"] == "0.002249999999998"
    out = majordomo("usage", "what-if", "gpt-5")[1]
    assert "As gpt-5 USD" in out and "0.002249999999998" in out
    assert "unknown_model" in majordomo("usage", "what-if", "no-such-model")[1]


def test_dimensions_name_what_can_be_asked_by(majordomo: Run, ask: Any, rows: list[Row]) -> None:
    told = {one["name"]: one for one in ask("dimensions")["dimensions"]}
    assert {*DIMENSIONS, "Feature", "User-Id"} == told.keys()
    assert told["provider"]["values"] == len({row["provider"] for row in rows})
    assert "Feature" in majordomo("usage", "dimensions")[1]


def test_an_organisation_can_be_asked_about_alone(ask: Any, majordomo: Run, rows: list[Row], query: Query) -> None:
    query("INSERT INTO orgs (id, name) VALUES ('00000000-0000-0000-0000-0000000000aa', 'Acme')")
    assert ask("summary", "--org", "Acme")["requests"] == 0
    assert ask("summary", "--org", "default")["requests"] == len(rows)
    assert ask("by", "day", "--org", "Acme")["rows"] == []
    assert majordomo("usage", "summary", "--org", "nobody")[0] == 1


def test_nothing_is_lost_by_time_where_sums_outlive_the_rows(ask: Any, rows: list[Row], query: Query) -> None:
    """After retention dropped the rows, whole days are still told."""
    query("DELETE FROM llm_requests")
    told = ask("by", "day")
    assert told["total"]["requests"] == len(rows)
    assert sum(row["requests"] for row in told["rows"]) == len(rows)
