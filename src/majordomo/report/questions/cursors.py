"""Where the next page of a list begins: a moment, or another number, and a text that tells equal ones apart."""

import base64
import binascii
import datetime as dt
from typing import Final

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
#: Longest cursor, in characters: a trace id may have 4,096 of four bytes each.
MOST_CURSOR_CHARACTERS: Final = 24_000

_NONE_OF_OURS: Final = "this cursor is not one that a page gave; leave it out to begin anew"


class CursorError(Exception):
    """This is no cursor of ours."""


def write_cursor(at: dt.datetime, name: str) -> str:
    """The cursor of the last entry of a list that is in order of time."""
    return write_place((at - _EPOCH) // dt.timedelta(microseconds=1), name)


def read_cursor(cursor: str) -> tuple[dt.datetime, str]:
    """The moment and the text.

    Raises:
        CursorError: no list gave it.
    """
    at_us, name = read_place(cursor)
    try:
        return _EPOCH + dt.timedelta(microseconds=at_us), name
    except OverflowError:
        raise CursorError(_NONE_OF_OURS) from None


def write_place(number: int, name: str) -> str:
    """The cursor of the last entry of a list that is in order of a number of 64 bits."""
    return base64.urlsafe_b64encode(number.to_bytes(8, signed=True) + name.encode()).decode()


def read_place(cursor: str) -> tuple[int, str]:
    """The number and the text.

    Raises:
        CursorError: no list gave it.
    """
    try:
        told = base64.b64decode(cursor, altchars=b"-_", validate=True)
        name = told[8:].decode()
        if len(told) > 8 and "\0" not in name:
            return int.from_bytes(told[:8], signed=True), name
    except (binascii.Error, ValueError):
        pass
    raise CursorError(_NONE_OF_OURS)
