"""The provider behind Claude Code: a thread of the test that answers each request as the test decides, and a ledger.

A test decides with a function from a request to a ``Script``; what the script says is what the provider bills, and what
Claude Code and the gateway must come to. The bytes on the wire are those of ``majordomo.demo``.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import msgspec
import uvloop

from majordomo.demo.connection import Connection
from majordomo.demo.replies import decode, render
from majordomo.demo.reply import Ask
from majordomo.demo.script import Script
from majordomo.demo.stage import Stage, Wire, wire_of
from majordomo.demo.visits import Visit

#: Seconds for the thread to start and stop.
_PATIENCE = 10.0


@dataclass
class Served:
    """One request that reached the provider, and the answer it was given."""

    number: int
    kind: str  # see ``kind_of``
    ask: Ask
    script: Script
    sent: tuple[tuple[str, str], ...]  # the headers as they were sent, in their order
    truth: dict[str, Any] = field(default_factory=dict)  # what else the test knew of it when it answered

    @property
    def body(self) -> bytes:
        return self.ask.body

    @property
    def model(self) -> str:
        """The model asked for."""
        return str(self.ask.json["model"])

    @property
    def session(self) -> str:
        return self.ask.header("x-claude-code-session-id")

    @property
    def agent(self) -> str:
        """The id of the sub-agent that asked, or an empty string."""
        return self.ask.header("x-claude-code-agent-id")

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        """What went out: the events of a stream as far as they were whole, or the one JSON value of an answer."""
        script = self.script
        plain = msgspec.structs.replace(script, encoding=None)
        reply = render(msgspec.structs.replace(self.ask, script=plain))
        sent = b"".join(reply.pieces if script.break_after is None else reply.pieces[: max(0, script.break_after)])
        if not reply.streamed:
            return [msgspec.json.decode(sent)] if sent == b"".join(reply.pieces) else []
        whole = sent.split(b"\n\n")[:-1]
        return [msgspec.json.decode(event.partition(b"data: ")[2]) for event in whole]

    @property
    def blocks(self) -> list[dict[str, Any]]:
        """The blocks of the answer that went out, or at least began to."""
        if len(self.events) == 1 and "content" in self.events[0]:
            return list(self.events[0]["content"])
        return [event["content_block"] for event in self.events if event["type"] == "content_block_start"]

    @property
    def tools(self) -> list[str]:
        """The names of the tools that the answer calls, in order; the provider's own (web search) among them."""
        return [block["name"] for block in self.blocks if block["type"] in ("tool_use", "server_tool_use")]

    @property
    def thinks(self) -> bool:
        """Whether a block of thinking came back."""
        return any(block["type"] in ("thinking", "redacted_thinking") for block in self.blocks)

    @property
    def billed_input(self) -> int | None:
        """The input tokens that the provider told, or None where it told no usage."""
        first = self.events[0] if self.events else {}
        told = first.get("message", first).get("usage") or {}
        return told.get("input_tokens")

    def __repr__(self) -> str:
        return f"<{self.number} {self.kind} {self.ask.method} {self.ask.path} {len(self.body)} bytes>"


Play = Callable[[Ask, str], Script]


def kind_of(ask: Ask) -> str:
    """What Claude Code asks this for, by what the recorded requests of each kind look like."""
    if not ask.path.endswith("/messages"):
        return "count" if ask.path.endswith("/count_tokens") else "other"
    body = ask.json if isinstance(ask.json, dict) else {}
    if body.get("stop_sequences") == ["</block>"] or "security monitor" in system_text(body)[:400]:
        return "classifier"
    if any(str(tool.get("type", "")).startswith("web_search") for tool in body.get("tools") or ()):
        return "web search"
    if "title" in str(body.get("output_config", {}).get("format", "")):
        return "title"
    return "agent" if ask.header("x-claude-code-agent-id") else "main"


