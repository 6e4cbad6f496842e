"""Asking over HTTP as a browser does, and what the times come to."""

import gzip
import http.client
import json
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import msgspec

from bench.processes import BenchmarkError

#: Connections that a browser opens to one host.
CONNECTIONS: Final = 6
_TIMEOUT: Final = 60.0


class Times(msgspec.Struct, frozen=True):
    """Milliseconds of some answers."""

    answers: int
    p50: float
    p95: float
    worst: float

    @classmethod
    def of(cls, some: Iterable[float]) -> "Times":
        """From seconds."""
        ms = sorted(one * 1000 for one in some)
        return cls(len(ms), ms[(len(ms) - 1) // 2], ms[max(0, -(-len(ms) * 95 // 100) - 1)], ms[-1])


class Asker:
    """One connection that is kept."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT)
        self._headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "gzip"}

    def ask(self, path: str) -> float:
        """Seconds until the whole answer was there.

        Raises:
            BenchmarkError: it was no 200.
        """
        begin = time.perf_counter()
        self._read(path)
        return time.perf_counter() - begin

    def answer(self, path: str) -> Any:
        """The JSON."""
        return json.loads(self._read(path))

    def _read(self, path: str) -> bytes:
        try:
            reply = self._reply(path)
        except (http.client.RemoteDisconnected, ConnectionError):  # an idle connection was let go; a browser asks anew
            self._connection.close()
            reply = self._reply(path)
        body = reply.read()
        if reply.getheader("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if reply.status != http.client.OK:
            raise BenchmarkError(f"{path} was answered with {reply.status}: {body[:300]!r}")
        return body

    def _reply(self, path: str) -> http.client.HTTPResponse:
        self._connection.request("GET", path, headers=self._headers)
        return self._connection.getresponse()


class Browser:
    """Several connections, and a page's questions over all of them at once."""

    def __init__(self, port: int, token: str) -> None:
        self._askers = [Asker(port, token) for _ in range(CONNECTIONS)]
        self._threads = ThreadPoolExecutor(CONNECTIONS)

    def load(self, first: Sequence[str], then: Sequence[str]) -> float:
        """Seconds until all are answered; ``then`` is asked once the first of ``first`` is there."""
        begin = time.perf_counter()
        waiting = [*first]
        running = [self._threads.submit(self._each, asker, waiting) for asker in self._askers]
        for one in running:
            one.result()
        if then:
            self._askers[0].ask(then[0])
        return time.perf_counter() - begin

    @staticmethod
    def _each(asker: Asker, waiting: list[str]) -> None:
        while waiting:
            try:
                path = waiting.pop(0)
            except IndexError:  # another connection was quicker
                return
            asker.ask(path)
