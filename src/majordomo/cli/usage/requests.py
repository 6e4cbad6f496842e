"""``majordomo usage requests``, ``request`` and ``errors``: the requests themselves, one of them, and what failed."""

from typing import Annotated, Any
from uuid import UUID

import typer

from majordomo.cli.connection import ask
from majordomo.cli.options import ConfigOption, DataDirOption, JsonOption, read_settings
from majordomo.cli.tables import print_json
from majordomo.cli.usage.options import Given, UsageError, understand, with_common_options


@with_common_options
def requests(
    given: Given,
    errors: Annotated[bool, typer.Option("--errors", help="Only those that failed.")] = False,
    unpriced: Annotated[bool, typer.Option("--unpriced", help="Only those without a known price.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Requests shown.")] = 20,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """The requests themselves, newest first."""
    from majordomo.cli.usage import request_views, views
    from majordomo.report.questions.snapshot import snapshot

    settings = read_settings(config, data_dir)

    async def question(connection: Any) -> Any:
        async with snapshot(connection):
            asked = await understand(connection, given)
            return asked, await _lines(connection, asked, limit, errors, unpriced)

    asked, lines = ask(settings, question)
    if as_json:
        print_json({"requests": request_views.lines_json(asked, lines), "numRecords": len(lines)})
    elif not lines:
        views.print_nothing(settings, asked.period, narrowed=errors or unpriced or not given.is_everything)
    else:
        request_views.print_requests(asked, lines, limit)


def request(
    request_id: Annotated[str, typer.Argument(metavar="ID", help="The X-Majordomo-Request-Id; or: latest.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """One request: every field, and its cost bucket by bucket."""
    from majordomo.cli.usage import request_views
    from majordomo.report.questions import requests as of_requests
    from majordomo.report.questions.billed import billed_buckets

    settings = read_settings(config, data_dir)

    async def question(connection: Any) -> Any:
        wanted = await of_requests.latest_request(connection) if request_id == "latest" else _uuid(request_id)
        return wanted and await of_requests.request(connection, wanted)

    row = ask(settings, question)
    if row is None:
        raise UsageError(f"there is no request {request_id}; see: majordomo usage requests")
    buckets = billed_buckets(row, _pricer(settings))
    if as_json:
        print_json({**row, "buckets": buckets})
    else:
        request_views.print_request(row, buckets)


@with_common_options
def errors(
    given: Given,
    limit: Annotated[int, typer.Option(min=1, max=200, help="Kinds of failure shown.")] = 20,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """What failed, the most frequent kinds first, each with its newest request."""
    from majordomo.cli.usage import request_views
    from majordomo.report.questions import pivot
    from majordomo.report.questions.failures import failures
    from majordomo.report.questions.snapshot import snapshot

    async def question(connection: Any) -> Any:
        async with snapshot(connection):
            asked = await understand(connection, given)
            return asked, await failures(connection, asked.scope, limit), await pivot.usage(connection, asked.scope)

    asked, found, whole = ask(read_settings(config, data_dir), question)
    if as_json:
        print_json(request_views.errors_json(asked, found, whole))
    else:
        request_views.print_errors(asked, found, whole)


async def _lines(connection: Any, asked: Any, limit: int, errors: bool, unpriced: bool) -> list[Any]:
    """As many of the newest requests, page by page."""
    from majordomo.report.questions.explorer import MOST_REQUESTS, explore

    lines: list[Any] = []
    cursor = None
    while len(lines) < limit:
        size = min(limit - len(lines), MOST_REQUESTS)
        page = await explore(connection, asked.scope, size, cursor, errors=errors, unpriced=unpriced)
        lines += page.requests
        cursor = page.next_cursor
        if cursor is None:
            break
    return lines


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise UsageError(
            f"{text!r} is no request id; it is a UUID, as in the X-Majordomo-Request-Id header or `usage requests`"
        ) from None


def _pricer(settings: Any) -> Any:
    """The prices at hand; None if they cannot be read, which costs the rates in the answer and nothing else."""
    from majordomo.places import Places
    from majordomo.price.adjustments import OverlayError
    from majordomo.price.pricer import Pricer

    try:
        return Pricer.load(Places(settings.data_dir).prices_dir, settings.price_overlay)
    except OverlayError:
        return None
