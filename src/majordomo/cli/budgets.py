"""``majordomo budgets``: limits on what may be spent, made, changed, looked at, and tried out on the past."""

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from majordomo.cli.connection import ask
from majordomo.cli.options import ConfigOption, DataDirOption, JsonOption, pairs, read_settings
from majordomo.cli.tables import cell, console, count, fitted, moment, print_json, table

if TYPE_CHECKING:
    from majordomo.budget.model import Budget
    from majordomo.budget.standing import Count, Standing

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

WhichBudget = Annotated[str, typer.Argument(metavar="BUDGET", help="Id or name.")]
LimitOption = Annotated[str | None, typer.Option("--limit", help="The most that may be used.", show_default=False)]
UnitOption = Annotated[
    Literal["usd", "tokens", "input_tokens", "output_tokens", "requests", "turns", "concurrent"] | None,
    typer.Option("--unit", help="What is counted. Default: usd.", show_default=False),
]
WindowOption = Annotated[
    str | None,
    typer.Option(
        "--window",
        metavar="WINDOW",
        help="minute, hour, day, week, month, quarter, rolling:24h, session or lifetime. Default: month.",
        show_default=False,
    ),
]
ZoneOption = Annotated[
    str | None,
    typer.Option("--tz", help="Where its days begin, such as Europe/Berlin. Default: UTC.", show_default=False),
]
WeekStartOption = Annotated[
    str | None, typer.Option("--week-start", help="Day a week begins with. Default: monday.", show_default=False)
]
MonthStartOption = Annotated[
    int | None, typer.Option("--month-start", help="Day a month begins with. Default: 1.", show_default=False)
]
KeyOption = Annotated[
    list[str] | None, typer.Option("--key", help="Gateway key, by id or name. Repeatable.", show_default=False)
]
MetadataOption = Annotated[
    list[str] | None,
    typer.Option(
        "--metadata", metavar="NAME=VALUE", help="Requests with this metadata. Repeatable.", show_default=False
    ),
]
DeveloperOption = Annotated[
    str | None, typer.Option("--developer", help="The same as --metadata Developer=NAME.", show_default=False)
]
EachOption = Annotated[
    str | None,
    typer.Option(
        "--each",
        metavar="NAME",
        help="A count for each value of a metadata key, or each: key, session, model, provider.",
        show_default=False,
    ),
]
ModelOption = Annotated[
    list[str] | None,
    typer.Option("--model", metavar="PATTERN", help="Models, with * and ?. Repeatable.", show_default=False),
]
ProviderOption = Annotated[list[str] | None, typer.Option("--provider", help="Repeatable.", show_default=False)]
SessionOption = Annotated[
    list[str] | None, typer.Option("--session", help="Claude Code session, by id. Repeatable.", show_default=False)
]
ModeOption = Annotated[
    Literal["balanced", "strict"] | None,
    typer.Option(
        "--mode",
        help="Reserve what a request is likely to use, or the most that it can. Default: balanced.",
        show_default=False,
    ),
]
ActionOption = Annotated[
    Literal["enforce", "warn"] | None,
    typer.Option("--action", help="Refuse requests, or only tell. Default: enforce.", show_default=False),
]
UnpricedOption = Annotated[
    str | None,
    typer.Option(
        "--on-unpriced",
        metavar="refuse|allow|ceiling:PRICE",
        help="A model without a known price: refuse it, let it pass uncounted, or count its tokens at PRICE, USD a "
        "million. Default: refuse.",
        show_default=False,
    ),
]
FailOption = Annotated[
    Literal["open", "closed"] | None,
    typer.Option("--fail", help="Let pass or refuse while the database is away. Default: open.", show_default=False),
]
WarnAtOption = Annotated[
    str | None,
    typer.Option("--warn-at", metavar="PERCENT,…", help="Tell at these shares, such as 50,80.", show_default=False),
]
ContactOption = Annotated[
    str | None, typer.Option("--contact", help="Whom a refused caller is told to ask.", show_default=False)
]
ReasonOption = Annotated[str | None, typer.Option("--reason", help="Why; the history keeps it.", show_default=False)]


