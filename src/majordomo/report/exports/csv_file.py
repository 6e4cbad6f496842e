"""CSV as spreadsheets and databases read it: RFC 4180, UTF-8, a header line, harmless to whoever opens it.

A missing value is an empty field, an empty text is ``""``. A spreadsheet takes a text that begins with ``=``, ``+``,
``-`` or ``@`` for a formula, whoever sent it. Such a text gets an apostrophe in front, which spreadsheets understand as
"this is text"; so does one that begins with an apostrophe, so that taking one off always gives the original.
"""

import datetime as dt
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final

from majordomo.report.exports.columns import Column, Kind, Row
from majordomo.report.questions.plain import exact

#: What some spreadsheet begins a formula at, also behind blanks that it passes over, and in full width.
_FORMULA: Final = re.compile(r"[\s\x00-\x20\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n']")
_QUOTED: Final = re.compile(r'[",\r\n]|^\s|\s$')


def text_cell(text: str) -> str:
    """A text that somebody sent, as a field."""
    if _FORMULA.match(text):
        text = f"'{text}"
    return _field(text)


def _field(text: str) -> str:
    if not text or _QUOTED.search(text):
        return '"' + text.replace('"', '""') + '"'
    return text


def _time(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def _boolean(flag: bool) -> str:
    return "true" if flag else "false"


def _number(amount: Decimal) -> str:
    return exact(amount)


_CELLS: Final[dict[Kind, Callable[[Any], str]]] = {
    Kind.TEXT: text_cell,
    Kind.JSON: _field,  # begins with a bracket
    Kind.INTEGER: str,
    Kind.DECIMAL: _number,
    Kind.TIME: _time,
    Kind.BOOLEAN: _boolean,
}


class CsvFile:
    """Writes rows as lines."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._names = [column.name for column in columns]
        self._cells = [_CELLS[column.kind] for column in columns]

    def begin(self) -> bytes:
        """The header."""
        return (",".join(map(text_cell, self._names)) + "\r\n").encode()

    def rows(self, rows: Sequence[Row]) -> bytes:
        """A line each."""
        lines = [
            ",".join(["" if value is None else cell(value) for cell, value in zip(self._cells, row, strict=True)])
            for row in rows
        ]
        return "".join([line + "\r\n" for line in lines]).encode("utf-8", "replace")

    def end(self) -> bytes:
        """Nothing: the last line has its end."""
        return b""
