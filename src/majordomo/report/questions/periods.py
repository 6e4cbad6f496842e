"""Periods of time as people ask for them, in a time zone, and the buckets that a chart of one has.

All bounds are computed by the zone's own clock, so that a day has 23 or 25 hours where the zone's day has.
"""

import datetime as dt
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from majordomo.report.questions.times import TimeError

#: Longest period: what any retention keeps, and what dates can be told of.
MOST_DAYS: Final = 3660
#: Most points of a chart; hours of a quarter fit.
MOST_BUCKETS: Final = 2400
_EARLIEST: Final = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
_LATEST: Final = dt.datetime(2200, 1, 1, tzinfo=dt.UTC)

#: Presets, and what each is, for people.
PRESETS: Final[dict[str, str]] = {
    "today": "since midnight",
    "yesterday": "the day before",
    "24h": "the last 24 hours",
    "7d": "seven days, today included",
    "30d": "thirty days, today included",
    "90d": "ninety days, today included",
    "this_week": "since Monday",
    "last_week": "Monday to Sunday of the week before",
    "this_month": "since the first of the month",
    "last_month": "the whole month before",
    "this_year": "since the first of January",
}
DEFAULT_PRESET: Final = "30d"


class Granularity(StrEnum):
    """How wide the buckets of a chart are."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"  # from Monday
    MONTH = "month"


class Period(msgspec.Struct, frozen=True):
    """``[since, until)`` in UTC, seen from a time zone. ``running``: it reaches up to now."""

    since: dt.datetime
    until: dt.datetime
    zone: str
    running: bool

    @property
    def previous(self) -> "Period":
        """The time of the same length before, by the zone's clock."""
        zone = ZoneInfo(self.zone)
        start, end = _clock(self.since, zone), _clock(self.until, zone)
        return Period(_utc(start - (end - start), zone), self.since, self.zone, running=False)


def time_zone(name: str) -> ZoneInfo:
    """The zone of an IANA name.

    Raises:
        TimeError: there is none of this name.
    """
    try:
        zone = ZoneInfo(name)
        if name and zone.key == name:
            return zone
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        pass
    raise TimeError(f"{name[:60]!r} is no time zone; use an IANA name such as UTC, Europe/Berlin or Asia/Kolkata")


def period(preset: str | None, since: str | None, until: str | None, zone_name: str, now: dt.datetime) -> Period:
    """The period asked for: a preset, or bounds; ``until`` is now if left out. A bound without an offset is the zone's.

    Raises:
        TimeError: not understood, the wrong way round, or absurdly long.
    """
    zone = time_zone(zone_name)
    if preset is not None and (since is not None or until is not None):
        raise TimeError("period and from/to exclude each other; leave one out")
    if since is None and until is None:
        return _preset(preset or DEFAULT_PRESET, zone, now)
    if since is None:
        raise TimeError("to needs a from; or use period")
    start = moment(since, zone, now)
    end = now if until is None else moment(until, zone, now)
    if start >= end:
        raise TimeError("from must be before to")
    if end - start > dt.timedelta(days=MOST_DAYS):
        raise TimeError(f"from and to are more than {MOST_DAYS} days apart; ask about less time")
    return Period(start, end, zone.key, running=end >= now)


def moment(text: str, zone: ZoneInfo, now: dt.datetime) -> dt.datetime:
    """A date, or date and time; of the zone where it has no offset of its own. In UTC.

    Raises:
        TimeError: anything else, or a year beyond what is ever asked for.
    """
    word = text.strip().lower()
    midnight = _midnight(_clock(now, zone))
    known = {"today": midnight, "yesterday": midnight - dt.timedelta(days=1)}
    if word == "now":
        return now
    try:
        told = known.get(word) or dt.datetime.fromisoformat(text.strip())
        found = told.astimezone(dt.UTC) if told.tzinfo else _utc(told, zone)
    except (ValueError, OverflowError):
        raise TimeError(
            f"{text[:60]!r} is no moment; write 2026-11-21, 2026-11-21T14:30, 2026-11-21T14:30+01:00, today or now"
        ) from None
    if not _EARLIEST <= found <= _LATEST:
        raise TimeError(f"{text[:60]!r} is not between the years {_EARLIEST.year} and {_LATEST.year}")
    return found


