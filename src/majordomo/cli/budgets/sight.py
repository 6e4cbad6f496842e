"""``majordomo budgets list`` and ``show``: how budgets stand."""

from typing import Any

import typer

from majordomo.cli.budgets.options import WhichBudget
from majordomo.cli.budgets.views import (
    amount_text,
    counts_apart,
    fullest,
    json_fields,
    scope_text,
    show_budget,
    stand,
    state_text,
    window_text,
)
from majordomo.cli.connection import ask
from majordomo.cli.options import ConfigOption, DataDirOption, JsonOption, read_settings
from majordomo.cli.tables import cell, console, count, fitted, moment, print_json, table


def list_budgets(as_json: JsonOption = False, config: ConfigOption = None, data_dir: DataDirOption = None) -> None:
    """All budgets, with the fullest count of each."""
    from majordomo.budget import store

    async def look(connection: Any) -> Any:
        return [(one, await stand(connection, one)) for one in await store.load(connection)]

    found = ask(read_settings(config, data_dir), look)
    if as_json:
        print_json([json_fields(budget, stands) for budget, stands in found])
        return
    if not found:
        typer.echo("There are no budgets yet. Make one: majordomo budgets create --name NAME --limit 5.00 --window day")
        return
    columns = ("Budget", "Scope", "Window", "Spent", "Reserved", "Limit", "Used", "Resets (UTC)", "State")
    shown = table(*columns, numbers=("Spent", "Reserved", "Limit", "Used"), whole=("Resets (UTC)",))
    for budget, stands in found:
        top = fullest(stands)
        value = f"{top.value or '(none)'} of {stands.number}" if top is not None and counts_apart(budget) else None
        shown.add_row(
            cell(budget.name),
            cell(scope_text(budget) + (f"; fullest: {value}" if value else "")),
            cell(window_text(budget)),
            amount_text(budget, top.spent if top else None),
            amount_text(budget, top.reserved if top else None),
            amount_text(budget, top.limit if top else None),
            "–" if top is None else f"{top.percent} %",
            moment(top.resets_at) if top else "–",
            cell(state_text(budget)),
        )
    out = console()
    out.print(fitted(shown, out, ("Reserved", "Window")))


def show(
    budget: WhichBudget, as_json: JsonOption = False, config: ConfigOption = None, data_dir: DataDirOption = None
) -> None:
    """One budget: how it stands, how fast it goes, whom it refused, who changed it."""
    from majordomo.budget import sight, store

    async def look(connection: Any) -> Any:
        found = await store.find(connection, budget)
        return (
            found,
            await stand(connection, found, rate=True),
            await store.history(connection, found.id),
            await sight.refusals(connection, found),
            await sight.alerts(connection, found),
        )

    found, stands, history, refused, alerts = ask(read_settings(config, data_dir), look)
    if as_json:
        more = {"history": history, "refusals": refused, "alerts": alerts}
        print_json(json_fields(found, stands) | more)
        return
    show_budget(found, stands)
    out = console()
    for one in refused:
        out.print(
            cell(f"Refused {count(one.requests)} since {moment(one.since)} UTC, last {moment(one.latest)}: {one.who}")
        )
    for alert in alerts:
        out.print(cell(f"{alert.threshold} % reached {moment(alert.created_at)} UTC{_of(alert.value)}"))
    out.print(cell("History, newest first:", "bold"))
    for change in history:
        why = f": {change.reason}" if change.reason else ""
        out.print(cell(f"  {moment(change.changed_at)}  {change.what} by {change.changed_by}{why}"))


def _of(value: str) -> str:
    return f" by {value}" if value else ""
