"""A head that was seen before is found again by its bytes: to the same effect as parsing it, and never by mistake."""

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from running_desk import KEY, REVOKED_KEY, UNKNOWN_KEY, RunningDesk, ask, ok
from wire import Message, Peer, Providers

from majordomo.admit.keys import DigestCache
from majordomo.forward.plan import PlanMemo, _cut

MESSAGES = "/v1/messages"


class Pair:
    """One desk and one connection on each side, kept over many examples."""

    def __init__(self, desk: RunningDesk, providers: Providers) -> None:
        self.desk, self.providers = desk, providers
        self.caller = desk.dial()
        self.provider: Peer | None = None

    def exchange(self, *pieces: bytes) -> tuple[Message | None, Message]:
        """What the provider got and what the caller got, for a request in these pieces."""
        for piece in pieces:
            self.caller.send(piece)
            self.desk.call(lambda: None)
        self.desk.call(lambda: None)
        got = None
        if self.desk.call(self._under_way):
            if self.provider is None:
                self.provider = self.providers.accept()
            got = self.provider.request()
            self.provider.send(ok())
        reply = self.caller.reply()
        if reply.value("Connection") == "close":
            self.caller.assert_ended()
            self.caller.hang_up()
            self.caller = self.desk.dial()
        return got, reply

    def _under_way(self) -> bool:
        return any(caller.busy for caller in self.desk.desk.callers)

    def openings(self) -> list[dict[str, Any]]:
        return [
            {
                name: value
                for name, value in msgspec.structs.asdict(row.opening).items()
                if name not in ("id", "requested_at")
            }
            for row in self.desk.rows_so_far()
        ]


@pytest.fixture
def pair(desk: RunningDesk, providers: Providers) -> Pair:
    return Pair(desk, providers)


def comparable(reply: Message) -> tuple[bytes, list[bytes], int]:
    """A reply without its request's id."""
    lines = [line for line in reply.lines if not line.startswith(b"X-Majordomo-Request-Id")]
    body = reply.body if reply.status == 200 else b""
    return reply.start, lines if reply.status == 200 else [], len(body)


names = st.sampled_from(
    ["Accept", "X-Majordomo-Team", "x-majordomo-user-id", "Authorization", "x-api-key", "X-Length", "User-Agent"]
)
values = st.sampled_from(
    ["a", "Bearer sk-1", "Content-Length: 5", "7", "\\r\\nContent-Length: 3", "x" * 300, "tchunked", "  spaced  "]
)
heads = st.tuples(
    st.sampled_from(["/v1/messages", "/v1/chat/completions", "/v1/embeddings?key=q", "/nowhere", "/v1/messages?x=1"]),
    st.lists(st.tuples(names, values), max_size=4),
    st.sampled_from([KEY, KEY, KEY, UNKNOWN_KEY, REVOKED_KEY, None]),
    st.sampled_from(["Content-Length", "content-length", "Content-length"]),
)
bodies = st.sampled_from(
    [b"", b"{}", b'{"stream":true}', b"x" * 9, b"x" * 10, b"y" * 1000, b"\r\n\r\n", b"Content-Length: 9"]
)


def spelled(head: Any, body: bytes) -> bytes:
    target, lines, key, name = head
    return ask(target, *(f"{n}: {v}" for n, v in lines), f"{name}: {len(body)}", method="POST", key=key) + body


def test_known_heads_give_the_same_request_reply_and_row_as_parsed_ones(pair: Pair) -> None:
    @settings(max_examples=60, deadline=None)
    @given(heads, st.lists(bodies, min_size=2, max_size=3))
    def check(head: Any, several: list[bytes]) -> None:
        for body in several:
            before = len(pair.desk.rows_so_far())
            request = spelled(head, body)
            parsed = pair.exchange(request[:20], request[20:])
            whole = pair.exchange(request)
            known = pair.exchange(request)
            for got, reply in (whole, known):
                assert comparable(reply) == comparable(parsed[1])
                assert (got is None) == (parsed[0] is None)
                if got is not None and parsed[0] is not None:
                    assert (got.head, got.body) == (parsed[0].head, parsed[0].body)
            rows = pair.openings()[before:]
            assert len(rows) in (0, 3)
            assert rows == rows[:1] * len(rows)

    check()


def test_a_known_head_is_found(pair: Pair) -> None:
    """Otherwise the test above would compare parsing with itself."""
    found = []
    memo = pair.desk.desk.memo

    class Counting(PlanMemo):
        def find(self, data: bytes) -> Any:
            known = memo.find(data)
            found.append(known is not None)
            return known

        def keep(self, data: bytes, plan: Any) -> None:
            memo.keep(data, plan)

    pair.desk.desk.memo = Counting()
    for body in (b"{}", b"{ }", b'{"model":"m"}', b""):
        got, _ = pair.exchange(ask(MESSAGES, body=body))
        assert got is not None
        assert got.body == body
    assert found == [False, True, True, True]


NEAR_MISSES = {
    "two lengths": b"Content-Length: 2\r\nContent-Length: 2",
    "two lengths in two spellings": b"content-length: 2\r\nContent-Length: 2",
    "a plus sign": b"Content-Length: +2",
    "a minus sign": b"Content-Length: -2",
    "hexadecimal": b"Content-Length: 0x2",
    "underscores": b"Content-Length: 0_2",
    "other digits": "Content-Length: ²".encode(),
    "a list": b"Content-Length: 2,2",
    "nothing": b"Content-Length: ",
    "a bare line feed": b"Content-Length: 2\nX: y",
    "a coding": b"Content-Length: 2\r\nTransfer-Encoding: chunked",
}


