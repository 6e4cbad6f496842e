"""OpenAI chat completions and completions, and the providers that speak them; as one JSON body and as events.

Plan of the stream: almost every chunk is text, and is only measured; whatever may tell more (usage, a finish reason, an
error, anything unfamiliar) is decoded. Usage may come once after the last choice, or in every chunk, or inside
``choices[0]``, or in ``x_groq``; it is cumulative wherever it repeats, so the last that is not null stands.
"""

from typing import Any, Final

import msgspec

from majordomo.meter.body import BodyReader, EventReader
from majordomo.meter.decoding import ABSENT, any_value, decode, usage_object
from majordomo.meter.errors import member_error
from majordomo.meter.estimate import complete_reading, spoken_bytes
from majordomo.meter.openai_usage import add_search_fee, read_usage
from majordomo.meter.reading import Reading, RequestFacts, UsageState
from majordomo.meter.text import name


class _Choice(msgspec.Struct, gc=False):
    finish_reason: str | None = None
    usage: msgspec.Raw = ABSENT


class _Groq(msgspec.Struct, gc=False):
    usage: msgspec.Raw = ABSENT


class _Reply(msgspec.Struct, gc=False):
    """A completion or one chunk of it."""

    model: str | None = None
    service_tier: str | None = None
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = ABSENT
    x_groq: _Groq | None = None
    error: msgspec.Raw = ABSENT


_REPLY: Final = msgspec.json.Decoder(_Reply)

#: Where the text of a chunk begins. A quote inside text is escaped, so these never match within it.
_TEXT_KEYS: Final = tuple(
    b'"%s":%s"' % (key, gap)
    for gap in (b"", b" ")
    for key in (b"content", b"arguments", b"reasoning_content", b"reasoning", b"text", b"refusal")
)


class ChatReader(BodyReader):
    """A whole completion."""

    __slots__ = ()

    def _read(self, body: bytes, facts: RequestFacts) -> Reading:
        problems = self._problems
        reading = Reading()
        reply = decode(_REPLY, body, problems)
        if reply is None:
            return reading
        reading.model = name(reply.model)
        reading.service_tier = name(reply.service_tier)
        if reply.choices:
            reading.stop_reason = name(reply.choices[0].finish_reason)
        usage = _usage(reply, problems)
        if usage is not None:
            reading.usage = usage[1]
            read_usage(usage[0], reading, problems)
            add_search_fee(reading)
        elif (error := member_error(reply.error)) is not None:
            reading.error_type, reading.error_message = error
        return reading


class ChatStreamReader(EventReader):
    """A completion in chunks."""

    __slots__ = ("_error", "_finished", "_key", "_model", "_stale", "_stop_reason", "_tier", "_usage")

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._model: str | None = None
        self._tier: str | None = None
        self._stop_reason: str | None = None
        self._usage: tuple[dict[str, Any], bytes] | None = None
        self._stale = False  # text came after the last usage
        self._finished = False  # [DONE], or the chunk after the last choice
        self._error: tuple[str | None, str | None] | None = None
        self._key = _TEXT_KEYS[0]

    def _event(self, data: bytes) -> None:
        key = self._key
        start = data.find(key)
        if start < 0 or self._model is None:
            self._other(data)
            return
        usage = data.find(b'"usage"')
        if (usage >= 0 and (not data.startswith(b":null", usage + 7) or data.find(b'"usage"', usage + 7) >= 0)) or (
            data.find(b'"finish_reason":"') >= 0 or data.find(b'"finish_reason": "') >= 0
        ):
            self._decoded(data)
        else:
            start += len(key)
            self._passed(data.find(b'"', start) - start)

    def _passed(self, size: int) -> None:
        """So many bytes of text went by."""
        if size:
            self._text += size if size > 0 else 1
            self._stale = True

    def _other(self, data: bytes) -> None:
        """A chunk without the kind of text that the last one had."""
        if data.strip() == b"[DONE]":
            self._finished = True
            return
        self._key = next((key for key in _TEXT_KEYS if key in data), self._key)
        self._decoded(data)

    def _decoded(self, data: bytes) -> None:
        problems = self._problems
        chunk = decode(_REPLY, data, problems)
        if chunk is None:
            return
        self._passed(spoken_bytes(any_value(data)))
        self._model = name(chunk.model) or self._model
        self._tier = name(chunk.service_tier) or self._tier
        if chunk.choices:
            self._stop_reason = name(chunk.choices[0].finish_reason) or self._stop_reason
        self._error = member_error(chunk.error) or self._error
        usage = _usage(chunk, problems)
        if usage is not None:
            if usage[0].get("completion_tokens"):
                self._text = 0  # accounted for
            self._usage = usage
            self._stale = False
            self._finished = self._finished or not chunk.choices or self._stop_reason is not None

    def _close(self, facts: RequestFacts, complete: bool) -> Reading:
        problems = self._problems
        reading = Reading(model=self._model, service_tier=self._tier, stop_reason=self._stop_reason)
        if self._usage is not None:
            reading.usage = self._usage[1]
            read_usage(self._usage[0], reading, problems)
            if self._text and not reading.prompt_tokens and not reading.output_tokens:
                # some servers send zeros until, or instead of, the count
                reading.prompt_tokens = None
                reading.state = UsageState.NONE
        if self._error is not None:
            reading.error_type, reading.error_message = self._error
            if reading.state is UsageState.NONE and not self._text:
                return reading  # refused before anything was produced
        ended = self._finished or (complete and self._error is None)
        settled = self._stop_reason is not None and not self._stale  # nothing came after the usage but the end
        if reading.state is UsageState.NONE or not (ended or settled):
            complete_reading(reading, facts, self._text, problems, counted=reading.output_tokens or 0)
        add_search_fee(reading)
        return reading


def _usage(reply: _Reply, problems: list[str]) -> tuple[dict[str, Any], bytes] | None:
    """The usage of a reply or chunk, wherever its provider puts it."""
    usage = usage_object(reply.usage, problems)
    if usage is None and reply.choices:
        for choice in reply.choices:
            usage = usage_object(choice.usage, problems) or usage
    if usage is None and reply.x_groq is not None:
        usage = usage_object(reply.x_groq.usage, problems)
    return usage
