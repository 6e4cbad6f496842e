"""The time that a limit is for: which window an instant falls into, and when that window begins and ends.

Windows of one kind follow each other without gap or overlap, whatever the clocks of their zone do. A local day begins
at the first instant at which the zone's clocks show its date or a later one: where midnight is skipped, that is when
they jump; where it comes twice, the first time. A week, month or quarter begins with its first day. An hour is counted
from the beginning of its local day, so on the day of a change too it has 3600 seconds, but for a cut one at the day's
end in zones that change by half hours.

Instants are microseconds since the Unix epoch.
"""

import re
from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 3600 * SECOND_US

#: A rolling window moves in steps of a sixtieth of itself: it covers its length and at most one step more.
ROLLING_STEPS = 60
SHORTEST_ROLLING = 1  # seconds
LONGEST_ROLLING = 366 * 86_400  # seconds

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
UTC_NAME = "UTC"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Days that have a day after them in every zone; nothing that a row can be stamped with is outside.
_FIRST_DAY, _LAST_DAY = date(1, 1, 3), date(9999, 12, 29)
#: The last instant that is told apart. What comes later is in the same window.
LAST_US = (datetime(9999, 12, 28, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)

_LENGTH = re.compile(r"(\d{1,9})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DATES_KEPT = 4096


class Kind(StrEnum):
    """How time is cut. The value is how people write it."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    ROLLING = "rolling"
    SESSION = "session"  # each Claude Code session by itself, however long
    LIFETIME = "lifetime"


#: One window that never ends.
ENDLESS = frozenset({Kind.SESSION, Kind.LIFETIME})
#: Kinds that begin with a local day.
CALENDAR = frozenset({Kind.DAY, Kind.WEEK, Kind.MONTH, Kind.QUARTER})


class WindowError(ValueError):
    """A window that does not exist. The message says why and what is allowed."""


class Span(NamedTuple):
    """From ``start`` on, up to but not including ``end``; None: it does not end."""

    start: int
    end: int | None


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """How a budget cuts time."""

    kind: Kind
    length: int = 0  # rolling: seconds
    zone: str = UTC_NAME
    week_start: int = 0  # 0 is Monday
    month_start: int = 1  # day of the month; in a shorter month its last day

    def __str__(self) -> str:
        return f"rolling:{_written(self.length)}" if self.kind is Kind.ROLLING else self.kind.value

    def span(self, at: int) -> Span:
        """What is counted as one at ``at``: the window itself or, of one that rolls, the step."""
        at = min(at, LAST_US)
        match self.kind:
            case Kind.SESSION | Kind.LIFETIME:
                return Span(0, None)
            case Kind.MINUTE:
                return _stepped(at, MINUTE_US)
            case Kind.ROLLING:
                return _stepped(at, self.step)
            case Kind.HOUR:
                day = _calendar_span(self, Kind.DAY, at)
                assert day.end is not None
                start = day.start + (at - day.start) // HOUR_US * HOUR_US
                return Span(start, min(start + HOUR_US, day.end))
            case _:
                return _calendar_span(self, self.kind, at)

    @property
    def step(self) -> int:
        """Microseconds by which a rolling window moves."""
        return -(-self.length // ROLLING_STEPS) * SECOND_US

    def counted_from(self, at: int) -> int:
        """Where the earliest span begins that counts at ``at``: for a rolling window several do, else one."""
        if self.kind is not Kind.ROLLING:
            return self.span(at).start
        return _stepped(min(at, LAST_US) - self.length * SECOND_US, self.step).start

    def lease_start(self, start: int) -> int:
        """What leases for the span from ``start`` on are kept under: a rolling window has one for all its steps."""
        return 0 if self.kind is Kind.ROLLING else start


def parse_window(text: str, *, zone: str = UTC_NAME, week_start: int | str = 0, month_start: int = 1) -> Window:
    """The window that ``day``, ``rolling:24h`` and so on mean.

    Raises:
        WindowError: with everything that is wrong, one finding a line.
    """
    wrong = []
    length = 0
    kind, _, told_length = text.strip().lower().partition(":")
    if kind not in {one.value for one in Kind}:
        wrong.append(
            f"window {text!r}: expected {', '.join(one for one in Kind if one is not Kind.ROLLING)} or rolling:24h"
        )
    elif kind == Kind.ROLLING:
        found = _LENGTH.fullmatch(told_length)
        length = int(found[1]) * _SECONDS[found[2]] if found else 0
        if not SHORTEST_ROLLING <= length <= LONGEST_ROLLING:
            wrong.append(f"window {text!r}: expected rolling: and a length such as 60s, 15m, 24h or 30d, at most 366d")
    elif told_length:
        wrong.append(f"window {text!r}: only rolling has a length; expected {kind}")
    if not known_zone(zone):
        wrong.append(f"time zone {zone!r} is unknown; expected a name such as Europe/Berlin or America/New_York")
    day = DAYS.index(week_start.lower()) if isinstance(week_start, str) and week_start.lower() in DAYS else week_start
    if not isinstance(day, int) or not 0 <= day <= 6:
        wrong.append(f"week start {week_start!r}: expected a day from monday to sunday")
    if not 1 <= month_start <= 31:
        wrong.append(f"month start {month_start}: expected a day from 1 to 31 (in shorter months: their last day)")
    if wrong:
        raise WindowError("\n".join(wrong))
    assert isinstance(day, int)
    return Window(kind=Kind(kind), length=length, zone=zone, week_start=day, month_start=month_start)


@lru_cache(maxsize=256)
def known_zone(name: str) -> bool:
    """Whether there is a time zone of this name."""
    try:
        return bool(name) and ZoneInfo(name).key == name
    except (ValueError, OSError, ModuleNotFoundError):  # ZoneInfoNotFoundError is a KeyError, below
        return False
    except KeyError:
        return False


def stamp_us(moment: datetime) -> int:
    """An aware moment as microseconds since the epoch."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def moment_of(at: int) -> datetime:
    """The same, back."""
    return _EPOCH + timedelta(microseconds=at)


def _stepped(at: int, step: int) -> Span:
    start = at // step * step
    return Span(start, start + step)


def _calendar_span(window: Window, kind: Kind, at: int) -> Span:
    """The span of a kind that begins with a local day."""
    zone = ZoneInfo(window.zone)
    today = (_EPOCH + timedelta(microseconds=at)).astimezone(zone).date()
    first = _first_day(window, kind, today)
    # Where clocks are set back over midnight the date comes again after the next one has begun, and where a day is
    # skipped the next begins at once: so look which window the instant is in.
    following = _next_first_day(window, kind, first)
    while (end := _day_start(zone, following)) <= at:
        first, following = following, _next_first_day(window, kind, following)
    while (start := _day_start(zone, first)) > at:
        end, first = start, _first_day(window, kind, first - timedelta(days=1))
    return Span(start, end)


def _first_day(window: Window, kind: Kind, day: date) -> date:
    """The first day of the window that ``day`` belongs to by the calendar."""
    day = max(_FIRST_DAY, min(_LAST_DAY, day))
    if kind is Kind.DAY:
        return day
    if kind is Kind.WEEK:
        return max(_FIRST_DAY, day - timedelta(days=(day.weekday() - window.week_start) % 7))
    months = 1 if kind is Kind.MONTH else 3
    month = (day.month - 1) // months * months  # counted from 0
    first = _month_day(day.year, month, window.month_start)
    return first if first <= day else _month_day(day.year, month - months, window.month_start)


def _next_first_day(window: Window, kind: Kind, first: date) -> date:
    if kind is Kind.DAY:
        return _later(first, 1)
    if kind is Kind.WEEK:
        return _later(first, 7 - (first.weekday() - window.week_start) % 7)
    months = 1 if kind is Kind.MONTH else 3
    return _month_day(first.year, first.month - 1 + months, window.month_start)


def _later(day: date, days: int) -> date:
    return date.max if (date.max - day).days <= days else day + timedelta(days=days)


def _month_day(year: int, month: int, day: int) -> date:
    """Day ``day`` of the month counted from January of ``year`` as 0, or the month's last day."""
    year, month = year + month // 12, month % 12 + 1
    if year < 1:
        return _FIRST_DAY
    if year > 9999:
        return date.max
    return date(year, month, min(day, monthrange(year, month)[1]))


@lru_cache(maxsize=_DATES_KEPT)
def _day_start(zone: ZoneInfo, day: date) -> int:
    """The first instant at which the zone's clocks show ``day`` or a later one, in microseconds since the epoch."""
    if day == date.max:
        return LAST_US + 1
    midnight = datetime(day.year, day.month, day.day)
    early, late = (
        (midnight.replace(fold=fold, tzinfo=zone).astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)
        for fold in (1, 0)
    )
    if early >= late:  # midnight comes once, or twice: then fold 0 was the first time
        return min(early, late)
    # Midnight is skipped: the clocks jump over it at some second after ``early`` and not after ``late``.
    low, high = early // SECOND_US, late // SECOND_US
    while high - low > 1:
        middle = (low + high) // 2
        if (_EPOCH + timedelta(seconds=middle)).astimezone(zone).replace(tzinfo=None) >= midnight:
            high = middle
        else:
            low = middle
    return high * SECOND_US


def _written(seconds: int) -> str:
    """A length as people write it: ``24h`` rather than ``86400s``; days from two days on."""
    for unit, size, least in (("d", 86_400, 2), ("h", 3600, 1), ("m", 60, 1)):
        if seconds % size == 0 and seconds // size >= least:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
