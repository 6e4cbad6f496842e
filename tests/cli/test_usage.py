"""``majordomo usage``: figures as in the database, readable tables, and the next step where there is nothing."""

import json
import re
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from recorded_rows import KEYS, exchange, record

from majordomo.meter.reading import UsageState
from majordomo.record.frames import Outcome
from majordomo.report.questions.usage import Usage

Run = Callable[..., tuple[int, str, str]]
Query = Callable[..., list[tuple[object, ...]]]

NOW_US = int(time.time() * 1e6)
MINUTE_US = 60_000_000

ESTIMATED: dict[str, Any] = {
    "provider": "deepseek",
    "model": "new",
    "costs": None,
    "state": UsageState.ESTIMATED,
    "key": KEYS[1],
}
FREE: dict[str, Any] = {"state": UsageState.NONE, "costs": (0, 0, 0, 0, 0), "uncached": 0, "output": 0}


@pytest.fixture
def traffic(postgres_dsn: str, tmp_path: Path) -> None:
    """Five requests: one plain, one cached, one unpriced and estimated, one failed, one lost."""
    record(
        postgres_dsn,
        tmp_path,
        [
            exchange(NOW_US - 5 * MINUTE_US, metadata={"Feature": "chat"}, costs=(250_000_000, 0, 0, 10**15, 0)),
            exchange(NOW_US - 4 * MINUTE_US, cached=300, written=100, metadata={"Feature": "review"}),
            exchange(NOW_US - 3 * MINUTE_US, **ESTIMATED),
            exchange(NOW_US - 2 * MINUTE_US, status=529, metadata={"Feature": ""}, **FREE),
            exchange(NOW_US - MINUTE_US, model=None, outcome=Outcome.LOST),
        ],
    )


def cells(out: str, first: str) -> list[str]:
    """The cells of the table row that begins with ``first``."""
    line = next(line for line in out.splitlines() if line.strip().startswith(first))
    return [cell for cell in line.replace(first, "", 1).split("  ") if cell.strip()]


def test_the_summary_names_classes_and_what_is_uncertain(majordomo: Run, traffic: None) -> None:
    """Counts, every digit of the cost, and plain words for unpriced, estimated and lost requests."""
    code, out, _ = majordomo("usage", "summary")
    assert code == 0
    assert "5 requests, 2 of them failed" in out
    assert [cell.strip() for cell in cells(out, "Output")] == ["30", "1.000000000000200"]
    assert [cell.strip() for cell in cells(out, "Cache read")] == ["300", "0.000000000000003"]
    assert cells(out, "Total")[-1].strip() == "1.000000250000228"
    assert "1 requests used something without a known price" in out
    assert "usage requests --unpriced" in out
    assert "estimated" in out
    assert "lost in a crash" in out


def test_json_is_exact_and_equals_the_rows(majordomo: Run, traffic: None, query: Query) -> None:
    """Money is text with all digits; sums are those of the rows."""
    told = json.loads(majordomo("usage", "summary", "--json")[1])
    [(total, prompt)] = query("SELECT sum(total_cost), sum(prompt_tokens) FROM llm_requests")
    assert isinstance(told["total_cost"], str)
    assert Decimal(told["total_cost"]) == total
    assert told["prompt_tokens"] == prompt
    assert (told["requests"], told["errors"], told["unpriced"], told["estimated"], told["lost"]) == (5, 2, 1, 1, 1)


@pytest.mark.parametrize(
    "dimension", ["provider", "model", "key", "status", "outcome", "hour", "day", "month", "Feature", "feature"]
)
def test_every_breakdown_adds_up(majordomo: Run, traffic: None, dimension: str) -> None:
    """Rows and total agree, in JSON and in the table."""
    told = json.loads(majordomo("usage", "by", dimension, "--json")[1])
    assert sum(row["requests"] for row in told["rows"]) == told["total"]["requests"] == 5
    assert sum(Decimal(row["total_cost"] or 0) for row in told["rows"]) == Decimal(told["total"]["total_cost"])
    code, out, _ = majordomo("usage", "by", dimension)
    assert code == 0
    assert cells(out, "Total")[0].strip() == "5"


