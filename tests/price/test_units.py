"""Rates become whole femto-dollars or nothing; dated prices know until when they hold."""

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from majordomo.meter.reading import Bucket
from majordomo.price import spans
from majordomo.price.card import SLOTS
from majordomo.price.spans import Constraint
from majordomo.price.units import QUOTED_PER, Step, at_length, femto_per_count, scaled


def test_every_bucket_has_a_quantity_and_a_place_in_the_bill() -> None:
    assert set(SLOTS) == set(Bucket)
    assert {bucket.value for bucket in Bucket} <= set(QUOTED_PER)


@pytest.mark.parametrize(
    ("unit", "usd", "femto"),
    [
        ("input", "0.001", 10**6),
        ("input", "0.000000001", 1),
        ("input", "0.0000000001", None),
        ("web_search", "10", 10**13),
        ("audio_seconds", "0.36", 10**8),
        ("audio_seconds", "1.02", None),
        ("images", "0.04", 4 * 10**13),
        ("input", "0", 0),
    ],
)
def test_a_rate_that_is_not_whole_is_no_rate(unit: str, usd: str, femto: int | None) -> None:
    assert femto_per_count(unit, D(usd)) == femto


@given(st.decimals("0", "1000", places=6), st.sampled_from(["1.1", "0.5", "1.8", "0.875"]))
def test_multipliers_of_published_rates_stay_exact(rate: D, factor: str) -> None:
    (step,) = scaled((Step(-1, rate),), D(factor))
    assert step.usd == rate * D(factor)
    assert (femto_per_count("input", step.usd) is None) is ((rate * D(factor) * 10**9) % 1 != 0)


def test_the_highest_step_that_is_exceeded_counts() -> None:
    ladder = (Step(-1, D(1)), Step(100, D(2)), Step(200, D(3)))
    assert [at_length(ladder, above) for above in (-1, 50, 100, 150, 200, 300)] == [1, 1, 2, 2, 3, 3]


def _us(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000


@given(
    st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
    st.times(),
    st.times(),
    st.integers(-12, 14),
)
def test_a_span_around_a_moment_has_one_answer_throughout(moment: datetime, start: time, end: time, zone: int) -> None:
    """Whatever the zone of the times, and whether they cross midnight: the same at both ends of the span."""
    tz = timezone(timedelta(hours=zone))
    constraint = Constraint(start_time=start.replace(tzinfo=tz), end_time=end.replace(tzinfo=tz))
    at_us = _us(moment)
    active, (first, last) = spans.active(constraint, at_us)
    assert first <= at_us < last
    for other in (first, last - 1, (first + last) // 2):
        assert spans.active(constraint, other) == (active, (first, last))


def test_a_date_holds_from_its_midnight_in_utc() -> None:
    midnight = _us(datetime(2026, 7, 30, tzinfo=UTC))
    assert spans.dated(date(2026, 7, 30), None, midnight) == (True, (midnight, spans.ALWAYS[1]))
    assert spans.dated(date(2026, 7, 30), None, midnight - 1) == (False, (spans.ALWAYS[0], midnight))
    assert spans.dated(None, date(2026, 7, 30), midnight) == (False, (midnight, spans.ALWAYS[1]))
