"""A caller's connection from its first byte to its last: keep-alive, pipelining, Expect, HTTP/1.0, time-outs."""

import asyncio
import itertools
from collections.abc import Callable

import pytest
from running_desk import KEY, UNKNOWN_KEY, RunningDesk, ask, ok
from wire import Message, Peer, Providers, eventually

from majordomo.record.frames import Outcome

MESSAGES = "/v1/messages"
CHAT = "/v1/chat/completions"
EMBEDDINGS = "/v1/embeddings"


# -- keep-alive -----------------------------------------------------------------------------------------------------


def test_one_connection_on_each_side_serves_many_requests(
    desk: RunningDesk, caller: Peer, providers: Providers
) -> None:
    provider: Peer | None = None
    for i in range(10):
        caller.send(ask(MESSAGES, body=b"%d" % i))
        provider = provider or providers.accept()
        assert provider.request().body == b"%d" % i
        provider.send(ok(b"[%d]" % i))
        reply = caller.reply()
        assert reply.body == b"[%d]" % i
        assert reply.value("Connection") is None
    providers.assert_nobody_called()
    assert len(desk.rows(closed=10)) == 10
    assert desk.call(lambda: (desk.pool.opened, desk.pool.reused)) == (1, 9)


def test_callers_share_the_kept_connections_of_a_provider(desk: RunningDesk, providers: Providers) -> None:
    first, second = desk.dial(), desk.dial()
    first.send(ask(MESSAGES))
    provider = providers.serve(ok())
    assert first.reply().status == 200
    second.send(ask(MESSAGES))
    provider.request()
    provider.send(ok())
    assert second.reply().status == 200


@pytest.mark.parametrize("kind", ["Connection: close", "Connection: foo, CLOSE", "1.0"])
def test_a_caller_that_wants_no_more_has_its_connection_closed(caller: Peer, providers: Providers, kind: str) -> None:
    request = ask(MESSAGES, version="1.0") if kind == "1.0" else ask(MESSAGES, kind)
    caller.send(request)
    providers.serve(ok())
    assert caller.reply().value("Connection") == "close"
    caller.assert_ended()


def test_an_http_10_request_needs_no_host_and_goes_on_as_http_11(caller: Peer, providers: Providers) -> None:
    caller.send(f"POST {MESSAGES} HTTP/1.0\r\nX-Majordomo-Key: {KEY}\r\nContent-Length: 2\r\n\r\n{{}}".encode())
    provider = providers.accept()
    assert provider.request().head.startswith(b"POST /v1/messages HTTP/1.1\r\nHost: " + providers.authority)
    provider.send(ok())
    assert caller.reply().body == b"{}"
    caller.assert_ended()


def test_an_idle_connection_is_closed_after_a_while_and_a_used_one_is_not(desk: RunningDesk, caller: Peer) -> None:
    desk.later(74)
    caller.send(ask("/health", key=None))
    assert caller.reply().status == 200
    desk.later(74)
    caller.send(ask("/health", key=None))
    assert caller.reply().status == 200
    desk.later(76)
    caller.assert_ended()


def test_empty_lines_between_requests_are_passed_over(caller: Peer) -> None:
    for before in (b"\r\n", b"\r\n\r\n", b""):
        caller.send(before + ask("/health", key=None))
        assert caller.reply().status == 200


# -- pipelining -----------------------------------------------------------------------------------------------------


def test_requests_sent_ahead_are_answered_in_order(desk: RunningDesk, caller: Peer, providers: Providers) -> None:
    caller.send(b"".join(ask(MESSAGES, body=b"%d" % i) for i in range(5)))
    provider = providers.accept()
    for i in range(5):
        assert provider.request().body == b"%d" % i
        provider.send(ok(b"[%d]" % i))
        assert caller.reply().body == b"[%d]" % i
    assert [row.close.outcome for row in desk.rows(closed=5) if row.close] == [Outcome.COMPLETED] * 5


def test_a_second_request_does_not_go_out_before_the_first_reply_is_there(caller: Peer, providers: Providers) -> None:
    caller.send(ask(MESSAGES, body=b"1") + ask(MESSAGES, body=b"2"))
    provider = providers.accept()
    provider.request()
    providers.assert_nobody_called()
    provider.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
    caller.head()
    caller.expect(b"he")
    providers.assert_nobody_called()
    provider.send(b"llo")
    caller.expect(b"llo")
    assert provider.request().body == b"2"
    provider.send(ok())
    assert caller.reply().status == 200


