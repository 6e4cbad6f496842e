"""What reached the scripted provider, kept for tests to read, within a stated memory."""

import base64
from collections import deque
from typing import Any

import msgspec

#: Most bytes of requests kept; older ones are dropped and counted. Enough for thousands of ordinary requests.
MAX_KEPT_BYTES = 32 * 1024 * 1024

#: What a kept request costs besides its body and headers, roughly.
_OVERHEAD = 2048


class Visit(msgspec.Struct, frozen=True):
    """One request as it arrived. Header names are as sent."""

    number: int  # counts from 0
    method: str
    target: str  # path and query
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def size(self) -> int:
        """Bytes that keeping it takes, roughly."""
        return len(self.body) + len(self.target) + _OVERHEAD

    def as_json(self, *, body: bool) -> dict[str, Any]:
        """For ``GET /__requests``; the body in base64."""
        shown: dict[str, Any] = {"number": self.number, "method": self.method, "target": self.target}
        shown["headers"] = self.headers
        if body:
            shown["body"] = base64.b64encode(self.body).decode()
        return shown


class Visits:
    """The latest requests and the counts of all."""

    def __init__(self, limit: int = MAX_KEPT_BYTES) -> None:
        self._limit = limit
        self.clear()

    def clear(self) -> None:
        """Forget everything, counts included."""
        self._kept: deque[Visit] = deque()
        self._bytes = 0
        self.count = 0  # arrived
        self.finished = 0  # replies whose last byte was handed to the network
        self.cut = 0  # replies that a script broke off
        self.abandoned = 0  # replies whose caller left before their end

    def add(self, method: str, target: str, headers: tuple[tuple[str, str], ...], body: bytes) -> Visit:
        """Note one request."""
        visit = Visit(self.count, method, target, headers, body)
        self.count += 1
        self._kept.append(visit)
        self._bytes += visit.size
        while self._bytes > self._limit and len(self._kept) > 1:
            self._bytes -= self._kept.popleft().size
        return visit

    def since(self, number: int, *, bodies: bool) -> list[dict[str, Any]]:
        """The kept requests from ``number`` on."""
        return [visit.as_json(body=bodies) for visit in self._kept if visit.number >= number]

    def stats(self) -> dict[str, int]:
        """All counts."""
        counts = {"requests": self.count, "finished": self.finished, "cut": self.cut, "abandoned": self.abandoned}
        return {**counts, "kept": len(self._kept), "dropped": self.count - len(self._kept)}
