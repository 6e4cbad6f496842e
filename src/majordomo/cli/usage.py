"""``majordomo usage``: what was used and what it cost, in all, by a dimension, or request by request."""

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from majordomo.cli import usage_export
from majordomo.cli.connection import ask
from majordomo.cli.options import ConfigOption, DataDirOption, JsonOption, read_settings
from majordomo.cli.tables import print_json

if TYPE_CHECKING:
    from majordomo.report.questions.scope import Scope

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command(name="export")(usage_export.export)

FromOption = Annotated[
    str | None,
    typer.Option("--from", help="Since then: 2026-11-21, 2026-11-21T14:00 (UTC), today.", show_default=False),
]
ToOption = Annotated[str | None, typer.Option("--to", help="Before then; as --from.", show_default=False)]
LastOption = Annotated[
    str | None, typer.Option("--last", help="The last 30m, 24h, 7d or 4w, up to now.", show_default=False)
]
KeyOption = Annotated[
    list[str] | None,
    typer.Option("--key", help="Only this gateway key, by id or name. Repeatable.", show_default=False),
]
ProviderOption = Annotated[str | None, typer.Option("--provider", help="Only this provider.", show_default=False)]
ModelOption = Annotated[
    str | None, typer.Option("--model", help="Only this model, as the reply names it.", show_default=False)
]
MetadataOption = Annotated[
    list[str] | None,
    typer.Option("--metadata", metavar="K=V", help="Only requests with this metadata. Repeatable.", show_default=False),
]


