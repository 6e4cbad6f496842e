"""``majordomo usage sessions`` and ``session``: Claude Code's sessions, and one of them request by request."""

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from majordomo.cli.connection import ask
from majordomo.cli.options import ConfigOption, DataDirOption, JsonOption, read_settings
from majordomo.cli.tables import print_json
from majordomo.cli.usage.options import (
    FromOption,
    KeyOption,
    LastOption,
    MetadataOption,
    ModelOption,
    ProviderOption,
    ToOption,
    UsageError,
)

if TYPE_CHECKING:
    from majordomo.report.questions.scope import Scope


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
    from majordomo.cli.usage import session_views
    from majordomo.report.questions import claude_sessions
    from majordomo.report.questions.scope import Scope

    settings = read_settings(config, data_dir)

    async def question(connection: Any) -> Any:
        scope = await _scope(connection, from_, to, last, key, provider, model, metadata)
        return scope, await claude_sessions.sessions(connection, scope, limit, only_open=only_open)

    scope, found = ask(settings, question)
    if as_json:
        print_json(session_views.sessions_json(found))
    elif not found:
        session_views.print_no_sessions(narrowed=only_open or scope != Scope())
    else:
        session_views.print_sessions(found, limit)


def session(
    session_id: Annotated[str, typer.Argument(metavar="ID", help="The session's id; or: latest.")],
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Requests shown, the last ones.")] = 100,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """One session of Claude Code: request by request, its cost by several views, and why /usage differs."""
    from majordomo.cli.usage import session_views
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
        print_json(session_views.told_json(answer))
    else:
        session_views.print_session(answer, limit)


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


def _session_id(text: str) -> UUID:
    from majordomo.ids import read_uuid

    found = read_uuid(text)
    if found is None:
        raise UsageError(f"{text!r} is no session id; it is a UUID, as `majordomo usage sessions` shows them")
    return found
