"""What one side says reaches the other unchanged, but for the few things that the behaviour page names."""

import gzip
import json
import random
from collections.abc import Callable
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest
from running_desk import KEY, RunningDesk, ask, ok
from wire import Message, Peer, Providers

MESSAGES = "/v1/messages"
KEY_LINE = f"X-Majordomo-Key: {KEY}".encode()


# -- requests -------------------------------------------------------------------------------------------------------


def sent_on(providers: Providers, caller: Peer, request: bytes) -> Message:
    """What the provider gets of a request that the caller sends."""
    caller.send(request)
    provider = providers.accept()
    got = provider.request()
    provider.send(ok())
    assert caller.reply().status == 200
    return got


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_the_method_goes_through(desk: RunningDesk, caller: Peer, providers: Providers, method: str) -> None:
    got = sent_on(providers, caller, ask(MESSAGES, method=method))
    assert got.start == f"{method} /v1/messages HTTP/1.1".encode()
    assert desk.row().opening.method == method


@pytest.mark.parametrize(
    "target",
    [
        "/v1/messages?beta=true",
        "/v1/messages?",
        "/v1/messages?a=%20%2F&b=+&c=%C3%A4",
        "/v1/messages/batches/msgbatch_1%2F../results?x=1&x=1",
        "/v1/messages//batches",
    ],
)
def test_the_target_goes_through_as_it_was_spelled(caller: Peer, providers: Providers, target: str) -> None:
    got = sent_on(providers, caller, ask(target, "X-Majordomo-Provider: anthropic"))
    assert got.start == f"GET {target} HTTP/1.1".encode()


def test_headers_keep_order_case_doubles_and_spaces_within(caller: Peer, providers: Providers) -> None:
    lines = [
        "x-lower: 1",
        "X-UPPER: 2",
        "x-Twice: a",
        "Accept: */*",
        "x-Twice: b",
        "X-Spaces: two  spaces\tand a tab",
        "X-Latin: \xe9\xff",
        "X-Quotes: \"a, b\"; c='d'",
        "anthropic-beta: one,two",
        "User-Agent: test/1 (x)",
        "Cookie: a=1; b=2",
    ]
    got = sent_on(providers, caller, ask(MESSAGES, *lines, body=b"{}"))
    assert got.lines == [
        b"Host: " + providers.authority,
        *(line.encode("latin-1") for line in lines),
        b"Content-Length: 2",
    ]


@pytest.mark.parametrize("name", ["Content-Length", "content-length", "CONTENT-LENGTH", "cOnTeNt-LeNgTh"])
@pytest.mark.parametrize("times", [1, 2])
def test_the_length_keeps_its_place_and_spelling(
    desk: RunningDesk, caller: Peer, providers: Providers, name: str, times: int
) -> None:
    provider: Peer | None = None
    for body in (b"hello", b"hello, again")[:times]:
        caller.send(ask(MESSAGES, f"{name}: {len(body)}", "X-After: 1", method="POST") + body)
        provider = provider or providers.accept()
        got = provider.request()
        assert got.lines[1:] == [f"{name}: {len(body)}".encode(), b"X-After: 1"]
        assert got.body == body
        provider.send(ok())
        assert caller.reply().status == 200


def test_an_empty_value_and_spaces_around_values_mean_the_same_on_the_way(caller: Peer, providers: Providers) -> None:
    request = b"GET /v1/messages HTTP/1.1\r\nhost:g\r\n%b\r\nX-A:1\r\nX-B:   2   \r\nX-C:\r\n\r\n" % KEY_LINE
    got = sent_on(providers, caller, request)
    assert [line.rstrip() for line in got.lines[1:]] == [b"X-A: 1", b"X-B: 2", b"X-C:"]


def test_the_gateways_own_headers_stay_behind(caller: Peer, providers: Providers) -> None:
    lines = [
        "X-Majordomo-Provider-Alias: a",
        "x-majordomo-user-id: u",
        "X-MAJORDOMO-CLIENT: claude-code",
        "X-Majordomo-: nameless",
        "X-Majordomo-Trace-Id: t",
        "X-Not-Majordomo-Key: stays",
    ]
    got = sent_on(providers, caller, ask(MESSAGES, *lines, body=b"{}"))
    assert got.lines[1:] == [b"X-Not-Majordomo-Key: stays", b"Content-Length: 2"]