@app.command()
def summary(
    from_: FromOption = None,
    to: ToOption = None,
    last: LastOption = None,
    key: KeyOption = None,
    provider: ProviderOption = None,
    model: ModelOption = None,
    metadata: MetadataOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Requests, tokens and cost in all, each by class."""
    from majordomo.cli import usage_tables
    from majordomo.report.questions import usage

    settings = read_settings(config, data_dir)

    async def question(connection: Any) -> Any:
        scope = await _scope(connection, from_, to, last, key, provider, model, metadata)
        return scope, await usage.summary(connection, scope)

    scope, answer = ask(settings, question)
    if as_json:
        print_json(usage_tables.summary_json(scope, answer))
    elif not answer.usage.requests:
        usage_tables.print_nothing(settings, scope)
    else:
        usage_tables.print_summary(scope, answer)


@app.command()
def by(
    dimension: Annotated[
        str,
        typer.Argument(
            metavar="DIM", help="provider, model, key, status, outcome, hour, day, month; or a metadata key: Feature."
        ),
    ],
    from_: FromOption = None,
    to: ToOption = None,
    last: LastOption = None,
    key: KeyOption = None,
    provider: ProviderOption = None,
    model: ModelOption = None,
    metadata: MetadataOption = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Values shown; the others are one row.")] = 50,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Usage by one dimension, costliest first. The rows add up to the total."""
    from majordomo.admit.metadata import canonical
    from majordomo.cli import usage_tables
    from majordomo.report.questions import metadata_keys, usage

    settings = read_settings(config, data_dir)

    async def question(connection: Any) -> Any:
        scope = await _scope(connection, from_, to, last, key, provider, model, metadata)
        if dimension in usage.DIMENSIONS:
            return scope, await usage.by(connection, dimension, scope, limit), []
        answer = await usage.by_metadata(connection, canonical(dimension.encode()), scope, limit)
        sent = await metadata_keys.metadata_keys(connection, scope.keys)
        return scope, answer, sorted({observed.key_name for observed in sent})

    scope, answer, names = ask(settings, question)
    if as_json:
        print_json(usage_tables.breakdown_json(scope, answer))
    elif not answer.total.requests:
        usage_tables.print_nothing(settings, scope)
    else:
        usage_tables.print_breakdown(scope, answer, names)


@app.command()
def requests(
    from_: FromOption = None,
    to: ToOption = None,
    last: LastOption = None,
    key: KeyOption = None,
    provider: ProviderOption = None,
    model: ModelOption = None,
    metadata: MetadataOption = None,
    errors: Annotated[bool, typer.Option("--errors", help="Only those that failed.")] = False,
    unpriced: Annotated[bool, typer.Option("--unpriced", help="Only those without a known price.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Requests shown.")] = 20,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """The requests themselves, newest first."""
    from majordomo.cli import usage_tables
    from majordomo.report.questions import requests as of_requests

    settings = read_settings(config, data_dir)

    async def question(connection: Any) -> Any:
        scope = await _scope(connection, from_, to, last, key, provider, model, metadata)
        return scope, await of_requests.requests(connection, scope, limit, errors=errors, unpriced=unpriced)

    scope, lines = ask(settings, question)
    if as_json:
        print_json({"requests": lines, "numRecords": len(lines)})
    elif not lines:
        usage_tables.print_nothing(settings, scope, narrowed=errors or unpriced)
    else:
        usage_tables.print_requests(lines, limit)


@app.command()
def request(
    request_id: Annotated[str, typer.Argument(metavar="ID", help="The X-Majordomo-Request-Id; or: latest.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """One request: every field, and its cost bucket by bucket."""
    from majordomo.cli import usage_tables
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
        usage_tables.print_request(row, buckets)


@app.command()
def sessions(
    from_: FromOption = None,
    to: ToOption = None,
    last: LastOption = None,
    key: KeyOption = None,
    provider: ProviderOption = None,
    model: ModelOption = None,
    metadata: MetadataOption = None,
    only_open: Annotated[bool, typer.Option("--open", help="Only those that have not ended.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Sessions shown.")] = 20,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Claude Code's sessions, newest first: those that went on in a time, or had such a request."""
    from majordomo.cli import usage_sessions
    from majordomo.report.questions import claude_sessions
    from majordomo.report.questions.scope import Scope

    settings = read_settings(config, data_dir)

    async def question(connection: Any) -> Any:
        scope = await _scope(connection, from_, to, last, key, provider, model, metadata)
        return scope, await claude_sessions.sessions(connection, scope, limit, only_open=only_open)

    scope, found = ask(settings, question)
    if as_json:
        print_json(usage_sessions.sessions_json(found))
    elif not found:
        usage_sessions.print_no_sessions(narrowed=only_open or scope != Scope())
    else:
        usage_sessions.print_sessions(found, limit)


@app.command()
def session(
    session_id: Annotated[str, typer.Argument(metavar="ID", help="The session's id; or: latest.")],
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Requests shown, the last ones.")] = 100,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """One session of Claude Code: request by request, its cost by several views, and why /usage differs."""
    from majordomo.cli import usage_sessions
    from majordomo.report.questions import claude_sessions
    from majordomo.report.questions.claude_ledgers import told

    settings = read_settings(config, data_dir)

    async def question(connection: Any) -> Any:
        latest = session_id == "latest"
        wanted = await claude_sessions.latest_session(connection) if latest else _session_id(session_id)
        return wanted and await told(connection, wanted)

    answer = ask(settings, question)
    if answer is None:
        raise UsageError(f"there is no session {session_id}; see: majordomo usage sessions")
    if as_json:
        print_json(usage_sessions.told_json(answer))
    else:
        usage_sessions.print_session(answer, limit)


class UsageError(Exception):
    """A question cannot be asked like this. The message says why, and how it can."""


async def _scope(
    connection: Any,
    from_: str | None,
    to: str | None,
    last: str | None,
    keys: list[str] | None,
    provider: str | None,
    model: str | None,
    metadata: list[str] | None,
) -> "Scope":
    """The filters as given on the command line.

    Raises:
        UsageError, TimeError, ApiKeyError: one of them is not understood.
    """
    import datetime as dt

    from majordomo.record import api_keys
    from majordomo.report.questions.scope import Scope
    from majordomo.report.questions.times import parse_moment, parse_span

    now = dt.datetime.now(dt.UTC)
    if last is not None and (from_ is not None or to is not None):
        raise UsageError("--last reaches up to now; leave it out to use --from and --to")
    since = now - parse_span(last) if last is not None else parse_moment(from_, now) if from_ is not None else None
    until = parse_moment(to, now) if to is not None else None
    if since is not None and until is not None and since >= until:
        raise UsageError(f"--from {from_} is not before --to {to}")
    return Scope(
        since=since,
        until=until,
        keys=tuple([(await api_keys.find(connection, key)).id for key in keys]) if keys else None,
        provider=provider,
        model=model,
        metadata=dict(_pair(given) for given in metadata or ()),
    )


def _pair(given: str) -> tuple[str, str]:
    from majordomo.admit.metadata import canonical

    name, equals, value = given.partition("=")
    if not equals or not name or "\0" in given:
        raise UsageError(f"--metadata {given!r} is not KEY=VALUE, such as Feature=chat")
    return canonical(name.strip().encode()), value


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise UsageError(
            f"{text!r} is no request id; it is a UUID, as in the X-Majordomo-Request-Id header or `usage requests`"
        ) from None


def _session_id(text: str) -> UUID:
    from majordomo.ids import read_uuid

    found = read_uuid(text)
    if found is None:
        raise UsageError(f"{text!r} is no session id; it is a UUID, as `majordomo usage sessions` shows them")
    return found


def _pricer(settings: Any) -> Any:
    """The prices at hand; None if they cannot be read, which costs the rates in the answer and nothing else."""
    from majordomo.places import Places
    from majordomo.price.adjustments import OverlayError
    from majordomo.price.pricer import Pricer

    try:
        return Pricer.load(Places(settings.data_dir).prices_dir, settings.price_overlay)
    except OverlayError:
        return None
