"""``majordomo budgets create`` and ``update``: what a budget is."""

from typing import Annotated, Any

import typer

from majordomo.cli.budgets.changes import who
from majordomo.cli.budgets.options import (
    ActionOption,
    ContactOption,
    DeveloperOption,
    EachOption,
    FailOption,
    KeyOption,
    LimitOption,
    MetadataOption,
    ModelOption,
    ModeOption,
    MonthStartOption,
    ProviderOption,
    ReasonOption,
    SessionOption,
    UnitOption,
    UnpricedOption,
    UnseenOption,
    WarnAtOption,
    WeekStartOption,
    WhichBudget,
    WindowOption,
    ZoneOption,
    draft_fields,
    known,
)
from majordomo.cli.budgets.views import json_fields, show_budget, stand, tell
from majordomo.cli.connection import ask
from majordomo.cli.options import ConfigOption, DataDirOption, JsonOption, read_settings
from majordomo.cli.tables import print_json


def create(
    name: Annotated[str, typer.Option("--name", help="How it is called, and named in refusals.")],
    limit: Annotated[str, typer.Option("--limit", help="The most that may be used.")],
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
    mode: ModeOption = None,
    action: ActionOption = None,
    on_unpriced: UnpricedOption = None,
    fail: FailOption = None,
    warn_at: WarnAtOption = None,
    contact: ContactOption = None,
    allow_unseen: UnseenOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Make a budget. What its present window has used counts already."""
    from majordomo.budget import reach, store
    from majordomo.budget.definition import Draft, define

    settings = read_settings(config, data_dir)
    told = draft_fields(
        limit=limit, unit=unit, window=window, tz=tz, week_start=week_start, month_start=month_start, key=key,
        metadata=metadata, developer=developer, each=each, model=model, provider=provider, session=session, mode=mode,
        action=action, on_unpriced=on_unpriced, fail=fail, warn_at=warn_at, contact=contact,
    )  # fmt: skip

    async def make(connection: Any) -> Any:
        draft, org_id = await reach.with_key_ids(connection, {"name": name, **told})
        meant = define(Draft(**draft), bytes(16), org_id)
        warned = await reach.check(connection, meant, known(settings), draft, allow_unseen=allow_unseen)
        made = await store.create(connection, Draft(**draft), who(), org_id=org_id)
        return made, warned, await stand(connection, made)

    made, warned, stands = ask(settings, make)
    for warning in warned:
        typer.echo(f"majordomo: note: {warning}", err=True)
    if as_json:
        print_json(json_fields(made, stands) | {"warnings": warned})
    else:
        show_budget(made, stands)


def update(
    budget: WhichBudget,
    name: Annotated[str | None, typer.Option("--name", help="A new name.", show_default=False)] = None,
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
    mode: ModeOption = None,
    action: ActionOption = None,
    on_unpriced: UnpricedOption = None,
    fail: FailOption = None,
    warn_at: WarnAtOption = None,
    contact: ContactOption = None,
    allow_unseen: UnseenOption = False,
    reason: ReasonOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Change a budget. Another scope, unit or window is counted anew; '' takes a scope's option away."""
    import msgspec

    from majordomo.budget import reach, store
    from majordomo.budget.definition import define, draft_of

    settings = read_settings(config, data_dir)
    told = draft_fields(
        limit=limit, unit=unit, window=window, tz=tz, week_start=week_start, month_start=month_start, key=key,
        metadata=metadata, developer=developer, each=each, model=model, provider=provider, session=session, mode=mode,
        action=action, on_unpriced=on_unpriced, fail=fail, warn_at=warn_at, contact=contact, name=name,
    )  # fmt: skip
    if not told:
        raise typer.BadParameter("name something to change, such as --limit; see --help")

    async def change(connection: Any) -> Any:
        found = await store.find(connection, budget)
        changes, _ = await reach.with_key_ids(connection, told, found.org_id)
        meant = define(msgspec.structs.replace(draft_of(found), **changes), found.id, found.org_id)
        warned = await reach.check(connection, meant, known(settings), changes, allow_unseen=allow_unseen)
        changed = await store.update(connection, found, changes, who(), reason)
        return changed, warned, await stand(connection, changed)

    changed, warned, stands = ask(settings, change)
    for warning in warned:
        typer.echo(f"majordomo: note: {warning}", err=True)
    tell(changed, stands, as_json)
