"""``majordomo top``: what goes on just now, full screen, until q."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from majordomo.cli.options import ConfigOption, DataDirOption, JsonOption, read_settings
from majordomo.cli.tables import console, print_json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from majordomo.report.questions.top import Top
    from majordomo.settings import Settings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def top(
    window: Annotated[int, typer.Option(min=1, max=3600, help="Seconds that rates are taken over.")] = 60,
    every: Annotated[float, typer.Option(min=0.2, max=60, help="Seconds between two looks.")] = 2.0,
    by: Annotated[str, typer.Option(metavar="KEY", help="Metadata key of the third list.")] = "Feature",
    once: Annotated[bool, typer.Option("--once", help="Print one look and end; so does output into a pipe.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Spend, requests and tokens a second, what runs, by model, key and feature, budgets near their limit.

    Live and full screen; q or Ctrl-C ends it. What runs is told of the gateway on this machine.
    """
    import sys

    settings = read_settings(config, data_dir)
    look = _looker(settings, window, by)
    if as_json or once or not sys.stdout.isatty():
        from majordomo.cli.connection import ask

        seen = ask(settings, look)
        if as_json:
            print_json(seen)
        else:
            from majordomo.cli.top_screen import page

            out = console()
            out.print(page(seen, out.width, None))
        return
    _watch(settings, look, every)


def _looker(settings: "Settings", window: int, by: str) -> "Callable[[Any], Awaitable[Top]]":
    import datetime as dt

    from majordomo.admit.metadata import canonical
    from majordomo.clock import wall_us
    from majordomo.places import Places
    from majordomo.report.front_desks import read_front_desks
    from majordomo.report.questions.top import top as take

    key = canonical(by.strip().encode())
    run_dir = Places(settings.data_dir).run_dir

    async def look(connection: Any) -> "Top":
        desks = read_front_desks(run_dir, wall_us())
        return await take(connection, desks, dt.datetime.now(dt.UTC), dt.timedelta(seconds=window), key)

    return look


def _watch(settings: "Settings", look: "Callable[[Any], Awaitable[Top]]", every: float) -> None:
    import asyncio

    from majordomo.cli.top_watch import watch
    from majordomo.record.embedded import database_for

    with database_for(settings) as dsn:
        asyncio.run(watch(dsn, look, every))
