"""Every error that the gateway makes itself, over a real socket, in the shape of the API that was called."""

import json
import resource
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from running_desk import KEY, REVOKED_KEY, UNKNOWN_KEY, RunningDesk, ask, ok
from wire import Message, Peer, Providers, eventually

from majordomo.record.frames import Outcome

OPENAI = "/v1/chat/completions"
ANTHROPIC = "/v1/messages"
GEMINI = "/v1beta/models/gemini-2.5-flash:generateContent"
FAMILIES = pytest.mark.parametrize("path", [OPENAI, ANTHROPIC, GEMINI], ids=["openai", "anthropic", "gemini"])

BODY = b'{"model":"m","messages":[]}'


def error_of(reply: Message, path: str, *, row: bool) -> str:
    """The message of an error, after a look at its shape; ``row``: it belongs to a request that has a row."""
    assert reply.value("Content-Type") == "application/json"
    told = json.loads(reply.body)
    assert reply.body.decode().find("mdm_sk_") < 0
    assert (reply.value("X-Majordomo-Request-Id") is not None) == row
    error: dict[str, Any] = told["error"]
    if path == ANTHROPIC:
        assert set(told) == {"type", "error", "request_id"}
        assert told["type"] == "error"
        assert set(error) == {"type", "message"}
        assert told["request_id"] == reply.value("X-Majordomo-Request-Id")
    elif path == GEMINI:
        assert set(told) == {"error"}
        assert set(error) == {"code", "message", "status"}
        assert error["code"] == reply.status
    else:
        assert set(told) == {"error"}
        assert set(error) == {"message", "type", "code", "param"}
        assert error["param"] is None
    message: str = error["message"]
    return message


# -- keys -----------------------------------------------------------------------------------------------------------


@FAMILIES
@pytest.mark.parametrize(
    ("key", "says"),
    [(None, "No gateway key"), ("", "No gateway key"), (UNKNOWN_KEY, "not known"), (REVOKED_KEY, "was revoked")],
    ids=["missing", "empty", "unknown", "revoked"],
)
@pytest.mark.parametrize("sent", ["at once", "in pieces"])
def test_a_refused_key_is_401_says_which_and_leaves_no_row(
    desk: RunningDesk, caller: Peer, providers: Providers, path: str, key: str | None, says: str, sent: str
) -> None:
    request = ask(path, body=BODY, key=key)
    if sent == "at once":
        caller.send(request)
    else:
        caller.send(request[:40], request[40:])
    reply = caller.reply()
    assert reply.status == 401
    assert says in error_of(reply, path, row=False)
    assert desk.rows(closed=0) == []
    providers.assert_nobody_called()


def test_the_types_that_sdks_raise_by_are_the_providers_own(desk: RunningDesk) -> None:
    for path, where in ((OPENAI, "type"), (ANTHROPIC, "type"), (GEMINI, "status")):
        caller = desk.dial()
        caller.send(ask(path, body=BODY, key=None))
        told = json.loads(caller.reply().body)["error"][where]
        assert told == ("UNAUTHENTICATED" if path == GEMINI else "authentication_error")


def test_an_absurdly_long_key_is_unknown_and_not_looked_up(desk: RunningDesk, caller: Peer) -> None:
    caller.send(ask(OPENAI, body=BODY, key="k" * 5000))
    assert caller.reply().status == 401
    assert desk.lookups == []


def test_a_refused_key_leaves_the_connection_open_for_the_next_request(
    desk: RunningDesk, caller: Peer, providers: Providers
) -> None:
    caller.send(ask(OPENAI, body=BODY, key=UNKNOWN_KEY))
    assert caller.reply().status == 401
    caller.send(ask(ANTHROPIC, body=BODY))
    providers.serve(ok())
    assert caller.reply().status == 200