def system_text(body: dict[str, Any]) -> str:
    """The system prompt as one text."""
    system = body.get("system") or ()
    return system if isinstance(system, str) else "\n".join(block.get("text", "") for block in system)


class ScriptedProvider(Stage):
    """Serves on loopback from a thread of its own until ``close``.

    ``play`` decides each answer. By default the scripts of ``queue`` are taken one by one by requests for messages, and
    a plain answer is given when there is none left.
    """

    def __init__(self) -> None:
        super().__init__()
        self.scripts: deque[Script] = deque()
        self.play: Play = self.take
        self.truth: dict[str, Any] = {}  # noted with every answer that is given from now on
        self.served: list[Served] = []
        self.errors: list[BaseException] = []  # of ``play``; the caller got a plain 500
        self.url = ""
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="provider", daemon=True)
        self._thread.start()
        assert self._started.wait(_PATIENCE)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        server = await self._loop.create_server(lambda: Connection(self), "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._started.set()
        await self._stop.wait()
        server.close()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_PATIENCE)
        assert not self._thread.is_alive()

    # -- how it answers -----------------------------------------------------------------------------------------------

    def reply(self, visit: Visit, headers: tuple[tuple[str, str], ...]) -> tuple[Wire, bytes]:
        path, _, query = visit.target.partition("?")
        ask = Ask(visit.method, path, query, headers, visit.body, decode(visit.body), Script())
        kind = kind_of(ask)
        try:
            script = self.play(ask, kind)
        except Exception as wrong:  # it belongs to the test, which asks for it
            self.errors.append(wrong)
            script = Script(status=500, error_message=f"the test's own play failed: {wrong!r}")
        self.visits.clear()
        self.served.append(Served(len(self.served), kind, ask, script, visit.headers, dict(self.truth)))
        # Ids in the reply depend on this body: by the count of messages, the same play gives the same ids.
        counted = b"%d" % len(self.messages())
        told = Ask(ask.method, path, query, headers, counted, ask.json, script)
        wire = wire_of(render(told), script, head_only=visit.method == "HEAD", id_line=told.id("req_"))
        return wire, wire.head + b"".join(wire.pieces)

    def take(self, ask: Ask, kind: str) -> Script:
        """The next script of the queue for a request for a message, or a plain answer."""
        if kind in ("other", "count", "title"):
            return Script(text='{"title":"A test"}') if kind == "title" else Script()
        return self.scripts.popleft() if self.scripts else Script()

    # -- what a test does with it -------------------------------------------------------------------------------------

    def queue(self, *scripts: Script) -> None:
        """Answer the next requests for messages like this, in this order."""
        self.scripts.extend(scripts)

    def forget(self) -> None:
        """Start anew for the next test: plain answers, an empty ledger."""
        self.scripts.clear()
        self.play = self.take
        self.truth = {}
        self.served = []
        self.errors = []

    def messages(self) -> list[Served]:
        """Every request for a message so far, in the order they came."""
        return [one for one in self.served if one.ask.path.endswith("/messages")]

    def of_session(self, *sessions: str) -> list[Served]:
        """The requests for messages of these sessions of the tool."""
        return [one for one in self.messages() if one.session in sessions]


def usage(
    input_tokens: int = 0,
    output: int = 0,
    *,
    read: int = 0,
    short: int = 0,
    long: int = 0,
    searches: int = 0,
    speed: str | None = None,
    iterations: Iterable[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """A usage object as the provider sends it: tokens read from the cache, written for 5 minutes and for 1 hour."""
    told: dict[str, Any] = {
        "input_tokens": input_tokens,
        "cache_creation_input_tokens": short + long,
        "cache_read_input_tokens": read,
        "cache_creation": {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long},
        "output_tokens": output,
        "service_tier": "standard",
    }
    if searches:
        told["server_tool_use"] = {"web_search_requests": searches, "web_fetch_requests": 0}
    if speed is not None:
        told["speed"] = speed
    if iterations is not None:
        told["iterations"] = list(iterations)
    return told
