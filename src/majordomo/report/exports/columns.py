"""What a file's columns are: names and kinds of value. A row is a tuple with a value, or None, for each."""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from enum import Enum
from typing import Protocol

import msgspec


class Kind(Enum):
    """What a column's values are."""

    TEXT = "text"  # anything that somebody sent or named
    JSON = "json"  # a JSON object or list, as text
    INTEGER = "integer"
    DECIMAL = "decimal"  # exact, at most fifteen digits behind the point
    TIME = "time"  # aware; UTC in the file
    BOOLEAN = "boolean"


class Column(msgspec.Struct, frozen=True):
    """One column of a file."""

    name: str
    kind: Kind


Value = str | int | Decimal | dt.datetime | bool | None
Row = Sequence[Value]


class Encoder(Protocol):
    """Makes a file of rows, piece by piece. What it keeps between two pieces does not grow with the file."""

    def begin(self) -> bytes:
        """The file's first bytes."""
        ...

    def rows(self, rows: Sequence[Row]) -> bytes:
        """The bytes that are ready once these rows are taken; may be none."""
        ...

    def end(self) -> bytes:
        """The file's last bytes."""
        ...
