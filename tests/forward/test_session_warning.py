"""A session that is ignored: the request goes its way all the same, and its caller is told if it is known in time."""

from typing import Any
from uuid import uuid4

import pytest
from running_desk import RunningDesk, ask, ok
from wire import Peer, Providers

MINE, OTHERS = b"\x01" * 16, b"\x02" * 16  # the key of ``ask``, and another
OURS = "X-Majordomo-ClaudeCode-Session-Id"
CLIS = "X-Claude-Code-Session-Id"
FOREIGN = "session ignored, it belongs to another gateway key"


def warning(caller: Peer, providers: Providers, *lines: str) -> str | None:
    """The warning on the reply to a request with these headers."""
    caller.send(ask("/v1/messages", *lines, body=b"{}"))
    providers.serve(ok(b"{}", "Connection: close"))
    reply = caller.reply()
    assert (reply.status, reply.body) == (200, b"{}")
    return reply.value("X-Majordomo-Warning")


@pytest.mark.parametrize("header", [OURS, CLIS])
def test_what_is_no_uuid_is_named(desk: RunningDesk, caller: Peer, providers: Providers, header: str) -> None:
    assert warning(caller, providers, f"{header}: no uuid") == f"session ignored, {header} is not a UUID"
    assert desk.closed_row().status_code == 200


@pytest.mark.parametrize("header", [OURS, CLIS])
def test_anothers_session_is_told_when_it_is_known(
    desk: RunningDesk, caller: Peer, providers: Providers, header: str
) -> None:
    """No word of sessions of one's own, or of those that nobody knows."""
    session = uuid4()
    asked = f"{header}: {session}"
    assert warning(caller, providers, asked) is None
    desk.call(desk.sessions.put, session.bytes, OTHERS)
    assert warning(caller, providers, asked) == FOREIGN
    assert warning(caller, providers, asked.upper()) == FOREIGN
    desk.call(desk.sessions.put, session.bytes, MINE)
    assert warning(caller, providers, asked) is None
    assert [row.opening.claude_session.lower() for row in desk.rows(4)] == [str(session)] * 4


def test_warnings_of_metadata_and_session_are_one_line(desk: RunningDesk, caller: Peer, providers: Providers) -> None:
    session = uuid4()
    desk.call(desk.sessions.put, session.bytes, OTHERS)
    long = "X-Majordomo-Long: " + "x" * 9000
    told = warning(caller, providers, long, f"{OURS}: {session}")
    assert told == f"metadata dropped, empty or too long: Long; {FOREIGN}"
    told = warning(caller, providers, long, f"{OURS}: no uuid")
    assert told == f"metadata dropped, empty or too long: Long; session ignored, {OURS} is not a UUID"


def test_an_unknown_session_is_asked_for_while_the_provider_works(
    desk: RunningDesk, caller: Peer, providers: Providers
) -> None:
    """Once; what is learnt before the reply begins is on it."""
    wakes: list[bool] = []
    desk.call(desk.sessions.answered_by, lambda: wakes.append(True))
    session = uuid4()
    caller.send(ask("/v1/messages", f"{OURS}: {session}", body=b"{}"))
    provider = providers.accept()
    provider.request()
    assert wakes == [True]
    assert desk.call(desk.sessions.take_wanted) == [session.bytes]
    desk.call(desk.sessions.put, session.bytes, OTHERS)
    provider.send(ok())
    assert caller.reply().value("X-Majordomo-Warning") == FOREIGN


def test_an_error_of_the_gateways_own_carries_the_warning_too(desk: RunningDesk, caller: Peer) -> None:
    session = uuid4()
    desk.call(desk.sessions.put, session.bytes, OTHERS)
    caller.send(ask("/nowhere", f"{OURS}: {session}", body=b"{}"))
    reply = caller.reply()
    assert (reply.status, reply.value("X-Majordomo-Warning")) == (404, FOREIGN)


@pytest.mark.parametrize("lines", [(), (f"{OURS}: ",), (f"{CLIS}: ",)])
def test_a_request_without_a_session_asks_for_none(
    desk: RunningDesk, caller: Peer, providers: Providers, lines: Any
) -> None:
    assert warning(caller, providers, *lines) is None
    assert desk.call(desk.sessions.take_wanted) == []
