"""``majordomo usage sessions`` and ``session``: Claude Code's sessions, and one of them request by request."""

from typing import Annotated, Any
from uuid import UUID

import typer

from majordomo.cli.connection import ask
from majordomo.cli.options import ConfigOption, DataDirOption, JsonOption, read_settings
from majordomo.cli.tables import print_json
from majordomo.cli.usage.options import Given, UsageError, understand, with_common_options


@with_common_options
def sessions(
    given: Given,
    only_open: Annotated[bool, typer.Option("--open", help="Only those that have not ended.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Sessions shown.")] = 20,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Claude Code's sessions, newest first: those that went on in a time, or had such a request."""
    from majordomo.cli.usage import session_views
    from majordomo.report.questions import claude_sessions

    settings = read_settings(config, data_dir)

    async def question(connection: Any) -> Any:
        asked = await understand(connection, given)
        return await claude_sessions.sessions(connection, asked.scope, limit, only_open=only_open)

    found = ask(settings, question)
    if as_json:
        print_json(session_views.sessions_json(found))
    elif not found:
        session_views.print_no_sessions(narrowed=only_open or not given.is_everything)
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


def _session_id(text: str) -> UUID:
    from majordomo.ids import read_uuid

    found = read_uuid(text)
    if found is None:
        raise UsageError(f"{text!r} is no session id; it is a UUID, as `majordomo usage sessions` shows them")
    return found
