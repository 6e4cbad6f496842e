"""One caller's connection to the scripted provider: HTTP/1.1 with keep-alive and pipelining, on llhttp."""

import asyncio
import contextlib
import socket
import struct
from collections import deque
from typing import cast

import httptools

from majordomo.demo.stage import CONTROL_PREFIX, Stage, Wire
from majordomo.demo.visits import Visit

#: Time for written bytes to leave before a connection is reset, in seconds: a reset drops what was not sent yet.
RESET_PAUSE = 0.02

_Headers = tuple[tuple[str, str], ...]


class Connection(asyncio.Protocol):
    """Reads requests, looks their replies up on the stage, and plays them in order."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._waiting: deque[tuple[Visit, _Headers, bool]] = deque()
        self._playing: asyncio.Task[None] | None = None
        self._can_write = asyncio.Event()
        self._can_write.set()
        self._begin()

    def _begin(self) -> None:
        self._target = b""
        self._headers: list[tuple[str, str]] = []
        self._body: list[bytes] = []

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A caller has come."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass

    def data_received(self, data: bytes) -> None:
        """More bytes of some request."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The caller has gone, or we closed."""
        if self._playing is not None:
            self._stage.visits.abandoned += 1
            self._playing.cancel()

    def pause_writing(self) -> None:
        """The caller reads more slowly than we write."""
        self._can_write.clear()

    def resume_writing(self) -> None:
        """The caller has caught up."""
        self._can_write.set()

    # llhttp's side

    def on_message_begin(self) -> None:
        """The next request starts."""
        self._begin()

    def on_url(self, url: bytes) -> None:
        """A part of the target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header line."""
        self._headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        """The body may follow; a caller that asks first is told to go on."""
        if any(name.lower() == "expect" and value.lower() == "100-continue" for name, value in self._headers):
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """The request is whole: note it and answer it, or let it wait for its turn."""
        method = self._parser.get_method().decode("latin-1")
        target = self._target.decode("latin-1")
        headers = tuple(self._headers)
        body = b"".join(self._body)
        if target.startswith(CONTROL_PREFIX):
            visit = Visit(-1, method, target, headers, body)
        else:
            visit = self._stage.visits.add(method, target, headers, body)
        lowered = tuple((name.lower(), value) for name, value in headers)
        self._waiting.append((visit, lowered, self._parser.should_keep_alive()))
        if self._playing is None:
            self._answer_waiting()

    # replies

    def _answer_waiting(self) -> None:
        while self._waiting and not self._transport.is_closing():
            visit, headers, keep_alive = self._waiting.popleft()
            wire, whole = self._stage.reply(visit, headers)
            if not wire.at_once:
                self._playing = asyncio.get_running_loop().create_task(self._play(wire, keep_alive))
                return
            self._transport.write(whole)
            self._stage.visits.finished += visit.number >= 0
            if wire.close or not keep_alive:
                self._transport.close()

    async def _play(self, wire: Wire, keep_alive: bool) -> None:
        script = wire.script
        await asyncio.sleep(script.delay_ms / 1000)
        left = script.break_after
        if left is None or left >= 0:
            await self._send(wire.head)
        for number, piece in enumerate(wire.pieces if left is None else wire.pieces[: max(0, left)], start=1):
            await self._send(piece)
            # Not behind the last one: by then the caller may have sent its next request, which a cut would hit.
            if script.event_delay_ms and number < len(wire.pieces):
                await asyncio.sleep(script.event_delay_ms / 1000)
        self._playing = None
        if left is not None:
            self._stage.visits.cut += 1
            # What is whole cannot break: a reset a moment later would hit the caller's next request.
            await self._cut(reset=script.break_with == "reset" and left < len(wire.pieces))
            return
        self._stage.visits.finished += 1
        if wire.close or not keep_alive:
            self._transport.close()
        self._answer_waiting()

    async def _send(self, data: bytes) -> None:
        self._transport.write(data)
        if not self._can_write.is_set():
            await self._can_write.wait()

    async def _cut(self, *, reset: bool) -> None:
        if not reset:
            self._transport.close()
            return
        await asyncio.sleep(RESET_PAUSE)
        sock = self._transport.get_extra_info("socket")
        if sock is None:
            return  # the caller has gone meanwhile
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()
