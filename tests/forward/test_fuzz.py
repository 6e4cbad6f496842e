"""Whatever bytes come: the desk never crashes, never hangs, and never tells its provider more than it was asked."""

import random
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
from answering_provider import AnsweringProvider, Seen, strictly_read
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from running_desk import KEY, UNKNOWN_KEY, RunningDesk, ask
from wire import PATIENCE, Peer

from majordomo.price.pricer import Pricer

FUZZ = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))


class Target:
    """A desk in front of a provider that answers everything, for many examples."""

    def __init__(self, desk: RunningDesk, provider: AnsweringProvider) -> None:
        self.desk, self.provider = desk, provider

    def speak(self, pieces: list[bytes]) -> bytes:
        """Say these pieces on a new connection, and hear everything until it ends, which it must."""
        caller = self.desk.dial()
        with suppress(ConnectionError):  # it may have heard enough
            caller.send(*pieces)
        return self.hear_out(caller)

    def hear_out(self, caller: Peer) -> bytes:
        heard = b""
        deadline = time.monotonic() + PATIENCE
        caller._socket.settimeout(0.01)
        while True:
            assert time.monotonic() < deadline, f"neither answered to its end nor closed: {heard[-300:]!r}"
            try:
                piece = caller._socket.recv(1 << 20)
            except TimeoutError:
                self.desk.later(80)  # longer than every time-out of a caller
                continue
            except ConnectionError:
                piece = b""
            if not piece:
                caller.hang_up()
                assert self.desk.errors == []
                return heard
            heard += piece

    def new_requests(self, before: int) -> list[Seen]:
        return self.provider.seen[before:]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory, packaged_prices: Pricer) -> Iterator[Target]:
    provider = AnsweringProvider()
    folder: Path = tmp_path_factory.mktemp("fuzz")
    desk = RunningDesk(folder, packaged_prices, provider, max_body_bytes=1 << 20, max_header_bytes=8192, max_headers=40)
    yield Target(desk, provider)
    try:
        desk.assert_well()
        assert provider.faults == []
    finally:
        desk.stop()
        provider.close()


def check(target: Target, data: bytes, cuts: list[int]) -> bytes:
    """Say ``data`` cut at these places, and compare what arrived with what a strict parser finds in it."""
    before = len(target.provider.seen)
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    heard = target.speak([data[a:b] for a, b in pairwise(places)])
    strict, _ = strictly_read(data)
    expected = iter(strict)
    for arrived in target.new_requests(before):
        assert any(_same(arrived, one) for one in expected), f"nobody asked for {arrived}: {strict}"
    assert heard == b"" or heard.startswith(b"HTTP/1.1 ")
    return heard


def _same(arrived: Seen, asked: Seen) -> bool:
    target = asked.target
    if b"://" in target:
        target = b"/" + target.partition(b"://")[2].partition(b"/")[2]
    if arrived.method != asked.method or not arrived.target.endswith(target):
        return False
    return arrived.body == asked.body or b'"include_usage":true' in arrived.body