@FAMILIES
def test_a_key_not_in_memory_while_the_key_store_is_away_is_503_never_401(
    desk: RunningDesk, caller: Peer, path: str
) -> None:
    desk.call(setattr, desk.ring, "fresh", False)
    caller.send(ask(path, body=BODY, key=UNKNOWN_KEY))
    reply = caller.reply()
    assert reply.status == 503
    assert reply.value("Retry-After") is not None
    assert "key store" in error_of(reply, path, row=False)
    assert desk.rows(closed=0) == []


def test_a_key_store_that_breaks_during_the_look_up_is_503(desk: RunningDesk, caller: Peer) -> None:
    async def broken(key_hash: str) -> None:
        raise ConnectionError("away")

    desk.desk.lookup = broken
    caller.send(ask(OPENAI, body=BODY, key=UNKNOWN_KEY))
    assert caller.reply().status == 503


def test_a_known_key_serves_while_the_key_store_is_away(desk: RunningDesk, caller: Peer, providers: Providers) -> None:
    desk.call(setattr, desk.ring, "fresh", False)
    caller.send(ask(OPENAI, body=BODY))
    providers.serve(ok())
    assert caller.reply().status == 200


# -- routes ---------------------------------------------------------------------------------------------------------


def test_a_path_of_no_provider_is_404_that_lists_what_is_supported(desk: RunningDesk, caller: Peer) -> None:
    caller.send(ask("/v2/whatever", body=BODY))
    reply = caller.reply()
    assert reply.status == 404
    message = error_of(reply, OPENAI, row=True)
    for supported in ("/v1/chat/completions", "/v1/messages", ":generateContent", "X-Majordomo-Provider"):
        assert supported in message
    close = desk.closed_row()
    assert (close.outcome, close.status_code, close.error_type) == (Outcome.REFUSED, 404, "no_provider_for_path")


@pytest.mark.parametrize(
    ("target", "marks", "shaped_as"),
    [("/v1beta/nothing", (), GEMINI), ("/nothing", ("anthropic-version: 2023-06-01",), ANTHROPIC)],
)
def test_a_path_of_no_provider_is_answered_in_the_likeliest_shape(
    desk: RunningDesk, caller: Peer, target: str, marks: tuple[str, ...], shaped_as: str
) -> None:
    caller.send(ask(target, *marks, body=BODY))
    reply = caller.reply()
    assert reply.status == 404
    error_of(reply, shaped_as, row=True)


@FAMILIES
def test_a_provider_that_nobody_is_called_is_404_that_lists_the_names(
    desk: RunningDesk, caller: Peer, path: str
) -> None:
    caller.send(ask(path, "X-Majordomo-Provider: nobody", body=BODY))
    reply = caller.reply()
    assert reply.status == 404
    message = error_of(reply, path, row=True)
    assert "nobody" in message
    assert "deepseek" in message
    assert desk.closed_row().error_type == "unknown_provider"


def test_no_path_is_answered_before_the_key_is_accepted(desk: RunningDesk, caller: Peer) -> None:
    caller.send(ask("/v2/whatever", body=BODY, key=None))
    assert caller.reply().status == 401


# -- malformed HTTP -------------------------------------------------------------------------------------------------