def test_hop_by_hop_headers_stay_behind_also_those_that_connection_names(caller: Peer, providers: Providers) -> None:
    lines = [
        "Connection: keep-alive, X-Hop, content-length, host",
        "connection: X-Other-Hop",
        "X-Hop: 1",
        "x-other-HOP: 2",
        "X-Stays: 3",
        "Keep-Alive: timeout=5",
        "Proxy-Connection: keep-alive",
        "Proxy-Authorization: Basic eDp5",
        "TE: trailers",
        "Trailer: X-T",
    ]
    got = sent_on(providers, caller, ask(MESSAGES, *lines, body=b"{}"))
    assert got.lines[1:] == [b"X-Stays: 3", b"Content-Length: 2"]
    assert got.body == b"{}"


def test_host_becomes_the_providers(caller: Peer, providers: Providers) -> None:
    got = sent_on(providers, caller, ask(MESSAGES))
    assert got.values("Host") == [providers.authority.decode()]


def test_a_base_urls_path_is_put_before_the_target(open_desk: Callable[..., RunningDesk], providers: Providers) -> None:
    desk = open_desk(providers={"anthropic": {"base_url": f"{providers.url}/gate/way/"}})
    got = sent_on(providers, desk.dial(), ask("/v1/messages?x=1"))
    assert got.start == b"GET /gate/way/v1/messages?x=1 HTTP/1.1"