def test_a_cost_that_nobody_knows_is_not_shown_as_nothing(majordomo: Run, traffic: None) -> None:
    """A value of which nothing has a price says so; totals are exact and name what is missing from them."""
    out = majordomo("usage", "by", "model")[1]
    row = [cell.strip() for cell in cells(out, "new")]
    assert (row[0], row[5], row[6], row[8]) == ("1", "unknown", "–", "1")
    assert [cell.strip() for cell in cells(out, "Total")][5] == "1.000000250000228"
    assert "1 requests used something without a known price" in out
    told = json.loads(majordomo("usage", "by", "model", "--json")[1])
    rows = {row["value"]: row for row in told["rows"]}
    costs = [name for name in told["total"] if name.endswith("_cost")]
    assert len(costs) == 6
    assert [rows["new"][name] for name in costs] == [None] * 6
    assert (rows["new"]["unpriced"], told["total"]["unpriced"]) == (1, 1)
    assert rows[None]["total_cost"] == "0"  # a lost request: nothing is known to have been used
    assert told["total"]["total_cost"] == "1.000000250000228"


@pytest.mark.parametrize(
    ("requests", "errors", "unpriced", "cost", "unknown"),
    [(2, 0, 2, 0, True), (3, 1, 2, 0, True), (3, 0, 2, 0, False), (3, 0, 2, 1, False), (2, 2, 0, 0, False)],
)
def test_a_cost_is_unknown_where_nothing_that_succeeded_has_a_price(
    requests: int, errors: int, unpriced: int, cost: int, unknown: bool
) -> None:
    usage = Usage(requests=requests, errors=errors, unpriced=unpriced, total_cost=Decimal(cost))
    assert usage.cost_unknown is unknown


def test_metadata_shows_none_and_empty_apart(majordomo: Run, traffic: None) -> None:
    """Requests without the key, and with an empty value, each have a row of their own."""
    out = majordomo("usage", "by", "feature")[1]
    assert cells(out, "(none)")[0].strip() == "2"
    assert cells(out, "(empty)")[0].strip() == "1"
    assert "by Feature" in out


def test_an_unknown_dimension_tells_the_known_ones(majordomo: Run, traffic: None) -> None:
    """A misspelt key is not taken for one that nobody used."""
    for question in (("by", "Featrue"), ("summary", "--metadata", "Featrue=chat"), ("summary", "--filter", "Featrue")):
        code, out, err = majordomo("usage", *question)
        assert (code, out) == (1, "")
        assert "Featrue" in err and "provider, model" in err and "Feature" in err


@pytest.mark.parametrize(
    ("filters", "requests"),
    [
        (("--last", "1h"), 5),
        (("--last", "150s"), None),
        (("--metadata", "feature=chat"), 1),
        (("--metadata", "Feature="), 1),
        (("--metadata", "Feature=chat", "--model", "new"), 0),
        (("--provider", "deepseek"), 1),
        (("--model", "gpt-5-mini"), 3),
        (("--from", "2020-01-01", "--to", "2020-01-02"), 0),
        (("--from", "yesterday"), 5),
    ],
)
def test_filters_narrow_the_answer(
    majordomo: Run, traffic: None, filters: tuple[str, ...], requests: int | None
) -> None:
    """By time, metadata, provider and model; what cannot be read is refused with the right form."""
    code, out, err = majordomo("usage", "summary", "--json", *filters)
    if requests is None:
        assert code == 1
        assert "30m" in err
    else:
        assert json.loads(out)["requests"] == requests


def test_a_key_filter_takes_names_and_ids(majordomo: Run, traffic: None, query: Query) -> None:
    """Both name the same key; an unknown one is an error, not an empty answer."""
    query("INSERT INTO api_keys (id, name, key_hash) VALUES ($1, 'second', 'x')", KEYS[1])
    for which in ("second", str(KEYS[1])):
        assert json.loads(majordomo("usage", "summary", "--json", "--key", which)[1])["requests"] == 1
    assert majordomo("usage", "summary", "--key", "third")[0] == 1


def test_requests_are_newest_first_with_exact_costs(majordomo: Run, traffic: None) -> None:
    """The table has a row each; marks say what is not certain; limits and filters hold."""
    code, out, _ = majordomo("usage", "requests")
    assert code == 0
    rows = [line for line in out.splitlines() if line.strip().startswith("20")]
    assert [("lost" in rows[0]), ("529" in rows[1]), ("deepseek/new" in rows[2])] == [True, True, True]
    assert "1.000000250000000" in rows[4]
    assert "?" in rows[2]
    newest = json.loads(majordomo("usage", "requests", "--json", "--limit", "2")[1])
    assert newest["numRecords"] == 2
    assert newest["requests"][0]["outcome"] == "lost"
    unpriced = json.loads(majordomo("usage", "requests", "--unpriced", "--json")[1])["requests"]
    assert [line["model"] for line in unpriced] == ["new"]
    failed = json.loads(majordomo("usage", "requests", "--errors", "--json")[1])["requests"]
    assert [line["outcome"] for line in failed] == ["lost", "completed"]