def usual_granularity(asked: Period) -> Granularity:
    """Hours up to three days, days up to half a year, else months."""
    length = asked.until - asked.since
    if length <= dt.timedelta(days=3):
        return Granularity.HOUR
    return Granularity.DAY if length <= dt.timedelta(days=186) else Granularity.MONTH


def bucket_starts(asked: Period, granularity: Granularity) -> list[dt.datetime]:
    """Where the buckets begin that a period touches, in UTC; the first may begin before it.

    Raises:
        TimeError: they are more than a chart has room for.
    """
    zone = ZoneInfo(asked.zone)
    starts = [_start(asked.since, granularity, zone)]
    while (following := _following(starts[-1], granularity, zone)) < asked.until:
        starts.append(following)
        if len(starts) > MOST_BUCKETS:
            raise TimeError(
                f"this period has more than {MOST_BUCKETS} buckets of one {granularity}; "
                "choose a wider granularity or a shorter period"
            )
    return starts


def latest_bucket_starts(asked: Period, granularity: Granularity, most: int) -> list[dt.datetime]:
    """The same, but of a longer period the last ``most`` or nearly so."""
    widths = {Granularity.HOUR: 1, Granularity.DAY: 23, Granularity.WEEK: 7 * 24 - 1, Granularity.MONTH: 28 * 24 - 1}
    reach = dt.timedelta(hours=widths[granularity] * (most - 2))
    since = max(asked.since, asked.until - reach)
    return bucket_starts(Period(since, asked.until, asked.zone, asked.running), granularity)


def whole_hours(starts: list[dt.datetime]) -> bool:
    """Whether all buckets begin on the hour of UTC."""
    return all(start.minute == start.second == 0 for start in starts)


def whole_days(starts: list[dt.datetime]) -> bool:
    """Whether all buckets begin at midnight UTC."""
    return whole_hours(starts) and all(start.hour == 0 for start in starts)


def _preset(name: str, zone: ZoneInfo, now: dt.datetime) -> Period:
    today = _midnight(_clock(now, zone))
    day = dt.timedelta(days=1)
    week = today - day * today.weekday()
    month = today.replace(day=1)
    ended = {
        "yesterday": (today - day, today),
        "last_week": (week - 7 * day, week),
        "last_month": ((month - day).replace(day=1), month),
    }
    if name in ended:
        start, end = ended[name]
        return Period(_utc(start, zone), _utc(end, zone), zone.key, running=False)
    if name == "24h":
        return Period(now - day, now, zone.key, running=True)
    begun = {
        "today": today,
        "7d": today - 6 * day,
        "30d": today - 29 * day,
        "90d": today - 89 * day,
        "this_week": week,
        "this_month": month,
        "this_year": month.replace(month=1),
    }
    if name not in begun:
        raise TimeError(f"there is no period {name[:60]!r}; there are {', '.join(PRESETS)}, or use from and to")
    return Period(_utc(begun[name], zone), now, zone.key, running=True)


def _start(at: dt.datetime, granularity: Granularity, zone: ZoneInfo) -> dt.datetime:
    local = _clock(at, zone)
    if granularity is Granularity.HOUR:
        return at - dt.timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    day = _midnight(local)
    if granularity is Granularity.WEEK:
        day -= dt.timedelta(days=day.weekday())
    elif granularity is Granularity.MONTH:
        day = day.replace(day=1)
    return _utc(day, zone)


def _following(start: dt.datetime, granularity: Granularity, zone: ZoneInfo) -> dt.datetime:
    if granularity is Granularity.HOUR:
        return _start(start + dt.timedelta(hours=1), granularity, zone)
    # Noon of the bucket's first day, so that a day that begins an hour late is still that day.
    day = _midnight(_clock(start + dt.timedelta(hours=12), zone))
    if granularity is Granularity.MONTH:
        return _utc((day.replace(day=1) + dt.timedelta(days=32)).replace(day=1), zone)
    return _utc(day + dt.timedelta(days=7 if granularity is Granularity.WEEK else 1), zone)


def _clock(at: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    """What the zone's clock shows, without a zone."""
    return at.astimezone(zone).replace(tzinfo=None)


def _utc(clock: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    return clock.replace(tzinfo=zone).astimezone(dt.UTC)


def _midnight(clock: dt.datetime) -> dt.datetime:
    return clock.replace(hour=0, minute=0, second=0, microsecond=0)