@pytest.mark.parametrize("base", ["", "/v1"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/chat/completions"])
def test_openai_paths_have_their_version_once_however_they_came(
    open_desk: Callable[..., RunningDesk], providers: Providers, base: str, path: str
) -> None:
    desk = open_desk(providers={"openai": {"base_url": providers.url + base}})
    got = sent_on(providers, desk.dial(), ask(path, body=b"{}"))
    assert got.start == b"POST /v1/chat/completions HTTP/1.1"


def test_an_absolute_target_is_taken_as_its_path(caller: Peer, providers: Providers) -> None:
    got = sent_on(providers, caller, ask("http://gateway:7680/v1/messages?x=1"))
    assert got.start == b"GET /v1/messages?x=1 HTTP/1.1"


BODIES = {
    "empty": b"",
    "small": b'{"a" : 1}\r\n',
    "every byte": bytes(range(256)) * 3,
    "like HTTP": b"\r\n\r\nGET / HTTP/1.1\r\n\r\n0\r\n\r\n",
    "just over one piece": b"x" * 16385,
    "large": random.Random(1).randbytes(3_000_000),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("path", [MESSAGES, "/v1/chat/completions"])
def test_a_body_with_a_length_goes_through(caller: Peer, providers: Providers, body: bytes, path: str) -> None:
    got = sent_on(providers, caller, ask(path, body=body))
    assert got.body == body
    assert got.value("Content-Length") == str(len(body))


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("path", [MESSAGES, "/v1/chat/completions"])
@pytest.mark.parametrize("at_once", [True, False])
def test_a_chunked_body_goes_through(caller: Peer, providers: Providers, body: bytes, path: str, at_once: bool) -> None:
    head = ask(path, "Transfer-Encoding: chunked", method="POST")
    chunks = [body[i : i + 70_000] for i in range(0, len(body), 70_000)]
    framed = [b"%X;ext=1\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks] + [b"0\r\nX-Trailer: dropped\r\n\r\n"]
    caller.send(head + b"".join(framed)) if at_once else caller.send(head, *framed)
    provider = providers.accept()
    got = provider.request()
    assert (got.body, got.trailers) == (body, b"")
    assert got.values("Content-Length") == []
    provider.send(ok())
    assert caller.reply().status == 200


def test_a_gzipped_request_goes_through_as_it_is(caller: Peer, providers: Providers) -> None:
    body = gzip.compress(b'{"model":"m","stream":true}')
    got = sent_on(providers, caller, ask("/v1/chat/completions", "Content-Encoding: gzip", body=body))
    assert got.body == body


# -- replies --------------------------------------------------------------------------------------------------------


def relayed(caller: Peer, providers: Providers, reply: bytes, *, end: bool = False, method: str = "POST") -> Message:
    """What the caller gets of a provider's reply."""
    caller.send(ask(MESSAGES, body=b"{}", method=method))
    provider = providers.serve(reply)
    if end:
        provider.hang_up()
    return caller.reply(to_head=method == "HEAD")


@pytest.mark.parametrize(
    "start",
    [
        "200 OK",
        "200",
        "200 ",
        "201 Made It Myself",
        "299 \xe9",
        "302 Found",
        "400 Bad Request",
        "404 Nope",
        "429 Slow down!",
        "500 x",
        "529 Site is overloaded",
        "999 ?",
    ],
)
def test_status_and_reason_go_through(desk: RunningDesk, caller: Peer, providers: Providers, start: str) -> None:
    got = relayed(caller, providers, f"HTTP/1.1 {start}\r\nContent-Length: 2\r\n\r\n{{}}".encode("latin-1"))
    assert got.start == f"HTTP/1.1 {start}".encode("latin-1")
    assert desk.closed_row().status_code == int(start[:3])


def test_reply_headers_keep_order_case_doubles_and_spaces_and_one_is_added(
    desk: RunningDesk, caller: Peer, providers: Providers
) -> None:
    lines = [
        b"date: Fri, 21 Nov 2025 12:00:00 GMT",
        b"Content-TYPE:application/json",
        b"set-cookie: a=1; Path=/",
        b"Set-Cookie:  b=2",
        b"x-request-id: req_1",
        b"Content-Length:   2",
        b"X-Odd : no".replace(b" :", b":"),
        b"X-Latin: \xff\xfe",
        b"X-Empty:",
        b"Server: x",
    ]
    got = relayed(caller, providers, b"\r\n".join([b"HTTP/1.1 200 OK", *lines, b"", b"{}"]))
    assert got.lines[:-1] == lines
    assert got.lines[-1] == f"X-Majordomo-Request-Id: {UUID(bytes=desk.row().opening.id)}".encode()


def test_the_replys_hop_by_hop_headers_stay_behind(caller: Peer, providers: Providers) -> None:
    lines = [
        "Connection: keep-alive, x-hop, Content-Length",
        "X-Hop: 1",
        "Keep-Alive: timeout=5",
        "Proxy-Connection: keep-alive",
        "Proxy-Authenticate: Basic",
        "Trailer: X-T",
        "Upgrade: h2c",
        "TE: x",
        "X-Majordomo-Request-Id: of-another-gateway",
        "X-Stays: 2",
        "Content-Length: 2",
    ]
    got = relayed(caller, providers, "\r\n".join(["HTTP/1.1 200 OK", *lines, "", "{}"]).encode())
    assert got.lines[:-1] == [b"X-Stays: 2", b"Content-Length: 2"]
    assert got.value("X-Majordomo-Request-Id") != "of-another-gateway"


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("framing", ["length", "chunked", "end"])
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_a_replys_body_goes_through_however_it_is_framed(
    desk: RunningDesk, caller: Peer, providers: Providers, body: bytes, framing: str, version: str
) -> None:
    caller.send(ask(MESSAGES, body=b"{}", version=version))
    provider = providers.accept()
    provider.request()
    if framing == "length":
        provider.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    elif framing == "chunked":
        chunks = [body[i : i + 60_000] for i in range(0, len(body), 60_000)]
        framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
        provider.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + framed + b"0\r\nX-T: dropped\r\n\r\n")
    else:
        provider.send(b"HTTP/1.1 200 OK\r\n\r\n" + body)
        provider.hang_up()
    got = caller.reply()
    assert (got.body, got.trailers, got.cut) == (body, b"", False)
    assert (got.value("Connection") == "close") == (version == "1.0")
    if framing != "length":
        assert got.value("Transfer-Encoding") == ("chunked" if version == "1.1" else None)
        assert got.value("Content-Length") is None
    if version == "1.0":
        caller.assert_ended()
    assert desk.closed_row().outcome == "completed"


def test_an_http_10_reply_is_relayed(caller: Peer, providers: Providers) -> None:
    got = relayed(caller, providers, b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhello", end=True)
    assert (got.start, got.body) == (b"HTTP/1.1 200 OK", b"hello")


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("length", ["", "Content-Length: 0\r\n", "Content-Length: 7\r\n"])
def test_replies_that_have_no_body_are_over_with_their_head(
    caller: Peer, providers: Providers, status: int, length: str
) -> None:
    if status == 204 and "7" in length:
        length = ""  # forbidden there; in a 304 it tells of the body that is not sent
    got = relayed(caller, providers, f"HTTP/1.1 {status} X\r\nETag: x\r\n{length}\r\n".encode())
    assert got.lines[0] == b"ETag: x"
    assert got.value("Transfer-Encoding") is None
    caller.send(ask("/health", key=None))
    assert caller.reply().status == 200


@pytest.mark.parametrize("framing", ["Content-Length: 1000", "Transfer-Encoding: chunked", "X: y"])
def test_a_head_reply_keeps_its_length_and_has_no_body(
    desk: RunningDesk, caller: Peer, providers: Providers, framing: str
) -> None:
    caller.send(ask("/v1/models", method="HEAD"))
    provider = providers.accept()
    assert provider.head().startswith(b"HEAD /v1/models HTTP/1.1\r\n")
    provider.send(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode())
    got = caller.reply(to_head=True)
    assert got.value("Content-Length") == ("1000" if "1000" in framing else None)
    assert got.value("Transfer-Encoding") is None
    caller.send(ask("/v1/models"))
    if framing == "X: y":
        provider.assert_ended()  # what would follow such a head is unclear: not to be used again
        provider = providers.accept()
    provider.request()
    provider.send(ok(b"[1]"))
    assert caller.reply().body == b"[1]"
    assert len(desk.rows(closed=2)) == 2


def test_interim_replies_go_through_but_for_100(caller: Peer, providers: Providers) -> None:
    caller.send(ask(MESSAGES, body=b"{}"))
    providers.serve(
        b"HTTP/1.1 100 Continue\r\n\r\n"
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nConnection: x-h\r\nX-H: 1\r\n\r\n"
        b"HTTP/1.1 102 Processing\r\n\r\n" + ok()
    )
    caller.expect(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
    caller.expect(b"HTTP/1.1 102 Processing\r\n\r\n")
    assert caller.head().startswith(b"HTTP/1.1 200 OK\r\n")


def test_interim_replies_are_not_for_http_10(caller: Peer, providers: Providers) -> None:
    caller.send(ask(MESSAGES, body=b"{}", version="1.0"))
    providers.serve(b"HTTP/1.1 103 Early Hints\r\n\r\n" + ok())
    assert caller.head().startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_gzipped_reply_is_not_touched_and_yet_read(desk: RunningDesk, caller: Peer, providers: Providers) -> None:
    told = {"model": "claude-sonnet-4-5", "usage": {"input_tokens": 11, "output_tokens": 7}}
    body = gzip.compress(json.dumps({"type": "message", "role": "assistant", "content": [], **told}).encode())
    got = relayed(caller, providers, ok(body, "Content-Encoding: gzip"))
    assert got.body == body
    assert got.value("Content-Encoding") == "gzip"
    close = desk.closed_row()
    assert (close.input_tokens, close.output_tokens) == (11, 7)


def test_a_stream_reaches_the_caller_event_by_event(caller: Peer, providers: Providers) -> None:
    caller.send(ask(MESSAGES, body=b'{"stream":true}'))
    provider = providers.accept()
    provider.request()
    provider.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    caller.head()
    for i in range(20):
        event = b"event: ping\ndata: %d\n\n" % i
        provider.send(b"%x\r\n%b\r\n" % (len(event), event))
        caller.expect(b"%x\r\n%b\r\n" % (len(event), event))
    provider.send(b"0\r\n\r\n")
    caller.expect(b"0\r\n\r\n")


# -- what is recorded of it -----------------------------------------------------------------------------------------


def test_metadata_is_kept_under_canonical_names_the_last_of_one_name_counting(
    desk: RunningDesk, caller: Peer, providers: Providers
) -> None:
    lines = ["X-Majordomo-user-ID: a", "x-majordomo-Feature: chat ", "X-MAJORDOMO-USER-id: b", "X-Majordomo-Team:"]
    sent_on(providers, caller, ask(MESSAGES, *lines))
    assert desk.row().opening.metadata == {"User-Id": "b", "Feature": "chat", "Team": ""}


def test_metadata_over_a_limit_is_left_out_and_named_in_a_warning(
    open_desk: Callable[..., RunningDesk], providers: Providers
) -> None:
    desk = open_desk(max_metadata_keys=2, max_metadata_key_bytes=10, max_metadata_value_bytes=20)
    caller = desk.dial()
    lines = ["A: 1", "Far-Too-Long-Name: 1", "Long-Value: " + "x" * 21, "B: 2", "C: 3", "a: 4"]
    caller.send(ask(MESSAGES, *(f"X-Majordomo-{line}" for line in lines), body=b"{}"))
    providers.serve(ok())
    reply = caller.reply()
    assert reply.status == 200
    warning = reply.value("X-Majordomo-Warning") or ""
    for name in ("C", "Far-Too-Long-Name", "Long-Value"):
        assert name in warning
    assert desk.row().opening.metadata == {"A": "4", "B": "2"}
    assert desk.call(lambda: desk.desk.books.counters.metadata_dropped) == 3


def test_metadata_that_is_no_utf8_is_made_safe(desk: RunningDesk, caller: Peer, providers: Providers) -> None:
    sent_on(providers, caller, ask(MESSAGES, "X-Majordomo-Name: M\xfcller", "X-Majordomo-Ok: M\xc3\xbcller"))
    assert desk.row().opening.metadata == {"Name": "M\ufffdller", "Ok": "Müller"}


def test_labels_are_recorded(desk: RunningDesk, caller: Peer, providers: Providers) -> None:
    lines = {
        "Provider-Alias": "team-a",
        "Client": "claude-code",
        "ClaudeCode-Session-Id": "0b2f6d5e-0000-4000-8000-000000000001",
        "ClaudeCode-Session-Name": "refactor",
        "Trace-Id": "t-1",
        "Span-Path": "plan/search",
        "Span-Name": "search",
    }
    sent_on(providers, caller, ask(MESSAGES, *(f"X-Majordomo-{name}: {value}" for name, value in lines.items())))
    opening = desk.row().opening
    assert opening.metadata == {}
    assert [
        opening.provider_key_alias,
        opening.client,
        opening.claude_session,
        opening.claude_session_name,
        opening.trace_id,
        opening.span_path,
        opening.span_name,
    ] == list(lines.values())


def test_the_request_id_is_the_rows_and_a_uuid_of_version_7(
    desk: RunningDesk, caller: Peer, providers: Providers
) -> None:
    caller.send(ask(MESSAGES))
    providers.serve(ok())
    told = UUID(caller.reply().value("X-Majordomo-Request-Id") or "")
    assert told.version == 7
    assert told.bytes == desk.row().opening.id


GENERATE = "/v1beta/models/gemini-2.5-flash:generateContent"


@pytest.mark.parametrize(
    ("target", "lines", "secret"),
    [
        ("/v1/chat/completions", ["Authorization: Bearer sk-1"], "sk-1"),
        ("/v1/chat/completions", ["authorization: bearer  sk-2 "], "sk-2"),
        ("/v1/chat/completions", ["Authorization: sk-3"], "sk-3"),
        (MESSAGES, ["x-api-key: sk-ant-1"], "sk-ant-1"),
        (MESSAGES, ["Authorization: Bearer oauth", "X-Api-Key: sk-ant-2"], "sk-ant-2"),
        (MESSAGES, ["Authorization: Bearer oauth"], "oauth"),
        (GENERATE, ["x-goog-api-key: AIza-1"], "AIza-1"),
        (GENERATE + "?key=AIza-2", [], "AIza-2"),
        (GENERATE + "?alt=sse&key=AIza%2D3", [], "AIza-3"),
        (GENERATE, [], None),
        (GENERATE + "?monkey=1", [], None),
    ],
)
def test_the_credential_is_recorded_as_its_hash_and_the_path_without_it(
    desk: RunningDesk, caller: Peer, providers: Providers, target: str, lines: list[str], secret: str | None
) -> None:
    got = sent_on(providers, caller, ask(target, *lines, body=b"{}"))
    assert got.start == f"POST {target} HTTP/1.1".encode()
    assert [line.split(b": ")[0] for line in got.lines[1:-1]] == [line.split(": ")[0].encode() for line in lines]
    opening = desk.row().opening
    assert opening.provider_key_hash == (None if secret is None else sha256(secret.encode()).hexdigest())
    assert opening.path == target.partition("?")[0]
    assert "key=" not in opening.path


def test_no_credential_is_anywhere_in_the_journal(desk: RunningDesk, caller: Peer, providers: Providers) -> None:
    lines = ["Authorization: Bearer sk-secret-1", "x-api-key: sk-secret-2", "Cookie: sk-secret-3"]
    sent_on(providers, caller, ask(MESSAGES + "?key=sk-secret-4", *lines, body=b'{"x":"sk-secret-5"}'))
    desk.rows(closed=1)
    kept = b"".join(path.read_bytes() for path in desk.journal.folder.iterdir())
    assert b"sk-secret" not in kept
    assert KEY.encode() not in kept


@pytest.mark.parametrize(
    ("lines", "target", "provider"),
    [
        ([], "/v1/chat/completions", "openai"),
        ([], MESSAGES, "anthropic"),
        ([], GENERATE, "gemini"),
        ([], "/v1/models", "openai"),
        (["anthropic-version: 2023-06-01"], "/v1/models", "anthropic"),
        (["x-api-key: k"], "/v1/models/claude", "anthropic"),
        (["X-Majordomo-Provider: GEMINI "], "/anything/at/all", "gemini"),
        (["X-Majordomo-Provider: own"], "/api/chat", "own"),
    ],
)
def test_the_row_names_the_real_provider(
    open_desk: Callable[..., Any], providers: Providers, lines: list[str], target: str, provider: str
) -> None:
    desk = open_desk(providers={"own": {"base_url": providers.url}})
    got = sent_on(providers, desk.dial(), ask(target, *lines))
    assert got.start == f"GET {target} HTTP/1.1".encode()
    assert desk.row().opening.provider == provider
