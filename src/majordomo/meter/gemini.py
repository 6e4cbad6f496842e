"""Gemini generateContent, streamGenerateContent (events, or a JSON array) and the embeddings.

Plan of the stream: every piece has the shape of a whole reply, and its ``usageMetadata`` is cumulative: the last value
of every field stands. A stream that broke off before any finish reason has an exact prompt and an estimated output.
"""

from typing import Any, Final

import msgspec

from majordomo.meter.body import BodyReader, EventReader, ReaderBase
from majordomo.meter.counts import count, note
from majordomo.meter.decoding import ABSENT, any_value, decode, usage_object, usage_text
from majordomo.meter.errors import member_error
from majordomo.meter.estimate import complete_reading, spoken_bytes
from majordomo.meter.gemini_usage import read_usage
from majordomo.meter.json_array import Elements
from majordomo.meter.overlay import overlay
from majordomo.meter.reading import Bucket, Part, Reading, RequestFacts, UsageState
from majordomo.meter.text import name


class _Grounding(msgspec.Struct, gc=False, rename="camel"):
    web_search_queries: list[str] | None = None


class _Candidate(msgspec.Struct, gc=False, rename="camel"):
    content: msgspec.Raw = ABSENT
    finish_reason: str | None = None
    grounding_metadata: _Grounding | None = None


class _Feedback(msgspec.Struct, gc=False, rename="camel"):
    block_reason: str | None = None


class _Reply(msgspec.Struct, gc=False, rename="camel"):
    candidates: list[_Candidate] | None = None
    prompt_feedback: _Feedback | None = None
    usage_metadata: msgspec.Raw = ABSENT
    model_version: str | None = None
    error: msgspec.Raw = ABSENT


class _Statistics(msgspec.Struct, gc=False, rename="camel"):
    token_count: float | None = None


class _Embedding(msgspec.Struct, gc=False):
    statistics: _Statistics | None = None


class _Embeddings(msgspec.Struct, gc=False, rename="camel"):
    embedding: _Embedding | None = None
    embeddings: list[_Embedding] | None = None
    usage_metadata: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT


_REPLY: Final = msgspec.json.Decoder(_Reply)
_EMBEDDINGS: Final = msgspec.json.Decoder(_Embeddings)


class _Tally:
    """What the pieces of one reply came to so far; a whole reply is one piece."""

    __slots__ = ("ended", "error", "model", "problems", "queries", "stop_reason", "text", "usage")

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        self.model: str | None = None
        self.stop_reason: str | None = None
        self.usage: dict[str, Any] = {}
        self.queries = 0
        self.text = 0
        self.ended = False  # usage came with or after the finish or block reason, and no text after it
        self.error: tuple[str | None, str | None] | None = None

    def add(self, data: bytes) -> None:
        """Take one piece."""
        reply = decode(_REPLY, data, self.problems)
        if reply is None:
            return
        self.model = name(reply.model_version) or self.model
        queries = 0
        stop = None
        for candidate in reply.candidates or ():
            text = spoken_bytes(any_value(bytes(candidate.content)))
            if text:
                self.text += text
                self.ended = False
            stop = stop or name(candidate.finish_reason)
            grounding = candidate.grounding_metadata
            if grounding is not None:
                queries += sum(1 for query in grounding.web_search_queries or () if query)
        self.queries = max(self.queries, queries)  # a later piece repeats the earlier ones' queries
        if reply.prompt_feedback is not None:
            stop = stop or name(reply.prompt_feedback.block_reason)
        if stop is not None:
            self.stop_reason = stop
        news = usage_object(reply.usage_metadata, self.problems)
        if news is not None:
            overlay(self.usage, news[0], self.problems)
            self.ended = self.stop_reason is not None
            if news[0].get("candidatesTokenCount"):
                self.text = 0  # accounted for
        self.error = member_error(reply.error) or self.error

    def reading(self, facts: RequestFacts, *, ended: bool) -> Reading:
        """What the pieces came to. ``ended``: the reply was whole."""
        reading = Reading(model=self.model, stop_reason=self.stop_reason)
        if self.usage:
            read_usage(self.usage, self.queries, reading, self.problems)
            reading.usage = usage_text(self.usage)
        if self.error is not None:
            reading.error_type, reading.error_message = self.error
            if reading.state is UsageState.NONE and not self.text:
                return reading  # refused before anything was produced
        if reading.state is UsageState.NONE or not (self.ended or (ended and self.error is None)):
            complete_reading(reading, facts, self.text, self.problems, counted=reading.output_tokens or 0)
        return reading


