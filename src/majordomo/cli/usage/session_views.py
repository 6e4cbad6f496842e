"""How Claude Code's sessions look on a terminal, and as JSON."""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from majordomo.cli.tables import NONE, cell, console, count, fitted, moment, money_column, table
from majordomo.meter.claude_display import money as as_the_cli_shows
from majordomo.report.questions.claude_ledgers import REASONS, Part, Told
from majordomo.report.questions.claude_sessions import Session, SessionRequest
from majordomo.report.questions.plain import exact_double

if TYPE_CHECKING:
    from rich.text import Text


#: Columns from which on a whole date has room beside the rest.
_WIDE = 140


def sessions_json(sessions: Sequence[Session]) -> dict[str, Any]:
    """Sessions for programs."""
    return {"sessions": [session_json(session) for session in sessions], "numRecords": len(sessions)}


def session_json(session: Session) -> dict[str, Any]:
    """One session for programs; money is decimal text."""
    return {
        **{name: getattr(session, name) for name in Session.__struct_fields__},
        "usage_cost": exact_double(session.usage_cost),
        "usage_shows": as_the_cli_shows(session.usage_cost),
        "state": session.state,
        "duration_seconds": session.duration.total_seconds(),
    }


def told_json(told: Told) -> dict[str, Any]:
    """A session with all its requests and views for programs."""
    return {
        "session": session_json(told.session),
        "requests": [_request_json(told.session, request) for request in told.requests],
        "by_model": told.by_model,
        "by_class": told.by_class,
        "by_agent": told.by_agent,
        "by_tool": told.by_tool,
        "ledgers": {
            "total_cost": told.session.total_cost,
            "usage_cost": exact_double(told.session.usage_cost),
            "gaps": [
                {**{name: getattr(gap, name) for name in gap.__struct_fields__}, "difference": gap.difference}
                for gap in told.gaps
            ],
            "rounding": told.rounding,
            "unpriced": told.unpriced,
        },
    }


def _request_json(session: Session, request: SessionRequest) -> dict[str, Any]:
    booked = request.usage_cost
    return {
        **{name: getattr(request, name) for name in SessionRequest.__struct_fields__},
        "usage_cost": None if booked is None else exact_double(booked),
        "offset_seconds": (request.requested_at - session.started_at).total_seconds(),
    }


def print_sessions(sessions: Sequence[Session], limit: int) -> None:
    """A row a session; on a narrow terminal with shorter times."""
    out = console()
    narrow = out.width < _WIDE
    numbers = ("Duration", "Requests", "Input", "Output", "Cost USD", "/usage")
    columns = ["Session", "Started (UTC)", "Duration", "State", "Key", "Name", "Requests", "Input", "Output"]
    shown = table(
        *columns, "Cost USD", "/usage", numbers=numbers, whole=("Session", "Started (UTC)", "State")
    )  # fmt: skip
    costs = money_column([session.total_cost for session in sessions])
    for session, cost in zip(sessions, costs, strict=True):
        shown.add_row(
            cell(session.id),
            cell(moment(session.started_at)[5:16] if narrow else moment(session.started_at)),
            span(session.duration),
            session.state,
            cell(session.key_name),
            cell(session.session_name),
            count(session.total_requests),
            count(session.total_input_tokens),
            count(session.total_output_tokens),
            cost,
            as_the_cli_shows(session.usage_cost),
        )
    out.print(fitted(shown, out, ("Name", "Output", "Input", "Key", "Duration", "Requests", "State")))
    notes = ["/usage: what Claude Code shows for it"]
    if len(sessions) == limit:
        notes.append(f"the newest {count(limit)}, more with --limit")
    notes.append("all of one: majordomo usage session ID (or: latest)")
    out.print(cell("; ".join(notes) + ".", "dim"))


