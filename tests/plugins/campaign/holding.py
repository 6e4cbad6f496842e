"""A provider that holds every request until the test lets it answer, and callers that keep their connections.

Both live in the test's own event loop, so that the test knows at each moment which requests have left the gateway.
"""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, Self

#: Longest time for anything that must come to pass (s): a busy machine is no failure.
PATIENCE = 60.0

_LIMIT = 4 * 1024 * 1024


class Held:
    """One request that has reached the provider and waits for its answer."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self._answer: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()

    def answer(self, status: int, said: Mapping[str, Any]) -> None:
        """Let it have this JSON."""
        self._send(reply(status, said))

    def hang_up(self) -> None:
        """Cut the connection instead of an answer."""
        self._send(None)

    def _send(self, answer: bytes | None) -> None:
        if not self._answer.done():
            self._answer.set_result(answer)

    async def answered(self) -> bytes | None:
        """The answer, once there is one."""
        return await self._answer


class HoldingProvider:
    """Holds what ``at_once`` has no answer for."""

    def __init__(self, at_once: Callable[[bytes], bytes | None]) -> None:
        self.held: list[Held] = []
        self._at_once = at_once
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=4096)  # a gateway may start before it serves
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, sock=self._socket.dup(), limit=_LIMIT)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for held in self.held:
            held.hang_up()
        self.held.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                _, headers = await read_head(reader)
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                answer = self._at_once(body)
                if answer is None:
                    held = Held(body)
                    self.held.append(held)
                    answer = await held.answered()
                if answer is None:
                    break
                writer.write(answer)
        except (OSError, EOFError):
            pass  # the gateway's connection has ended
        finally:
            writer.close()


class Answer(NamedTuple):
    """What a caller got."""

    status: int
    headers: dict[str, str]  # names in small letters
    body: bytes

    @property
    def code(self) -> str:
        """The gateway's word for a refusal."""
        return str(json.loads(self.body)["error"].get("type"))


class Line:
    """One caller's connection to a gateway, kept for as long as it goes."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.busy = False
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """One request and its answer."""
        self.busy = True
        try:
            if self._writer is None:
                self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self.port, limit=_LIMIT)
            assert self._reader is not None
            lines = [f"POST {path} HTTP/1.1", "Host: gateway", f"Content-Length: {len(body)}"]
            lines += [f"{name}: {value}" for name, value in headers.items()]
            self._writer.write("\r\n".join([*lines, "", ""]).encode() + body)
            status, told = await read_head(self._reader)
            said = await self._reader.readexactly(int(told["content-length"]))
        except BaseException:
            self.drop()  # whoever hangs up does it by cancelling
            raise
        finally:
            self.busy = False
        if told.get("connection") == "close":
            self.drop()
        return Answer(status, told, said)

    def drop(self) -> None:
        """Close the connection."""
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None


async def read_head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    """The status of a reply (0 of a request), and the headers, their names in small letters."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = (line.split(": ", 1) for line in lines if line)
    return int(first.split(" ")[1]) if first.startswith("HTTP/") else 0, {name.lower(): value for name, value in pairs}


def reply(status: int, said: Mapping[str, Any]) -> bytes:
    """A JSON reply on the wire."""
    body = json.dumps(said).encode()
    head = f"HTTP/1.1 {status} Scripted\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def until(
    holds: Callable[[], bool | Awaitable[bool]], failure: Callable[[], str], seconds: float = PATIENCE
) -> None:
    """Wait for something that must come to pass."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        found = holds()
        if await found if not isinstance(found, bool) else found:
            return
        assert loop.time() < deadline, failure()
        await asyncio.sleep(0.01)
