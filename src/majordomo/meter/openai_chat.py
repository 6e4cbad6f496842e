"""OpenAI chat completions and completions, and the providers that speak them; as one JSON body and as events.

Plan of the stream: each chunk is decoded as far as it matters. Usage may come once after the last choice, or in every
chunk, or inside ``choices[0]``, or in ``x_groq``; it is cumulative wherever it repeats, so the last that is not null
stands. Text only counts until the provider has accounted for it.
"""

from typing import Any, Final

import msgspec

from majordomo.meter.body import BodyReader, EventReader
from majordomo.meter.decoding import ABSENT, MALFORMED, NOT_WHOLE, decode
from majordomo.meter.errors import member_error
from majordomo.meter.estimate import complete_reading
from majordomo.meter.openai_usage import TokenUsage, read_usage, token_usage
from majordomo.meter.reading import Reading, RequestFacts, UsageState
from majordomo.meter.text import name


class _Delta(msgspec.Struct, gc=False):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: msgspec.Raw = ABSENT
    function_call: msgspec.Raw = ABSENT


class _Choice(msgspec.Struct, gc=False):
    finish_reason: str | None = None
    delta: _Delta | None = None
    text: str | None = None
    usage: dict[str, Any] | None = None


class _RawChoice(msgspec.Struct, gc=False):
    finish_reason: str | None = None
    usage: msgspec.Raw = ABSENT


class _Groq(msgspec.Struct, gc=False):
    usage: msgspec.Raw = ABSENT


class _Reply(msgspec.Struct, gc=False):
    """A whole completion; or a chunk of it, as far as it tells usage."""

    model: str | None = None
    service_tier: str | None = None
    choices: list[_RawChoice] | None = None
    usage: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT
    x_groq: _Groq | None = None


class _Chunk(msgspec.Struct, gc=False):
    """A piece of a completion. Its usage, mostly null, is only looked for: ``_Reply`` reads it."""

    model: str | None = None
    service_tier: str | None = None
    choices: list[_Choice] | None = None
    usage: dict[str, Any] | None = None
    error: msgspec.Raw = ABSENT
    x_groq: dict[str, Any] | None = None


_REPLY: Final = msgspec.json.Decoder(_Reply)
_CHUNK: Final = msgspec.json.Decoder(_Chunk)

_NOTHING: Final = _Chunk()

#: Bytes of a streamed tool call that are frame around its arguments: ``[{"index":0,"function":{"arguments":""}}]``.
_CALL_FRAME: Final = 46


class ChatReader(BodyReader):
    """A whole completion."""

    __slots__ = ()

    def _read(self, body: bytes, facts: RequestFacts) -> Reading:
        problems = self._problems
        reading = Reading()
        try:
            reply = _REPLY.decode(body)
        except MALFORMED:
            reply = decode(_REPLY, body, problems) or _Reply()
        reading.model = name(reply.model)
        reading.service_tier = name(reply.service_tier)
        if reply.choices:
            reading.stop_reason = name(reply.choices[0].finish_reason)
        usage = _usage(reply, problems)
        if usage is not None:
            reading.usage = usage[1]
            read_usage(usage[0], reading, problems)
        elif (error := member_error(reply.error)) is not None:
            reading.error_type, reading.error_message = error
        return reading


class ChatStreamReader(EventReader):
    """A completion in chunks."""

    __slots__ = ("_done", "_error", "_model", "_stale", "_stop_reason", "_tier", "_usage")

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._model: str | None = None
        self._tier: str | None = None
        self._stop_reason: str | None = None
        self._usage: tuple[TokenUsage, bytes] | None = None
        self._stale = False  # text came after the last usage
        self._done = False  # [DONE] came, or the chunk after the last choice
        self._error: tuple[str | None, str | None] | None = None

    def _event(self, data: bytes) -> None:
        try:
            chunk = _CHUNK.decode(data)
        except MALFORMED:
            if data.strip() == b"[DONE]":
                self._done = True
                return
            chunk = decode(_CHUNK, data, self._problems) or _NOTHING
        told = chunk.usage is not None or chunk.x_groq is not None
        for choice in chunk.choices or ():
            delta = choice.delta
            if delta is not None and (text := delta.content):
                self._text += len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
                self._stale = True
            elif size := _other_text(choice):
                self._text += size
                self._stale = True
            if choice.finish_reason is not None:
                self._stop_reason = name(choice.finish_reason) or self._stop_reason
            if choice.usage is not None:
                told = True
        if self._model is None:
            self._model = name(chunk.model)
            self._tier = name(chunk.service_tier)
        if told:
            self._account(data)
        if chunk.error is not ABSENT:
            self._error = member_error(chunk.error) or self._error

    def _account(self, data: bytes) -> None:
        """Take the usage of a chunk."""
        chunk = decode(_REPLY, data, self._problems)
        usage = _usage(chunk, self._problems) if chunk is not None else None
        if chunk is None or usage is None:
            return
        self._usage = usage
        self._model = name(chunk.model) or self._model
        self._tier = name(chunk.service_tier) or self._tier
        self._stale = False
        self._done = self._done or not chunk.choices
        if usage[0].completion_tokens:
            self._text = 0  # accounted for

    def _close(self, facts: RequestFacts, complete: bool) -> Reading:
        problems = self._problems
        reading = Reading(model=self._model, service_tier=self._tier, stop_reason=self._stop_reason)
        if self._usage is not None:
            reading.usage = self._usage[1]
            read_usage(self._usage[0], reading, problems)
            if self._text and not reading.prompt_tokens and not reading.output_tokens:
                # some servers send zeros instead of counts
                reading.prompt_tokens = None
                reading.state = UsageState.NONE
        if self._error is not None:
            reading.error_type, reading.error_message = self._error
            if reading.state is UsageState.NONE and not self._text:
                return reading  # refused before anything was produced
        ended = self._done or (complete and self._error is None)
        # nothing came after the usage but the end
        settled = self._stop_reason is not None and not self._stale and NOT_WHOLE not in problems
        if reading.state is UsageState.NONE or not (ended or settled):
            complete_reading(reading, facts, self._text, problems, counted=reading.output_tokens or 0)
        return reading


def _other_text(choice: _Choice) -> int:
    """Bytes of output in one choice of a chunk, other than content."""
    delta = choice.delta
    if delta is None:
        return _size(choice.text)
    size = _size(delta.reasoning_content or delta.reasoning) + _size(delta.refusal)
    for call in (delta.tool_calls, delta.function_call):
        if call is not ABSENT and (frame := len(bytes(call))) > len(b"null"):
            size += max(frame - _CALL_FRAME, 1)
    return size


def _size(text: str | None) -> int:
    return len(text.encode("utf-8", "replace")) if text else 0


def _usage(reply: _Reply, problems: list[str]) -> tuple[TokenUsage, bytes] | None:
    """The usage of a reply or chunk, wherever its provider puts it."""
    if reply.usage is not ABSENT and (usage := token_usage(reply.usage, problems)) is not None:
        return usage
    found = None
    for choice in reply.choices or ():
        if choice.usage is not ABSENT:
            found = token_usage(choice.usage, problems) or found
    if found is None and reply.x_groq is not None and reply.x_groq.usage is not ABSENT:
        found = token_usage(reply.x_groq.usage, problems)
    return found
