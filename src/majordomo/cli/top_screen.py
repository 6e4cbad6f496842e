"""What ``majordomo top`` shows, made of one look: figures above, lists below, as many as the screen has room for."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from majordomo.cli.tables import NONE, cell, count, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from majordomo.report.questions.top import NearLimit, Rate, Top

#: Narrower screens have one list below the other.
_SIDE_BY_SIDE = 200
_HEAD_LINES = 5
_LIST_LINES = 4  # of a list, besides its rows
_FEWEST, _MOST = 2, 10
_NAME = 16  # columns of a name at least


def page(seen: "Top | None", width: int, height: int | None, trouble: str | None = None) -> RenderableType:
    """The whole screen. ``height`` None: as long as it gets. ``trouble``: why there is nothing newer."""
    parts: list[RenderableType] = []
    if trouble is not None:
        parts.append(cell(f"No newer figures: {trouble}", "bold red"))
    if seen is None:
        return Group(*parts, cell("Waiting for the database. q ends this.", "dim"))
    parts.append(_figures(seen))
    wide = width >= _SIDE_BY_SIDE
    lists = 2 + (1 if wide else 3) - 1 + (1 if seen.near_limits else 0)
    rows = _MOST if height is None else max(_FEWEST, min(_MOST, (height - _HEAD_LINES) // lists - _LIST_LINES))
    by = [
        _rates("Model", seen.by_model[:rows]),
        _rates("Gateway key", seen.by_key[:rows]),
        _rates(seen.metadata_key, seen.by_feature[:rows]),
    ]
    if wide:
        grid = Table.grid(padding=(0, 2))
        grid.add_row(*by)
        parts.append(grid)
    else:
        parts += by
    if seen.near_limits:
        parts.append(_limits(seen.near_limits[:rows]))
    parts.append(_latest(seen, rows))
    return Group(*parts)


def _figures(seen: "Top") -> Text:
    total = seen.total
    text = Text()
    text.append(f"majordomo top  {seen.at:%H:%M:%S} UTC", "bold")
    text.append(f"  over the last {seen.window_seconds} s; q ends\n", "dim")
    text.append(f"{_usd(seen.usd_per_hour)} an hour", "bold")
    text.append(f"   {_usd(total.total_cost)} in this time   {_usd(seen.today_cost)} today (UTC)")
    text.append(f"   {total.unpriced:,} without a price\n" if total.unpriced else "\n", "yellow")
    text.append(f"{seen.requests_per_second:,.2f} requests/s", "bold")
    text.append(f"   {seen.prompt_tokens_per_second:,.0f} tokens/s in   {seen.output_tokens_per_second:,.0f} out   ")
    text.append(f"{total.errors:,} errors", "bold red" if total.errors else "")
    running = NONE if seen.running is None else f"{seen.running:,}"
    text.append(f"   {running} running   {count(seen.callers)} connections   {seen.today_requests:,} today\n")
    return text


def _rates(name: str, rates: "Sequence[Rate]") -> Table:
    numbers = ("USD", "Requests", "Errors", "Tokens in", "Out")
    shown = table(name, *numbers, numbers=numbers)
    for one in rates:
        shown.add_row(
            cell(_short(one.value) or "(none)"),
            _usd(one.total_cost) if one.total_cost or not one.unpriced else NONE,
            count(one.requests),
            Text(count(one.errors), "red" if one.errors else ""),
            count(one.prompt_tokens),
            count(one.output_tokens),
        )
    shown.columns[0].min_width = _NAME
    shown.columns[0].no_wrap = True
    shown.columns[0].overflow = "ellipsis"
    return shown


def _limits(near: "Sequence[NearLimit]") -> Table:
    shown = table("Budget near its limit", "Of", "Spent", "Limit", "%", numbers=("Spent", "Limit", "%"))
    for one in near:
        style = "bold red" if one.percent >= 100 else "yellow"
        shown.add_row(
            cell(_short(one.budget)),
            cell(_short(one.value) or NONE),
            f"{one.spent:,.6g}",
            f"{one.limit:,.6g} {one.unit}",
            Text(f"{one.percent:.0f}", style),
        )
    return shown


def _latest(seen: "Top", rows: int) -> Table:
    shown = table(
        "Latest",
        "Model",
        "Gateway key",
        "Status",
        "Tokens in",
        "Out",
        "USD",
        "ms",
        numbers=("Status", "Tokens in", "Out", "USD", "ms"),
    )
    for one in seen.latest[:rows]:
        failed = one.status_code is None or one.status_code >= 400
        shown.add_row(
            f"{one.requested_at:%H:%M:%S}",
            cell(_short(f"{one.provider}/{one.model or '?'}")),
            cell(_short(one.key_name or str(one.majordomo_api_key_id))),
            Text(str(one.status_code or one.outcome), "red" if failed else ""),
            count(one.prompt_tokens),
            count(one.output_tokens),
            NONE if one.total_cost is None else _usd(one.total_cost),
            count(one.response_time_ms),
        )
    return shown


def _usd(amount: Decimal) -> str:
    """Rounded for the eye: cents, and more places where there are none."""
    return f"${amount:,.2f}" if amount >= 1 or not amount else f"${amount:.6f}"


def _short(value: Any, most: int = 32) -> str:
    text = str(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"
