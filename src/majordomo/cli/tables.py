"""Tables and figures for people. No escape sequence that a caller sent reaches a terminal."""

import datetime as dt
import os
import sys
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

#: Width where no terminal says one: a file or pipe should get whole lines.
_PIPE_WIDTH = 240
_BOUNDLESS = 10_000  # columns of a terminal in which every table has room
NONE = "–"


def console() -> "Console":
    """Where tables go: standard output."""
    from rich.console import Console

    wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _PIPE_WIDTH
    return Console(file=sys.stdout, width=wide, highlight=False, markup=False, emoji=False)


def table(
    *columns: str, numbers: tuple[str, ...] = (), whole: tuple[str, ...] = (), title: str | None = None
) -> "Table":
    """An empty table; ``numbers`` are set right, ``whole`` columns are never cut or wrapped."""
    from rich import box
    from rich.table import Table

    made = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1)
    )
    for name in columns:
        right = name in numbers
        made.add_column(
            name,
            justify="right" if right else "left",
            no_wrap=right or name in whole,
            overflow="fold",
            header_style="bold",
        )
    return made


def fitted(shown: "Table", out: "Console", expendable: Sequence[str]) -> "Table":
    """The table without as many ``expendable`` columns, the first named first, as the terminal is too narrow for.

    Left alone, a narrow terminal would cut figures and squeeze names away.
    """
    boundless = out.options.update(max_width=_BOUNDLESS)
    for name in expendable:
        if out.measure(shown, options=boundless).maximum <= out.width:
            break
        shown.columns = [column for column in shown.columns if column.header != name]
    return shown


def cell(value: Any, style: str = "") -> "Text":
    """Text of any origin, made harmless; a dash for None."""
    from rich.text import Text

    text = NONE if value is None else str(value)
    return Text("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text), style)


def count(value: int | None) -> str:
    """A whole number with separators."""
    return NONE if value is None else f"{value:,}"


def money(amount: Decimal | None) -> str:
    """USD, every digit; at least two behind the point."""
    return money_column([amount])[0]


def money_column(amounts: Sequence[Decimal | None]) -> list[str]:
    """USD, every digit, with as many behind the point as the longest has, so that the points stand in one line."""
    from majordomo.report.questions.plain import exact

    texts = [NONE if amount is None else exact(amount) for amount in amounts]
    places = max([2, *(len(text.partition(".")[2]) for text in texts)])
    return [text if text == NONE else _filled(text, places) for text in texts]


def _filled(text: str, places: int) -> str:
    whole, _, behind = text.partition(".")
    return f"{whole}.{behind.ljust(places, '0')}"


def percent(part: float | None) -> str:
    """A share as a percentage."""
    return NONE if part is None else f"{part * 100:.1f} %"


def moment(value: dt.datetime | None) -> str:
    """A time in UTC, to the second."""
    return NONE if value is None else f"{value.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S}"


def print_json(answer: Any) -> None:
    """An answer for programs."""
    import msgspec

    from majordomo.report.questions.plain import plain

    sys.stdout.write(msgspec.json.format(msgspec.json.encode(plain(answer)), indent=2).decode() + "\n")