REQUESTS = [
    ask("/v1/messages", body=b'{"model":"m"}'),
    ask("/v1/messages", body=b""),
    ask("/v1/models"),
    ask("/v1/models", method="HEAD"),
    ask("/v1/chat/completions", body=b'{"model":"m","stream":true,"messages":[{"content":"hello"}]}'),
    ask("/v1/chat/completions", "Transfer-Encoding: chunked", method="POST")
    + b'2\r\n{"\r\n3\r\na":\r\n2\r\n1}\r\n0\r\n\r\n',
    ask("/v1/messages", "Transfer-Encoding: chunked", method="POST") + b"5;x=y\r\nhello\r\n0\r\nX-T: 1\r\n\r\n",
    ask("/v1/messages", "Expect: 100-continue", body=b"{}"),
    ask("/v1/messages", "X-Majordomo-Team: a", "X-Majordomo-user-id: b", "Accept: */*", body=b"x" * 300),
    ask("/v1beta/models/g:generateContent?key=abc", body=b"{}"),
    ask("/v1/messages", body=b"{}", key=None),
    ask("/v1/messages", body=b"{}", key=UNKNOWN_KEY),
    ask("/nowhere", body=b"{}"),
    ask("/health", key=None),
    ask("/v1/messages", "Connection: close", body=b"{}"),
    ask("/v1/messages", "Connection: Upgrade", "Upgrade: h2c", body=b"{}"),
    ask("/v1/messages", body=b"GET /v1/models HTTP/1.1\r\nHost: g\r\nX-Majordomo-Key: " + KEY.encode() + b"\r\n\r\n"),
    ask("http://g/v1/messages", body=b"{}"),
    ask("/v1/messages", body=b"{}", version="1.0"),
]
valid = st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=4).map(b"".join)
cuts = st.lists(st.integers(0, 4000), max_size=6)

SNIPPETS = [
    *(bytes([i]) for i in (0, 9, 10, 11, 13, 32, 34, 44, 48, 49, 58, 59, 92, 127, 128, 255)),
    b"\r\n",
    b"\n\n",
    b"\r\n\r\n",
    b"\r\n ",
    b"\r\n\t",
    b"\n ",
    b"\r",
    b"0\r\n\r\n",
    b"5\r\nhello\r\n",
    b"Content-Length: 5\r\n",
    b"content-length: 0\r\n",
    b"Content-Length:\r\n",
    b"Content-Length: 5, 5\r\n",
    b"Content-Length : 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: identity\r\n",
    b"Transfer-Encoding:\x0bchunked\r\n",
    b"Transfer-Encoding: chunked, chunked\r\n",
    b"Connection: close\r\n",
    b"Connection: content-length\r\n",
    b"Connection: transfer-encoding, host\r\n",
    b"Host: evil\r\n",
    b"X: y\r\n",
    b" : x\r\n",
    b"GET /v1/models HTTP/1.1\r\nHost: g\r\nX-Majordomo-Key: " + KEY.encode() + b"\r\n\r\n",
    b"Upgrade: websocket\r\nConnection: upgrade\r\n",
    b"Expect: 100-continue\r\n",
    b"X-Long: " + b"a" * 9000 + b"\r\n",
    b"99999999999999999999",
    b"ffffffffffffffff\r\n",
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    data = draw(valid)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        if data and draw(st.booleans()):  # most mischief is done at the ends of lines
            line_ends = [i for i in range(len(data)) if data[i : i + 2] == b"\r\n"]
            if line_ends:
                at = draw(st.sampled_from(line_ends)) + draw(st.sampled_from([0, 1, 2]))
        size = draw(st.integers(0, 12))
        kind = draw(st.sampled_from(["insert", "insert", "delete", "replace", "repeat", "truncate"]))
        if kind == "insert":
            data = data[:at] + draw(st.sampled_from(SNIPPETS)) + data[at:]
        elif kind == "delete":
            data = data[:at] + data[at + size :]
        elif kind == "replace":
            data = data[:at] + draw(st.sampled_from(SNIPPETS)) + data[at + size :]
        elif kind == "repeat":
            data = data[:at] + data[at : at + size * 8] + data[at:]
        else:
            data = data[: max(at, 1)]
    return data


@FUZZ
@given(data=valid, cuts=cuts)
def test_valid_requests_split_anywhere_are_all_answered(target: Target, data: bytes, cuts: list[int]) -> None:
    before = len(target.provider.seen)
    heard = check(target, data, cuts)
    strict, well_formed = strictly_read(data)
    assert well_formed
    answers = heard.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"").split(b"HTTP/1.1 ")[1:]
    # A request that is refused before its body is here ends the connection.
    assert len(answers) == len(strict) or b"\r\nConnection: close\r\n" in answers[-1]
    assert not any(b"\r\nConnection: close\r\n" in answer for answer in answers[:-1])
    keyed = [one for one in strict if one.target not in (b"/nowhere", b"/health")]
    assert len(target.new_requests(before)) <= len(keyed)


