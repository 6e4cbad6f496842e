"""The figures of a run as tables for people."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.requests import connections_note
from bench.targets import mean_cpu, targets


def show(console: Console, results: dict[str, Any]) -> None:
    """Print every part for which there are figures, then the targets."""
    if rows := results.get("requests"):
        nginx = mean_cpu(rows).get("nginx proxy_pass")
        console.print(_requests(rows, nginx))
    for check in results.get("row_checks", []):
        verdict = "[green]exact[/]" if check["exact"] else "[red]NOT exact[/]"
        console.print(
            f"Rows: {check['reached_upstream']:,} requests reached the upstream ({check['counted_by_wrk']:,} counted"
            f" by wrk after its warm-up), {check['rows']:,} rows, {check['total_cost']} USD of"
            f" {check['expected_cost']}: {verdict};"
            f" the last row came {check['drain_seconds']:.1f} s after the load."
        )
    if gate := results.get("gate"):
        console.print(_gate(gate))
    if rows := results.get("streams"):
        console.print(_streams(rows))
    _print_pairs(console, "Back office: journal to PostgreSQL", results.get("recording"))
    _print_pairs(console, "Start, seconds", results.get("start"))
    _print_pairs(console, "Memory, MB", results.get("memory"))
    for part, why in results.get("not_measured", {}).items():
        console.print(f"[yellow]{part} was not measured:[/] {why}")
    console.print(_targets(results))


def _table(title: str, columns: Iterable[str], caption: str | None = None) -> Table:
    table = Table(title=title, caption=caption, title_justify="left", caption_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    return table


def _requests(rows: list[dict[str, Any]], nginx: float | None) -> Table:
    columns = [
        "contender",
        "CPU µs/request",
        "× nginx",
        "requests/s",
        "added p50 ms",
        "added p99 ms",
        "alone p50 ms",
        "PSS MB",
    ]
    table = _table("One chat completion per request, one core", columns, connections_note())
    for row in rows:
        table.add_row(
            row["name"],
            f"{row['cpu_us']:,.1f}",
            f"{row['cpu_us'] / nginx:,.2f}" if nginx else "",
            f"{row['per_second']:,.0f}",
            f"{row['added_p50_us'] / 1000:.3f}",
            f"{row['added_p99_us'] / 1000:.3f}",
            f"{row['alone_added_p50_us'] / 1000:.3f}",
            f"{row['pss_mb']:,.0f}",
        )
    return table


def _gate(figures: dict[str, Any]) -> Table:
    caption = f"taking turns, {figures['rounds']} rounds, of which the median ratio; decisions by themselves"
    table = _table("Budgets, front desk on one core", ["", "CPU µs/request", "× ungoverned", "µs/decision"], caption)
    for name, cpu, ratio, alone in (
        ("no budget at all", "no_budget_us", None, None),
        ("budgets, and none concerns the request", "ungoverned_us", None, None),
        ("one budget", "one_budget_us", "one_budget_ratio", "decide_one_us"),
        ("three budgets", "three_budgets_us", "three_budgets_ratio", "decide_three_us"),
        ("one strict budget", None, None, "decide_strict_us"),
        ("refused", "refused_us", "refused_ratio", "refuse_us"),
        ("settled", None, None, "settle_one_us"),
    ):
        table.add_row(
            name,
            f"{figures[cpu]:,.1f}" if cpu else "",
            f"{figures[ratio]:,.2f}" if ratio else "",
            f"{figures[alone]:,.1f}" if alone else "",
        )
    return table


def _streams(rows: list[dict[str, Any]]) -> Table:
    columns = ["contender", "back to back, CPU µs/reply", "20 ms apart, CPU µs/reply", "half load: streams", "core"]
    table = _table("Streamed replies of 100 events", [*columns, "added p50 ms", "added p99 ms"])
    for row in rows:
        table.add_row(
            row["name"],
            f"{row['burst_cpu_us_per_reply']:,.0f}",
            f"{row['paced_cpu_us_per_reply']:,.0f}",
            f"{row['half_load_connections']:,}",
            f"{row['half_load_core_use']:.0%}",
            f"{row['added_p50_us'] / 1000:.3f}",
            f"{row['added_p99_us'] / 1000:.3f}",
        )
    return table


def _targets(results: dict[str, Any]) -> Table:
    table = _table("Targets", ["target", "measured", "limit", ""])
    for target in targets(results):
        sign = "≥" if target.at_least else "≤"
        table.add_row(
            target.claim,
            f"{target.measured:,.2f} {target.unit}".strip(),
            f"{sign} {target.limit:,g} {target.unit}".strip(),
            "[green]pass[/]" if target.met else "[red]miss[/]",
        )
    return table


def _print_pairs(console: Console, title: str, figures: dict[str, Any] | None) -> None:
    if not figures:
        return
    table = _table(title, ["", ""])
    table.show_header = False
    for name, value in figures.items():
        table.add_row(name.replace("_", " "), f"{value:,.2f}" if isinstance(value, float) else f"{value}")
    console.print(table)
