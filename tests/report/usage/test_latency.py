"""Percentiles are those of the rows, as near as is promised, in all, over time and by a dimension."""

import datetime as dt
from collections.abc import Iterable
from math import ceil
from typing import Any

import usage_book
from hypothesis import given
from hypothesis import strategies as some
from usage_book import WHOLE, Book, Row

from majordomo.report.questions.latency import STEP, Histogram, percentile

#: What the answers promise: half a step.
BOUND = 0.025


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
    return near(told["response"], rows, "response_time_ms") and near(told["first_byte"], rows, "time_to_first_byte_ms")


def test_percentiles_are_near_those_of_the_rows(book: Book) -> None:
    filters = ("-model:gpt-5",)
    rows = [row for row in book.rows if usage_book.passes(row, filters)]
    told = book.ask("latency", *filters, group_by="model", granularity="day", timezone="Europe/Berlin", **WHOLE)
    assert both_near(told["total"], rows) and told["total"]["response"]["requests"] > 100
    by_day = usage_book.by(rows, lambda row: usage_book.bucket(row["requested_at"], "day", "Europe/Berlin"))
    for start, point in zip(told["buckets"], told["points"], strict=True):
        assert both_near(point, by_day.get(dt.datetime.fromisoformat(start), []))
    by_model = usage_book.by(rows, lambda row: usage_book.value(row, "model"))
    assert {row["value"] for row in told["rows"]} == by_model.keys()
    assert all(both_near(row, by_model[row["value"]]) for row in told["rows"])


def test_further_values_are_one_row(book: Book) -> None:
    told = book.ask("latency", group_by="User-Id", limit=3, **WHOLE)
    shown = {row["value"] for row in told["rows"] if not row["is_rest"]}
    rest = [row for row in told["rows"] if row["is_rest"]]
    assert len(shown) == 3 and len(rest) == 1
    assert both_near(rest[0], [row for row in book.rows if usage_book.value(row, "User-Id") not in shown])


def test_nothing_timed_has_no_percentiles(book: Book) -> None:
    told = book.ask("latency", "outcome:lost", **WHOLE)["total"]
    assert told["response"] == {"requests": 0, "p50": None, "p95": None, "p99": None}


@given(some.lists(some.integers(1, 3_600_000), min_size=1, max_size=200))
def test_a_percentile_is_never_further_off_than_promised(times: list[int]) -> None:
    """Whatever the times, from a millisecond to an hour."""
    from math import log

    histogram = Histogram(0 if ms <= 1 else ceil(log(ms) / log(STEP)) for ms in times)
    for per_cent in (50, 95, 99):
        exact = sorted(times)[ceil(len(times) * per_cent / 100) - 1]
        told = percentile(histogram, per_cent)
        assert told is not None and abs(told - exact) <= BOUND * exact + 0.05
