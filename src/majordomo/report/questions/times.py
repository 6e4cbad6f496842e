"""Stretches of time as people write them: ``7d``, ``2026-11-21``, ``2026-11-21T14:00``, ``today``."""

import datetime as dt
import re

_UNITS = {
    "m": dt.timedelta(minutes=1),
    "h": dt.timedelta(hours=1),
    "d": dt.timedelta(days=1),
    "w": dt.timedelta(weeks=1),
}
_SPAN = re.compile(r"(\d{1,6})([mhdw])")
_MOST_SPAN = dt.timedelta(days=3660)


class TimeError(Exception):
    """No time can be read from this. The message shows what can."""


def parse_span(text: str) -> dt.timedelta:
    """``30m``, ``24h``, ``7d``, ``4w``; at most ten years.

    Raises:
        TimeError: anything else.
    """
    found = _SPAN.fullmatch(text.strip().lower())
    if found is None or not dt.timedelta(0) < (span := int(found[1]) * _UNITS[found[2]]) <= _MOST_SPAN:
        raise TimeError(f"{text!r} is no stretch of time; write 30m, 24h, 7d or 4w (at most ten years)")
    return span


def parse_moment(text: str, now: dt.datetime) -> dt.datetime:
    """A date, a date and time (UTC unless it says otherwise), ``now``, ``today`` or ``yesterday``.

    Raises:
        TimeError: anything else.
    """
    word = text.strip().lower()
    midnight = now.astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    known = {"now": now, "today": midnight, "yesterday": midnight - dt.timedelta(days=1)}
    if word in known:
        return known[word]
    try:
        moment = dt.datetime.fromisoformat(text.strip())
        return moment.astimezone(dt.UTC) if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    except (ValueError, OverflowError):
        raise TimeError(
            f"{text!r} is no moment; write 2026-11-21, 2026-11-21T14:30 (UTC), 2026-11-21T14:30+01:00, "
            "today or yesterday"
        ) from None
