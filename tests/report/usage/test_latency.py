"""Percentiles are those of the rows, as near as is promised, in all, over time and by a dimension."""

import datetime as dt
from math import ceil

import usage_book
from hypothesis import given
from hypothesis import strategies as some
from usage_book import BOUND, SUMMED, WHOLE, Book, both_near

from majordomo.report.questions.latency import STEP, Histogram, percentile


@SUMMED
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


@SUMMED
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
