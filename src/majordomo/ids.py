"""Request ids: UUID version 7 (RFC 9562), so that ids sort by time and the primary key stays cheap to extend."""

import os
import re
from functools import lru_cache
from uuid import UUID

_UUID = re.compile(r"[0-9A-Fa-f]{8}(-?)(?:[0-9A-Fa-f]{4}\1){3}[0-9A-Fa-f]{12}", re.ASCII)

_RANDOM_POOL = 4096  # bytes drawn from the kernel at a time: one system call for some 400 ids


class IdMaker:
    """Makes UUIDv7s that increase strictly within one process, also within a ms or when the clock steps back."""

    __slots__ = ("_left", "_pool", "_sequence", "_stamp_ms")

    # The variant bits of RFC 9562 in the first of the eight random bytes.
    _VARIANT = tuple(bytes((0x80 | (byte & 0x3F),)) for byte in range(256))

    def __init__(self) -> None:
        self._pool = b""
        self._left = 0
        self._stamp_ms = 0
        self._sequence = 0

    def make(self, wall_us: int) -> bytes:
        """The next id as 16 bytes: 48 bits of Unix ms, version, 12 bits of sequence, variant, 62 random bits."""
        stamp_ms = wall_us // 1000
        if stamp_ms > self._stamp_ms:
            self._stamp_ms = stamp_ms
            self._sequence = 0
        else:
            self._sequence += 1
            if self._sequence > 0xFFF:
                self._stamp_ms += 1
                self._sequence = 0
        if self._left < 8:
            self._pool = os.urandom(_RANDOM_POOL)
            self._left = _RANDOM_POOL
        pool, end = self._pool, self._left
        self._left = end - 8
        head = (self._stamp_ms << 16 | 0x7000 | self._sequence).to_bytes(8)
        return head + self._VARIANT[pool[end - 8]] + pool[end - 7 : end]


def uuid_text(raw: bytes) -> str:
    """The 36-character form of a 16-byte id."""
    digits = raw.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def new_uuid(wall_us: int) -> UUID:
    """One UUIDv7 for a thing made rarely (a key, a journal), outside the request path."""
    return UUID(bytes=IdMaker().make(wall_us))


def read_uuid(text: str) -> UUID | None:
    """The UUID that a text from outside is, with or without its hyphens; None if it is none.

    Python's own reading takes much else: braces, hyphens anywhere, underscores between digits.
    """
    return _read_uuid(text) if len(text) in (32, 36) else None


@lru_cache(maxsize=4096)  # the ids of sessions are read several times for each of their requests
def _read_uuid(text: str) -> UUID | None:
    return UUID(text) if _UUID.fullmatch(text) else None
