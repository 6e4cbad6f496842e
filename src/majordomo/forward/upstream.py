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

#: A reply's head: providers send 1 to 4 KB.
MAX_REPLY_HEAD_BYTES = 256 * 1024


class ReplyTaker(Protocol):
    """Who a connection works for: an exchange."""

    no_reply_body: bool  # the request was HEAD

    def interim(self, upstream: "Upstream") -> None:
        """A 1xx reply is there: ``status``, ``raw_head``."""

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
        "_early",
        "_keep_alive",
        "_parser",
        "_pool",
        "_reply_began",
        "_stray",
        "complete",
        "exchanges",
        "head_done",
        "idle_since",
        "origin",
        "pieces",
        "raw_head",
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
        self.raw_head = b""  # as it came, without the empty line at its end
        self.pieces: list[bytes] = []
        self.head_done = False
        self.complete = False
        self._reply_began = False
        self._keep_alive = False
        self._stray = False
        self._early = b""  # of a head that is not yet whole

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
            if self.head_done:
                self._parser.feed_data(data)
            else:
                self._take_head(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if not self.complete:
                self._deliver(taker)
                self._lose("its reply is not valid HTTP")
                return
            self._stray = True
        if self.head_done and self.taker is taker:
            taker.reply(self)

    def _take_head(self, data: bytes) -> None:
        """Keep the head's bytes as they are; the parser only judges them and finds the body."""
        if self._early:
            data = self._early + data
            self._early = b""
        while True:
            end = data.find(b"\r\n\r\n")
            if end > MAX_REPLY_HEAD_BYTES or (end < 0 and len(data) > MAX_REPLY_HEAD_BYTES):
                raise httptools.HttpParserError("reply head over its limit")
            if end < 0:
                self._early = data
                return
            if not data.startswith(b"HTTP/1."):
                raise httptools.HttpParserError("not HTTP/1")  # the parser would also take ICE, RTSP and empty lines
            self.raw_head = data[:end]
            if data[9:10] != b"1":
                self._parser.feed_data(data)
                return
            # An interim reply: the real one follows, perhaps in the same piece.
            self._parser.feed_data(data[: end + 4])
            data = data[end + 4 :]

    def _deliver(self, taker: ReplyTaker) -> None:
        if self.head_done and self.taker is taker:
            taker.reply(self)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self.taker is None:
            self._pool.forget(self)
            return
        if self.head_done and exc is None and self._ends_with_connection():
            self.complete = True
            self.taker.reply(self)
            return
        self._lose("the connection was closed" if exc is None else f"the connection broke ({type(exc).__name__})")

    def _ends_with_connection(self) -> bool:
        """True for a body whose end nothing but the connection's end tells."""
        low = self.raw_head.lower()
        return b"\r\ncontent-length:" not in low and b"\r\ntransfer-encoding:" not in low

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

    def on_headers_complete(self) -> None:
        if self.complete:
            return
        self.status = self._parser.get_status_code()
        taker = self.taker
        if self.status < 200:
            if taker is not None and self.status != 101:  # nobody asked for another protocol: the parser will object
                taker.interim(self)
            return
        self.head_done = True
        self._keep_alive = self._parser.should_keep_alive()
        if taker is not None and taker.no_reply_body:
            self.complete = True

    def on_body(self, body: bytes) -> None:
        if self.complete:
            self._stray = True
        else:
            self.pieces.append(body)

    def on_message_complete(self) -> None:
        if self.head_done:
            self.complete = True
