"""Lines and events, however the bytes arrive."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from majordomo.meter.sse import Events, Lines


def cut(body: bytes, *places: int, limit: int = 1 << 20) -> list[bytes]:
    """The events of ``body``, fed in pieces."""
    splitter = Events(limit)
    found: list[bytes] = []
    edges = [0, *sorted(places), len(body)]
    for start, end in itertools.pairwise(edges):
        found += splitter.feed(body[start:end])
    rest = splitter.rest()
    return [*found, rest] if rest is not None else found


STREAMS = [
    (b"data: a\n\ndata: b\n\n", [b" a", b" b"]),
    (b"data: a\r\n\r\ndata: b\r\n\r\n", [b" a", b" b"]),
    (b"data: a\r\rdata: b\r\r", [b" a", b" b"]),
    (b"\xef\xbb\xbfdata: a\n\n", [b" a"]),
    (b": comment\n\n:\n\ndata:a\n\n", [b"a"]),
    (b"event: x\nid: 1\nretry: 5\ndata: a\n\n", [b" a"]),
    (b"data: a\ndata: b\ndata:c\n\n", [b" a\n b\nc"]),
    (b"data: a\n\n\n\n\ndata: b\n\n", [b" a", b" b"]),
    (b"event: x\n\ndatas: no\n\ndata: a\n\n", [b" a"]),
    (b"data: never closed", [b" never closed"]),
    (b"data: a\ndata: b\n", [b" a\n b"]),
    (b"data: \xc2\x85\xe2\x80\xa8\x0b\x0c\x1c\n\n", [b" \xc2\x85\xe2\x80\xa8\x0b\x0c\x1c"]),
    (b"\r\ndata: a\r\n\r\n", [b" a"]),
    (b"", []),
]


@pytest.mark.parametrize(("body", "expected"), STREAMS, ids=lambda value: repr(value)[:40])
def test_events_are_the_same_at_every_cut(body: bytes, expected: list[bytes]):
    """Whole, byte by byte, and cut in two at every place."""
    assert cut(body) == expected
    assert cut(body, *range(len(body))) == expected
    for place in range(len(body)):
        assert cut(body, place) == expected


@given(
    st.lists(st.sampled_from([b"data: {}", b"data:x", b"\n", b"\r", b"\r\n", b"\n\n", b": c", b"event: e", b"id"])),
    st.lists(st.integers(0, 60), max_size=6),
)
def test_any_cuts_of_any_stream_give_the_same_events(pieces: list[bytes], places: list[int]):
    """Line ends of all three kinds, mixed."""
    body = b"".join(pieces)
    assert cut(body, *(place for place in places if place <= len(body))) == cut(body)


@given(st.binary(max_size=300), st.integers(1, 40))
def test_lines_agree_with_the_standard_librarys(body: bytes, step: int):
    """For any bytes in steps of any size."""
    splitter = Lines(1 << 20)
    found: list[bytes] = []
    for start in range(0, len(body), step):
        found += splitter.feed(body[start : start + step])
    rest = splitter.rest()
    expected = body.removeprefix(b"\xef\xbb\xbf").splitlines()
    assert ([*found, rest] if rest else found) == expected


def test_a_line_beyond_the_limit_is_dropped_and_the_next_one_read():
    """Its bytes are counted, not kept."""
    splitter = Events(1_000)
    found: list[bytes] = []
    for _ in range(500):
        found += splitter.feed(b"data: " + b"x" * 100 if not found and _ == 0 else b"x" * 100)
    found += splitter.feed(b"\n\ndata: next\n\n")
    assert found == [b" next"]
    assert splitter.rest() is None
    assert splitter.dropped == 500 * 100 + len(b"data: ")


def test_an_event_of_endless_lines_is_dropped_and_the_next_one_read():
    """The limit holds for the event as for the line."""
    splitter = Events(1_000)
    for _ in range(1_000):
        assert splitter.feed(b"data: xxxxxxxxxx\n") == []
    assert splitter.feed(b"\n") == []
    assert splitter.feed(b"data: next\n\n") == [b" next"]
    assert splitter.dropped > 10_000


def test_a_line_of_megabytes_in_small_pieces_is_read():
    """There is no limit on a line but the stated one, and gathering it costs time in proportion to its length."""
    splitter = Events(64 << 20)
    size = 8 << 20
    assert splitter.feed(b"data: ") == []
    for _ in range(size // 4096):
        assert splitter.feed(b"y" * 4096) == []
    (event,) = splitter.feed(b"\n\n")
    assert len(event) == size + 1