HOST = "Host: g\r\n"
MALFORMED = {
    "both lengths": f"POST PATH HTTP/1.1\r\n{HOST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "both lengths, the other way round": (
        f"POST PATH HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"
    ),
    "two lengths": f"POST PATH HTTP/1.1\r\n{HOST}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "the same length twice": f"POST PATH HTTP/1.1\r\n{HOST}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "a list of lengths": f"POST PATH HTTP/1.1\r\n{HOST}Content-Length: 5, 5\r\n\r\nhello",
    "a signed length": f"POST PATH HTTP/1.1\r\n{HOST}Content-Length: +5\r\n\r\nhello",
    "a negative length": f"POST PATH HTTP/1.1\r\n{HOST}Content-Length: -5\r\n\r\nhello",
    "a hexadecimal length": f"POST PATH HTTP/1.1\r\n{HOST}Content-Length: 0x5\r\n\r\nhello",
    "an empty length": f"POST PATH HTTP/1.1\r\n{HOST}Content-Length: \r\n\r\nhello",
    "a length beyond 64 bits": f"POST PATH HTTP/1.1\r\n{HOST}Content-Length: {'9' * 30}\r\n\r\nhello",
    "a coding besides chunked": f"POST PATH HTTP/1.1\r\n{HOST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": f"POST PATH HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "a coding that is not chunked": f"POST PATH HTTP/1.1\r\n{HOST}Transfer-Encoding: identity\r\n\r\n",
    "chunked in a disguise": f"POST PATH HTTP/1.1\r\n{HOST}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": f"POST PATH HTTP/1.0\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a bare line feed": f"POST PATH HTTP/1.1\r\n{HOST}X: a\nY: b\r\n\r\n",
    "line feeds alone": "POST PATH HTTP/1.1\nHost: g\n\n",
    "a bare carriage return": f"POST PATH HTTP/1.1\r\n{HOST}X: a\rY: b\r\n\r\n",
    "a folded header": f"POST PATH HTTP/1.1\r\n{HOST}X: a\r\n b\r\n\r\n",
    "a NUL": f"POST PATH HTTP/1.1\r\n{HOST}X: a\0b\r\n\r\n",
    "a space before the colon": f"POST PATH HTTP/1.1\r\n{HOST}Content-Length : 5\r\n\r\nhello",
    "a header without a name": f"POST PATH HTTP/1.1\r\n{HOST}: x\r\n\r\n",
    "a header without a colon": f"POST PATH HTTP/1.1\r\n{HOST}nothing\r\n\r\n",
    "a space before the first header": f"POST PATH HTTP/1.1\r\n {HOST}\r\n",
    "no host": "POST PATH HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    "two hosts": f"POST PATH HTTP/1.1\r\n{HOST}Host: h\r\nContent-Length: 0\r\n\r\n",
    "a later version": f"POST PATH HTTP/2.0\r\n{HOST}\r\n",
    "no version": "POST PATH\r\n\r\n",
    "a space in the target": f"POST PATH /more HTTP/1.1\r\n{HOST}\r\n",
    "a chunk size that is none": f"POST PATH HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "a chunk without its end": f"POST PATH HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n",
    "a chunk ended by a line feed": f"POST PATH HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n2\nhe\n0\n\n",
    "a chunk size beyond 64 bits": (
        f"POST PATH HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n{'f' * 17}\r\nhello\r\n"
    ),
}


@FAMILIES
@pytest.mark.parametrize("fault", MALFORMED)
def test_what_is_not_well_formed_is_400_and_the_connection_closes(
    caller: Peer, providers: Providers, path: str, fault: str
) -> None:
    caller.send(MALFORMED[fault].replace("PATH", path).encode("latin-1"))
    reply = caller.reply()
    keyless = "chunk" in fault and reply.status == 401  # its head was well-formed, and it had no key
    assert reply.status == 400 or keyless
    assert reply.value("Connection") == "close"
    if b"HTTP/1.1\n" not in MALFORMED[fault].encode("latin-1"):
        error_of(reply, path, row=False)
    caller.assert_ended()
    providers.assert_nobody_called()


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"hello\r\n\r\n",
        b"\0" * 100,
    ],
    ids=["TLS", "HTTP/2", "a word", "NULs"],
)
def test_what_is_no_http_at_all_is_400(caller: Peer, garbage: bytes) -> None:
    caller.send(garbage)
    assert caller.reply().status == 400
    caller.assert_ended()


@pytest.mark.parametrize("request_line", ["CONNECT provider:443", "OPTIONS *", "GET ftp://provider/x", "GET provider"])
def test_a_target_that_is_no_path_is_400(caller: Peer, request_line: str) -> None:
    caller.send(f"{request_line} HTTP/1.1\r\nHost: g\r\n\r\n".encode())
    assert caller.reply().status == 400
    caller.assert_ended()