@app.command()
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
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Make a budget. What its present window has used counts already."""
    from majordomo.budget import reach, store
    from majordomo.budget.definition import Draft

    told = _told(
        limit=limit, unit=unit, window=window, tz=tz, week_start=week_start, month_start=month_start, key=key,
        metadata=metadata, developer=developer, each=each, model=model, provider=provider, session=session, mode=mode,
        action=action, on_unpriced=on_unpriced, fail=fail, warn_at=warn_at, contact=contact,
    )  # fmt: skip

    async def make(connection: Any) -> Any:
        draft, org_id = await reach.with_key_ids(connection, {"name": name, **told})
        made = await store.create(connection, Draft(**draft), _who(), org_id=org_id)
        return made, await reach.warnings(connection, made), await _standing(connection, made)

    made, warned, stands = ask(read_settings(config, data_dir), make)
    for warning in warned:
        typer.echo(f"majordomo: note: {warning}", err=True)
    if as_json:
        print_json(_fields(made, stands) | {"warnings": warned})
    else:
        _show(made, stands)


@app.command(name="list")
def list_budgets(as_json: JsonOption = False, config: ConfigOption = None, data_dir: DataDirOption = None) -> None:
    """All budgets, with the fullest count of each."""
    from majordomo.budget import store

    async def look(connection: Any) -> Any:
        return [(one, await _standing(connection, one)) for one in await store.load(connection)]

    found = ask(read_settings(config, data_dir), look)
    if as_json:
        print_json([_fields(budget, stands) for budget, stands in found])
        return
    if not found:
        typer.echo("There are no budgets yet. Make one: majordomo budgets create --name NAME --limit 5.00 --window day")
        return
    columns = ("Budget", "Scope", "Window", "Spent", "Reserved", "Limit", "Used", "Resets (UTC)", "State")
    shown = table(*columns, numbers=("Spent", "Reserved", "Limit", "Used"), whole=("Resets (UTC)",))
    for budget, stands in found:
        top = _top(stands)
        value = f"{top.value or '(none)'} of {stands.number}" if top is not None and _apart(budget) else None
        shown.add_row(
            cell(budget.name),
            cell(_scope(budget) + (f"; fullest: {value}" if value else "")),
            cell(_window(budget)),
            _amount(budget, top.spent if top else None),
            _amount(budget, top.reserved if top else None),
            _amount(budget, top.limit if top else None),
            "–" if top is None else f"{top.percent} %",
            moment(top.resets_at) if top else "–",
            cell(_state(budget)),
        )
    out = console()
    out.print(fitted(shown, out, ("Reserved", "Window")))


@app.command()
def show(
    budget: WhichBudget, as_json: JsonOption = False, config: ConfigOption = None, data_dir: DataDirOption = None
) -> None:
    """One budget: how it stands, how fast it goes, whom it refused, who changed it."""
    from majordomo.budget import sight, store

    async def look(connection: Any) -> Any:
        found = await store.find(connection, budget)
        return (
            found,
            await _standing(connection, found, rate=True),
            await store.history(connection, found.id),
            await sight.refusals(connection, found),
            await sight.alerts(connection, found),
        )

    found, stands, history, refused, alerts = ask(read_settings(config, data_dir), look)
    if as_json:
        more = {"history": history, "refusals": refused, "alerts": alerts}
        print_json(_fields(found, stands) | more)
        return
    _show(found, stands)
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


@app.command()
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
    reason: ReasonOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Change a budget. Another scope, unit or window is counted anew; '' takes a scope's option away."""
    from majordomo.budget import reach, store

    told = _told(
        limit=limit, unit=unit, window=window, tz=tz, week_start=week_start, month_start=month_start, key=key,
        metadata=metadata, developer=developer, each=each, model=model, provider=provider, session=session, mode=mode,
        action=action, on_unpriced=on_unpriced, fail=fail, warn_at=warn_at, contact=contact, name=name,
    )  # fmt: skip
    if not told:
        raise typer.BadParameter("name something to change, such as --limit; see --help")

    async def change(connection: Any) -> Any:
        found = await store.find(connection, budget)
        changes, _ = await reach.with_key_ids(connection, told, found.org_id)
        changed = await store.update(connection, found, changes, _who(), reason)
        return changed, await reach.warnings(connection, changed), await _standing(connection, changed)

    changed, warned, stands = ask(read_settings(config, data_dir), change)
    for warning in warned:
        typer.echo(f"majordomo: note: {warning}", err=True)
    _tell(changed, stands, as_json)


