"""One caller's connection, from its first byte to its last: parse, one exchange at a time, keep-alive, limits.

The parser's callbacks only collect. What follows from them is decided once per piece of network data, when a small
request is whole and can go on in one step. A request that is not well-formed is refused and the connection closed:
nothing is repaired, so that no two parsers can disagree about where a request ends.
"""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NoReturn

import httptools

from majordomo.admit import refusal as why
from majordomo.admit.refusal import Refusal
from majordomo.forward.error_shapes import error_body
from majordomo.forward.exchange import Exchange
from majordomo.forward.plan import Plan
from majordomo.forward.request import Request
from majordomo.forward.request_head import MalformedHeadError, read_head
from majordomo.forward.routes import family_of

if TYPE_CHECKING:
    from majordomo.forward.desk import Desk

#: After a refusal the rest of a request is read and thrown away for this long (s): closing at once would make the
#: kernel reset the connection, and the caller could lose the answer.
LINGER_SECONDS = 5.0

# Why reading is held back; reading goes on when no reason is left.
_PIPELINE, _UPSTREAM, _WAITING = 1, 2, 4

_VERSIONS = {"1.1": True, "1.0": False}


class _RefusedError(Exception):
    """Stops the parser; the refusal itself is in ``Caller._fault``."""


class Caller(asyncio.Protocol):
    """A connection of someone who sends requests."""

    __slots__ = (
        "_closing",
        "_desk",
        "_exchange",
        "_fault",
        "_full",
        "_head_bytes",
        "_head_done",
        "_head_since",
        "_headers",
        "_heads_begun",
        "_holds",
        "_linger_since",
        "_open_bytes",
        "_parser",
        "_request",
        "_seen_at",
        "_target",
        "_transport",
        "_waiting",
    )

    def __init__(self, desk: "Desk") -> None:
        self._desk = desk
        self._parser = httptools.HttpRequestParser(self)
        self._transport: Any = None
        self._request: Request | None = None  # the one the parser is in, once its head is complete
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._head_done = True
        self._open_bytes = 0  # that have come since the parser last called back a body
        self._head_since: float | None = None  # when a request began to arrive that is not yet complete
        self._heads_begun = 0  # in the piece of data being parsed
        self._exchange: Exchange | None = None
        self._waiting: deque[Request] = deque()  # sent ahead
        self._holds = 0
        self._fault: Refusal | None = None
        self._full = False  # it takes no more for now
        self._closing = False
        self._linger_since: float | None = None
        self._seen_at = desk.tick

    def __repr__(self) -> str:
        state = "closing" if self._closing else "busy" if self._exchange else "idle"
        return f"<Caller {state}, {len(self._waiting)} requests ahead>"

    # -- asyncio's callbacks --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        desk = self._desk
        desk.callers.add(self)
        if len(desk.callers) > desk.max_connections:
            self._answer_fault(why.CROWDED)

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        desk = self._desk
        self._seen_at = desk.tick
        if self._exchange is None and self._head_since is None and self._fault is None and not self._full:
            known = desk.memo.find(data)
            if known is not None:
                self._take_whole(*known)
                return
            self._parse(data)
            request = self._request
            if request is not None and request.complete and self._heads_begun == 1:
                desk.memo.keep(data, request.plan)
        else:
            self._parse(data)
        self._advance()

    def _take_whole(self, plan: Plan, body: bytes) -> None:
        """A whole request with a head that was seen before: no parsing is needed."""
        request = Request(plan)
        request.complete = True
        if body:
            request.body_bytes = len(body)
            request.pending.append(body)
        exchange = self._exchange = Exchange(self._desk, self, request)
        exchange.start()

    def _parse(self, data: bytes) -> None:
        desk = self._desk
        before = self._request  # the one that this data may carry on
        body_before = before.body_bytes if before is not None else 0
        fresh = self._head_since is None
        self._heads_begun = 0
        if fresh:
            self._head_since = desk.tick
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            if self._fault is None:
                if isinstance(error, httptools.HttpParserCallbackError):
                    raise  # a fault of ours, not of the caller's: the event loop logs it and closes
                self._fault = why.malformed(str(error) or "not HTTP/1.1")
            self._drop_broken_request()
        if self._head_since is not None and self._fault is None:
            request = self._request
            if not self._heads_begun:
                # A header or trailer that never ends is called back never: bytes that brought no body are counted.
                quiet = request is before and (request is None or request.body_bytes == body_before)
                self._open_bytes = self._open_bytes + len(data) if quiet else 0
            else:
                self._open_bytes = len(data) if fresh and request is None and self._heads_begun == 1 else 0
            if self._open_bytes > desk.max_header_bytes:
                self._fault = why.head_too_large(desk.max_header_bytes, "bytes")
                self._drop_broken_request()

    def _feed(self, data: bytes) -> None:
        while True:
            try:
                self._parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as asked:
                # The parser would leave the body to another protocol. None is spoken here: the request is served as
                # if it had not asked, and another parser reads on where this one stopped.
                request = self._request
                assert request is not None
                again = _Unasked(self)
                self._parser = httptools.HttpRequestParser(again)
                data = request.plan.head.framing() + data[asked.args[0] :]

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        self._desk.callers.discard(self)
        self._waiting.clear()
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.caller_gone()

    def pause_writing(self) -> None:
        self._full = True
        if self._exchange is not None:
            self._exchange.caller_full()

    def resume_writing(self) -> None:
        self._full = False
        if self._exchange is not None:
            self._exchange.caller_ready()
        elif self._waiting or self._fault is not None:
            self._next()

    # -- httptools' callbacks -------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._request = None
        self._target = b""
        self._headers = []
        self._head_bytes = 0
        self._head_done = False
        self._head_since = self._desk.tick  # also behind a whole request in the same data
        self._heads_begun += 1
        if len(self._waiting) >= self._desk.max_pipelined:
            self._stop(why.malformed(f"more than {self._desk.max_pipelined} requests sent ahead"))

    def on_url(self, url: bytes) -> None:
        self._target += url
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count_head(len(name) + len(value) + 4)  # the colon, the space and the line's end
        if self._head_done:
            return  # trailers go no further than this hop
        headers = self._headers
        if len(headers) >= self._desk.max_headers:
            self._stop(why.head_too_large(self._desk.max_headers, "lines"))
        headers.append((name, value))

    def _count_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > self._desk.max_header_bytes:
            self._stop(why.head_too_large(self._desk.max_header_bytes, "bytes"))

    def on_headers_complete(self) -> None:
        parser = self._parser
        http_11 = _VERSIONS.get(parser.get_http_version())
        method = parser.get_method()
        if http_11 is None or method == b"CONNECT":
            self._stop(why.malformed("only HTTP/1.0 and HTTP/1.1 requests are taken, and no CONNECT"))
        keep_alive = http_11 is True and parser.should_keep_alive()
        try:
            head = read_head(method, self._target, self._headers, http_11=http_11 is True, keep_alive=keep_alive)
        except MalformedHeadError as fault:
            self._stop(why.malformed(str(fault)))
        self._request = Request(self._desk.planner.plan(head))
        self._head_done = True
        self._waiting.append(self._request)

    def on_body(self, piece: bytes) -> None:
        request = self._request
        assert request is not None
        request.body_bytes += len(piece)
        if self._exchange is not None and self._exchange.request is request:
            self._exchange.body(piece)
        elif not self._closing:
            request.pending.append(piece)

    def on_message_complete(self) -> None:
        request = self._request
        assert request is not None
        if self._parser.should_upgrade():
            return  # its body has not been read: see _feed
        request.complete = True
        self._head_since = None
        if self._exchange is not None and self._exchange.request is request:
            self._exchange.body_end()

    def _stop(self, fault: Refusal) -> NoReturn:
        self._fault = fault
        raise _RefusedError

    # -- what follows ---------------------------------------------------------------------------------------------

    def _drop_broken_request(self) -> None:
        """The request the parser was in will never be whole; those before it are served."""
        broken = self._request
        if broken is None or broken.complete:
            return
        if self._exchange is not None and self._exchange.request is broken:
            assert self._fault is not None
            self._exchange.refuse_malformed(self._fault)
        elif self._waiting and self._waiting[-1] is broken:
            self._waiting.pop()

    def _advance(self) -> None:
        # Who does not read answers gets no further ones: they would pile up here.
        while self._exchange is None and self._waiting and not self._closing and not self._full:
            request = self._waiting.popleft()
            exchange = self._exchange = Exchange(self._desk, self, request)
            exchange.start()
        if self._fault is not None and self._exchange is None and not self._waiting and not self._closing:
            self._answer_fault(self._fault)
        elif self._waiting or self._fault is not None:
            self._hold(_PIPELINE)
        elif self._holds:
            self._release(_PIPELINE)

    def exchange_done(self, request: Request) -> None:
        """The exchange of ``request`` has ended and everything of its reply was written."""
        self._exchange = None
        self._seen_at = self._desk.tick
        if self._closing:
            return
        if request.keep_alive and request.complete:
            self._release(_UPSTREAM | _WAITING)
            if self._holds or self._waiting or self._fault is not None:
                # Not at once: a caller that sends thousands of requests ahead must not grow our stack.
                self._desk.loop.call_soon(self._next)
        elif request.complete:
            self._closing = True
            self._transport.close()
        else:
            self._linger()

    def _next(self) -> None:
        if not self._closing:
            self._advance()

    def _answer_fault(self, fault: Refusal) -> None:
        self._desk.books.counters.malformed += 1
        path = self._target.partition(b"?")[0]
        marks = any(name.lower() in (b"anthropic-version", b"x-api-key") for name, _ in self._headers)
        body = error_body(family_of(path, anthropic_marks=marks), fault, None)
        self._write_answer(fault.status, _lines(fault.headers), body, keep_alive=False, with_body=True)
        self._linger()

    def _linger(self) -> None:
        """Say no more, and listen a little longer so that what was said can be read."""
        if self._closing:
            return
        self._closing = True
        self._linger_since = self._desk.tick
        if self._holds:
            self._holds = 0
            self._transport.resume_reading()
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    # -- what an exchange does with it ----------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send bytes to the caller."""
        if not self._transport.is_closing():
            self._transport.write(data)

    def answer(
        self,
        request: Request,
        refusal: Refusal,
        body: bytes,
        *,
        request_id: str | None = None,
        warning: str | None = None,
    ) -> None:
        """Send an answer of the gateway's own."""
        lines = _lines(refusal.headers)
        if request_id is not None:
            lines += f"X-Majordomo-Request-Id: {request_id}\r\n"
        if warning is not None:
            lines += f"X-Majordomo-Warning: {warning}\r\n"
        self._answer(request, refusal.status, lines, body)

    def answer_json(self, request: Request, status: int, body: bytes) -> None:
        """Send a page of the front desk's own."""
        self._answer(request, status, "", body)

    def _answer(self, request: Request, status: int, lines: str, body: bytes) -> None:
        if self._desk.stopping or not request.complete:
            request.keep_alive = False
        with_body = request.plan.method != b"HEAD"
        self._write_answer(status, lines, body, keep_alive=request.keep_alive, with_body=with_body)

    def _write_answer(self, status: int, lines: str, body: bytes, *, keep_alive: bool, with_body: bool) -> None:
        close = "" if keep_alive else "Connection: close\r\n"
        kind = "" if lines.startswith("Content-Type:") else "Content-Type: application/json\r\n"
        start = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
        head = f"{start}{kind}Content-Length: {len(body)}\r\n{lines}{close}\r\n"
        self.write(head.encode("ascii", "replace") + (body if with_body else b""))

    def cut(self, *, reset: bool) -> None:
        """End the connection in the middle of a reply, after what was written has gone out.

        ``reset``: for HTTP/1.0, where an orderly end could be the end of the body.
        """
        if reset:
            connection = self._transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._exchange = None
        self._seen_at = self._desk.tick
        self._closing = True
        self._transport.close()

    def abort(self) -> None:
        """End the connection at once; the exchange hears of it as of any hang-up."""
        self._closing = True
        self._transport.abort()

    @property
    def held(self) -> bool:
        """True while the caller is not read."""
        return self._holds != 0

    def hold_upstream(self) -> None:
        """The provider takes no more of this request's body."""
        self._hold(_UPSTREAM)

    def release_upstream(self) -> None:
        """It takes more."""
        self._release(_UPSTREAM)

    def hold_waiting(self) -> None:
        """Enough of the body waits for a connection."""
        self._hold(_WAITING)

    def release_waiting(self) -> None:
        """The connection is there."""
        if self._holds & _WAITING:
            self._release(_WAITING)

    def _hold(self, reason: int) -> None:
        if self._closing:
            return
        if not self._holds:
            self._transport.pause_reading()
        self._holds |= reason

    def _release(self, reason: int) -> None:
        before = self._holds
        self._holds &= ~reason
        if before and not self._holds and not self._closing:
            self._transport.resume_reading()

    # -- time and stopping ----------------------------------------------------------------------------------------

    def check(self, now: float) -> None:
        """End what has waited too long; called every second with the desk's coarse time (s)."""
        if self._linger_since is not None:
            if now - self._linger_since > LINGER_SECONDS:
                self._transport.abort()
        elif self._exchange is not None:
            self._exchange.check(now)
        elif self._closing:
            if now - self._seen_at > self._desk.caller_stall_timeout:
                self._transport.abort()  # it never took what was left to say
        elif self._head_since is not None:
            if now - self._head_since > self._desk.header_timeout:
                self._answer_fault(why.BODY_STALLED)
        elif now - self._seen_at > self._desk.keepalive_timeout:
            self._closing = True
            self._seen_at = now
            self._transport.close()

    def stop_when_idle(self) -> None:
        """The gateway is stopping: go now if nothing is under way, else after it."""
        if self._exchange is not None:
            self._exchange.stop_endless()
        elif not self._waiting and self._head_since is None and not self._closing:
            self._closing = True
            self._transport.close()

    @property
    def busy(self) -> bool:
        """True while an exchange is under way or waits, or the end of a reply has not gone out yet."""
        return bool(self._exchange is not None or self._waiting or self._transport.get_write_buffer_size())

    def stop(self) -> None:
        """The time to finish is over."""
        if self._exchange is not None:
            self._exchange.stop()
        elif not self._closing:
            self._closing = True
            self._transport.close()


class _Unasked:
    """Callbacks of the parser that follows a request to upgrade: the head it is fed for the framing is not news."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._again = True
        self.on_body = caller.on_body
        self.on_message_complete = caller.on_message_complete

    def on_message_begin(self) -> None:
        if not self._again:
            self._caller.on_message_begin()

    def on_url(self, url: bytes) -> None:
        if not self._again:
            self._caller.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._again:
            self._caller.on_header(name, value)

    def on_headers_complete(self) -> None:
        if not self._again:
            self._caller.on_headers_complete()
        self._again = False


def _lines(headers: Mapping[str, str]) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())