class GenerateReader(BodyReader):
    """A whole reply."""

    __slots__ = ("_whole",)

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._whole = False

    def _conclude(self, facts: RequestFacts, complete: bool) -> Reading:
        self._whole = complete and self._size <= self._limit
        return super()._conclude(facts, complete)

    def _read(self, body: bytes, facts: RequestFacts) -> Reading:
        tally = _Tally(self._problems)
        tally.text = self._text
        tally.add(body)
        if not tally.text and not tally.usage and not self._whole:
            tally.text = len(body)
        return tally.reading(facts, ended=self._whole)

    def _free(self, reading: Reading) -> bool:
        return True  # the tally has estimated already


class GenerateStreamReader(EventReader):
    """A reply in events."""

    __slots__ = ("_tally",)

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._tally = _Tally(self._problems)

    def _event(self, data: bytes) -> None:
        self._tally.add(data)

    def _close(self, facts: RequestFacts, complete: bool) -> Reading:
        self._tally.text += self._text
        return self._tally.reading(facts, ended=complete)


class GenerateArrayReader(ReaderBase):
    """A reply in the elements of a JSON array."""

    __slots__ = ("_elements", "_tally")

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._elements = Elements(limit)
        self._tally = _Tally(self._problems)

    def _take(self, data: bytes) -> None:
        for element in self._elements.feed(data):
            self._tally.add(element)

    def _conclude(self, facts: RequestFacts, complete: bool) -> Reading:
        rest = self._elements.rest()
        if rest is not None:
            self._tally.add(rest)
        if self._elements.dropped:
            self.unread(self._elements.dropped, "too_long")
        self._tally.text += self._text
        return self._tally.reading(facts, ended=complete)


class EmbedReader(BodyReader):
    """Vectors: only the prompt is billed, and most replies do not tell it."""

    __slots__ = ()

    def _read(self, body: bytes, facts: RequestFacts) -> Reading:
        problems = self._problems
        reading = Reading()
        reply = decode(_EMBEDDINGS, body, problems)
        if reply is None:
            return reading
        if (error := member_error(reply.error)) is not None:
            reading.error_type, reading.error_message = error
            return reading
        usage = usage_object(reply.usage_metadata, problems)
        if usage is not None:
            reading.usage = usage[1]
            if count(usage[0], "promptTokenCount", problems) is not None:
                read_usage({**usage[0], "candidatesTokenCount": 0}, 0, reading, problems)
                return reading
        vectors = [reply.embedding] if reply.embedding is not None else reply.embeddings or []
        told = [v.statistics.token_count for v in vectors if v.statistics is not None]
        tokens = sum(_whole(tokens, problems) for tokens in told if tokens is not None)
        if tokens:
            reading.parts = (Part(None, {Bucket.INPUT: tokens}),)
            reading.input_tokens = reading.prompt_tokens = tokens
            reading.output_tokens = 0
            reading.state = UsageState.FINAL
        return reading

    def _estimate(self, reading: Reading, body: bytes, facts: RequestFacts) -> None:
        complete_reading(reading, facts, 0, self._problems)


def _whole(tokens: float, problems: list[str]) -> int:
    """A count that its provider writes as a float."""
    if 0 <= tokens < 2**31 and tokens == int(tokens):
        return int(tokens)
    note(problems, "bad_count:tokenCount")
    return 0