@FAMILIES
def test_a_body_that_turns_out_malformed_is_400_with_a_row(
    desk: RunningDesk, caller: Peer, providers: Providers, path: str
) -> None:
    caller.send(ask(path, "Transfer-Encoding: chunked", method="POST"), b"5\r\nhello\r\n")
    eventually(lambda: len(desk.rows(closed=0)) == 1)
    caller.send(b"nonsense\r\n")
    reply = caller.reply()
    assert reply.status == 400
    error_of(reply, path, row=True)
    caller.assert_ended()
    close = desk.closed_row()
    assert (close.outcome, close.status_code, close.error_type) == (Outcome.REFUSED, 400, "malformed_request")


# -- limits ---------------------------------------------------------------------------------------------------------


@FAMILIES
@pytest.mark.parametrize("kind", ["block", "count", "one endless header", "an endless target"])
@pytest.mark.parametrize("size", [65536, 700])
def test_a_head_over_its_limits_is_431(
    open_desk: Callable[..., RunningDesk], providers: Providers, path: str, kind: str, size: int
) -> None:
    desk = open_desk(max_header_bytes=8192, max_headers=20)
    caller = desk.dial()
    start = f"POST {path} HTTP/1.1\r\nHost: g\r\nX-Majordomo-Key: {KEY}\r\n".encode()
    if kind == "block":
        data = start + b"".join(b"X-%02d: %s\r\n" % (i, b"v" * 600) for i in range(15))
    elif kind == "count":
        data = start + b"X: y\r\n" * 30
    elif kind == "an endless target":
        data = start[: start.index(b" HTTP/1.1")] + b"?" + b"x" * 10000
    else:
        data = start + b"X: " + b"v" * 10000
    with suppress(ConnectionError):  # it may have said enough
        caller.send(*(data[i : i + size] for i in range(0, len(data), size)))
    reply = caller.reply()
    assert reply.status == 431
    error_of(reply, path, row=False)
    providers.assert_nobody_called()


@pytest.mark.parametrize("size", [65536, 700, 100])
def test_a_head_just_under_its_limit_is_served_however_it_is_cut(
    open_desk: Callable[..., RunningDesk], providers: Providers, size: int
) -> None:
    desk = open_desk(max_header_bytes=8192)
    caller = desk.dial()
    data = ask(ANTHROPIC, *(f"X-{i:02}: {'v' * 600}" for i in range(13)), body=BODY)
    assert 7900 < len(data) - len(BODY) < 8192
    for i in range(0, len(data), size):
        caller.send(data[i : i + size])
        desk.call(lambda: None)
    providers.serve(ok())
    assert caller.reply().status == 200


@FAMILIES
def test_a_body_announced_over_the_limit_is_413_before_it_is_sent(
    open_desk: Callable[..., RunningDesk], providers: Providers, path: str
) -> None:
    desk = open_desk(max_body_bytes=2048)
    caller = desk.dial()
    caller.send(ask(path, "Content-Length: 2049", method="POST"))
    reply = caller.reply()
    assert reply.status == 413
    assert "2048" in error_of(reply, path, row=True)
    caller.assert_ended()
    providers.assert_nobody_called()
    close = desk.closed_row()
    assert (close.outcome, close.status_code, close.error_type) == (Outcome.REFUSED, 413, "body_too_large")