def test_a_narrow_terminal_keeps_every_figure(majordomo: Run, traffic: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """On 100 columns no cost is cut and no line is longer."""
    monkeypatch.setenv("COLUMNS", "100")
    out = majordomo("usage", "requests")[1]
    assert "1.000000250000000" in out
    assert max(map(len, out.splitlines())) <= 100


def test_a_narrow_terminal_leaves_columns_out_but_no_name_and_no_cost(
    majordomo: Run, traffic: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    wide = majordomo("usage", "by", "model")[1]
    monkeypatch.setenv("COLUMNS", "72")
    narrow = majordomo("usage", "by", "model")[1]
    assert "Mean ms" in wide
    assert "Mean ms" not in narrow
    assert max(map(len, narrow.splitlines())) <= 72
    costs = re.findall(r"\d+\.\d{4,}", wide)
    assert costs
    assert costs == re.findall(r"\d+\.\d{4,}", narrow)


def test_one_request_has_every_field_and_its_buckets(majordomo: Run, traffic: None, query: Query) -> None:
    """By id or as the latest; JSON has every column of the row."""
    [(request_id, columns)] = query(
        "SELECT (SELECT id FROM llm_requests WHERE raw_metadata->>'Feature' = 'review'), array_agg(attname::text) "
        "FROM pg_attribute WHERE attrelid = 'llm_requests'::regclass AND attnum > 0 AND NOT attisdropped"
    )
    told = json.loads(majordomo("usage", "request", str(request_id), "--json")[1])
    assert isinstance(columns, list)
    assert set(columns) <= told.keys()
    assert told["cached_tokens"] == 300
    assert told["total_cost"] == "0.000000000000228"
    assert {bucket["bucket"]: bucket["count"] for bucket in told["buckets"]} == {
        "input": 100,
        "cache_read": 300,
        "cache_write": 100,
        "output": 10,
    }
    out = majordomo("usage", "request", str(request_id))[1]
    assert "cache_read (tokens)" in out
    assert "0.000000000000228" in out
    assert json.loads(majordomo("usage", "request", "latest", "--json")[1])["outcome"] == "lost"


def test_a_request_that_is_not_there_says_where_ids_are(majordomo: Run, traffic: None) -> None:
    """Neither a wrong form nor an unknown id is a traceback."""
    for wrong in ("nonsense", str(UUID(int=5))):
        code, out, err = majordomo("usage", "request", wrong)
        assert (code, out) == (1, "")
        assert "usage requests" in err


def test_what_callers_sent_cannot_drive_the_terminal(majordomo: Run, postgres_dsn: str, tmp_path: Path) -> None:
    """Escape sequences and markup in names are shown, not obeyed."""
    record(postgres_dsn, tmp_path, [exchange(NOW_US, model="\x1b[31mred", metadata={"Feature": "[bold]x[/bold]\x07"})])
    for command in (("by", "model"), ("by", "Feature"), ("requests",), ("request", "latest")):
        out = majordomo("usage", *command)[1]
        assert "\x1b" not in out
        assert "\x07" not in out
    assert "[bold]x[/bold]" in majordomo("usage", "by", "Feature")[1]


def test_nothing_yet_gives_a_line_to_paste(majordomo: Run) -> None:
    """The first step, with the address that the settings say."""
    for command in (("summary",), ("by", "model"), ("requests",)):
        out = majordomo("usage", *command)[1]
        assert "curl http://127.0.0.1:7680/v1/chat/completions" in out
        assert "keys create" in out
    assert majordomo("usage", "request", "latest")[0] == 1


def test_contradicting_times_are_refused(majordomo: Run) -> None:
    """--last with --from, and an end before its beginning."""
    assert "leave it out" in majordomo("usage", "summary", "--last", "1d", "--from", "today")[2]
    assert "from must be before to" in majordomo("usage", "summary", "--from", "2026-02-01", "--to", "2026-01-01")[2]
    assert "KEY=VALUE" in majordomo("usage", "summary", "--metadata", "Feature")[2]