@app.command(name="raise")
def raise_limit(
    budget: WhichBudget,
    by: Annotated[str, typer.Option("--by", help="Added to the limit.")],
    until: Annotated[
        str,
        typer.Option("--until", help="How long: 2h, 3d, or a moment such as 2026-12-31T18:00 (UTC unless it says so)."),
    ],
    reason: Annotated[str, typer.Option("--reason", help="Why; the history keeps it.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Lift a limit for a while."""
    from majordomo.budget import store

    async def lift(connection: Any) -> Any:
        found = await store.find(connection, budget)
        raised = await store.raise_limit(connection, found, by, _moment(until), _who(), reason)
        return raised, await _standing(connection, raised)

    raised, stands = ask(read_settings(config, data_dir), lift)
    _tell(raised, stands, as_json)


@app.command()
def pause(
    budget: WhichBudget,
    reason: ReasonOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Enforce a budget no more for the time being; it is counted on."""
    _switch("pause", budget, reason, as_json, config, data_dir)


@app.command()
def resume(
    budget: WhichBudget,
    reason: ReasonOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Enforce a paused budget again."""
    _switch("resume", budget, reason, as_json, config, data_dir)


@app.command()
def delete(
    budget: WhichBudget,
    reason: ReasonOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Take a budget away. Its history stays."""
    from majordomo.budget import store

    async def take_away(connection: Any) -> Any:
        found = await store.find(connection, budget)
        await store.delete(connection, found, _who(), reason)
        return found

    gone = ask(read_settings(config, data_dir), take_away)
    if as_json:
        print_json({"id": _id(gone), "name": gone.name, "deleted": True})
    else:
        console().print(cell(f"The budget {gone.name!r} is deleted; nothing is refused by it from now on."))


@app.command()
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

    told = _told(
        limit=limit, unit=unit, window=window, tz=tz, week_start=week_start, month_start=month_start, key=key,
        metadata=metadata, developer=developer, each=each, model=model, provider=provider, session=session, mode=None,
        action=None, on_unpriced=on_unpriced, fail=None, warn_at=None, contact=None,
    )  # fmt: skip
    if budget is None and limit is None:
        raise typer.BadParameter("name a budget that is there by --budget, or a limit to try by --limit")
    now = dt.datetime.now(dt.UTC)
    begin, end = _past(since or "30d", now), _past(until, now) if until else now
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
        limits = {"limit": _in_unit(tried), "unit": tried.unit, "window": str(tried.window)}
        print_json({"from": begin, "to": end, **limits, **msgspec.structs.asdict(came)})
        return
    out = console()
    out.print(cell(f"{_scope(tried)}: {_amount(tried, _in_unit(tried))} {tried.unit}, {_window(tried)}", "bold"))
    out.print(
        cell(
            f"From {moment(begin)} to {moment(end)} UTC, {count(came.refused)} of {count(came.requests)} requests "
            f"would have been refused: {_amount(tried, came.refused_used)} of {_amount(tried, came.used)} {tried.unit}."
        )
    )
    out.print(
        cell(
            f"{count(came.windows_exhausted)} of {count(came.windows)} counts would have run out; "
            f"the highest came to {_amount(tried, came.highest)}."
        )
    )
    shown = table("Gateway key", "Value", "Refused", "Used", "First (UTC)", numbers=("Refused", "Used"))
    for one in came.whose:
        shown.add_row(
            cell(names.get(one.api_key_id, one.api_key_id)),
            cell(one.value or "–"),
            count(one.requests),
            _amount(tried, one.used),
            moment(one.first),
        )
    if came.whose:
        out.print(shown)


async def _key_names(connection: Any) -> dict[Any, str]:
    return {row["id"]: row["name"] for row in await connection.fetch("SELECT id, name FROM api_keys")}


def _past(text: str, now: dt.datetime) -> dt.datetime:
    """A moment, or a length of time before now."""
    if text[-1:] in _UNITS and text[:-1].isdigit():
        return now - (_moment(text) - now)
    return _moment(text)


def _switch(
    what: Literal["pause", "resume"], budget: str, reason: str | None, as_json: bool, config: Any, data_dir: Any
) -> None:
    from majordomo.budget import store

    async def switch(connection: Any) -> Any:
        found = await store.find(connection, budget)
        act = store.pause if what == "pause" else store.resume
        changed = await act(connection, found, _who(), reason)
        return changed, await _standing(connection, changed)

    changed, stands = ask(read_settings(config, data_dir), switch)
    _tell(changed, stands, as_json)


def _told(
    *, key: list[str] | None, metadata: list[str] | None, developer: str | None, model: list[str] | None,
    provider: list[str] | None, session: list[str] | None, warn_at: str | None, each: str | None, tz: str | None,
    **plain: Any,
) -> dict[str, Any]:  # fmt: skip
    """The fields of a draft that were named; an empty text takes what it stands for away."""
    told = {field: value for field, value in plain.items() if value is not None}
    if tz is not None:
        told["time_zone"] = tz
    for field, values in (("keys", key), ("models", model), ("providers", provider), ("sessions", session)):
        if values is not None:
            told[field] = [value for value in values if value]
    if metadata is not None or developer is not None:
        named = pairs("--metadata", [one for one in metadata or [] if one])
        told["metadata"] = named | ({"Developer": developer} if developer else {})
    if each is not None:
        told["each"] = each or None
    if warn_at is not None:
        try:
            told["warn_at"] = [int(part.strip().removesuffix("%")) for part in warn_at.split(",") if part.strip()]
        except ValueError:
            raise typer.BadParameter(f"{warn_at!r}: expected per cent, such as 50,80", param_hint="--warn-at") from None
    return told


def _moment(text: str) -> dt.datetime:
    """A moment, or a length of time from now."""
    now = dt.datetime.now(dt.UTC)
    try:
        if text[-1:] in _UNITS and text[:-1].isdigit():
            return now + dt.timedelta(**{_UNITS[text[-1]]: int(text[:-1])})
        told = dt.datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r}: expected 2h, 3d or a moment such as 2026-12-31T18:00") from None
    return told if told.tzinfo is not None else told.replace(tzinfo=dt.UTC)


def _who() -> str:
    """Who stands in the history."""
    import getpass

    try:
        return f"{getpass.getuser()} (command line)"
    except (KeyError, OSError):  # an account without a name
        return "command line"


async def _standing(connection: Any, budget: "Budget", *, rate: bool = False) -> "Standing":
    from majordomo.budget.standing import standing
    from majordomo.clock import wall_us

    return await standing(connection, budget, wall_us(), rate=rate)


def _fields(budget: "Budget", stands: "Standing") -> dict[str, Any]:
    from majordomo.budget.standing import with_standing

    return with_standing(budget, stands)


def _tell(budget: "Budget", stands: "Standing", as_json: bool) -> None:
    if as_json:
        print_json(_fields(budget, stands))
    else:
        _show(budget, stands)


def _show(budget: "Budget", stands: "Standing") -> None:
    from majordomo.budget.definition import unpriced_text

    facts = table("", " ")
    facts.show_header = False
    for label, value in (
        ("Name", budget.name),
        ("Id", _id(budget)),
        ("Scope", _scope(budget)),
        ("Limit", f"{_amount(budget, _in_unit(budget))} {budget.unit}, {_window(budget)}"),
        ("Mode", f"{budget.mode}, fails {budget.fail}; unpriced: {unpriced_text(budget)}"),
        ("Tells at", ", ".join(f"{percent} %" for percent in budget.warn_at) or None),
        ("Contact", budget.contact),
        ("State", _state(budget)),
    ):
        facts.add_row(label, cell(value))
    out = console()
    out.print(facts)
    columns = ("Value", "Spent", "Reserved", "Limit", "Used", "Requests", "Resets (UTC)", "An hour", "Gone (UTC)")
    shown = table(*columns, numbers=("Spent", "Reserved", "Limit", "Used", "Requests", "An hour"))
    for one in stands.counts:
        shown.add_row(
            cell(one.value or ("(none)" if _apart(budget) else "all")),
            _amount(budget, one.spent),
            _amount(budget, one.reserved),
            _amount(budget, one.limit),
            f"{one.percent} %",
            count(one.requests),
            moment(one.resets_at),
            _amount(budget, one.rate_per_hour),
            moment(one.runs_out_at),
        )
    out.print(fitted(shown, out, ("Requests", "Reserved")))
    for one in stands.counts:
        if one.at_risk:
            whose = f" for {one.value}" if one.value else ""
            out.print(cell(f"Requests under way may exceed it{whose} by {_amount(budget, one.at_risk)} at most"))
    if stands.number > len(stands.counts):
        out.print(cell(f"and {count(stands.number - len(stands.counts))} more"))


def _id(budget: "Budget") -> str:
    from majordomo.ids import uuid_text

    return uuid_text(budget.id)


def _in_unit(budget: "Budget") -> Any:
    from majordomo.budget.model import in_unit

    return in_unit(budget.unit, budget.limit)


def _amount(budget: "Budget", amount: Any) -> str:
    from majordomo.cli.tables import money

    return money(amount) if amount is None or budget.unit == "usd" else count(int(amount))


def _top(stands: "Standing") -> "Count | None":
    return stands.counts[0] if stands.counts else None


def _apart(budget: "Budget") -> bool:
    return budget.scope.each is not None or budget.window.kind == "session"


def _of(value: str) -> str:
    return f" by {value}" if value else ""


def _window(budget: "Budget") -> str:
    zone = "" if budget.window.zone == "UTC" else f" ({budget.window.zone})"
    return f"{budget.window}{zone}"


def _scope(budget: "Budget") -> str:
    from majordomo.ids import uuid_text

    scope = budget.scope
    parts = [
        *(f"{name}={value}" for name, value in scope.metadata.items()),
        *(f"key {uuid_text(key)}" for key in sorted(scope.keys)),
        *(f"model {model}" for model in scope.models),
        *(f"provider {provider}" for provider in scope.providers),
        *(f"session {session}" for session in scope.sessions),
    ]
    if scope.each is not None:
        parts.append(f"each {scope.each}")
    return ", ".join(parts) or "everything"


def _state(budget: "Budget") -> str:
    return "paused" if budget.paused else "enforced" if budget.action == "enforce" else "warns only"