@FUZZ
@given(data=mutated(), cuts=cuts)
def test_mutated_requests_reach_the_provider_as_a_strict_parser_reads_them_or_not_at_all(
    target: Target, data: bytes, cuts: list[int]
) -> None:
    check(target, data, cuts)


@FUZZ
@given(data=st.binary(min_size=1, max_size=300), cuts=cuts)
def test_garbage_is_answered_or_closed_and_reaches_nobody(target: Target, data: bytes, cuts: list[int]) -> None:
    before = len(target.provider.seen)
    check(target, data, cuts)
    assert target.new_requests(before) == []


@FUZZ
@given(
    lines=st.lists(st.sampled_from(SNIPPETS), max_size=12),
    cuts=cuts,
    body=st.sampled_from([b"", b"hello", b"0\r\n\r\n"]),
)
def test_heads_made_of_mischief_are_never_two_requests(
    target: Target, lines: list[bytes], cuts: list[int], body: bytes
) -> None:
    head = b"POST /v1/messages HTTP/1.1\r\nHost: g\r\nX-Majordomo-Key: " + KEY.encode() + b"\r\n"
    check(target, head + b"".join(lines) + b"\r\n" + body, cuts)


def test_every_single_byte_of_a_request_may_be_any_other(target: Target) -> None:
    """A sweep instead of a sample: each position once, with bytes that matter."""
    request = ask("/v1/messages", "Content-Type: application/json", body=b'{"model":"m"}')
    chosen = random.Random(7)
    for at in range(len(request)):
        byte = chosen.choice([0, 9, 10, 13, 32, 44, 48, 57, 58, 127, 200, 255])
        check(target, request[:at] + bytes([byte]) + request[at + 1 :], [])


def test_a_request_cut_short_anywhere_reaches_nobody(target: Target) -> None:
    request = ask("/v1/messages", "Content-Type: application/json", body=b'{"model":"m"}')
    before = len(target.provider.seen)
    for at in range(len(request)):
        target.speak([request[:at]] if at else [])
    assert target.new_requests(before) == []


@pytest.mark.parametrize(
    "smuggling",
    [
        # what a naive front takes for a body, and a naive back for a request
        b"Content-Length: 44\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /v1/models HTTP/1.1\r\nHost: g\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\nGET /v1/models HTTP/1.1\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\nGET /v1/models HTTP/1.1\r\n\r\n",
        b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\nGET /v1/models HTTP/1.1\r\n\r\n",
        b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\nGET /v1/models HTTP/1.1\r\n\r\n",
        b"X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /v1/models HTTP/1.1\r\n\r\n",
        b"X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /v1/models HTTP/1.1\r\n\r\n",
        b"Content-Length: 0\r\nContent-Length: 44\r\n\r\nGET /v1/models HTTP/1.1\r\nHost: g\r\n\r\n",
        b"Content-Length: 0, 44\r\n\r\nGET /v1/models HTTP/1.1\r\nHost: g\r\n\r\n",
        b"Content-Length:\x000\r\n\r\nGET /v1/models HTTP/1.1\r\nHost: g\r\n\r\n",
        b"Connection: Content-Length\r\nContent-Length: 33\r\n\r\nGET /v1/models HTTP/1.1\r\nHost: g\r\n\r\n",
        b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    ],
)
def test_known_ways_to_smuggle_are_one_request_or_none(target: Target, smuggling: bytes) -> None:
    smuggling = smuggling.replace(b"Host: g\r\n", b"Host: g\r\nX-Majordomo-Key: " + KEY.encode() + b"\r\n")
    before = len(target.provider.seen)
    check(target, ask("/v1/messages", method="POST")[:-2] + smuggling, [])
    assert [one.method for one in target.new_requests(before)] in ([], [b"POST"])
