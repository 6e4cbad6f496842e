"""How budgets are shown: their terms in words, and how they stand."""

from typing import TYPE_CHECKING, Any

from majordomo.cli.tables import cell, console, count, fitted, moment, print_json, table

if TYPE_CHECKING:
    from majordomo.budget.model import Budget
    from majordomo.budget.standing import Count, Standing


async def stand(connection: Any, budget: "Budget", *, rate: bool = False) -> "Standing":
    from majordomo.budget.standing import standing
    from majordomo.clock import wall_us

    return await standing(connection, budget, wall_us(), rate=rate)


def json_fields(budget: "Budget", stands: "Standing") -> dict[str, Any]:
    from majordomo.budget.standing import with_standing

    return with_standing(budget, stands)


def tell(budget: "Budget", stands: "Standing", as_json: bool) -> None:
    if as_json:
        print_json(json_fields(budget, stands))
    else:
        show_budget(budget, stands)


def show_budget(budget: "Budget", stands: "Standing") -> None:
    from majordomo.budget.definition import unpriced_text

    facts = table("", " ")
    facts.show_header = False
    for label, value in (
        ("Name", budget.name),
        ("Id", budget_id(budget)),
        ("Scope", scope_text(budget)),
        ("Limit", f"{amount_text(budget, limit_of(budget))} {budget.unit}, {window_text(budget)}"),
        ("Mode", f"{budget.mode}, fails {budget.fail}; unpriced: {unpriced_text(budget)}"),
        ("Tells at", ", ".join(f"{percent} %" for percent in budget.warn_at) or None),
        ("Contact", budget.contact),
        ("State", state_text(budget)),
    ):
        facts.add_row(label, cell(value))
    out = console()
    out.print(facts)
    columns = ("Value", "Spent", "Reserved", "Limit", "Used", "Requests", "Resets (UTC)", "An hour", "Gone (UTC)")
    shown = table(*columns, numbers=("Spent", "Reserved", "Limit", "Used", "Requests", "An hour"))
    for one in stands.counts:
        shown.add_row(
            cell(one.value or ("(none)" if counts_apart(budget) else "all")),
            amount_text(budget, one.spent),
            amount_text(budget, one.reserved),
            amount_text(budget, one.limit),
            f"{one.percent} %",
            count(one.requests),
            moment(one.resets_at),
            amount_text(budget, one.rate_per_hour),
            moment(one.runs_out_at),
        )
    out.print(fitted(shown, out, ("Requests", "Reserved")))
    for one in stands.counts:
        if one.at_risk:
            whose = f" for {one.value}" if one.value else ""
            out.print(cell(f"Requests under way may exceed it{whose} by {amount_text(budget, one.at_risk)} at most"))
    if stands.number > len(stands.counts):
        out.print(cell(f"and {count(stands.number - len(stands.counts))} more"))


def budget_id(budget: "Budget") -> str:
    from majordomo.ids import uuid_text

    return uuid_text(budget.id)


def limit_of(budget: "Budget") -> Any:
    from majordomo.budget.model import in_unit

    return in_unit(budget.unit, budget.limit)


def amount_text(budget: "Budget", amount: Any) -> str:
    from majordomo.cli.tables import money

    return money(amount) if amount is None or budget.unit == "usd" else count(int(amount))


def fullest(stands: "Standing") -> "Count | None":
    return stands.counts[0] if stands.counts else None


def counts_apart(budget: "Budget") -> bool:
    return budget.scope.each is not None or budget.window.kind == "session"


def window_text(budget: "Budget") -> str:
    zone = "" if budget.window.zone == "UTC" else f" ({budget.window.zone})"
    return f"{budget.window}{zone}"


def scope_text(budget: "Budget") -> str:
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


def state_text(budget: "Budget") -> str:
    return "paused" if budget.paused else "enforced" if budget.action == "enforce" else "warns only"
