"""Where the next page of a list begins, newest first: a moment and a text that tells equal moments apart."""

import base64
import binascii
import datetime as dt
from typing import Final

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
#: Longest cursor, in characters: a trace id may have 4,096 of four bytes each.
MOST_CURSOR_CHARACTERS: Final = 24_000


class CursorError(Exception):
    """This is no cursor of ours."""


def write_cursor(at: dt.datetime, name: str) -> str:
    """The cursor of a list's last entry."""
    at_us = (at - _EPOCH) // dt.timedelta(microseconds=1)
    return base64.urlsafe_b64encode(at_us.to_bytes(8, signed=True) + name.encode()).decode()


def read_cursor(cursor: str) -> tuple[dt.datetime, str]:
    """The moment and the text.

    Raises:
        CursorError: no list gave it.
    """
    try:
        told = base64.b64decode(cursor, altchars=b"-_", validate=True)
        name = told[8:].decode()
        if len(told) > 8 and "\0" not in name:
            return _EPOCH + dt.timedelta(microseconds=int.from_bytes(told[:8], signed=True)), name
    except (binascii.Error, ValueError, OverflowError):
        pass
    raise CursorError("this cursor is not one that a page gave; leave it out to begin anew")
