"""Figures of usage worked out in Python over the rows, one by one: what the questions' answers are held against."""

import datetime as dt
import json
from collections.abc import Callable, Iterable
from decimal import Decimal
from math import ceil
from typing import Any
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest
from recorded_rows import HOUR_US, Exchange, in_session

#: Nine days around the night in which Europe sets its clocks back, and the turn of a month.
START = dt.datetime(2026, 10, 23, 17, 40, tzinfo=dt.UTC)
START_US = int(START.timestamp()) * 1_000_000
HOURS = 9 * 24
SPAN_US = HOURS * HOUR_US
WHOLE = {"since": "2026-10-01", "until": "2026-12-01"}
SESSION = UUID(int=0x55)
#: A test with this runs twice: over rows, and over sums by two dimensions of which some hours have changed.
SUMMED = pytest.mark.parametrize("book", ["rows", "pairs"], indirect=True)
DIMENSIONS = ("provider", "model", "key", "status", "outcome", "error_type", "client", "session", "run", "query_class")

_ROWS = """
SELECT r.*, d.query_class FROM llm_requests r
LEFT JOIN claude_request_details d ON d.llm_request_id = r.id WHERE r.org_id = $1
"""

Row = dict[str, Any]

#: How far a percentile may be off: half a step of a histogram.
BOUND = 0.025

COSTS = ("input_cost", "cache_read_cost", "cache_creation_cost", "output_cost", "tool_cost", "total_cost")
COUNTS = ("prompt_tokens", "cached_tokens", "cache_creation_tokens", "output_tokens", "reasoning_tokens")
COLUMNS = {
    "provider": "provider",
    "model": "model",
    "status": "status_code",
    "outcome": "outcome",
    "error_type": "error_type",
    "client": "client",
    "session": "claude_session_id",
    "run": "trace_id",
    "key": "majordomo_api_key_id",
    "query_class": "query_class",
}


def value(row: Row, dimension: str) -> str | None:
    """The value that a row has of a dimension."""
    if dimension in COLUMNS:
        found = row[COLUMNS[dimension]]
        return None if found in (None, "") else str(found)
    told = row["raw_metadata"].get(dimension)
    return None if told is None else str(told)


def failed(row: Row) -> bool:
    """Whether a row counts as an error."""
    return (row["status_code"] or 0) > 399 or row["outcome"] in ["provider_broke", "refused", "gateway_stopped", "lost"]


def sums(rows: Iterable[Row]) -> dict[str, Any]:
    """The figures of ``UsageOut`` that are sums, as JSON has them."""
    kept = list(rows)
    found: dict[str, Any] = {
        "requests": len(kept),
        "errors": sum(map(failed, kept)),
        "unpriced": sum(row["total_cost"] is None and row["usage_state"] != "none" for row in kept),
    }
    for name in COUNTS:
        found[name] = sum(row[name] or 0 for row in kept)
    for name in COSTS:
        found[name] = money(sum((row[name] or Decimal(0) for row in kept), Decimal(0)))
    found["uncached_tokens"] = found["prompt_tokens"] - found["cached_tokens"] - found["cache_creation_tokens"]
    return found


def money(amount: Decimal) -> str:
    """USD without trailing zeros."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def passes(row: Row, filters: Iterable[str]) -> bool:
    """Whether a row passes filters as a request writes them."""
    kept: dict[str, list[bool]] = {}
    for text in filters:
        minus = text.startswith("-")
        name, colon, wanted = text[minus:].partition(":")
        found = value(row, name)
        matches = found == wanted if colon else found is None
        if minus != (not colon):  # -D:V and D leave out; D:V and -D keep
            if matches:
                return False
        else:
            kept.setdefault(name, []).append(matches)
    return all(any(tests) for tests in kept.values())


def by(rows: Iterable[Row], key: Callable[[Row], Any]) -> dict[Any, list[Row]]:
    """Rows by something."""
    found: dict[Any, list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


def bucket(at: dt.datetime, granularity: str, zone: str) -> dt.datetime:
    """The beginning of the zone's hour, day, week or month that a moment is in, in UTC."""
    local = at.astimezone(ZoneInfo(zone))
    if granularity == "hour":
        past = dt.timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        return at.astimezone(dt.UTC) - past
    day = local.date()
    if granularity == "week":
        day -= dt.timedelta(days=day.weekday())
    if granularity == "month":
        day = day.replace(day=1)
    return dt.datetime.combine(day, dt.time(), ZoneInfo(zone)).astimezone(dt.UTC)


def labelled(made: list[Exchange]) -> list[Exchange]:
    """The same, some of them in a session or an agent run."""
    found = []
    for number, one in enumerate(made):
        opening, close = in_session(one, SESSION) if number % 5 == 0 else one
        if number % 7 < 2:
            span = "plan/search" if number % 2 else "plan"
            opening = msgspec.structs.replace(opening, trace_id=f"run-{number % 7}", span_path=span)
        found.append((opening, close))
    return found


class Book:
    """A signed-in member, the rows that they may see, and the answers that they get."""

    def __init__(self, api: Any, rows: list[Row]) -> None:
        self.api = api
        self.rows = rows

    def ask(self, path: str, *filters: str, **parameters: Any) -> Any:
        """The JSON of an answer."""
        reply = self.get(path, *filters, **parameters)
        assert reply.status == 200, reply.body
        return reply.json

    def get(self, path: str, *filters: str, **parameters: Any) -> Any:
        """A reply; ``since`` and ``until`` are ``from`` and ``to``."""
        names = {"since": "from", "until": "to"}
        pairs = [(names.get(name, name), value) for name, value in parameters.items() if value is not None]
        return self.api("GET", f"/usage/{path}?{urlencode([*pairs, *(('filter', text) for text in filters)])}")

    def within(self, since: dt.datetime, until: dt.datetime, filters: tuple[str, ...] = ()) -> list[Row]:
        """The rows that such a question is about."""
        return [row for row in self.rows if since <= row["requested_at"] < until and passes(row, filters)]


def agrees(told: Any, rows: list[Row]) -> bool:
    """Whether the figures of an answer are those of these rows."""
    return all(told[name] == figure for name, figure in sums(rows).items())


def near(told: Any, rows: Iterable[Row], column: str) -> bool:
    """Whether each percentile is within the promised bound of the nearest rank's."""
    times = sorted(row[column] for row in rows if row[column] is not None)
    if told["requests"] != len(times):
        return False
    if not times:
        return told["p50"] is told["p95"] is told["p99"] is None
    exact = {p: max(1, times[ceil(len(times) * p / 100) - 1]) for p in (50, 95, 99)}
    return all(abs(told[f"p{p}"] - value) <= BOUND * value + 0.05 for p, value in exact.items())


def both_near(told: Any, rows: list[Row]) -> bool:
    """Of response time and time to first byte."""
    return near(told["response"], rows, "response_time_ms") and near(told["first_byte"], rows, "time_to_first_byte_ms")


def rows_of(api: Any, org: UUID) -> list[Row]:
    """All rows of an organisation, their metadata decoded."""
    found = api.database(lambda connection: connection.fetch(_ROWS, org))
    return [{**row, "raw_metadata": json.loads(row["raw_metadata"])} for row in found]
