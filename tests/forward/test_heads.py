"""Heads of requests and replies, against references that take them apart line by line."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from majordomo.forward.reply_head import read_reply_head
from majordomo.forward.request_head import MalformedHeadError, read_head

token = st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=12)
visible = st.text(string.ascii_letters + string.digits + " ,;:=\"'/\\\t\xe9\xff", max_size=20).map(str.strip)

HOP = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade", "transfer-encoding"}


# -- requests -------------------------------------------------------------------------------------------------------

request_names = st.sampled_from(
    [
        "Accept",
        "X-A",
        "x-a",
        "Cookie",
        "Content-Type",
        "Keep-Alive",
        "TE",
        "Trailer",
        "Upgrade",
        "Proxy-Connection",
        "Proxy-Authorization",
        "X-Majordomo-Team",
        "x-majordomo-KEY",
        "Authorization",
        "X-Api-Key",
        "Expect",
        "Connection",
    ]
)
request_headers = st.lists(st.tuples(request_names | token, visible), max_size=8)


@given(
    request_headers,
    st.lists(st.sampled_from(["X-A", "cookie", "close", "Content-Length", "Host", "", "zz"]), max_size=3),
)
def test_a_requests_lines_are_those_that_are_not_the_gateways_or_the_hops(
    headers: list[tuple[str, str]], named: list[str]
) -> None:
    left_out = HOP | {"host", "expect", "proxy-authorization", "content-length"}
    headers = [(n, v) for n, v in headers if n.lower() not in ("content-length", "host", "transfer-encoding")]
    headers += [("Connection", ",".join(named)), ("Host", "g"), ("Content-Length", "7")]
    pairs = [(n.encode(), v.encode("latin-1")) for n, v in headers]
    head = read_head(b"POST", b"/v1/x?y", pairs, http_11=True, keep_alive=True)
    told = {part.strip().lower() for n, v in headers if n.lower() == "connection" for part in v.split(",")}
    told -= {"content-length", "host", "close", "keep-alive", ""}
    expected = [
        f"{n}: {v}\r\n".encode("latin-1")
        for n, v in headers
        if (n.lower() not in left_out or n == "Content-Length")
        and n.lower() not in told
        and not n.lower().startswith("x-majordomo-")
    ]
    assert head.lines == expected
    assert head.content_length == 7
    assert head.content_length_line is not None
    assert head.lines[head.content_length_line] == b"Content-Length: 7\r\n"
    assert (head.target, head.path, head.query) == (b"/v1/x?y", b"/v1/x", b"y")


def pairs(*lines: str) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, _, value in (line.partition(": ") for line in lines)]


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", b"/", b""),
        (b"/a?b?c", b"/a", b"b?c"),
        (b"http://h/a?b", b"/a", b"b"),
        (b"HTTPS://h:1", b"/", b""),
        (b"http://h?b", b"/", b"b"),
        (b"//h/a", b"//h/a", b""),
    ],
)
def test_targets_that_are_taken(target: bytes, path: bytes, query: bytes) -> None:
    head = read_head(b"GET", target, pairs("Host: g"), http_11=True, keep_alive=True)
    assert (head.path, head.query) == (path, query)
    assert head.target == path + (b"?" + query if query else b"")


@pytest.mark.parametrize("target", [b"*", b"", b"host:443", b"ftp://h/", b"a/b", b"://h/"])
def test_targets_that_are_not_taken(target: bytes) -> None:
    with pytest.raises(MalformedHeadError, match="must be a path"):
        read_head(b"GET", target, pairs("Host: g"), http_11=True, keep_alive=True)


@pytest.mark.parametrize(
    ("lines", "http_11"),
    [
        (["Accept: x"], True),
        (["Host: a", "Host: a"], True),
        (["Host: a", "host: b"], False),
        (["Host: a", "Transfer-Encoding: gzip"], True),
        (["Host: a", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], True),
        (["Host: a", "Transfer-Encoding: chunked"], False),
        (["Host: a", "Transfer-Encoding: chunked;q=1"], True),
    ],
)
def test_heads_that_break_a_rule_are_refused(lines: list[str], http_11: bool) -> None:
    with pytest.raises(MalformedHeadError):
        read_head(b"GET", b"/", pairs(*lines), http_11=http_11, keep_alive=True)


def test_white_space_around_what_the_gateway_reads_is_not_part_of_it() -> None:
    lines = [
        ("X-Majordomo-Key", "k \t"),
        ("Authorization", "Bearer s  "),
        ("X-Majordomo-Team", " a "),
        ("Expect", "100-continue "),
    ]
    head = read_head(
        b"GET", b"/", [(b"Host", b"g"), *((n.encode(), v.encode()) for n, v in lines)], http_11=True, keep_alive=True
    )
    assert head.own == {b"key": b"k"}
    assert head.credentials == {b"authorization": b"Bearer s"}
    assert head.metadata == [(b"team", b"a")]
    assert head.expects_continue


# -- replies --------------------------------------------------------------------------------------------------------

reply_names = st.sampled_from(
    [
        "Content-Type",
        "content-type",
        "Content-Length",
        "Content-Encoding",
        "Transfer-Encoding",
        "Connection",
        "connection",
        "Keep-Alive",
        "TE",
        "te",
        "Trailer",
        "Upgrade",
        "Proxy-Authenticate",
        "Proxy-Connection",
        "X-Majordomo-Request-Id",
        "X-Connection",
        "Te-X",
        "Set-Cookie",
        "Server",
        "Content-Types",
        "X-Te",
        "Date",
    ]
)
reply_headers = st.lists(
    st.tuples(reply_names | token, visible | st.sampled_from(["close", "X-Te, Date", "keep-alive"])), max_size=12
)
DROPPED = HOP | {"proxy-authenticate", "x-majordomo-request-id"}


@given(
    st.sampled_from(["HTTP/1.1 200 OK", "HTTP/1.0 200 OK", "HTTP/1.1 404", "HTTP/1.1 200 connection: close"]),
    reply_headers,
    st.sampled_from([": ", ":", ":  "]),
)
def test_a_replys_block_is_its_lines_but_those_of_the_hop(
    start: str, headers: list[tuple[str, str]], colon: str
) -> None:
    lines = [f"{name}{colon}{value}" for name, value in headers]
    head = read_reply_head("\r\n".join([start, *lines]).encode("latin-1"))

    def values(name: str) -> list[str]:
        return [v.strip() for n, v in headers if n.lower() == name]

    named = {part.strip().lower() for value in values("connection") for part in value.split(",")}
    named -= {"close", "keep-alive", "", "content-length"}
    kept = [
        line
        for line, (name, _) in zip(lines, headers, strict=True)
        if name.lower() not in DROPPED and name.lower() not in named
    ]
    expected = "\r\n".join([start.replace("HTTP/1.0", "HTTP/1.1"), *kept]).encode("latin-1")
    assert head.block == expected
    assert head.has_length == bool(values("content-length"))
    for told, name in ((head.content_type, "content-type"), (head.content_encoding, "content-encoding")):
        if len(values(name)) < 2:
            assert told == "".join(values(name)).encode("latin-1").lower().decode("latin-1")


@given(reply_headers)
def test_without_its_length_a_block_is_otherwise_the_same(headers: list[tuple[str, str]]) -> None:
    raw = "\r\n".join(["HTTP/1.1 200 OK", *(f"{name}: {value}" for name, value in headers)]).encode("latin-1")
    head = read_reply_head(raw)
    before = head.block
    head.drop_length()
    assert not head.has_length
    expected = [line for line in before.split(b"\r\n") if not line.lower().startswith(b"content-length:")]
    assert head.block == b"\r\n".join(expected)


@pytest.mark.parametrize(
    ("content_type", "encoding", "plain"),
    [
        ("text/event-stream", None, True),
        ("Text/Event-Stream; charset=utf-8", None, True),
        ("text/event-stream", "identity", True),
        ("text/event-stream", "gzip", False),
        ("application/json", None, False),
        (None, None, False),
    ],
)
def test_what_a_plain_event_stream_is(content_type: str | None, encoding: str | None, plain: bool) -> None:
    lines = ["HTTP/1.1 200 OK"]
    lines += [f"Content-Type: {content_type}"] if content_type else []
    lines += [f"Content-Encoding: {encoding}"] if encoding else []
    assert read_reply_head("\r\n".join(lines).encode()).is_plain_event_stream == plain
