"""The page of one Claude Code session, ``/claude-sessions/ID``: first a form for the gateway key, then the session.

The key is sent in the form's body, never in an address, is kept nowhere, and what it opens is that key's session alone.
Plain HTML and one stylesheet, no script.
"""

from collections.abc import Sequence
from functools import cache
from html import escape
from http import HTTPStatus
from string import Template
from urllib.parse import parse_qs
from uuid import UUID

from fastapi import APIRouter, Request, Response

from majordomo.ids import read_uuid
from majordomo.meter.claude_display import money as as_the_cli_shows
from majordomo.report import page
from majordomo.report.auth import owner_of
from majordomo.report.bodies import read_bytes
from majordomo.report.errors import ApiError
from majordomo.report.questions.claude_ledgers import REASONS, Part, Told, told
from majordomo.report.questions.claude_sessions import Session, SessionRequest
from majordomo.report.questions.plain import exact, exact_double

router = APIRouter(include_in_schema=False)

#: Requests shown, the last ones: more make a page that nobody reads, and that takes long.
MOST_SHOWN = 500

#: A key, and what a browser may send with it.
_MOST_FORM_BYTES = 4096

#: As the other pages', but that the form may be sent, to here.
_CSP = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {"Cache-Control": "no-store", "Content-Security-Policy": _CSP}


@router.get("/claude-sessions/{session_id}")
async def ask_for_key(session_id: str) -> Response:
    """The form. It tells nothing, not even whether there is such a session."""
    wanted = read_uuid(session_id)
    if wanted is None:
        return _form(HTTPStatus.NOT_FOUND, None, "This address names no session: a session's id is a UUID.")
    return _form(HTTPStatus.OK, wanted, None)


@router.post("/claude-sessions/{session_id}")
async def show(request: Request, session_id: str) -> Response:
    """The session, to whoever sends the key that owns it."""
    wanted = read_uuid(session_id)
    if wanted is None:
        return await ask_for_key(session_id)
    try:
        fields = parse_qs((await read_bytes(request, _MOST_FORM_BYTES)).decode("latin-1"), max_num_fields=10)
        key = fields.get("key", [""])[0].strip()
        owner = await owner_of(request.app.state.connections, key)
        async with request.app.state.connections.acquire() as connection:
            found = await told(connection, wanted, owner.key_id)
    except ValueError:
        return _form(HTTPStatus.BAD_REQUEST, wanted, "What the form sent cannot be read.")
    except ApiError as refused:
        return _form(HTTPStatus(refused.status), wanted, refused.message)
    if found is None:
        return _form(HTTPStatus.NOT_FOUND, wanted, "This key has no session of this id.")
    return _html(HTTPStatus.OK, _title(found.session), str(wanted), _body(found))


def _form(status: HTTPStatus, session_id: UUID | None, problem: str | None) -> Response:
    told_problem = "" if problem is None else f'<p class="state down">{escape(problem)}</p>\n'
    form = (
        ""
        if session_id is None
        else f"""<form method="post" action="/claude-sessions/{session_id}">
<label for="key">The gateway key that the session belongs to</label>
<input id="key" name="key" type="password" autocomplete="off" required autofocus maxlength="512">
<button type="submit">Show the session</button>
</form>
"""
    )
    body = f"<section>\n{told_problem}{form}</section>"
    return _html(status, "Claude Code session", "" if session_id is None else str(session_id), body)


@cache
def _template() -> Template:
    return Template(page.asset("claude_session.html").decode())


def _html(status: HTTPStatus, title: str, subtitle: str, body: str) -> Response:
    text = _template().substitute(title=escape(title), subtitle=escape(subtitle), body=body)
    return Response(text, status, _HEADERS, "text/html; charset=utf-8")


def _title(session: Session) -> str:
    return session.session_name or "Claude Code session"


