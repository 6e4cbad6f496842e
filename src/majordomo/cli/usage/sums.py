"""``majordomo usage summary``, ``by`` and ``timeseries``: how much, of what, when."""

from typing import Annotated, Any

import typer

from majordomo.cli.connection import ask
from majordomo.cli.options import ConfigOption, DataDirOption, JsonOption, read_settings
from majordomo.cli.tables import print_json
from majordomo.cli.usage.options import CompareOption, Given, UsageError, understand, with_common_options

GranularityOption = Annotated[
    str | None,
    typer.Option("--granularity", help="hour, day, week or month; else by the time's length.", show_default=False),
]


@with_common_options
def summary(
    given: Given,
    compare: CompareOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Requests, tokens and cost in all, each by class."""
    from majordomo.cli.usage import views
    from majordomo.report.questions import pivot
    from majordomo.report.questions.snapshot import snapshot

    settings = read_settings(config, data_dir)
    _check_compare(given, compare)

    async def question(connection: Any) -> Any:
        async with snapshot(connection):
            asked = await understand(connection, given)
            before = await pivot.summary(connection, asked.previous) if compare else None
            return asked, await pivot.summary(connection, asked.scope), before

    asked, answer, before = ask(settings, question)
    if as_json:
        print_json(views.summary_json(asked.period, answer, before))
    elif not answer.usage.requests:
        views.print_nothing(settings, asked.period, narrowed=not given.is_everything)
    else:
        views.print_summary(asked.period, answer, before)


@with_common_options
def by(
    dimension: Annotated[
        str,
        typer.Argument(
            metavar="DIM",
            help="provider, model, key, status, outcome, error_type, client, query_class, session, run; "
            "hour, day, week, month; or a metadata key: Feature.",
        ),
    ],
    given: Given,
    compare: CompareOption = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Values shown; the others are one row.")] = 50,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Usage by one dimension, costliest first. The rows add up to the total."""
    from majordomo.cli.usage import views
    from majordomo.report.questions.snapshot import snapshot

    settings = read_settings(config, data_dir)
    _check_compare(given, compare)

    async def question(connection: Any) -> Any:
        async with snapshot(connection):
            asked = await understand(connection, given)
            return asked, await _breakdown(connection, asked, dimension, limit, compare)

    asked, (name, answer, before) = ask(settings, question)
    if as_json:
        print_json(views.breakdown_json(asked, name, answer, before))
    elif not answer.total.requests:
        views.print_nothing(settings, asked.period, narrowed=not given.is_everything)
    else:
        views.print_breakdown(asked, name, answer, before)


@with_common_options
def timeseries(
    given: Given,
    granularity: GranularityOption = None,
    dimension: Annotated[
        str | None, typer.Option("--by", metavar="DIM", help="Stacked by this dimension.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=50, help="Values shown; the others are one.")] = 4,
    compare: CompareOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Usage over time, with bars; the last thirty days unless a time is asked for."""
    from majordomo.cli.usage import charts
    from majordomo.report.questions import pivot
    from majordomo.report.questions.periods import Granularity, bucket_starts, usual_granularity
    from majordomo.report.questions.snapshot import snapshot

    if granularity is not None and granularity not in list(Granularity):
        raise UsageError(f"there is no granularity {granularity!r}; there are {', '.join(Granularity)}")
    settings = read_settings(config, data_dir)

    async def question(connection: Any) -> Any:
        async with snapshot(connection):
            asked = await understand(connection, given, all_time=False)
            width = Granularity(granularity) if granularity else usual_granularity(asked.period)
            named = None if dimension is None else asked.dimension(dimension)
            starts = bucket_starts(asked.period, width)
            found = await pivot.timeline(connection, asked.scope, starts, named, limit)
            before = None
            if compare:
                earlier = bucket_starts(asked.period.previous, width)
                before = await pivot.timeline(connection, asked.previous, earlier)
            return asked, charts.Chart(width, named.name if named else None, found, before)

    asked, chart = ask(settings, question)
    if as_json:
        print_json(charts.chart_json(asked, chart))
    else:
        charts.print_chart(asked, chart)


async def _breakdown(connection: Any, asked: Any, dimension: str, limit: int, compare: bool) -> tuple[str, Any, Any]:
    """The dimension's name, usage by it, and that of the time before."""
    from majordomo.report.questions import pivot
    from majordomo.report.questions.calendar import by_time
    from majordomo.report.questions.periods import Granularity

    if dimension in list(Granularity):
        if compare:
            raise UsageError("--compare is for dimensions other than time; see: majordomo usage timeseries --compare")
        return dimension, await by_time(connection, asked.scope, asked.period, Granularity(dimension), limit), None
    named = asked.dimension(dimension)
    found = await pivot.breakdown(connection, asked.scope, named, limit, most=pivot.MOST_EXPORTED)
    before = None
    if compare:
        shown = [share.value for share in found.shares if share.value is not None]
        before = await pivot.breakdown(connection, asked.previous, named, pivot.MOST_EXPORTED, shown=shown)
    return named.name, found, before


def _check_compare(given: Given, compare: bool) -> None:
    if compare and not given.has_beginning:
        raise UsageError("--compare needs a time that begins: --period this_month, --last 7d, or --from")
