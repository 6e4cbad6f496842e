"""One connection to a provider: parses replies and hands them on, one exchange at a time.

Flow control goes both ways: a caller that does not read stops our reading, a provider that does not read stops the
caller's. What the parser calls back is only collected; the exchange gets it once per piece of network data.
"""

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

import httptools

from majordomo.forward.providers import Origin

if TYPE_CHECKING:
    from majordomo.forward.pool import Pool

#: A reply's head: providers send 1 to 4 KB in 20 to 60 lines.
MAX_REPLY_HEAD_BYTES = 256 * 1024
MAX_REPLY_HEADERS = 1000


class ReplyTaker(Protocol):
    """Who a connection works for: an exchange."""

    no_reply_body: bool  # the request was HEAD

    def interim(self, upstream: "Upstream") -> None:
        """A 1xx reply is there: ``status``, ``reason``, ``headers``."""

    def reply(self, upstream: "Upstream") -> None:
        """Head, body pieces or the end have come."""

    def upstream_lost(self, upstream: "Upstream", why: str) -> None:
        """The connection broke, or what came is no HTTP, before the reply was complete."""

    def upstream_full(self) -> None:
        """The provider takes no more for now."""

    def upstream_ready(self) -> None:
        """It takes more again."""


class Upstream(asyncio.Protocol):
    """A connection to ``origin``. Between exchanges it rests in the pool."""

    __slots__ = (
        "_head_bytes",
        "_keep_alive",
        "_parser",
        "_pool",
        "_read_until_close",
        "_reply_began",
        "_stray",
        "complete",
        "exchanges",
        "head_done",
        "headers",
        "idle_since",
        "origin",
        "pieces",
        "reason",
        "status",
        "taker",
        "transport",
    )

    def __init__(self, pool: "Pool", origin: Origin) -> None:
        self._pool = pool
        self.origin = origin
        self.transport: Any = None
        self.taker: ReplyTaker | None = None
        self.exchanges = 0  # how many it has served: more than one means reused
        self.idle_since = 0.0
        self._parser = httptools.HttpResponseParser(self)
        self._forget_reply()

    def __repr__(self) -> str:
        state = "idle" if self.taker is None else ("replying" if self.head_done else "waiting")
        return f"<Upstream {self.origin.host}:{self.origin.port} {state} after {self.exchanges} exchanges>"

    def _forget_reply(self) -> None:
        self.status = 0
        self.reason = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.pieces: list[bytes] = []
        self.head_done = False
        self.complete = False
        self._reply_began = False
        self._keep_alive = False
        self._read_until_close = False
        self._stray = False
        self._head_bytes = 0

    # -- what the exchange does with it ---------------------------------------------------------------------------

    def begin(self, taker: ReplyTaker) -> None:
        """Work for ``taker`` from now on."""
        self.taker = taker
        self.exchanges += 1

    @property
    def usable(self) -> bool:
        """True while bytes can be written."""
        return not self.transport.is_closing()

    @property
    def silent(self) -> bool:
        """True while not one byte of a reply has come."""
        return not self._reply_began

    def take_body(self) -> bytes:
        """The body bytes that have come since the last call."""
        pieces = self.pieces
        if not pieces:
            return b""
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        return body

    def release(self) -> None:
        """The reply is complete: rest in the pool if both sides can, else close."""
        no_body = self.taker is not None and self.taker.no_reply_body
        self.taker = None
        if not (self.complete and self._keep_alive and not self._stray and self.usable):
            self.transport.close()
            return
        if no_body:
            # The parser still waits for the body that a HEAD reply's length announced.
            self._parser = httptools.HttpResponseParser(self)
        self._forget_reply()
        self._pool.rest(self)

    def drop(self) -> None:
        """Break off: whatever the provider is doing for us, it may stop."""
        self.taker = None
        self.transport.abort()

    # -- asyncio's callbacks --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        taker = self.taker
        if taker is None:
            self.transport.abort()  # nothing was asked: a connection that speaks out of turn is not to be trusted
            return
        self._reply_began = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if not self.complete:
                self._deliver(taker)
                self._lose("its reply is not valid HTTP")
                return
            self._stray = True
        self._deliver(taker)

    def _deliver(self, taker: ReplyTaker) -> None:
        if self.head_done and self.taker is taker:
            taker.reply(self)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self.taker is None:
            self._pool.forget(self)
            return
        if self.head_done and self._read_until_close and exc is None:
            self.complete = True
            self.taker.reply(self)
            return
        self._lose("the connection was closed" if exc is None else f"the connection broke ({type(exc).__name__})")

    def _lose(self, why: str) -> None:
        taker, self.taker = self.taker, None
        self.transport.abort()
        if taker is not None:
            taker.upstream_lost(self, why)

    def pause_writing(self) -> None:
        if self.taker is not None:
            self.taker.upstream_full()

    def resume_writing(self) -> None:
        if self.taker is not None:
            self.taker.upstream_ready()

    # -- httptools' callbacks -------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self.complete:
            self._stray = True

    def on_status(self, reason: bytes) -> None:
        if not self.complete:
            self.reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.head_done:
            return  # trailers go no further than this hop
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > MAX_REPLY_HEAD_BYTES or len(self.headers) >= MAX_REPLY_HEADERS:
            raise ValueError("reply head over its limit")
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self.complete:
            return
        self.status = self._parser.get_status_code()
        taker = self.taker
        if self.status < 200:
            if taker is not None:
                taker.interim(self)
            self.headers = []
            self.reason = b""
            return
        self.head_done = True
        self._keep_alive = self._parser.should_keep_alive()
        if taker is not None and taker.no_reply_body:
            self.complete = True
            return
        names = {name.lower() for name, _ in self.headers}
        self._read_until_close = b"content-length" not in names and b"transfer-encoding" not in names

    def on_body(self, body: bytes) -> None:
        if not self.complete:
            self.pieces.append(body)

    def on_message_complete(self) -> None:
        if self.head_done:
            self.complete = True
