"""Anthropic Messages, as one JSON body and as events.

Plan of the stream: ``message_start`` tells model, input, cache with its split, tier, geo and speed; deltas pass by and
are only measured; each ``message_delta`` lays its cumulative usage over what is known, and the one with a stop reason
is the last word. Cut before that, input and cache are exact and only the output is estimated.
"""

from typing import Any, Final

import msgspec

from majordomo.meter.anthropic_usage import read_usage
from majordomo.meter.body import BodyReader, EventReader
from majordomo.meter.decoding import ABSENT, MALFORMED, decode, usage_object, usage_text
from majordomo.meter.errors import member_error
from majordomo.meter.estimate import complete_reading
from majordomo.meter.overlay import overlay
from majordomo.meter.reading import Reading, RequestFacts, UsageState
from majordomo.meter.text import name


class Message(msgspec.Struct, gc=False):
    """A reply, or the ``message`` of ``message_start``, as far as it is read."""

    model: str | None = None
    stop_reason: str | None = None
    usage: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT


class _Delta(msgspec.Struct, gc=False):
    """The delta of a block, or of the message."""

    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None
    stop_reason: str | None = None


class Event(msgspec.Struct, gc=False):
    """One event of a stream."""

    type: str | None = None
    message: msgspec.Raw = ABSENT
    delta: _Delta | None = None
    usage: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT


MESSAGE: Final = msgspec.json.Decoder(Message)
_EVENT: Final = msgspec.json.Decoder(Event)


class MessageReader(BodyReader):
    """A whole message."""

    __slots__ = ()

    def _read(self, body: bytes, facts: RequestFacts) -> Reading:
        reading = Reading()
        message = decode(MESSAGE, body, self._problems)
        if message is not None:
            read_message(message, reading, facts, self._problems)
        return reading


class MessageStreamReader(EventReader):
    """A message in events."""

    __slots__ = ("_error", "_final", "_model", "_started", "_stop_reason", "_told", "_usage")

    _DECODER: msgspec.json.Decoder[Any] = _EVENT  # of an ``Event``, or of a kind of it

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._model: str | None = None
        self._stop_reason: str | None = None
        self._usage: dict[str, Any] = {}
        self._started = False
        self._told = False  # some message_delta told the output
        self._final = False  # and nothing was produced since
        self._error: tuple[str | None, str | None] | None = None

    def _event(self, data: bytes) -> None:
        try:
            event = self._DECODER.decode(data)
        except MALFORMED:
            event = decode(self._DECODER, data, self._problems) or Event()
        if event.type == "content_block_delta":
            delta = event.delta
            if delta is not None:
                text = delta.text or delta.thinking or delta.partial_json  # a signature is not output
                if text:
                    self._text += len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
                    self._final = False
        else:
            self._step(event)

    def _step(self, event: Event) -> None:
        """Take an event that is not a piece of a block."""
        kind, delta = event.type, event.delta
        if kind == "message_start":
            self._started = True
            message = decode(MESSAGE, bytes(event.message), self._problems)
            if message is not None:
                self._model = name(message.model) or self._model
                self._overlay(message.usage)
        elif kind == "message_delta":
            told = self._overlay(event.usage)
            if told:
                self._told = True
                self._text = 0
            stop = name(delta.stop_reason) if delta is not None else None
            self._stop_reason = stop or self._stop_reason
            self._final = told and stop is not None
        elif kind == "message_stop":
            self._final = self._told
        elif kind == "error":
            self._error = member_error(event.error) or ("error", None)

    def _overlay(self, raw: msgspec.Raw) -> bool:
        """Lay a usage over what is known; whether it told of output."""
        news = usage_object(raw, self._problems)
        if news is None:
            return False
        self._lay(news[0])
        return news[0].get("output_tokens") is not None

    def _lay(self, usage: dict[str, Any]) -> None:
        overlay(self._usage, usage, self._problems)

    def _close(self, facts: RequestFacts, complete: bool) -> Reading:
        reading = Reading(model=self._model, stop_reason=self._stop_reason)
        if self._usage:
            read_usage(self._usage, reading, self._problems, ttl_1h=facts.cache_ttl_1h)
            reading.usage = usage_text(self._usage)
        if self._error is not None:
            reading.error_type, reading.error_message = self._error
            if not self._started and not self._text:
                return reading  # refused before anything ran
        if not self._final or reading.state is UsageState.NONE:
            counted = (reading.output_tokens or 0) if self._told else 0
            complete_reading(reading, facts, self._text, self._problems, counted=counted)
        return reading


def read_message(message: Message, reading: Reading, facts: RequestFacts, problems: list[str]) -> None:
    """Fill ``reading`` from a whole message."""
    reading.model = name(message.model)
    reading.stop_reason = name(message.stop_reason)
    usage = usage_object(message.usage, problems)
    if usage is not None:
        read_usage(usage[0], reading, problems, ttl_1h=facts.cache_ttl_1h)
        reading.usage = usage[1]
    elif (error := member_error(message.error)) is not None:
        reading.error_type, reading.error_message = error
