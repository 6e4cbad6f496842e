"""Callers of every kind, who write down what they saw: streams, plain replies, large bodies, slow readers, hang-ups.

They run in a thread of their own, so that the test can wait and kill meanwhile. Each request carries a mark in its
body, which the provider writes into its ledger, and in ``X-Majordomo-Mark``, which becomes metadata of its row.
"""

import asyncio
import itertools
import json
import socket
import threading
import time
import uuid
from dataclasses import dataclass, field
from random import Random
from typing import Literal

#: A call that takes longer hangs (s). The slowest reply that is asked for takes a few seconds.
HUNG_SECONDS = 60.0

#: Callers at one time.
CALLERS = 20

TEAMS = ("legal", "search", "support", "research", "billing")
#: Claude Code sessions of each key.
SESSIONS = 4

_SLOW_TEXT = "All work and no play. "
_BIG = 1024 * 1024
_CHUNK = 64 * 1024

Seen = Literal[
    "whole",  # a reply of the provider, to its end
    "refused",  # an answer of the gateway's own
    "cut",  # a reply that broke off
    "left",  # the caller hung up
    "nothing",  # the connection was refused, or ended before a reply
    "hung",  # no end came in a long time
]

_PATHS = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
    "gemini": "/v1beta/models/gemini-2.5-pro:generateContent",
}


@dataclass
class Call:
    """One request: what is asked, and what its caller saw of the answer."""

    mark: str
    key: str
    head: bytes
    body: bytes
    breaks: bool = False  # the provider breaks off
    slow: bool = False  # the caller reads slowly
    leaves: Literal["", "before", "sending", "reading"] = ""
    seen: Seen = "nothing"
    status: int = 0
    request_id: str | None = None
    retry_after: bool = False
    began: float = 0.0  # seconds since the Unix epoch
    ended: float = 0.0
    why: str = ""


@dataclass
class Mix:
    """How often each kind of trouble comes, in percent of the requests, and how the replies look."""

    leaves: int = 12
    breaks: int = 4
    slow: int = 5
    big: int = 4
    errors: int = 3
    stream: int = 60
    slow_bytes: int = 256 * 1024  # about what who reads slowly is sent
    events: tuple[int, int] = (3, 15)
    event_ms: tuple[int, int] = (0, 60)
    #: A caller's rest between two requests (s).
    rest: tuple[float, float] = (0.0, 0.1)


@dataclass
class Load:
    """A crowd of callers at one gateway. ``start`` it, ``stop`` it (running calls end), read ``calls``."""

    port: int
    keys: dict[str, str]  # name: the key itself
    dice: Random
    mix: Mix = field(default_factory=Mix)
    callers: int = CALLERS
    keep: bool = True  # remember every call; a soak counts only
    calls: list[Call] = field(default_factory=list)
    count: int = 0

    def __post_init__(self) -> None:
        self._numbers = itertools.count()
        self._name = f"{self.dice.randrange(16**8):08x}"
        self._round = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, campaign_round: int) -> None:
        """Let the callers begin."""
        self._round = campaign_round
        self._stop.clear()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._crowd()), name="callers", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Wait until every call has ended; no new ones are made."""
        assert self._thread is not None
        self._stop.set()
        self._thread.join(2 * HUNG_SECONDS)
        assert not self._thread.is_alive(), "the callers do not come to an end"

    def of_round(self, campaign_round: int) -> list[Call]:
        """The calls of one round."""
        return [call for call in self.calls if call.mark.split("-")[2] == str(campaign_round)]

    async def _crowd(self) -> None:
        async with asyncio.TaskGroup() as crowd:
            for _ in range(self.callers):
                crowd.create_task(self._caller())

    async def _caller(self) -> None:
        line = Line(self.port)
        while not self._stop.is_set():
            call = self._plan()
            if self.keep:
                self.calls.append(call)
            self.count += 1
            call.began = time.time()
            try:
                async with asyncio.timeout(HUNG_SECONDS):
                    await line.make(call, self.dice)
            except TimeoutError:
                call.seen = "hung"
                line.drop()
            except (OSError, EOFError) as lost:
                call.why = repr(lost)
                line.drop()
            call.ended = time.time()
            low, high = self.mix.rest
            await asyncio.sleep(self.dice.uniform(low, high) if call.seen != "nothing" else 0.2)
        line.drop()

    def _plan(self) -> Call:
        dice, mix = self.dice, self.mix
        mark = f"mark-{self._name}-{self._round}-{next(self._numbers)}"
        api = dice.choice(("chat", "chat", "messages", "messages", "gemini", "responses"))
        stream = dice.randrange(100) < mix.stream
        script: dict[str, object] = {}
        call = Call(mark, dice.choice(list(self.keys)), b"", b"")
        kind = dice.randrange(100)
        slow, big = dice.randrange(100) < mix.slow, dice.randrange(100) < mix.big
        if stream:
            script["events"] = dice.randint(*mix.events)
            script["event_delay_ms"] = dice.randint(*mix.event_ms)
            script["text"] = "Once upon a time " * dice.randint(2, 40)
        elif dice.random() < 0.5:
            script["delay_ms"] = dice.randint(0, 400)
        if slow:
            call.slow = True
            script["text"] = _SLOW_TEXT
        if kind < mix.leaves:
            call.leaves = dice.choice(("before", "reading", "reading", "sending"))
            script["delay_ms"] = dice.randint(0, 300)
        elif kind < mix.leaves + mix.breaks:
            call.breaks = True
            script |= {"break_after": dice.randint(0, 2), "break_with": dice.choice(("close", "reset"))}
            # Where it breaks off behind the end: who announces that loses nobody else's request.
            script["headers"] = {"connection": "close"}
        elif kind < mix.leaves + mix.breaks + mix.errors:
            script["status"] = dice.choice((429, 500, 529))
        if dice.random() < 0.2 and not slow:  # megabytes of one sentence would pass for a bomb
            script["encoding"] = "accepted"
        body = _body(api, mark, stream, "x" * _BIG if big else "Tell me a story. " * dice.randint(1, 50))
        path = _PATHS[api]
        if api == "gemini" and stream:
            path = path.replace(":generate", ":streamGenerate") + dice.choice(("?alt=sse", ""))
        head = {
            "Host": "gateway",
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "Authorization": "Bearer sk-scripted",
            "Accept-Encoding": dice.choice(("gzip", "br", "zstd", "identity")),
            "X-Script": json.dumps(script),
            "X-Text-Times": str(mix.slow_bytes // len(_SLOW_TEXT)) if slow else "1",
            "X-Majordomo-Key": self.keys[call.key],
            "X-Majordomo-Mark": mark,
            "X-Majordomo-Team": dice.choice(TEAMS),
        }
        if api == "messages" and dice.random() < 0.5:
            owner = call.key if dice.random() < 0.8 else dice.choice(sorted(self.keys))  # or perhaps another's
            session = session_id(owner, dice.randrange(SESSIONS))
            head |= {"X-Majordomo-Client": "claude-code", "X-Majordomo-ClaudeCode-Session-Id": session}
        lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items()), "", ""]
        call.head, call.body = "\r\n".join(lines).encode(), body
        return call


def session_id(key: str, number: int) -> str:
    """One of the sessions that a key's callers name."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{key}-{number}"))


