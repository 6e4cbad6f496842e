"""``majordomo usage latency``: how long requests took."""

from typing import Annotated, Any

import typer

from majordomo.cli.connection import ask
from majordomo.cli.options import ConfigOption, DataDirOption, JsonOption, read_settings
from majordomo.cli.tables import NONE, cell, console, count, fitted, print_json, table
from majordomo.cli.usage.options import Given, understand, with_common_options


@with_common_options
def latency(
    given: Given,
    dimension: Annotated[
        str | None, typer.Option("--by", metavar="DIM", help="By this dimension, too.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=50, help="Values shown; the others are one row.")] = 20,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Percentiles of response time and time to first byte, within 2.5 %; the last 30 days if no time is given."""
    from majordomo.cli.usage.views import period_json, span_text, value_text
    from majordomo.report.questions.latency import latency as question_of
    from majordomo.report.questions.periods import bucket_starts, usual_granularity
    from majordomo.report.questions.snapshot import snapshot

    async def question(connection: Any) -> Any:
        async with snapshot(connection):
            asked = await understand(connection, given, all_time=False)
            named = None if dimension is None else asked.dimension(dimension)
            starts = bucket_starts(asked.period, usual_granularity(asked.period))
            return asked, named, await question_of(connection, asked.scope, starts, named, limit)

    asked, named, found = ask(read_settings(config, data_dir), question)
    if as_json:
        print_json(
            {
                **period_json(asked.period),
                "total": found.total,
                "buckets": found.starts,
                "points": found.points,
                "dimension": named and named.name,
                "rows": found.shares,
            }
        )
        return
    out = console()
    out.print(cell(f"{span_text(asked.period)}: milliseconds.", "bold"))
    numbers = ("Requests", "p50", "p95", "p99", "First byte p50", "p95 ", "p99 ")
    shown = table(named.name if named else "", *numbers, numbers=numbers)
    for share in found.shares:
        label = "(others)" if share.is_rest else value_text(asked, named.name if named else "", share.value)
        shown.add_row(cell(label), *_figures(share.times))
    if found.shares:
        shown.add_section()
    shown.add_row("All", *_figures(found.total), style="bold")
    out.print(fitted(shown, out, ("p99 ", "p95 ")))


def _figures(times: Any) -> list[str]:
    measures = (times.response, times.first_byte)
    told = [_ms(value) for one in measures for value in (one.p50, one.p95, one.p99)]
    return [count(times.response.requests), *told]


def _ms(value: float | None) -> str:
    return NONE if value is None else f"{value:,.0f}"
