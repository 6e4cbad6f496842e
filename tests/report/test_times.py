"""Stretches of time as people write them."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as some

from majordomo.report.questions.times import TimeError, parse_moment, parse_span

NOW = dt.datetime(2026, 11, 21, 14, 30, 5, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("now", NOW),
        ("today", dt.datetime(2026, 11, 21, tzinfo=dt.UTC)),
        ("Yesterday", dt.datetime(2026, 11, 20, tzinfo=dt.UTC)),
        ("2026-11-03", dt.datetime(2026, 11, 3, tzinfo=dt.UTC)),
        ("2026-11-03T04:05", dt.datetime(2026, 11, 3, 4, 5, tzinfo=dt.UTC)),
        (" 2026-11-03 04:05:06 ", dt.datetime(2026, 11, 3, 4, 5, 6, tzinfo=dt.UTC)),
        ("2026-11-03T04:05Z", dt.datetime(2026, 11, 3, 4, 5, tzinfo=dt.UTC)),
        ("2026-11-03T00:30+01:00", dt.datetime(2026, 11, 2, 23, 30, tzinfo=dt.UTC)),
    ],
)
def test_a_moment_is_read_as_utc_unless_it_says_otherwise(text: str, meant: dt.datetime) -> None:
    """Dates, times, offsets and words."""
    assert parse_moment(text, NOW) == meant


@pytest.mark.parametrize(
    ("text", "meant"),
    [("30m", dt.timedelta(minutes=30)), ("24H", dt.timedelta(days=1)), ("4w", dt.timedelta(days=28))],
)
def test_a_span_has_a_number_and_a_unit(text: str, meant: dt.timedelta) -> None:
    """Minutes, hours, days and weeks."""
    assert parse_span(text) == meant


@given(some.text())
def test_anything_else_is_one_named_error(text: str) -> None:
    """No text makes either of them fail in another way."""
    for read in (parse_span, lambda given: parse_moment(given, NOW)):
        try:
            read(text)
        except TimeError as wrong:
            assert "write" in str(wrong) or "no stretch" in str(wrong)


@pytest.mark.parametrize("text", ["0d", "7", "d", "-1d", "7y", "1.5h", "999999w", ""])
def test_spans_that_are_none_are_refused(text: str) -> None:
    """The message shows what is allowed."""
    with pytest.raises(TimeError, match="7d"):
        parse_span(text)