def _body(api: str, mark: str, stream: bool, text: str) -> bytes:
    said = [{"role": "user", "content": text}]
    if api == "gemini":
        body: dict[str, object] = {"contents": [{"role": "user", "parts": [{"text": f"{mark} {text}"}]}]}
    elif api == "messages":
        body = {
            "model": "claude-haiku-4-5-20251001",
            "metadata": {"user_id": mark},
            "max_tokens": 1024,
            "messages": said,
        }
    elif api == "responses":
        body = {"model": "gpt-5", "user": mark, "input": text}
    else:
        body = {"model": "gpt-4o", "user": mark, "messages": said}
    if stream and api != "gemini":
        body["stream"] = True
    return json.dumps(body).encode()


class _LostPatienceError(Exception):
    """The caller has seen enough."""


class Line:
    """One caller's connection, kept as long as it goes."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._patience: int | None = None  # bytes that are still read; None: all of them

    async def make(self, call: Call, dice: Random) -> None:
        """Make a call, and note on it what was seen."""
        if self._writer is None or call.slow:
            await self._connect(small=call.slow)
        assert self._writer is not None
        if call.leaves == "sending":
            self._writer.write(call.head + call.body[: dice.randrange(len(call.body))])
            await self._leave(call, dice)
            return
        self._writer.write(call.head)
        for start in range(0, len(call.body), _CHUNK):
            self._writer.write(call.body[start : start + _CHUNK])
            if not call.leaves:
                await self._writer.drain()
        call.body = b""
        if call.leaves == "before":
            await asyncio.sleep(dice.uniform(0, 0.2))
            await self._leave(call, dice)
            return
        try:
            await self._read(call, dice)
        except _LostPatienceError:
            await self._leave(call, dice)
        if call.slow:
            self.drop()

    async def _leave(self, call: Call, dice: Random) -> None:
        call.body = b""
        call.seen = "left"
        assert self._writer is not None
        if dice.random() < 0.5:
            self._writer.transport.abort()
        self.drop()

    async def _connect(self, *, small: bool) -> None:
        self.drop()
        link = socket.socket()
        link.setblocking(False)
        if small:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        try:
            await asyncio.get_running_loop().sock_connect(link, ("127.0.0.1", self._port))
        except BaseException:
            link.close()
            raise
        self._reader, self._writer = await asyncio.open_connection(sock=link, limit=_CHUNK)

    async def _read(self, call: Call, dice: Random) -> None:
        reader = self._reader
        assert reader is not None
        status, headers = await _head(reader)
        call.status = status
        call.request_id = headers.get("x-majordomo-request-id")
        call.retry_after = "retry-after" in headers
        # The scripted provider signs its replies; what is not signed, the gateway said itself.
        ours = headers.get("server") == "scripted-provider"
        call.seen = "cut"
        self._patience = dice.randrange(2000) if call.leaves == "reading" else None
        if headers.get("transfer-encoding") == "chunked":
            await self._chunks(call)
        else:
            await self._take(call, int(headers["content-length"]))
        call.seen = "whole" if ours else "refused"
        if headers.get("connection") == "close":
            self.drop()

    async def _chunks(self, call: Call) -> None:
        assert self._reader is not None
        size = 1
        while size:
            size = int(await self._reader.readuntil(b"\r\n"), 16)
            await self._take(call, size)
            if await self._reader.readexactly(2) != b"\r\n":
                raise EOFError("a chunk without its end")

    async def _take(self, call: Call, size: int) -> None:
        """Read so many bytes, slowly, or until patience is at its end."""
        assert self._reader is not None
        while size:
            piece = await self._reader.read(min(size, 32 * 1024 if call.slow else _CHUNK))
            if not piece:
                raise EOFError("the reply broke off")
            size -= len(piece)
            if self._patience is not None:
                self._patience -= len(piece)
                if self._patience < 0:
                    raise _LostPatienceError
            if call.slow:
                await asyncio.sleep(0.01)

    def drop(self) -> None:
        """Close the connection."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
    return int(lines[0].split(" ")[1]), headers
