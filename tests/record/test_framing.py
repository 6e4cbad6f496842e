"""Frames found again in whatever a disk gives back."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from majordomo.record.frames import Close, Opening
from majordomo.record.framing import (
    CLOSE,
    MAX_FRAME_BYTES,
    OPENING,
    OpeningMould,
    close_frame,
    frames_in,
    next_frame_after,
    opening_frame,
)


def _frames(made, count=6):
    openings = [made.opening(metadata={"N": "x" * (number * 7)}) for number in range(count // 2)]
    return [opening_frame(each) for each in openings] + [close_frame(made.close(each)) for each in openings]


def test_a_frame_gives_back_what_was_put_in(made):
    """An opening and a close survive the way through bytes unchanged."""
    opening = made.opening()
    close = made.close(opening)
    found, end = frames_in(opening_frame(opening) + close_frame(close), 0, 10**6)
    assert [frame.kind for frame in found] == [OPENING, CLOSE]
    assert msgspec.msgpack.decode(found[0].payload, type=Opening) == opening
    assert msgspec.msgpack.decode(found[1].payload, type=Close) == close
    assert end == found[1].end


def test_cut_at_every_byte_only_whole_frames_are_found(made):
    """However many bytes of a segment survive, exactly the frames that are whole in them are read."""
    frames = _frames(made, 4)
    data = b"".join(frames)
    ends = [sum(map(len, frames[: number + 1])) for number in range(len(frames))]
    for cut in range(len(data) + 1):
        found, end = frames_in(data[:cut], 0, 10**6)
        assert [frame.end for frame in found] == [whole for whole in ends if whole <= cut]
        assert end == max([0, *(whole for whole in ends if whole <= cut)])


def test_every_flipped_bit_is_noticed(made):
    """A frame with any one bit changed is never taken for a frame, and the one behind it is found."""
    first, second = _frames(made, 2)
    for position in range(len(first)):
        for bit in (0, 3, 7):
            damaged = bytearray(first + second)
            damaged[position] ^= 1 << bit
            assert frames_in(bytes(damaged), 0, 10**6)[0] == []
            assert next_frame_after(bytes(damaged), 0) == len(first)


@given(st.binary(max_size=400), st.integers(0, 30))
def test_hostile_bytes_never_raise(data, start):
    """Arbitrary bytes give no frame and no exception."""
    found, end = frames_in(data, start, 10**6)
    assert not found
    assert end == start
    assert next_frame_after(data, start) is None


@pytest.mark.parametrize("zeros", [1, 8, 9, 4096])
def test_zeros_are_no_frame(zeros):
    """The zero-filled tail that a power cut leaves is read as nothing."""
    assert frames_in(bytes(zeros), 0, 10**6) == ([], 0)


def test_what_cannot_be_encoded_is_made_safe(made):
    """Lone surrogates and numbers beyond 64 bits never keep a request out of the journal."""
    opening = made.opening(metadata={"Name\ud800": "value\udfff"}, path="/\ud800")
    close = made.close(opening, input_tokens=2**80, error_message="\ud800")
    found, _ = frames_in(opening_frame(opening) + close_frame(close), 0, 10**6)
    assert msgspec.msgpack.decode(found[0].payload, type=Opening).metadata == {"Name?": "value?"}
    assert msgspec.msgpack.decode(found[1].payload, type=Close).input_tokens == 2**63 - 1


def test_an_enormous_frame_is_cut_to_what_a_reader_believes(made):
    """A provider's usage object of many megabytes costs the usage, not the row."""
    close = made.close(made.opening(), usage=b'"' + b"x" * MAX_FRAME_BYTES + b'"', error_message="y" * MAX_FRAME_BYTES)
    found, _ = frames_in(close_frame(close), 0, 10**6)
    kept = msgspec.msgpack.decode(found[0].payload, type=Close)
    assert kept.usage == b'"too long to keep"'
    assert kept.bill == close.bill


@pytest.mark.parametrize("at", [0, 1_763_726_400_000_000, 2**56])
@pytest.mark.parametrize("org_id", [None, bytes(range(16))])
def test_a_mould_gives_the_frames_that_encoding_gives(made, at, org_id):
    """What a mould makes is read as the same opening, whatever its id, time and owner."""
    opening = made.opening(id=bytes(range(16, 32)), requested_at=at, org_id=org_id)
    frame = OpeningMould(made.opening(org_id=org_id)).frame(opening.id, at)
    found, end = frames_in(frame, 0, 10**6)
    assert end == len(frame)
    assert msgspec.msgpack.decode(found[0].payload, type=Opening) == opening
    assert at == 0 or frame == opening_frame(opening)
