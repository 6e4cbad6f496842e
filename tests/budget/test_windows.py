"""Windows against an independent reference: the zone's clock, read minute by minute around every beginning."""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from majordomo.budget.windows import CALENDAR, LAST_US, Kind, Window, WindowError, moment_of, parse_window, stamp_us

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)

#: Half-hour changes, changes at and over midnight, skipped days, offsets of three quarters, far ends of the date line.
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "America/St_Johns",
    "America/Havana",
    "Africa/Cairo",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Asia/Gaza",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "Pacific/Chatham",
    "Antarctica/Troll",
]

instants = st.datetimes(datetime(1985, 1, 1), datetime(2037, 12, 1)).map(lambda naive: naive.replace(tzinfo=UTC))


@cache
def begins(zone: str, day: date) -> datetime:
    """The first minute at which the zone's clocks show ``day`` or later, found by watching them."""
    clock = ZoneInfo(zone)
    minute = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=27)
    while (minute + 2 * HOUR).astimezone(clock).date() < day:  # far enough off not to miss a date that comes twice
        minute += HOUR
    while (minute + MINUTE).astimezone(clock).date() < day:
        minute += MINUTE
    return minute + MINUTE


def is_first(window: Window, day: date) -> bool:
    """Whether a window of this kind begins with ``day``."""
    if window.kind is Kind.DAY:
        return True
    if window.kind is Kind.WEEK:
        return day.weekday() == window.week_start
    if window.kind is Kind.QUARTER and day.month not in (1, 4, 7, 10):
        return False
    return day.day == window.month_start or (day.day < window.month_start and (day + DAY).day == 1)


def reference(window: Window, at: datetime) -> tuple[datetime, datetime]:
    """The latest beginning that is not after ``at``, and the earliest that is."""
    near = at.astimezone(ZoneInfo(window.zone)).date()
    day = near + 3 * DAY
    while not (is_first(window, day) and begins(window.zone, day) <= at):
        day -= DAY
    after = day + DAY
    while not (is_first(window, after) and begins(window.zone, after) > at):
        after += DAY
    return begins(window.zone, day), begins(window.zone, after)


calendar_windows = st.builds(
    Window,
    kind=st.sampled_from(sorted(CALENDAR)),
    zone=st.sampled_from(ZONES),
    week_start=st.integers(0, 6),
    month_start=st.integers(1, 31),
)
windows = st.one_of(
    calendar_windows,
    st.builds(Window, kind=st.sampled_from([Kind.MINUTE, Kind.HOUR]), zone=st.sampled_from(ZONES)),
    st.builds(Window, kind=st.just(Kind.ROLLING), length=st.integers(1, 400_000)),
)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@settings(max_examples=120, deadline=None)
@given(calendar_windows, instants)
@example(Window(kind=Kind.DAY, zone="Pacific/Apia"), utc("2011-12-30T10:00"))  # 30 December was skipped
@example(Window(kind=Kind.DAY, zone="Pacific/Apia"), utc("2011-12-30T09:59"))
@example(Window(kind=Kind.DAY, zone="America/St_Johns"), utc("2006-10-29T02:40"))  # set back from 00:01 to 23:01
@example(Window(kind=Kind.DAY, zone="America/Sao_Paulo"), utc("2018-11-04T03:00"))  # midnight was skipped
@example(Window(kind=Kind.DAY, zone="America/Havana"), utc("2026-11-01T04:30"))  # midnight came twice
@example(Window(kind=Kind.MONTH, month_start=31), utc("2028-02-29T00:00"))
@example(Window(kind=Kind.MONTH, month_start=30, zone="Asia/Kathmandu"), utc("2027-02-28T00:00"))
@example(Window(kind=Kind.QUARTER, month_start=31, zone="Europe/Berlin"), utc("2026-04-29T22:00"))
def test_a_calendar_window_begins_and_ends_when_the_zones_clocks_say(window: Window, at: datetime) -> None:
    span = window.span(stamp_us(at))
    assert span.end is not None
    assert (moment_of(span.start), moment_of(span.end)) == reference(window, at)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(ZONES), instants)
