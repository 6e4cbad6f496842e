"""``majordomo usage what-if``: the same traffic on another model's prices."""

from decimal import Decimal
from typing import Annotated, Any

import typer

from majordomo.cli.connection import ask
from majordomo.cli.options import ConfigOption, DataDirOption, JsonOption, read_settings
from majordomo.cli.tables import NONE, cell, console, count, fitted, money_column, print_json, table
from majordomo.cli.usage.options import Given, understand, with_common_options


@with_common_options
def what_if(
    other: Annotated[str, typer.Argument(metavar="MODEL", help="The other model, such as gpt-5-mini.")],
    given: Given,
    elsewhere: Annotated[
        str | None,
        typer.Option("--at", metavar="PROVIDER", help="Its prices there; else each request's own.", show_default=False),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """What the same traffic would have cost on another model's prices of today; at most 500,000 requests."""
    from majordomo.clock import wall_us
    from majordomo.places import Places
    from majordomo.price.pricer import Pricer
    from majordomo.report.questions.snapshot import snapshot
    from majordomo.report.questions.what_if import what_if as question_of

    settings = read_settings(config, data_dir)
    pricer = Pricer.load(Places(settings.data_dir).prices_dir, settings.price_overlay)

    async def question(connection: Any) -> Any:
        async with snapshot(connection):
            asked = await understand(connection, given)
            return await question_of(connection, asked.scope, pricer, other, elsewhere, wall_us())

    found = ask(settings, question)
    compared = [one for one in found if one.what_if_cost is not None]
    actual = sum((one.actual_cost for one in compared), Decimal(0))
    there = sum((one.what_if_cost for one in compared), Decimal(0))
    left_out = sum(one.unpriced for one in found) + sum(one.requests for one in found if one.what_if_cost is None)
    if as_json:
        print_json(
            {
                "model": other,
                "provider": elsewhere,
                "price_version": pricer.version,
                "rows": found,
                "total": {"actual_cost": actual, "what_if_cost": there, "difference": there - actual},
                "not_compared": left_out,
            }
        )
    else:
        _print(other, found, (actual, there), left_out)


def _print(model: str, found: list[Any], total: tuple[Decimal, Decimal], left_out: int) -> None:
    out = console()
    if not found:
        out.print("No request matches. Widen the time, or leave a filter out.")
        return
    numbers = ("Requests", "Cost USD", f"As {model} USD", "Difference USD")
    shown = table("Provider/model", *numbers, "No price there for", numbers=numbers)
    actual = money_column([*(one.actual_cost for one in found), total[0]])
    other = money_column([*(one.what_if_cost for one in found), total[1]])
    less = [None if one.what_if_cost is None else one.what_if_cost - one.actual_cost for one in found]
    differences = money_column([*less, total[1] - total[0]])
    for one, cost, elsewhere, difference in zip(found, actual, other, differences, strict=False):
        missing = ", ".join(sorted({what.what for what in one.not_priced}))
        name = cell(f"{one.provider}/{one.model or NONE}")
        shown.add_row(name, count(one.requests), cost, elsewhere, difference, cell(missing))
    shown.add_section()
    shown.add_row("Compared", "", actual[-1], other[-1], differences[-1], "", style="bold")
    out.print(fitted(shown, out, ("No price there for", "Requests")))
    if left_out:
        out.print(
            cell(f"{count(left_out)} requests have no price of their own, or there, and are not compared.", "yellow")
        )
