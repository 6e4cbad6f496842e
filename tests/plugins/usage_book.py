"""Figures of usage worked out in Python over the rows, one by one: what the questions' answers are held against."""

import datetime as dt
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

Row = dict[str, Any]

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