#: A request, and the status that it gets. Some are answered at once, some wait for the provider.
MIXED = {
    "served": (ask(MESSAGES, body=b"{}"), 200),
    "chunked": (ask(MESSAGES, "Transfer-Encoding: chunked", method="POST") + b"2\r\n{}\r\n0\r\n\r\n", 200),
    "held": (ask(CHAT, body=b'{"stream":true,"model":"m"}'), 200),
    "looked up": (ask(MESSAGES, body=b"{}", key=UNKNOWN_KEY), 401),
    "keyless": (ask(MESSAGES, body=b"{}", key=None), 401),
    "nowhere": (ask("/nowhere", body=b"{}"), 404),
    "own": (ask("/health", key=None), 200),
}


@pytest.mark.parametrize("kinds", list(itertools.permutations(MIXED, 2)), ids="-".join)
@pytest.mark.parametrize("pieces", ["at once", "split"])
def test_a_mix_of_served_and_refused_requests_is_answered_in_order(
    caller: Peer, providers: Providers, kinds: tuple[str, str], pieces: str
) -> None:
    kinds = (*kinds, *kinds)  # the second time their heads are known
    data = b"".join(MIXED[kind][0] for kind in kinds)
    if pieces == "at once":
        caller.send(data)
    else:
        caller.send(*(data[i : i + 97] for i in range(0, len(data), 97)))
    provider: Peer | None = None
    for kind in kinds:
        if kind in ("served", "chunked", "held"):
            provider = provider or providers.accept()
            provider.request()
            provider.send(ok(f'"{kind}"'.encode()))
        reply = caller.reply()
        assert reply.status == MIXED[kind][1]
        if kind in ("served", "chunked", "held"):
            assert reply.body == f'"{kind}"'.encode()


def test_what_came_before_a_malformed_request_is_served(caller: Peer, providers: Providers) -> None:
    caller.send(ask(MESSAGES, body=b"1") + ask(MESSAGES, body=b"2") + b"GARBAGE\r\n\r\n")
    provider = providers.accept()
    for i in (1, 2):
        assert provider.request().body == b"%d" % i
        provider.send(ok(b"[%d]" % i))
        assert caller.reply().body == b"[%d]" % i
    assert caller.reply().status == 400
    caller.assert_ended()


def test_nothing_behind_a_request_that_closes_is_served(desk: RunningDesk, caller: Peer, providers: Providers) -> None:
    caller.send(ask(MESSAGES, "Connection: close") + ask(MESSAGES, body=b"not this"))
    provider = providers.serve(ok())
    assert caller.reply().status == 200
    caller.assert_ended()
    assert len(desk.rows(closed=1)) == 1
    provider.hang_up()
    providers.assert_nobody_called()


def test_more_requests_ahead_than_the_setting_are_refused_after_those_within_it(
    open_desk: Callable[..., RunningDesk],
) -> None:
    desk = open_desk(max_pipelined=3)
    caller = desk.dial()
    caller.send(ask("/nowhere", body=b"{}") * 5)
    assert [caller.reply().status for _ in range(4)] == [404, 404, 404, 400]
    caller.assert_ended()


def test_the_rest_of_a_request_is_never_taken_for_another(
    desk: RunningDesk, caller: Peer, providers: Providers
) -> None:
    """A piece that looks exactly like a request seen before is still part of the one it came in."""
    known = ask(MESSAGES, body=b"{}")
    caller.send(known)
    provider = providers.serve(ok())
    assert caller.reply().status == 200
    partial = f"POST {MESSAGES} HTTP/1.1\r\nHost: g\r\nX-Majordomo-Key: {KEY}\r\nX-Part: "
    caller.send(ask("/health", key=None) + partial.encode())  # a whole request, and the beginning of one
    assert caller.reply().status == 200
    caller.send(known)  # goes on where the header value broke off
    assert caller.reply().status == 400  # a head with two hosts
    caller.assert_ended()
    assert len(desk.rows(closed=1)) == 1
    provider.hang_up()
    providers.assert_nobody_called()


