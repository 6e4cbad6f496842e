"""Frames as bytes: how one is made, and how they are found again in what a disk gives back.

``length u32 | crc32 u32 | kind u8 | payload``, little-endian; length and checksum cover kind and payload. The payload
is a msgpack array. Nothing here raises on hostile bytes: what is not a whole, checked frame is told as not one.
"""

import re
import struct
import zlib
from typing import Any, NamedTuple

import msgspec

from majordomo.record.frames import Close, Opening

OPENING = 1
CLOSE = 2

_HEADER = struct.Struct("<IIB")
_PREFIX_BYTES = 8  # length and checksum, which they do not cover themselves

#: A reader believes no longer frame. The largest real one is a header block of 1 MiB, or a provider's usage object.
MAX_FRAME_BYTES = 8 * 1024 * 1024
_MAX_TEXT = 64 * 1024  # characters left of any one text when a frame would be longer than that
_MAX_INT = 2**63 - 1

_SEED = {kind: zlib.crc32(bytes([kind])) for kind in (OPENING, CLOSE)}
# Where a frame may begin: kind, then the head of a msgpack array of 16 to 255 fields. The array's head cannot occur
# in UTF-8 text, so no caller can plant a frame.
_LANDMARK = re.compile(rb"[\x01\x02]\xdc\x00")

_encode = msgspec.msgpack.Encoder().encode


class Found(NamedTuple):
    """One whole, checked frame, and the offset of the byte after it."""

    kind: int
    payload: memoryview
    end: int


def opening_frame(opening: Opening) -> bytes:
    """The bytes that announce a request. Never raises."""
    return _frame(OPENING, opening)


class OpeningMould:
    """Opening frames that differ in nothing but id and time, at a third of the cost of encoding each.

    A payload begins with the head of its array, the id as 16 bytes and the time as a 64-bit number; what follows is the
    same for every request with the same head and key.
    """

    __slots__ = ("_rest",)

    _START = b"\xdc\x00" + bytes((len(Opening.__struct_fields__),)) + b"\xc4\x10"
    _TIME = b"\xcf"

    def __init__(self, opening: Opening) -> None:
        """``opening``: one such request, its id 16 bytes and its time past 1970 by more than 2^32 microseconds."""
        payload = opening_frame(opening)[_PREFIX_BYTES + 1 :]
        assert payload.startswith(self._START) and payload[21:22] == self._TIME
        self._rest = payload[30:]

    def frame(self, request_id: bytes, requested_at: int) -> bytes:
        """The same bytes as ``opening_frame`` gives for this id and time."""
        payload = b"".join((self._START, request_id, self._TIME, requested_at.to_bytes(8), self._rest))
        return _HEADER.pack(len(payload) + 1, zlib.crc32(payload, _SEED[OPENING]), OPENING) + payload


def close_frame(close: Close) -> bytes:
    """The bytes that end a request. Never raises."""
    return _frame(CLOSE, close)


def _frame(kind: int, message: Opening | Close) -> bytes:
    try:
        payload = _encode(message)
    except (UnicodeEncodeError, OverflowError):
        payload = _encode(_fitted(message, None))
    if len(payload) >= MAX_FRAME_BYTES:
        payload = _encode(_fitted(message, _MAX_TEXT))
    return _HEADER.pack(len(payload) + 1, zlib.crc32(payload, _SEED[kind]), kind) + payload


def _fitted(value: Any, limit: int | None) -> Any:
    """The same with lone surrogates replaced, numbers within 64 bits, and texts within ``limit`` characters."""
    if isinstance(value, msgspec.Struct):
        changed = {name: _fitted(getattr(value, name), limit) for name in value.__struct_fields__}
        return type(value)(**changed)
    if type(value) is str:
        return value.encode("utf-8", "replace").decode()[:limit]
    if type(value) is bytes:
        return value if limit is None or len(value) <= limit else b'"too long to keep"'
    if type(value) is int:
        return max(-_MAX_INT, min(_MAX_INT, value))
    if isinstance(value, dict):
        return {_fitted(key, limit): _fitted(each, limit) for key, each in value.items()}
    if isinstance(value, tuple):
        return tuple(_fitted(each, limit) for each in value)
    return value


def frames_in(data: bytes, start: int, until: int) -> tuple[list[Found], int]:
    """The unbroken run of whole frames in ``data`` from ``start``, at most up to about ``until``, and where it ends."""
    found = []
    view = memoryview(data)
    size = len(data)
    at = start
    unpack, crc32 = _HEADER.unpack_from, zlib.crc32
    while at + 9 <= size and at < until:
        length, checksum, kind = unpack(data, at)
        end = at + _PREFIX_BYTES + length
        if not 0 < length <= MAX_FRAME_BYTES or end > size or crc32(view[at + _PREFIX_BYTES : end]) != checksum:
            break
        found.append(Found(kind, view[at + 9 : end], end))
        at = end
    return found, at


def next_frame_after(data: bytes, start: int) -> int | None:
    """Where the next whole frame begins after the damage at ``start``; None if there is none in ``data``."""
    for landmark in _LANDMARK.finditer(data, start + 1 + _PREFIX_BYTES):
        candidate = landmark.start() - _PREFIX_BYTES
        if frames_in(data, candidate, candidate + 1)[0]:
            return candidate
    return None