def _body(told: Told) -> str:
    if not told.requests:
        return _summary(told) + '\n<p class="quiet">None of its requests is in the database.</p>'
    parts = [_summary(told), _ledgers(told)]
    parts += [
        _parts("By class", told.by_class, "(no details)"),
        _parts("By model", told.by_model, "(none)"),
        _parts("By tool", told.by_tool, "(no tool)"),
        _parts("By agent", told.by_agent, "(main loop)"),
        _timeline(told),
    ]
    return "\n".join(parts)


def _summary(told: Told) -> str:
    session = told.session
    lines = [
        ("State", session.state),
        ("Key", session.key_name or "–"),
        ("Started", f"{session.started_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("Duration", str(session.duration).partition(".")[0]),
        ("Requests", f"{session.total_requests:,}"),
        ("Tokens", f"{session.total_input_tokens:,} in, {session.total_output_tokens:,} out"),
        ("Billed", f"${exact(session.total_cost)}"),
        ("/usage shows", as_the_cli_shows(session.usage_cost)),
    ]
    if told.unpriced:
        lines.append(("Without a price", f"{told.unpriced:,} requests, which are not in what is billed"))
    rows = "\n".join(f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>' for name, value in lines)
    return f"<section>\n<table>\n{rows}\n</table>\n</section>"


def _ledgers(told: Told) -> str:
    if not told.gaps:
        return ""
    rows = [
        (gap.query_class or "(no details)", REASONS[gap.why], f"{gap.requests:,}", exact(gap.difference))
        for gap in told.gaps
    ]
    return _table("Billed beyond what /usage shows", ("Class", "Why", "Requests", "USD"), rows, numbers=2)


def _parts(title: str, parts: list[Part], none: str) -> str:
    rows = [
        (
            none if part.value is None else part.value,
            f"{part.requests:,}",
            "unknown" if part.unpriced and not part.total_cost else exact(part.total_cost),
            exact(part.usage_cost),
        )
        for part in parts
    ]
    return _table(
        title, (title.removeprefix("By ").capitalize(), "Requests", "Billed USD", "/usage USD"), rows, numbers=3
    )


def _timeline(told: Told) -> str:
    shown = told.requests[-MOST_SHOWN:]
    head = ("At", "Class", "Model", "Agent", "Tools", "Mode", "Result", "Prompt", "Output", "Billed USD", "/usage USD")
    title = (
        "Requests" if len(shown) == len(told.requests) else f"The last {len(shown)} of {len(told.requests)} requests"
    )
    return _table(title, head, [_line(told.session, request) for request in shown], numbers=4)


def _line(session: Session, request: SessionRequest) -> tuple[str, ...]:
    return (
        f"+{str(request.requested_at - session.started_at).partition('.')[0]}",
        request.query_class or "–",
        request.model or "–",
        request.agent_id or "",
        ", ".join(request.tool_names or ()),
        request.modes,
        request.ending,
        "–" if request.prompt_tokens is None else f"{request.prompt_tokens:,}",
        "–" if request.output_tokens is None else f"{request.output_tokens:,}",
        "–" if request.total_cost is None else exact(request.total_cost),
        "–" if request.usage_cost is None else exact_double(request.usage_cost),
    )


def _table(title: str, head: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, numbers: int) -> str:
    """``numbers``: how many of the last columns are set right."""
    words = len(head) - numbers
    classes = ["" if column < words else ' class="number"' for column in range(len(head))]
    top = "".join(f'<th scope="col"{kind}>{escape(name)}</th>' for name, kind in zip(head, classes, strict=True))
    lines = "\n".join(
        "<tr>" + "".join(f"<td{kind}>{escape(value)}</td>" for value, kind in zip(row, classes, strict=True)) + "</tr>"
        for row in rows
    )
    return (
        f'<section class="scrolls">\n<h2>{escape(title)}</h2>\n<table>\n<tr>{top}</tr>\n{lines}\n</table>\n</section>'
    )
