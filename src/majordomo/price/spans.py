"""When a dated price holds: whether at a given moment, and until when that answer stays the same."""

from datetime import UTC, date, datetime, time, timedelta

import msgspec

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: The span of a price without dates, in microseconds since the Unix epoch.
ALWAYS = (-(2**62), 2**62)

Span = tuple[int, int]


class Constraint(msgspec.Struct, frozen=True):
    """From a date on (UTC midnight), or daily between two times (UTC). Field names are the catalogue's."""

    start_date: date | None = None
    start_time: time | None = None
    end_time: time | None = None


def midnight_us(day: date) -> int:
    """The start of a UTC day in microseconds since the Unix epoch."""
    return int((datetime.combine(day, time(0), UTC) - _EPOCH) / timedelta(microseconds=1))


def moment(at_us: int) -> datetime:
    """Microseconds since the Unix epoch as a UTC datetime."""
    return _EPOCH + timedelta(microseconds=at_us)


def narrow(one: Span, other: Span) -> Span:
    """Where both spans hold."""
    return (max(one[0], other[0]), min(one[1], other[1]))


def dated(start: date | None, until: date | None, at_us: int) -> tuple[bool, Span]:
    """Whether ``start <= day < until`` at a moment, and the span around it in which that stays so."""
    first = midnight_us(start) if start else ALWAYS[0]
    last = midnight_us(until) if until else ALWAYS[1]
    if at_us < first:
        return False, (ALWAYS[0], first)
    if at_us >= last:
        return False, (last, ALWAYS[1])
    return True, (first, last)


def active(constraint: Constraint | None, at_us: int) -> tuple[bool, Span]:
    """Whether a constraint is met at a moment, and the span around it in which that stays so."""
    if constraint is None:
        return True, ALWAYS
    if constraint.start_time is None or constraint.end_time is None:
        return dated(constraint.start_date, None, at_us)
    return _daily(_utc(constraint.start_time), _utc(constraint.end_time), at_us)


def _utc(at: time) -> time:
    if at.tzinfo is None:
        return at.replace(tzinfo=UTC)
    return datetime.combine(date(1970, 1, 1), at).astimezone(UTC).timetz()


def _daily(start: time, end: time, at_us: int) -> tuple[bool, Span]:
    now = moment(at_us)
    clock = now.timetz()
    inside = (start <= clock < end) if start <= end else (clock >= start or clock < end)
    edges = [
        int((datetime.combine(now.date() + timedelta(days=days), edge) - _EPOCH) / timedelta(microseconds=1))
        for days in (-1, 0, 1)
        for edge in (start, end)
    ]
    return inside, (max(e for e in edges if e <= at_us), min(e for e in edges if e > at_us))