@pytest.mark.parametrize("line", NEAR_MISSES.values(), ids=NEAR_MISSES)
def test_a_head_that_nearly_equals_a_known_one_is_judged_by_the_parser(
    pair: Pair, providers: Providers, line: bytes
) -> None:
    plain = ask(MESSAGES, body=b"{}")
    assert pair.exchange(plain)[1].status == 200
    assert pair.exchange(plain)[1].status == 200
    _, reply = pair.exchange(plain.replace(b"Content-Length: 2", line))
    assert reply.status == 400
    assert pair.exchange(plain)[1].status == 200


@pytest.mark.parametrize("length", ["002", "2 ", " 2", "2\t"])
def test_odd_spellings_of_a_length_mean_what_the_parser_says(pair: Pair, length: str) -> None:
    for body in (b"{}", b"{}"):
        got, reply = pair.exchange(ask(MESSAGES, f"Content-Length: {length}", method="POST") + body)
        assert reply.status == 200
        assert got is not None
        assert got.body == b"{}"


def test_more_or_less_body_than_the_length_says_is_no_whole_request(pair: Pair) -> None:
    plain = ask(MESSAGES, body=b"{}")
    assert pair.exchange(plain)[1].status == 200
    got, reply = pair.exchange(plain.replace(b"Length: 2", b"Length: 4"), b"[]")
    assert got is not None
    assert (got.body, reply.status) == (b"{}[]", 200)


def test_a_length_over_the_limit_is_refused_also_for_a_known_head(
    open_desk: Callable[..., RunningDesk], providers: Providers
) -> None:
    pair = Pair(open_desk(max_body_bytes=1024), providers)
    assert pair.exchange(ask(MESSAGES, body=b"x" * 1024))[1].status == 200
    assert pair.exchange(ask(MESSAGES, body=b"x" * 1024))[1].status == 200
    assert pair.exchange(ask(MESSAGES, body=b"x" * 1025))[1].status == 413


def test_a_key_revoked_or_made_meanwhile_counts_for_known_heads_too(pair: Pair) -> None:
    request = ask(MESSAGES, body=b"{}")
    for _ in range(2):
        assert pair.exchange(request)[1].status == 200
    ring = pair.desk.ring
    kept = pair.desk.call(ring.items)
    pair.desk.call(ring.replace_all, {h: key._replace(active=False) for h, key in kept})
    assert pair.exchange(request)[1].status == 401
    pair.desk.call(ring.replace_all, dict(kept))
    assert pair.exchange(request)[1].status == 200


def test_two_callers_with_all_but_equal_heads_keep_their_secrets_apart(pair: Pair) -> None:
    for _ in range(3):
        for secret in ("sk-one", "sk-two", "sk-on"):
            got, _ = pair.exchange(ask(MESSAGES, f"x-api-key: {secret}", body=b"{}"))
            assert got is not None
            assert got.values("x-api-key") == [secret]
    hashes = [row["provider_key_hash"] for row in pair.openings()]
    assert len(set(hashes)) == 3
    assert hashes == hashes[:3] * 3


def test_expectations_and_chunked_bodies_are_never_taken_from_memory(pair: Pair) -> None:
    for _ in range(3):
        request = ask(MESSAGES, "Transfer-Encoding: chunked", method="POST") + b"2\r\n{}\r\n0\r\n\r\n"
        got, reply = pair.exchange(request)
        assert got is not None
        assert (got.body, reply.status) == (b"{}", 200)


# -- the memo alone -------------------------------------------------------------------------------------------------


class _Head:
    chunked = False


class _Plan:
    expects_continue = False
    passing = False
    head = _Head()


def test_the_memo_is_bounded() -> None:
    memo = PlanMemo()
    for i in range(5000):
        memo.keep(b"GET /%d HTTP/1.1\r\nHost: g\r\n\r\n" % i, _Plan())  # type: ignore[arg-type]
    assert len(memo._plans) <= 512
    memo.keep(b"GET / HTTP/1.1\r\nX: " + b"x" * 5000 + b"\r\n\r\n", _Plan())  # type: ignore[arg-type]
    assert not any(len(key) > 4200 for key in memo._plans)


@given(st.binary(max_size=60), st.binary(max_size=20), st.integers(0, 30))
def test_what_is_cut_out_of_a_head_is_nothing_but_the_digits_of_the_length(
    before: bytes, after: bytes, length: int
) -> None:
    data = (
        b"GET / HTTP/1.1\r\nX: " + before + b"\r\nContent-Length: %d\r\n" % length + after + b"\r\n\r\n" + b"b" * length
    )
    cut = _cut(data)
    if cut is None:
        return
    key, start = cut
    head, body = data[:start], data[start:]
    assert head.endswith(b"\r\n\r\n")
    removed = len(head) - len(key)
    at = next((i for i in range(len(key)) if key[i] != head[i]), len(key))
    if removed:
        # Equal but for one run of digits, and those digits are the length of the body.
        starts = [i for i in range(at + 1) if head[:i] + head[i + removed :] == key and head[i : i + removed].isdigit()]
        assert any(int(head[i : i + removed]) == len(body) for i in starts)
    else:
        assert body == b""


@given(st.lists(st.binary(max_size=80), max_size=50))
def test_digests_are_right_however_often_they_are_asked(secrets: list[bytes]) -> None:
    cache = DigestCache()
    for secret in secrets * 2:
        assert cache.hex(secret) == sha256(secret).hexdigest()


def test_digests_are_bounded() -> None:
    cache = DigestCache()
    for i in range(10_000):
        cache.hex(b"%d" % i)
    assert len(cache._known) <= 4096