@FAMILIES
@pytest.mark.parametrize("size", [100, 4000])
def test_a_chunked_body_that_grows_over_the_limit_is_413(
    open_desk: Callable[..., RunningDesk], path: str, size: int
) -> None:
    desk = open_desk(max_body_bytes=2048)
    caller = desk.dial()
    caller.send(ask(path, "Transfer-Encoding: chunked", method="POST"))
    caller.send(*[b"%x\r\n%s\r\n" % (size, b"x" * size)] * (2048 // size + 1))
    reply = caller.reply()
    assert reply.status == 413
    error_of(reply, path, row=True)
    caller.assert_ended()
    assert desk.closed_row().status_code == 413


def test_a_body_of_exactly_the_limit_is_served(open_desk: Callable[..., RunningDesk], providers: Providers) -> None:
    desk = open_desk(max_body_bytes=2048)
    caller = desk.dial()
    for request in (
        ask(ANTHROPIC, body=b"x" * 2048),
        ask(ANTHROPIC, "Transfer-Encoding: chunked", method="POST") + b"800\r\n" + b"x" * 2048 + b"\r\n0\r\n\r\n",
    ):
        caller.send(request)
        if request.startswith(b"POST") and b"chunked" not in request:
            provider = providers.accept()
        assert provider.request().body == b"x" * 2048
        provider.send(ok())
        assert caller.reply().status == 200


def test_trailers_without_end_are_431(open_desk: Callable[..., RunningDesk]) -> None:
    desk = open_desk(max_header_bytes=8192)
    caller = desk.dial()
    caller.send(ask(ANTHROPIC, "Transfer-Encoding: chunked", method="POST") + b"1\r\nx\r\n0\r\nTrailer: ")
    with suppress(ConnectionError):  # it may have said enough
        for _ in range(30):
            caller.send(b"t" * 1000)
            desk.call(lambda: None)
    assert caller.reply().status == 431


# -- the provider ---------------------------------------------------------------------------------------------------


@FAMILIES
def test_a_provider_that_cannot_be_reached_is_502(
    desk: RunningDesk, caller: Peer, providers: Providers, path: str
) -> None:
    providers.close()
    caller.send(ask(path, body=BODY))
    reply = caller.reply()
    assert reply.status == 502
    assert "could not be reached" in error_of(reply, path, row=True)
    close = desk.closed_row()
    assert (close.outcome, close.status_code, close.error_type) == (Outcome.PROVIDER_BROKE, 502, "provider_unreachable")


def test_a_provider_whose_connection_is_not_made_in_time_is_502(
    open_desk: Callable[..., RunningDesk], unanswering: str
) -> None:
    desk = open_desk(providers={"openai": {"base_url": unanswering}}, upstream_connect_timeout=0.2)
    caller = desk.dial()
    caller.send(ask(OPENAI, body=BODY))
    reply = caller.reply()
    assert reply.status == 502
    assert "no connection within 0.2 s" in error_of(reply, OPENAI, row=True)
    assert desk.closed_row().outcome is Outcome.PROVIDER_BROKE


@FAMILIES
def test_a_provider_that_does_not_begin_its_reply_in_time_is_504(
    desk: RunningDesk, caller: Peer, providers: Providers, path: str
) -> None:
    caller.send(ask(path, body=BODY))
    provider = providers.accept()
    provider.request()
    desk.later(599)
    desk.later(2)
    reply = caller.reply()
    assert reply.status == 504
    error_of(reply, path, row=True)
    provider.assert_ended()
    close = desk.closed_row()
    assert (close.outcome, close.status_code, close.error_type) == (Outcome.PROVIDER_BROKE, 504, "provider_timeout")


@FAMILIES
@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Le"], ids=["before a byte", "in the head"])
@pytest.mark.parametrize("ending", ["hang_up", "reset"])
def test_a_provider_that_breaks_off_before_its_reply_is_502(
    desk: RunningDesk, caller: Peer, providers: Providers, path: str, said: bytes, ending: str
) -> None:
    caller.send(ask(path, body=BODY))
    provider = providers.accept()
    provider.request()
    provider.send(said)
    getattr(provider, ending)()
    reply = caller.reply()
    assert reply.status == 502
    error_of(reply, path, row=True)
    close = desk.closed_row()
    assert (close.outcome, close.status_code) == (Outcome.PROVIDER_BROKE, 502)


BROKEN_OFF = {
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "in a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhello",
    "content-length": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello",
}


@FAMILIES
@pytest.mark.parametrize("framing", BROKEN_OFF)
@pytest.mark.parametrize("ending", ["hang_up", "reset"])
def test_a_provider_that_breaks_off_mid_stream_has_the_caller_cut_and_a_row_that_says_so(
    desk: RunningDesk, caller: Peer, providers: Providers, path: str, framing: str, ending: str
) -> None:
    caller.send(ask(path, body=BODY))
    provider = providers.accept()
    provider.request()
    provider.send(BROKEN_OFF[framing])
    head = caller.head()
    getattr(provider, ending)()
    if b"chunked" in head:
        caller.expect(b"5\r\nhello\r\n")
    else:
        caller.expect(b"hello")
    caller.assert_ended()
    close = desk.closed_row()
    assert (close.outcome, close.status_code) == (Outcome.PROVIDER_BROKE, 200)


def test_a_provider_that_falls_silent_mid_stream_is_cut_after_the_idle_time_out(
    desk: RunningDesk, caller: Peer, providers: Providers
) -> None:
    caller.send(ask(ANTHROPIC, body=BODY))
    provider = providers.accept()
    provider.request()
    provider.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    caller.head()
    caller.expect(b"5\r\nhello\r\n")
    desk.later(599)
    provider.send(b"1\r\n!\r\n")
    caller.expect(b"1\r\n!\r\n")
    desk.later(599)
    desk.later(2)
    caller.assert_ended()
    assert desk.closed_row().outcome is Outcome.PROVIDER_BROKE


# -- time-outs of the caller ----------------------------------------------------------------------------------------


@FAMILIES
def test_a_body_that_stalls_is_408_with_a_row(desk: RunningDesk, caller: Peer, providers: Providers, path: str) -> None:
    caller.send(ask(path, "Content-Length: 10", method="POST"), b"half")
    eventually(lambda: len(desk.rows(closed=0)) == 1)
    desk.later(59)
    desk.later(2)
    reply = caller.reply()
    assert reply.status == 408
    error_of(reply, path, row=True)
    caller.assert_ended()
    close = desk.closed_row()
    assert (close.outcome, close.status_code, close.error_type) == (Outcome.REFUSED, 408, "request_timeout")


def test_a_head_that_stalls_is_408_without_a_row(desk: RunningDesk, caller: Peer) -> None:
    caller.send(b"POST /v1/messages HTTP/1.1\r\nHost: g\r\nX-Slow: ")
    eventually(lambda: desk.call(lambda: any(c._head_since for c in desk.desk.callers)))
    desk.later(19)
    caller.send(b"s")
    desk.later(2)
    reply = caller.reply()
    assert reply.status == 408
    error_of(reply, ANTHROPIC, row=False)
    caller.assert_ended()
    assert desk.rows(closed=0) == []


# -- the gateway itself ---------------------------------------------------------------------------------------------


@FAMILIES
def test_a_stopping_gateway_refuses_new_requests_while_running_ones_finish(
    desk: RunningDesk, providers: Providers, path: str
) -> None:
    running, late, idle = desk.dial(), desk.dial(), desk.dial()
    running.send(ask(ANTHROPIC, body=BODY))
    provider = providers.accept()
    provider.request()
    request = ask(path, body=BODY)
    late.send(request[:30])
    eventually(lambda: desk.call(lambda: len(desk.desk.callers)) == 3)
    eventually(lambda: desk.call(lambda: any(c._head_since for c in desk.desk.callers)))
    drained = desk.begin(desk.desk.drain(10))
    idle.assert_ended()
    late.send(request[30:])
    refused = late.reply()
    assert refused.status == 503
    assert int(refused.value("Retry-After") or "0") > 0
    assert "stopping" in error_of(refused, path, row=True)
    late.assert_ended()
    provider.send(ok(b'{"fine":true}'))
    served = running.reply()
    assert served.body == b'{"fine":true}'
    assert served.value("Connection") == "close"
    running.assert_ended()
    drained.result(10)
    outcomes = {row.close.error_type: (row.close.outcome, row.close.status_code) for row in desk.rows(2) if row.close}
    assert outcomes == {"gateway_stopping": (Outcome.REFUSED, 503), None: (Outcome.COMPLETED, 200)}


def test_what_still_runs_after_the_grace_is_cut_and_its_row_says_gateway_stopped(
    desk: RunningDesk, caller: Peer, providers: Providers
) -> None:
    caller.send(ask(ANTHROPIC, body=BODY))
    provider = providers.accept()
    provider.request()
    provider.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
    caller.head()
    desk.begin(desk.desk.drain(0)).result(10)
    caller.expect(b"hello")
    caller.assert_ended()
    provider.assert_ended()
    assert desk.closed_row().outcome is Outcome.GATEWAY_STOPPED


@pytest.fixture
def file_size_limit() -> Any:
    """Sets how long files may grow: the kernel then refuses a write as it does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size: int | None) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before[0] if size is None else size, before[1]))

    yield limit
    limit(None)


@FAMILIES
def test_a_full_disk_is_503_and_requests_are_taken_again_once_there_is_space(
    desk: RunningDesk, caller: Peer, providers: Providers, file_size_limit: Callable[..., None], path: str
) -> None:
    caller.send(ask(ANTHROPIC, body=BODY))
    provider = providers.accept()
    provider.request()
    provider.send(ok())
    assert caller.reply().status == 200
    file_size_limit(100)
    caller.send(ask(path, body=BODY))
    refused = caller.reply()
    file_size_limit(None)
    assert refused.status == 503
    assert "disk is full" in error_of(refused, path, row=False)
    caller.send(ask(ANTHROPIC, body=BODY))
    provider.request()
    provider.send(ok())
    assert caller.reply().status == 200
    assert len(desk.rows(closed=2)) == 2


def test_a_full_disk_can_be_set_to_serve_unrecorded_and_counted(
    open_desk: Callable[..., RunningDesk], providers: Providers, file_size_limit: Callable[..., None]
) -> None:
    desk = open_desk(on_journal_full="serve")
    caller = desk.dial()
    file_size_limit(0)
    caller.send(ask(OPENAI, body=b'{"model":"m","stream":true}'))
    provider = providers.accept()
    assert provider.request().body == b'{"model":"m","stream":true}'
    provider.send(ok(b'{"a":1}'))
    reply = caller.reply()
    file_size_limit(None)
    assert (reply.status, reply.body) == (200, b'{"a":1}')
    assert reply.value("X-Majordomo-Request-Id") is None
    assert desk.call(lambda: desk.desk.books.counters.unrecorded) == 1
    assert desk.rows(closed=0) == []


def test_a_close_that_a_full_disk_refused_is_written_once_there_is_space(
    desk: RunningDesk, caller: Peer, providers: Providers, file_size_limit: Callable[..., None]
) -> None:
    caller.send(ask(ANTHROPIC, body=BODY))
    provider = providers.accept()
    provider.request()
    file_size_limit(10)
    provider.send(ok())
    assert caller.reply().status == 200
    eventually(lambda: desk.call(lambda: desk.journal.owed) == 1)
    file_size_limit(None)
    desk.later(1)
    assert desk.closed_row().outcome is Outcome.COMPLETED


def test_more_connections_than_the_setting_are_503(open_desk: Callable[..., RunningDesk]) -> None:
    desk = open_desk(max_connections=2)
    first, second, third = desk.dial(), desk.dial(), desk.dial()
    reply = third.reply()
    assert reply.status == 503
    assert reply.value("Retry-After") == "1"
    third.assert_ended()
    third.hang_up()
    first.hang_up()
    second.hang_up()
    eventually(lambda: desk.call(lambda: len(desk.desk.callers)) == 0)


@pytest.mark.parametrize("page", ["/", "/readyz", "/metrics", "/api/v1/keys"])
def test_a_page_of_the_back_office_while_it_is_away_is_503_in_its_own_error_shape(caller: Peer, page: str) -> None:
    caller.send(ask(page, key=None))
    reply = caller.reply()
    assert reply.status == 503
    assert json.loads(reply.body)["error"]["code"] == "back_office_unavailable"