@example("Australia/Lord_Howe", utc("2026-04-04T15:10"))  # a day of 24.5 hours: its last window has half of one
@example("Europe/Berlin", utc("2026-10-25T00:30"))  # 02:30 for the first time of two
@example("Europe/Berlin", utc("2026-10-25T01:30"))
@example("America/St_Johns", utc("2006-10-29T02:31"))  # an hour that comes again over midnight
@example("Asia/Kathmandu", utc("1985-12-31T18:30"))  # clocks went a quarter of an hour ahead for good
def test_hours_are_counted_from_the_beginning_of_the_day_on_days_of_change_too(zone: str, at: datetime) -> None:
    day, tomorrow = reference(Window(kind=Kind.DAY, zone=zone), at)
    start = day
    while start + HOUR <= at:
        start += HOUR
    span = Window(kind=Kind.HOUR, zone=zone).span(stamp_us(at))
    assert span.end is not None
    assert (moment_of(span.start), moment_of(span.end)) == (start, min(start + HOUR, tomorrow))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(ZONES), instants)
def test_a_minute_is_that_of_every_clock(zone: str, at: datetime) -> None:
    span = Window(kind=Kind.MINUTE, zone=zone).span(stamp_us(at))
    assert moment_of(span.start) == at.replace(second=0, microsecond=0)
    assert span.end == span.start + 60_000_000


@settings(max_examples=300, deadline=None)
@given(windows, instants, st.integers(0, 10**6))
def test_windows_follow_each_other_without_gap_or_overlap(window: Window, at: datetime, part: int) -> None:
    now = stamp_us(at)
    start, end = window.span(now)
    assert end is not None
    assert start <= now < end
    assert (
        window.span(start) == window.span(end - 1) == window.span(start + (end - start) * part // 10**6 % (end - start))
    )
    assert window.span(end).start == end
    assert window.span(start - 1).end == start


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(ZONES), instants)
def test_an_hour_begins_with_the_zones_hour_on_a_day_without_a_change(zone: str, at: datetime) -> None:
    clock = ZoneInfo(zone)
    now = stamp_us(at)
    day = Window(kind=Kind.DAY, zone=zone).span(now)
    assume(day.end is not None and day.end - day.start == 86_400_000_000)
    start, end = Window(kind=Kind.HOUR, zone=zone).span(now)
    local = moment_of(start).astimezone(clock)
    assert (local.minute, local.second) == (0, 0)
    assert end is not None
    assert end - start == 3_600_000_000


@given(st.integers(1, 10_000_000), st.integers(10**15, 2 * 10**15))
def test_a_rolling_window_covers_its_length_and_at_most_a_step_more(length: int, now: int) -> None:
    window = Window(kind=Kind.ROLLING, length=length)
    covered = now - window.counted_from(now)
    assert length * 1_000_000 <= covered < length * 1_000_000 + window.step
    assert window.step <= max(1_000_000, length * 1_000_000 // 60 + 1_000_000)


@pytest.mark.parametrize("kind", [Kind.SESSION, Kind.LIFETIME])
def test_a_session_and_a_lifetime_never_end(kind: Kind) -> None:
    assert Window(kind=kind).span(0) == Window(kind=kind).span(LAST_US) == (0, None)


@pytest.mark.parametrize("kind", sorted(set(Kind) - {Kind.ROLLING}))
def test_the_first_and_the_last_instant_that_a_row_can_have_are_in_a_window(kind: Kind) -> None:
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):
        for at in (0, LAST_US, stamp_us(datetime(9999, 12, 31, tzinfo=UTC))):
            span = Window(kind=kind, zone=zone).span(at)
            assert span.start <= min(at, LAST_US)
            assert span.end is None or span.end > min(at, LAST_US)


@pytest.mark.parametrize(
    "text", ["day", "minute", "rolling:90s", "rolling:15m", "rolling:24h", "rolling:30d", "session"]
)
def test_what_people_write_is_what_is_shown(text: str) -> None:
    assert str(parse_window(text)) == text


def test_everything_wrong_with_a_window_is_told_at_once() -> None:
    with pytest.raises(WindowError) as wrong:
        parse_window("fortnight", zone="Mars/Olympus", week_start="someday", month_start=32)
    told = str(wrong.value)
    for part in ("fortnight", "Mars/Olympus", "someday", "32"):
        assert part in told
    assert len(told.splitlines()) == 4


@pytest.mark.parametrize(
    "text", ["rolling", "rolling:", "rolling:0s", "rolling:-1h", "rolling:400d", "rolling:24", "day:2"]
)
def test_a_length_that_makes_no_window_is_refused(text: str) -> None:
    with pytest.raises(WindowError, match="window"):
        parse_window(text)


@pytest.mark.parametrize(
    "zone", ["", "../../etc/passwd", "/etc/localtime", "Europe", "Nowhere/At_All", "UTC\0", "x" * 5000]
)
def test_a_name_that_is_no_zone_is_refused(zone: str) -> None:
    with pytest.raises(WindowError, match="time zone"):
        parse_window("day", zone=zone)
