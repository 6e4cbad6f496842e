"""``majordomo usage runs`` and ``run``: agent runs, and one as a tree of what each part cost."""

from typing import Annotated, Any

import typer

from majordomo.cli.connection import ask
from majordomo.cli.options import ConfigOption, DataDirOption, JsonOption, read_settings
from majordomo.cli.tables import cell, console, count, fitted, moment, money_column, print_json, table
from majordomo.cli.usage.options import Given, UsageError, understand, with_common_options
from majordomo.cli.usage.session_views import span


@with_common_options
def runs(
    given: Given,
    limit: Annotated[int, typer.Option(min=1, max=200, help="Runs shown.")] = 20,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Agent runs (requests of one X-Majordomo-Trace-Id), the last seen first."""
    from majordomo.report.questions import runs as of_runs
    from majordomo.report.questions.snapshot import snapshot

    async def question(connection: Any) -> Any:
        async with snapshot(connection):
            asked = await understand(connection, given)
            return await of_runs.runs(connection, asked.scope, limit)

    found = ask(read_settings(config, data_dir), question)
    if as_json:
        print_json({"runs": found.runs, "numRecords": len(found.runs)})
        return
    out = console()
    if not found.runs:
        out.print("No run. Requests are of one run if they carry the same header X-Majordomo-Trace-Id.")
        return
    numbers = ("Duration", "Requests", "Spans", "Output", "Cost USD")
    shown = table("Run", "Last (UTC)", *numbers, numbers=numbers, whole=("Last (UTC)",))
    costs = money_column([one.usage.total_cost for one in found.runs])
    for one, cost in zip(found.runs, costs, strict=True):
        figures = (count(one.usage.requests), count(one.spans), count(one.usage.output_tokens), cost)
        shown.add_row(cell(one.run), moment(one.last_at), span(one.ended_at - one.first_at), *figures)
    out.print(fitted(shown, out, ("Output", "Spans", "Duration")))
    more = f"The last {count(limit)}, more with --limit. " if found.next_cursor else ""
    out.print(cell(f"{more}One as a tree: majordomo usage run TRACE.", "dim"))


def run(
    trace: Annotated[str, typer.Argument(metavar="TRACE", help="The run's X-Majordomo-Trace-Id.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """One agent run: what each part of it cost, alone and with all below it."""
    from majordomo.report.questions import runs as of_runs

    found = ask(read_settings(config, data_dir), lambda connection: of_runs.tree(connection, trace, None))
    if found is None:
        raise UsageError(f"there is no run {trace!r}; see: majordomo usage runs")
    if as_json:
        print_json({"run": trace, "spans": found.spans, "left_out": found.left_out})
        return
    numbers = ("Start", "Requests", "Own USD", "Total USD")
    shown = table("Span", *numbers, "Models", numbers=numbers)
    own = money_column([one.own.total_cost for one in found.spans])
    total = money_column([one.total.total_cost for one in found.spans])
    start = found.spans[0].first_at
    for one, alone, whole in zip(found.spans, own, total, strict=True):
        name = cell("  " * one.depth + (one.name or trace), "bold" if one.depth == 0 else "")
        shown.add_row(
            name, span(one.first_at - start), count(one.own.requests), alone, whole, cell(", ".join(one.models))
        )
    out = console()
    out.print(fitted(shown, out, ("Models", "Start")))
    if found.left_out:
        out.print(cell(f"{count(found.left_out)} further spans are not shown and not in these sums.", "yellow"))