# -- Expect ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [MESSAGES, CHAT])
@pytest.mark.parametrize("framing", ["Content-Length: 2", "Transfer-Encoding: chunked"])
def test_a_caller_that_asks_is_told_to_continue_once_it_is_admitted(
    caller: Peer, providers: Providers, path: str, framing: str
) -> None:
    caller.send(ask(path, "Expect: 100-Continue", framing, method="POST"))
    caller.expect(b"HTTP/1.1 100 Continue\r\n\r\n")
    caller.send(b"{}" if "Length" in framing else b"2\r\n{}\r\n0\r\n\r\n")
    provider = providers.accept()
    got = provider.request()
    assert got.body == b"{}"
    assert got.value("Expect") is None
    provider.send(ok())
    assert caller.head().startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    ("target", "key", "status"), [(MESSAGES, None, 401), (MESSAGES, UNKNOWN_KEY, 401), ("/nowhere", KEY, 404)]
)
def test_a_caller_that_asks_and_is_refused_need_not_send_its_body(
    caller: Peer, target: str, key: str | None, status: int
) -> None:
    caller.send(ask(target, "Expect: 100-continue", "Content-Length: 1000", method="POST", key=key))
    head = caller.head()
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"Connection: close\r\n" in head
    caller.rest()


def test_a_caller_that_does_not_wait_for_the_invitation_gets_none(caller: Peer, providers: Providers) -> None:
    caller.send(ask(MESSAGES, "Expect: 100-continue", body=b"{}"))
    providers.serve(ok())
    assert caller.head().startswith(b"HTTP/1.1 200 OK")


def test_an_http_10_caller_is_not_invited(caller: Peer, providers: Providers) -> None:
    caller.send(ask(MESSAGES, "Expect: 100-continue", "Content-Length: 2", method="POST", version="1.0"))
    provider = providers.accept()
    provider.head()
    caller.send(b"{}")
    provider.expect(b"{}")
    provider.send(ok())
    assert caller.head().startswith(b"HTTP/1.1 200 OK")


# -- requests to change the protocol ----------------------------------------------------------------------------------


@pytest.mark.parametrize("framing", ["length", "chunked", "none"])
@pytest.mark.parametrize("split", [True, False])
def test_a_request_that_asks_for_another_protocol_is_served_over_http_11(
    desk: RunningDesk, caller: Peer, providers: Providers, framing: str, split: bool
) -> None:
    """Some clients (Java's) ask for HTTP/2 with their first request, body and all, and go on as they were."""
    ask_for_h2 = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk"]
    head, body = {
        "length": (ask(MESSAGES, *ask_for_h2, "Content-Length: 5", method="POST"), b"hello"),
        "chunked": (
            ask(MESSAGES, *ask_for_h2, "Transfer-Encoding: chunked", method="POST"),
            b"5\r\nhello\r\n0\r\n\r\n",
        ),
        "none": (ask(MESSAGES, *ask_for_h2), b""),
    }[framing]
    provider: Peer | None = None
    for _ in range(2):
        caller.send(head, body) if split else caller.send(head + body)
        provider = provider or providers.accept()
        got = provider.request()
        assert got.body == (b"" if framing == "none" else b"hello")
        assert got.values("Upgrade") == got.values("HTTP2-Settings") == []
        provider.send(ok())
        assert caller.reply().status == 200
    caller.send(ask(MESSAGES, body=b"plain") + head + body)
    assert provider is not None
    assert provider.request().body == b"plain"
    provider.send(ok())
    provider.request()
    provider.send(ok())
    assert [caller.reply().status for _ in range(2)] == [200, 200]
    assert len(desk.rows(closed=4)) == 4


