"""What a reply to Claude Code says besides its usage: tools called, thinking, and what the CLI books for it.

Plan: readers of the plain kind, which also tell a ``ClaudeReply`` what they see; usage, model and stop reason are read
as for anyone. The CLI books at each ``message_delta`` what has been merged by then, so a reply that broke off before
one is normally free. It keeps a broken-off reply, and books it, in two cases only: the connection was lost when some
block was whole already, or the provider said that it was overloaded before any block that is not thinking.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from majordomo.meter.anthropic import Event, Message, MessageReader, MessageStreamReader, read_message
from majordomo.meter.claude_cost import NO_PRICES, Booked, usage_cost
from majordomo.meter.claude_release import Price
from majordomo.meter.counts import MAX_COUNT
from majordomo.meter.decoding import decode, usage_object
from majordomo.meter.reading import Reading, RequestFacts
from majordomo.meter.text import name

#: Most distinct tools of one reply that are named, and most bookings that are kept. Real replies have a dozen, and one;
#: the bounds are against hostile streams.
TOOLS_MAX: Final = 200
BOOKINGS_MAX: Final = 200

_CALLS: Final = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
_THINKING: Final = frozenset({"thinking", "redacted_thinking"})
_OVERLOADED: Final = "overloaded_error"


class _ContentBlock(msgspec.Struct, gc=False):
    type: str | None = None
    name: str | None = None


class _ClaudeMessage(Message, gc=False):
    content: list[_ContentBlock] | None = None


class _ClaudeEvent(Event, gc=False):
    content_block: _ContentBlock | None = None


class ClaudeReply:
    """What is known of one reply so far. Filled by a reader; read when the request has ended."""

    __slots__ = (
        "_blocks_whole",
        "_bookings",
        "_output_began",
        "_started",
        "_stopped",
        "_usage",
        "has_thinking",
        "heard",
        "tool_use_count",
        "tools",
    )

    def __init__(self) -> None:
        self.heard = True  # the CLI is still there: what comes now, it sees
        self.tools: set[str] = set()
        self.tool_use_count = 0
        self.has_thinking = False
        self._usage = Booked()
        self._bookings: list[Booked] = []
        self._started = False
        self._stopped = False
        self._output_began = False  # some block that is not thinking
        self._blocks_whole = 0

    def block(self, kind: str | None, tool: str | None) -> None:
        """A block of the reply has begun."""
        if kind in _THINKING:
            self.has_thinking = True
            return
        self._output_began = True
        if kind in _CALLS:
            self.tool_use_count = min(self.tool_use_count + 1, MAX_COUNT)
            called = name(tool)
            if called is not None and len(self.tools) < TOOLS_MAX:
                self.tools.add(called)

    def block_whole(self) -> None:
        """A block has ended."""
        self._blocks_whole += self.heard

    def start(self) -> None:
        """The message has begun."""
        self._started = True

    def stop(self) -> None:
        """The message is whole."""
        self._started = False

    def merge(self, usage: dict[str, Any]) -> None:
        """The provider told its usage."""
        if self.heard:
            self._usage = self._usage.merged(usage)

    def book(self, *, stopped: bool = True) -> None:
        """The CLI adds what has been merged to its total. ``stopped``: it knows why the reply ended."""
        if self.heard and len(self._bookings) < BOOKINGS_MAX:
            self._bookings.append(self._usage)
            self._stopped = stopped

    def failed(self, kind: str | None) -> None:
        """The provider gave up in mid-stream."""
        if kind == _OVERLOADED and self._started and not self._output_began and not self._blocks_whole:
            self.book()

    def lost(self) -> None:
        """The CLI's connection breaks off here."""
        if self._blocks_whole and not self._stopped:
            self.book()

    def usage_cost(self, model: str, *, oauth: bool, told: Mapping[str, Price] = NO_PRICES) -> float:
        """USD that the CLI books for this reply to a request for ``model``; ``told`` as for ``price_of``."""
        return sum((usage_cost(model, usage, oauth=oauth, told=told) for usage in self._bookings), 0.0)


class ClaudeMessageReader(MessageReader):
    """A whole message to Claude Code."""

    __slots__ = ("_reply",)

    _DECODER = msgspec.json.Decoder(_ClaudeMessage)

    def __init__(self, reply: ClaudeReply, limit: int) -> None:
        super().__init__(limit)
        self._reply = reply

    def _read(self, body: bytes, facts: RequestFacts) -> Reading:
        reading = Reading()
        message = decode(self._DECODER, body, self._problems)
        if message is None:
            return reading
        read_message(message, reading, facts, self._problems)
        for block in message.content or ():
            self._reply.block(block.type, block.name)
        usage = usage_object(message.usage, self._problems)
        if usage is not None and "cut" not in self._problems:
            self._reply.merge(usage[0])
            self._reply.book()
        return reading


class ClaudeStreamReader(MessageStreamReader):
    """A message to Claude Code, in events."""

    __slots__ = ("_reply",)

    _DECODER = msgspec.json.Decoder(_ClaudeEvent)

    def __init__(self, reply: ClaudeReply, limit: int) -> None:
        super().__init__(limit)
        self._reply = reply

    def _step(self, event: Event) -> None:
        super()._step(event)
        reply, kind = self._reply, event.type
        if kind == "content_block_start":
            assert isinstance(event, _ClaudeEvent)
            block = event.content_block or _ContentBlock()
            reply.block(block.type, block.name)
        elif kind == "content_block_stop":
            reply.block_whole()
        elif kind == "message_start":
            reply.start()
        elif kind == "message_delta":
            reply.book(stopped=event.delta is not None and event.delta.stop_reason is not None)
        elif kind == "message_stop":
            reply.stop()
        elif kind == "error":
            reply.failed(self._error[0] if self._error is not None else None)

    def _conclude(self, facts: RequestFacts, complete: bool) -> Reading:
        reply = self._reply
        heard, reply.heard = reply.heard, False  # the CLI lets go of an event that no blank line ended
        reading = super()._conclude(facts, complete)
        reply.heard = heard
        return reading

    def _lay(self, usage: dict[str, Any]) -> None:
        self._reply.merge(usage)
        super()._lay(usage)
