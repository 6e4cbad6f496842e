"""Moments as people write them: a length of time, or a date."""

import datetime as dt

import typer

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment_from_now(text: str) -> dt.datetime:
    """A moment, or a length of time from now."""
    now = dt.datetime.now(dt.UTC)
    try:
        if text[-1:] in UNITS and text[:-1].isdigit():
            return now + dt.timedelta(**{UNITS[text[-1]]: int(text[:-1])})
        told = dt.datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r}: expected 2h, 3d or a moment such as 2026-12-31T18:00") from None
    return told if told.tzinfo is not None else told.replace(tzinfo=dt.UTC)


def moment_before(text: str, now: dt.datetime) -> dt.datetime:
    """A moment, or a length of time before now."""
    if text[-1:] in UNITS and text[:-1].isdigit():
        return now - (moment_from_now(text) - now)
    return moment_from_now(text)