def test_a_provider_that_changes_the_protocol_unasked_is_not_followed(caller: Peer, providers: Providers) -> None:
    for head in (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", b"HTTP/1.1 101 X\r\n\r\n"):
        caller.send(ask(MESSAGES))
        providers.serve(head)
        head = Message(caller.head(), b"")
        assert head.status == 502
        caller.read(int(head.value("Content-Length") or "0"))


# -- requests in pieces ---------------------------------------------------------------------------------------------


def test_a_request_that_comes_byte_by_byte_is_served(caller: Peer, providers: Providers) -> None:
    request = ask(MESSAGES, "X-Majordomo-Team: a", body=b'{"model":"m"}')
    caller.send(*(request[i : i + 1] for i in range(len(request))))
    provider = providers.accept()
    assert provider.request().body == b'{"model":"m"}'
    provider.send(*(ok(b"[1]")[i : i + 1] for i in range(len(ok(b"[1]")))))
    assert caller.reply().body == b"[1]"


def test_a_slow_body_is_waited_for_as_long_as_it_moves(desk: RunningDesk, caller: Peer, providers: Providers) -> None:
    caller.send(ask(MESSAGES, "Content-Length: 5", method="POST"))
    provider = providers.accept()
    provider.head()
    for byte in (b"h", b"e", b"l", b"l", b"o"):
        desk.later(50)
        caller.send(byte)
        provider.expect(byte)
    provider.send(ok())
    assert caller.reply().status == 200


def test_a_provider_has_its_full_time_after_a_slow_body(desk: RunningDesk, caller: Peer, providers: Providers) -> None:
    caller.send(ask(MESSAGES, "Content-Length: 2", method="POST"))
    provider = providers.accept()
    provider.head()
    desk.later(50)
    caller.send(b"{}")
    provider.expect(b"{}")
    desk.later(590)
    provider.send(ok())
    assert caller.reply().status == 200


def test_a_body_that_stalls_after_the_reply_began_has_the_connection_cut(
    desk: RunningDesk, caller: Peer, providers: Providers
) -> None:
    caller.send(ask(MESSAGES, "Content-Length: 10", method="POST") + b"12345")
    provider = providers.accept()
    provider.head()
    provider.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
    caller.head()
    caller.expect(b"hello")
    desk.later(61)
    caller.assert_ended()
    provider.rest()
    assert desk.closed_row().status_code == 200


def test_a_body_that_grows_over_the_limit_after_the_reply_began_has_the_connection_cut(
    open_desk: Callable[..., RunningDesk], providers: Providers
) -> None:
    desk = open_desk(max_body_bytes=1024)
    caller = desk.dial()
    caller.send(ask(MESSAGES, "Transfer-Encoding: chunked", method="POST") + b"5\r\nhello\r\n")
    provider = providers.accept()
    provider.head()
    provider.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
    caller.head()
    caller.expect(b"hello")
    caller.send(b"800\r\n" + b"x" * 2048 + b"\r\n")
    caller.assert_ended()
    assert desk.closed_row().outcome is Outcome.REFUSED


def test_a_body_that_becomes_malformed_after_the_reply_began_has_the_connection_cut(
    desk: RunningDesk, caller: Peer, providers: Providers
) -> None:
    caller.send(ask(MESSAGES, "Transfer-Encoding: chunked", method="POST") + b"5\r\nhello\r\n")
    provider = providers.accept()
    provider.head()
    provider.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
    caller.head()
    caller.expect(b"hello")
    caller.send(b"nonsense\r\n")
    caller.assert_ended()
    assert desk.closed_row().outcome is Outcome.REFUSED


def test_a_provider_that_answers_before_the_request_is_complete_is_relayed_and_both_connections_end(
    desk: RunningDesk, caller: Peer, providers: Providers
) -> None:
    caller.send(ask(MESSAGES, "Content-Length: 100", method="POST") + b"part")
    provider = providers.accept()
    provider.head()
    provider.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\n{}")
    reply = caller.reply()
    assert (reply.status, reply.body, reply.value("Connection")) == (413, b"{}", "close")
    caller.assert_ended()
    provider.rest()
    assert desk.closed_row().status_code == 413


@pytest.mark.parametrize("size", [300_000, 3_000_000])
@pytest.mark.parametrize("path", [CHAT, EMBEDDINGS])
def test_a_long_body_is_not_stuck_behind_a_key_that_has_to_be_looked_up(
    desk: RunningDesk, caller: Peer, providers: Providers, path: str, size: int
) -> None:
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def lookup(key_hash: str) -> object:
        asked.set()
        await may_answer.wait()
        return next(key for _, key in desk.ring.items() if key.active)

    desk.desk.lookup = lookup
    request = ask(path, body=b"x" * size, key=UNKNOWN_KEY)
    half = min(len(request) - 10_000, 400_000)
    caller.send(request[:half])
    eventually(lambda: desk.call(asked.is_set))
    eventually(lambda: desk.call(lambda: any(c.held for c in desk.desk.callers)))
    desk.call(may_answer.set)
    caller.send(request[half:])
    provider = providers.accept()
    assert len(provider.request().body) == size
    provider.send(ok())
    assert caller.reply().status == 200
