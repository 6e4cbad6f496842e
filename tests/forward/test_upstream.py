"""A provider's connection: kept and reused, dead on use, speaking out of turn, or not speaking HTTP at all."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from running_desk import RunningDesk, ask, ok
from wire import Peer, Providers, eventually

from majordomo.record.frames import Outcome

MODELS = "/v1/models"
MESSAGES = "/v1/messages"


def resting(desk: RunningDesk) -> int:
    return int(desk.call(lambda: desk.pool.resting))


def served_once(desk: RunningDesk, providers: Providers) -> tuple[Peer, Peer]:
    """A caller and a provider, both with a connection that has served one request."""
    caller = desk.dial()
    caller.send(ask(MODELS))
    provider = providers.serve(ok())
    assert caller.reply().status == 200
    assert resting(desk) == 1
    return caller, provider


# -- kept connections -----------------------------------------------------------------------------------------------


def test_a_kept_connection_that_its_provider_closed_is_not_used(desk: RunningDesk, providers: Providers) -> None:
    caller, provider = served_once(desk, providers)
    provider.hang_up()
    eventually(lambda: resting(desk) == 0)
    caller.send(ask(MESSAGES, body=b"{}"))
    providers.serve(ok())
    assert caller.reply().status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("ending", ["hang_up", "reset"])
def test_a_safe_request_on_a_connection_that_dies_on_use_is_sent_again(
    desk: RunningDesk, providers: Providers, method: str, ending: str
) -> None:
    caller, provider = served_once(desk, providers)
    caller.send(ask(MODELS, method=method))
    provider.head()
    getattr(provider, ending)()
    provider = providers.accept()
    assert provider.head().startswith(f"{method} {MODELS} ".encode())
    provider.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert caller.reply(to_head=method == "HEAD").status == 200
    assert len(desk.rows(closed=2)) == 2
    assert desk.call(lambda: desk.desk.books.counters.upstream_retries) == 1


def test_a_safe_request_is_not_sent_again_on_a_connection_that_was_new(desk: RunningDesk, providers: Providers) -> None:
    caller, provider = served_once(desk, providers)
    caller.send(ask(MODELS))
    provider.head()
    provider.hang_up()
    provider = providers.accept()
    provider.head()
    provider.hang_up()
    assert caller.reply().status == 502
    providers.assert_nobody_called()


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200"])
@pytest.mark.parametrize(("method", "body"), [("POST", b"{}"), ("DELETE", None), ("GET", b"{}")])
def test_a_request_that_may_cost_or_change_something_is_never_sent_twice(
    desk: RunningDesk, providers: Providers, method: str, body: bytes | None, said: bytes
) -> None:
    caller, provider = served_once(desk, providers)
    caller.send(
        ask(MESSAGES, method=method, body=body, key=None).replace(b"\r\n", b"\r\nX-Majordomo-Provider: openai\r\n", 1)
    )
    assert caller.reply().status == 401
    caller.send(ask(MODELS, method=method, body=body))
    provider.request()
    provider.send(said)
    provider.hang_up()
    assert caller.reply().status == 502
    providers.assert_nobody_called()
    assert [row.close.outcome for row in desk.rows(closed=2) if row.close][1] is Outcome.PROVIDER_BROKE


def test_a_safe_request_is_not_sent_again_once_a_byte_of_its_reply_came(
    desk: RunningDesk, providers: Providers
) -> None:
    caller, provider = served_once(desk, providers)
    caller.send(ask(MODELS))
    provider.head()
    provider.send(b"H")
    provider.hang_up()
    assert caller.reply().status == 502
    providers.assert_nobody_called()


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
def test_a_connection_that_its_provider_wants_closed_is_not_kept(
    desk: RunningDesk, caller: Peer, providers: Providers, reply: bytes
) -> None:
    caller.send(ask(MODELS))
    provider = providers.serve(reply)
    assert caller.reply().body == b"{}"
    provider.assert_ended()
    assert resting(desk) == 0


def test_kept_connections_are_bounded_in_number_and_time(
    open_desk: Callable[..., RunningDesk], providers: Providers
) -> None:
    desk = open_desk(upstream_idle_connections=1)
    callers = [desk.dial() for _ in range(3)]
    for caller in callers:
        caller.send(ask(MODELS))
    answering = [providers.accept() for _ in callers]
    for provider in answering:
        provider.request()
        provider.send(ok())
    assert [caller.reply().status for caller in callers] == [200, 200, 200]
    eventually(lambda: resting(desk) == 1)
    desk.later(54)
    assert resting(desk) == 1
    desk.later(2)
    assert resting(desk) == 0
    for provider in answering:
        provider.assert_ended()


# -- out of turn ----------------------------------------------------------------------------------------------------


def test_a_kept_connection_that_speaks_out_of_turn_is_not_used_again(desk: RunningDesk, providers: Providers) -> None:
    caller, provider = served_once(desk, providers)
    provider.send(ok(b'"for nobody"'))
    provider.assert_ended()
    caller.send(ask(MODELS))
    providers.serve(ok(b'"for me"'))
    assert caller.reply().body == b'"for me"'


@pytest.mark.parametrize(
    "stray", [ok(b'"for the next"'), b"garbage", b"\r\n\r\nx", b"H", b"HTTP/1.1 100 Continue\r\n\r\n"]
)
@pytest.mark.parametrize(
    "reply",
    [
        ok(b"[1]"),
        b"HTTP/1.1 204 No\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1]\r\n0\r\n\r\n",
    ],
    ids=["length", "no content", "chunked"],
)
def test_bytes_behind_a_reply_never_reach_the_next_caller(
    desk: RunningDesk, caller: Peer, providers: Providers, reply: bytes, stray: bytes
) -> None:
    caller.send(ask(MODELS))
    provider = providers.serve(reply + stray)
    assert caller.reply().status in (200, 204)
    provider.rest()
    other = desk.dial()
    for each in (caller, other):
        each.send(ask(MODELS))
        providers.serve(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nmine")
        assert each.reply().body == b"mine"


@pytest.mark.parametrize("body", [b"hello", ok(b'"for the next"'), b"x" * 100])
@pytest.mark.parametrize("framing", ["Content-Length: 5", "Transfer-Encoding: chunked", "Content-Length: 0"])
def test_a_body_that_should_not_follow_a_head_reply_never_reaches_the_next_caller(
    desk: RunningDesk, caller: Peer, providers: Providers, framing: str, body: bytes
) -> None:
    caller.send(ask(MODELS, method="HEAD"))
    provider = providers.accept()
    provider.head()
    provider.send(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode() + body)
    assert caller.reply(to_head=True).status == 200
    provider.rest()
    caller.send(ask(MODELS))
    providers.serve(ok(b"[1]"))
    assert caller.reply().body == b"[1]"


def test_a_reply_before_its_request_is_not_taken_for_one(desk: RunningDesk, providers: Providers) -> None:
    """What a provider says before it has been asked belongs to nobody."""
    caller, provider = served_once(desk, providers)
    provider.send(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    provider.hang_up()
    eventually(lambda: resting(desk) == 0)
    caller.send(ask(MODELS))
    providers.serve(ok())
    assert caller.reply().status == 200


# -- no HTTP --------------------------------------------------------------------------------------------------------

INVALID = {
    "garbage": b"hello there\r\n\r\n",
    "TLS": b"\x15\x03\x01\x00\x02\x02\x46\r\n\r\n",
    "an empty line first": b"\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "a line end first": b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "line feeds alone": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n\r\n\r\n",
    "a bare line feed": b"HTTP/1.1 200 OK\r\nX: y\nContent-Length: 0\r\n\r\n",
    "a folded header": b"HTTP/1.1 200 OK\r\nX: y\r\n z\r\nContent-Length: 0\r\n\r\n",
    "a NUL": b"HTTP/1.1 200 OK\r\nX: \0\r\nContent-Length: 0\r\n\r\n",
    "both lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    "a length that is none": b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
    "a status that is none": b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n",
    "a status of two digits": b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    "another protocol": b"ICE/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/2": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "a request": b"GET / HTTP/1.1\r\nHost: g\r\n\r\n",
    "a head over its limit": b"HTTP/1.1 200 OK\r\nX: " + b"x" * (256 * 1024) + b"\r\n\r\n",
    "a head without end": b"HTTP/1.1 200 OK\r\nX: " + b"x" * (256 * 1024 + 10),
    "an interim head over its limit": b"HTTP/1.1 103 E\r\nX: " + b"x" * (256 * 1024) + b"\r\n\r\n",
    "a header without a colon": b"HTTP/1.1 200 OK\r\nnothing\r\n\r\n",
    "a space before the colon": b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
}


@pytest.mark.parametrize("fault", INVALID)
@pytest.mark.parametrize("pieces", ["at once", "split"])
def test_a_reply_that_is_not_valid_http_is_502(
    desk: RunningDesk, caller: Peer, providers: Providers, fault: str, pieces: str
) -> None:
    caller.send(ask(MESSAGES, body=b"{}"))
    provider = providers.accept()
    provider.request()
    data = INVALID[fault]
    if pieces == "at once":
        provider.send(data)
    else:
        with suppress(ConnectionError):  # it may not be listened to
            provider.send(data[:7], data[7:30], data[30:])
    reply = caller.reply()
    assert reply.status == 502
    assert b"not valid HTTP" in reply.body
    provider.rest()
    assert desk.closed_row().outcome is Outcome.PROVIDER_BROKE


def test_a_reply_head_of_many_kilobytes_in_small_pieces_goes_through(caller: Peer, providers: Providers) -> None:
    lines = b"".join(b"X-%03d: %s\r\n" % (i, b"v" * 200) for i in range(150))
    caller.send(ask(MESSAGES, body=b"{}"))
    provider = providers.accept()
    provider.request()
    data = b"HTTP/1.1 200 OK\r\n" + lines + b"Content-Length: 2\r\n\r\n{}"
    provider.send(*(data[i : i + 1000] for i in range(0, len(data), 1000)))
    assert caller.head().startswith(b"HTTP/1.1 200 OK\r\n" + lines)


@pytest.mark.parametrize(
    "rest",
    [b"xyz\r\n", b"5\r\nhel\r\nlo", b"5\nhello", b"fffffffffffffffff\r\n"],
    ids=["no size", "too short", "line feeds", "beyond 64 bits"],
)
def test_chunks_that_turn_out_malformed_have_the_caller_cut(
    desk: RunningDesk, caller: Peer, providers: Providers, rest: bytes
) -> None:
    caller.send(ask(MESSAGES, body=b"{}"))
    provider = providers.accept()
    provider.request()
    provider.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n" + rest)
    reply = caller.reply()
    assert reply.cut
    assert reply.body.startswith(b"ok")
    assert desk.closed_row().outcome is Outcome.PROVIDER_BROKE


def test_a_reply_that_ends_with_the_connection_and_is_reset_is_cut(
    desk: RunningDesk, caller: Peer, providers: Providers
) -> None:
    caller.send(ask(MESSAGES, body=b"{}"))
    provider = providers.accept()
    provider.request()
    provider.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
    caller.head()
    caller.expect(b"5\r\nhello\r\n")
    provider.reset()
    caller.assert_ended()
    assert desk.closed_row().outcome is Outcome.PROVIDER_BROKE


def test_a_cut_is_told_from_an_end_by_http_10_callers_too(caller: Peer, providers: Providers) -> None:
    """For them the end of the connection is the end of the body, so that a cut has to be a reset."""
    caller.send(ask(MESSAGES, body=b"{}", version="1.0"))
    provider = providers.accept()
    provider.request()
    provider.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    caller.head()
    caller.expect(b"hello")
    provider.hang_up()
    with pytest.raises(ConnectionResetError):
        caller.read(1)
