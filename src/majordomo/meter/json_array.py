"""A JSON array that streams in: its elements, one by one, as they end.

Plan: look only at quotes and brackets; an object that closes at the top, or one level into an array, is an element.
Text between elements is passed over. An element longer than ``limit`` bytes is dropped and counted.
"""

import re
from typing import Final

_IN_STRING: Final = re.compile(rb'["\\]')
_OUTSIDE: Final = re.compile(rb'["{}\[\]]')
#: Deepest nesting that is followed; JSON decoders refuse less.
_DEPTH_MAX: Final = 100_000


class Elements:
    """Cuts bytes into the objects of an array, or into objects that follow one another."""

    __slots__ = ("_base", "_depth", "_escaped", "_limit", "_pieces", "_quoted", "_size", "dropped")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._base = 0  # the depth at which elements stand: 1 inside an array
        self._depth = 0
        self._quoted = False
        self._escaped = False  # the next byte is part of an escape
        self._pieces: list[bytes] = []  # of the element that has not ended
        self._size = 0
        self.dropped = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The elements that ended within ``data``."""
        elements = []
        start = 0 if self._depth > self._base else -1  # where the open element begins in data
        at = 0
        while True:
            if self._escaped:
                if at >= len(data):
                    break
                self._escaped = False
                at += 1
            found = (_IN_STRING if self._quoted else _OUTSIDE).search(data, at)
            if found is None:
                break
            at = found.end()
            mark = found[0]
            if mark == b"\\":
                self._escaped = True
            elif mark == b'"':
                self._quoted = not self._quoted
            elif mark in b"{[":
                if self._depth == self._base and mark == b"{":
                    start = found.start()
                elif self._depth == 0 and self._base == 0:
                    self._base = 1
                self._depth = min(self._depth + 1, _DEPTH_MAX)
            else:
                self._depth = max(self._depth - 1, 0)
                if self._depth == self._base and start >= 0:
                    element = self._ended(data[start:at])
                    if element is not None:
                        elements.append(element)
                    start = -1
        if start >= 0:
            self._keep(data[start:])
        return elements

    def rest(self) -> bytes | None:
        """The element that never ended."""
        return self._ended(b"") if self._pieces or self._size else None

    def _keep(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._limit:
            self._pieces.clear()
        else:
            self._pieces.append(piece)

    def _ended(self, piece: bytes) -> bytes | None:
        self._keep(piece)
        element = None if self._size > self._limit else b"".join(self._pieces)
        if element is None:
            self.dropped += self._size
        self._pieces.clear()
        self._size = 0
        return element