def print_session(told: Told, limit: int) -> None:
    """Its sums, its requests in order, its cost by several views, and the two ledgers."""
    session = told.session
    out = console()
    name = f" {session.session_name!r}" if session.session_name else ""
    out.print(cell(f"Session {session.id}{name}, {session.state}, of key {session.key_name or NONE}.", "bold"))
    out.print(
        cell(
            f"From {moment(session.started_at)} (UTC), {span(session.duration)}: "
            f"{count(session.total_requests)} requests, {count(session.total_input_tokens)} input and "
            f"{count(session.total_output_tokens)} output tokens."
        )
    )
    if not told.requests:
        out.print(cell("None of its requests is in the database."))
        return
    _print_timeline(session, told.requests, limit)
    for title, parts, none in (
        ("Model", told.by_model, "(none)"),
        ("Class", told.by_class, "(no details)"),
        ("Agent", told.by_agent, "(main loop)"),
        ("Tool", told.by_tool, "(no tool)"),
    ):
        _print_parts(title, parts, none)
    if any(request.tool_names and len(request.tool_names) > 1 for request in told.requests):
        out.print(cell("A reply that called several tools is counted in each of them.", "dim"))
    _print_ledgers(told)


def _print_timeline(session: Session, requests: Sequence[SessionRequest], limit: int) -> None:
    out = console()
    shown_requests = requests[-limit:]
    numbers = ("Offset", "Prompt", "Output", "Cost USD", "/usage USD")
    columns = ["Offset", "Class", "Model", "Agent", "Tools", "Mode", "Prompt", "Output", "Cost USD", "/usage USD"]
    shown = table(*columns, "Result", numbers=numbers, whole=("Offset",))
    costs = money_column([request.total_cost for request in shown_requests])
    booked = money_column([_booked(request) for request in shown_requests])
    for request, cost, usage in zip(shown_requests, costs, booked, strict=True):
        row: list[Text | str] = [
            span(request.requested_at - session.started_at),
            cell(request.query_class),
            cell(request.model),
            cell(request.agent_id),
            cell(", ".join(request.tool_names or ())),
            request.modes,
            count(request.prompt_tokens),
            count(request.output_tokens),
            cost,
            usage,
            cell(request.ending),
        ]
        shown.add_row(*row)
    out.print(fitted(shown, out, ("Agent", "Mode", "Prompt", "Output", "Tools")))
    if len(requests) > limit:
        out.print(cell(f"The last {count(limit)} of {count(len(requests))} requests; more with --limit.", "dim"))


def _booked(request: SessionRequest) -> Decimal | None:
    return None if request.usage_cost is None else Decimal(exact_double(request.usage_cost))


def _print_parts(title: str, parts: Sequence[Part], none: str) -> None:
    numbers = ("Requests", "Cost USD", "/usage USD")
    shown = table(title, *numbers, numbers=numbers)
    costs = money_column([part.total_cost for part in parts])
    booked = money_column([part.usage_cost for part in parts])
    for part, cost, usage in zip(parts, costs, booked, strict=True):
        unknown = part.unpriced and not part.total_cost
        value = cell(none, "dim") if part.value is None else cell(part.value)
        shown.add_row(value, count(part.requests), "unknown" if unknown else cost, usage)
    console().print(shown)


def _print_ledgers(told: Told) -> None:
    out = console()
    session = told.session
    out.print(
        cell(
            f"Billed {_usd(session.total_cost)}; /usage shows {as_the_cli_shows(session.usage_cost)} "
            f"({exact_double(session.usage_cost)}).",
            "bold",
        )
    )
    if told.unpriced:
        out.print(cell(f"{count(told.unpriced)} requests have no known price and are not in what is billed.", "yellow"))
    if not told.gaps:
        out.print(cell("No request differs by more than the rounding of doubles."))
        return
    shown = table("Class", "Why", "Requests", "Difference USD", numbers=("Requests", "Difference USD"))
    for gap, difference in zip(told.gaps, money_column([gap.difference for gap in told.gaps]), strict=True):
        shown.add_row(cell(gap.query_class or "(no details)"), REASONS[gap.why], count(gap.requests), difference)
    out.print(shown)


def _usd(amount: Decimal) -> str:
    return "$" + money_column([amount])[0]


def span(duration: dt.timedelta) -> str:
    """``1:02:03``; hours go on beyond a day."""
    seconds = int(duration.total_seconds())
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    return f"{sign}{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def print_no_sessions(*, narrowed: bool) -> None:
    """What to do where there is nothing to show."""
    out = console()
    if narrowed:
        out.print(cell("No session matches. Widen the time, or leave a filter out."))
        return
    out.print(cell("No Claude Code sessions yet. Point one at the gateway: see “Claude Code” in the README."))
