"""The figures of the report benchmark as tables for people."""

from typing import Any

from rich.console import Console
from rich.table import Table

from bench.reports.asking import Times
from bench.reports.ingest import Ingest
from bench.reports.measuring import AT_ONCE, Figure
from bench.reports.weight import Weight

OVERVIEW_LIMIT_MS = 400
WEIGHT_LIMIT_BYTES = 300_000
INGEST_SHARE = 0.9


def show(console: Console, results: dict[str, Any]) -> None:
    """Every part for which there are figures."""
    if figures := results.get("panels"):
        console.print(_panels(figures))
    if times := results.get("overview"):
        console.print(_overview(times))
    if seeds := results.get("documented_sql"):
        table = _table("SQL of the documentation, from the rows", "statement", "seconds")
        for name, seconds in seeds.items():
            table.add_row(name.replace("_", " "), f"{seconds:.2f}")
        console.print(table)
    table = _table("Besides", "", "measured", "limit", "")
    if weight := results.get("weight"):
        _weight(table, weight)
    if alone := results.get("ingest_alone"):
        _ingest(table, alone, results["ingest_with_people"])
    if table.row_count:
        console.print(table)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    return table


def _verdict(met: bool) -> str:
    return "[green]met[/]" if met else "[red]missed[/]"


def _panels(figures: list[Figure]) -> Table:
    table = _table(
        "Panels, ms", "panel", "filters", "p50", "p95", "worst", f"{AT_ONCE} at once p50", "p95", "limit", ""
    )
    for one in figures:
        met = _verdict(one.alone.p95 <= one.limit_ms)
        crowd = (f"{one.at_once.p50:,.0f}", f"{one.at_once.p95:,.0f}") if one.at_once else ("", "")
        alone = (f"{one.alone.p50:,.0f}", f"{one.alone.p95:,.0f}", f"{one.alone.worst:,.0f}")
        table.add_row(one.panel, one.filters, *alone, *crowd, f"{one.limit_ms:,.0f}", met)
    return table


def _overview(times: dict[str, Times]) -> Table:
    table = _table("The Overview until its last panel, ms", "filters", "loads", "p50", "p95", "limit", "")
    for name, one in times.items():
        met = _verdict(one.p95 <= OVERVIEW_LIMIT_MS)
        table.add_row(name, f"{one.answers}", f"{one.p50:,.0f}", f"{one.p95:,.0f}", f"{OVERVIEW_LIMIT_MS}", met)
    return table


def _weight(table: Table, weight: Weight) -> None:
    met = _verdict(weight.sent <= WEIGHT_LIMIT_BYTES)
    measured = f"{weight.sent / 1000:,.0f} KB in {weight.files} files ({weight.gzipped / 1000:,.0f} KB gzipped)"
    table.add_row("first load of the dashboard", measured, f"{WEIGHT_LIMIT_BYTES // 1000} KB", met)


def _ingest(table: Table, alone: Ingest, crowded: Ingest) -> None:
    share = crowded.rows_per_second / alone.rows_per_second
    table.add_row("ingest, rows/s", f"{alone.rows_per_second:,.0f}", "", "")
    table.add_row(
        "with ten people clicking",
        f"{crowded.rows_per_second:,.0f} ({share:.0%}; {crowded.pages} pages, {crowded.failures} never came)",
        f"{INGEST_SHARE:.0%}",
        _verdict(share >= INGEST_SHARE),
    )
