"""``majordomo budgets simulate``: a limit tried out on the past."""

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any

import typer

from majordomo.cli.budgets.moments import moment_before
from majordomo.cli.budgets.options import (
    DeveloperOption,
    EachOption,
    KeyOption,
    LimitOption,
    MetadataOption,
    ModelOption,
    MonthStartOption,
    ProviderOption,
    SessionOption,
    UnitOption,
    UnpricedOption,
    WeekStartOption,
    WindowOption,
    ZoneOption,
    draft_fields,
)
from majordomo.cli.budgets.views import amount_text, limit_of, scope_text, window_text
from majordomo.cli.connection import ask
from majordomo.cli.options import ConfigOption, DataDirOption, JsonOption, read_settings
from majordomo.cli.tables import cell, console, count, moment, print_json, table

if TYPE_CHECKING:
    from majordomo.budget.model import Budget
    from majordomo.budget.simulate import Simulation


def simulate(
    budget: Annotated[
        str | None, typer.Option("--budget", help="A budget that is there, by id or name.", show_default=False)
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--from", help="30d ago, or a moment such as 2026-11-01. Default: 30d.", show_default=False),
    ] = None,
    until: Annotated[str | None, typer.Option("--to", help="Default: now.", show_default=False)] = None,
    limit: LimitOption = None,
    unit: UnitOption = None,
    window: WindowOption = None,
    tz: ZoneOption = None,
    week_start: WeekStartOption = None,
    month_start: MonthStartOption = None,
    key: KeyOption = None,
    metadata: MetadataOption = None,
    developer: DeveloperOption = None,
    each: EachOption = None,
    model: ModelOption = None,
    provider: ProviderOption = None,
    session: SessionOption = None,
    on_unpriced: UnpricedOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Replay history against a limit before switching it on: what would have been refused, when, and whose."""
    import msgspec

    from majordomo.budget import reach, store
    from majordomo.budget.definition import Draft, define, draft_of
    from majordomo.budget.simulate import simulate as replay
    from majordomo.budget.windows import stamp_us

    told = draft_fields(
        limit=limit, unit=unit, window=window, tz=tz, week_start=week_start, month_start=month_start, key=key,
        metadata=metadata, developer=developer, each=each, model=model, provider=provider, session=session, mode=None,
        action=None, on_unpriced=on_unpriced, fail=None, warn_at=None, contact=None,
    )  # fmt: skip
    if budget is None and limit is None:
        raise typer.BadParameter("name a budget that is there by --budget, or a limit to try by --limit")
    now = dt.datetime.now(dt.UTC)
    begin, end = moment_before(since or "30d", now), moment_before(until, now) if until else now
    if begin >= end:
        raise typer.BadParameter("--from must be before --to")

    async def try_out(connection: Any) -> Any:
        start, org_id = Draft(name="a limit to try", limit="1"), None
        if budget:
            found = await store.find(connection, budget)
            start, org_id = draft_of(found), found.org_id
        changes, org_id = await reach.with_key_ids(connection, told, org_id)
        tried = define(msgspec.structs.replace(start, **changes), bytes(16), org_id)
        return tried, await replay(connection, tried, stamp_us(begin), stamp_us(end)), await _key_names(connection)

    tried, came, names = ask(read_settings(config, data_dir), try_out)
    if as_json:
        limits = {"limit": limit_of(tried), "unit": tried.unit, "window": str(tried.window)}
        print_json({"from": begin, "to": end, **limits, **msgspec.structs.asdict(came)})
        return
    _show(tried, came, (begin, end), names)


def _show(tried: "Budget", came: "Simulation", times: tuple[dt.datetime, dt.datetime], names: dict[Any, str]) -> None:
    def shown_amount(amount: Any) -> str:
        return amount_text(tried, amount)

    out = console()
    out.print(cell(f"{scope_text(tried)}: {shown_amount(limit_of(tried))} {tried.unit}, {window_text(tried)}", "bold"))
    begin, end = map(moment, times)
    out.print(
        cell(
            f"From {begin} to {end} UTC, {count(came.refused)} of {count(came.requests)} requests would have been "
            f"refused: {shown_amount(came.refused_used)} of {shown_amount(came.used)} {tried.unit}."
        )
    )
    out.print(
        cell(
            f"{count(came.windows_exhausted)} of {count(came.windows)} counts would have run out; "
            f"the highest came to {shown_amount(came.highest)}."
        )
    )
    if not came.whose:
        return
    shown = table("Gateway key", "Value", "Refused", "Used", "First (UTC)", numbers=("Refused", "Used"))
    for one in came.whose:
        shown.add_row(
            cell(names.get(one.api_key_id, one.api_key_id)),
            cell(one.value or "–"),
            count(one.requests),
            shown_amount(one.used),
            moment(one.first),
        )
    out.print(shown)


async def _key_names(connection: Any) -> dict[Any, str]:
    return {row["id"]: row["name"] for row in await connection.fetch("SELECT id, name FROM api_keys")}
