"""``majordomo budgets list``, ``near``, ``refusals`` and ``show``: how budgets stand, and what they did."""

import datetime as dt
from typing import Annotated, Any

import typer

from majordomo.cli.budgets.moments import moment_before
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


def near(
    at: Annotated[int, typer.Option("--at", min=1, max=100, help="Per cent of the limit that is spent.")] = 80,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Who is near a limit, how fast it goes, and when it will be gone."""
    from majordomo.budget import sight, store
    from majordomo.clock import wall_us

    async def look(connection: Any) -> Any:
        return await sight.near(connection, await store.load(connection), wall_us(), at)

    found = ask(read_settings(config, data_dir), look)
    if as_json:
        print_json([{"budget": one.budget.name, "unit": one.budget.unit, "count": one.count} for one in found])
        return
    if not found:
        typer.echo(f"Nothing has come to {at} % of a limit in the present windows.")
        return
    columns = ("Budget", "Value", "Spent", "Limit", "Used", "An hour", "Gone (UTC)", "Resets (UTC)", "State")
    shown = table(*columns, numbers=("Spent", "Limit", "Used", "An hour"), whole=("Gone (UTC)", "Resets (UTC)"))
    for one in found:
        shown.add_row(
            cell(one.budget.name),
            cell(one.count.value or ("(none)" if counts_apart(one.budget) else "all")),
            amount_text(one.budget, one.count.spent),
            amount_text(one.budget, one.count.limit),
            f"{one.count.percent} %",
            amount_text(one.budget, one.count.rate_per_hour),
            moment(one.count.runs_out_at) if one.count.remaining else "gone",
            moment(one.count.resets_at),
            cell(state_text(one.budget)),
        )
    out = console()
    out.print(fitted(shown, out, ("State", "Limit")))


def refusals(
    since: Annotated[str, typer.Option("--from", help="7d ago, or a moment such as 2026-11-01.")] = "7d",
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """What budgets refused, by name: which budget, whose requests, how many."""
    from majordomo.budget import sight

    now = dt.datetime.now(dt.UTC)
    begin = moment_before(since, now)
    if begin >= now:
        raise typer.BadParameter("--from must be a time that has passed")
    found = ask(read_settings(config, data_dir), lambda connection: sight.all_refusals(connection, since=now - begin))
    if as_json:
        print_json(found)
        return
    if not found:
        typer.echo(f"No budget has refused anything since {moment(begin)} UTC.")
        return
    shown = table("Budget", "Value", "Gateway key", "Why", "Refused", "Last (UTC)", numbers=("Refused",))
    for one in found:
        shown.add_row(
            cell(one.budget),
            cell(one.value or "–"),
            cell(one.who),
            cell(one.code),
            count(one.requests),
            moment(one.latest),
        )
    console().print(shown)


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
