"""OpenAI speech and transcription.

Speech: older models bill the characters of the request; newer ones bill tokens and tell them only in the event
stream's ``speech.audio.done``. Transcription: usage is either ``tokens`` (audio and text in, text out) or ``duration``
in seconds, in the JSON body or in ``transcript.text.done``. Neither reply names its model.
"""

from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Any, Final

import msgspec

from majordomo.meter.body import BodyReader, EventReader, ReaderBase, written_bytes
from majordomo.meter.counts import MAX_COUNT, count, note, table
from majordomo.meter.decoding import ABSENT, NOT_WHOLE, any_value, decode, usage_object
from majordomo.meter.errors import member_error
from majordomo.meter.estimate import output_tokens
from majordomo.meter.reading import Bucket, Part, Reading, RequestFacts, UsageState

#: Speech models that bill characters, by the start of their names; all others bill tokens.
CHARACTER_MODELS: Final = ("tts-",)
#: Audio tokens in one spoken character, for streams that were cut: speech runs at some 15 characters a second and is
#: sold at some 20 tokens a second.
AUDIO_TOKENS_PER_CHARACTER: Final = Decimal("1.3")
#: Bytes in a second of uploaded audio, where the reply tells no duration: 128 kbit/s, the usual MP3.
AUDIO_BYTES_PER_SECOND: Final = 16_000


class _Reply(msgspec.Struct, gc=False):
    """A transcription, or an event of one or of speech."""

    type: str | None = None
    duration: msgspec.Raw = ABSENT
    usage: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT


_REPLY: Final = msgspec.json.Decoder(_Reply)


class SpeechReader(ReaderBase):
    """Audio bytes: nothing to read in them. What is billed stands in the request."""

    __slots__ = ()

    def _take(self, data: bytes) -> None:
        pass

    def _conclude(self, facts: RequestFacts, complete: bool) -> Reading:
        characters = facts.characters
        reading = Reading(state=UsageState.FINAL)
        if characters is None or not (facts.model or "").startswith(CHARACTER_MODELS):
            note(self._problems, "characters_unknown" if characters is None else "tokens_not_told")
            reading.state = UsageState.ESTIMATED
        billed = facts.input_bytes if characters is None else characters
        reading.parts = (Part(None, {Bucket.CHARACTERS: billed} if billed else {}),)
        return reading


class SpeechStreamReader(EventReader):
    """Audio in events; the last one tells the tokens."""

    __slots__ = ("_last",)

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._last = Reading()

    def _event(self, data: bytes) -> None:
        if b'"usage"' not in data and b'"error"' not in data:
            return
        reply = decode(_REPLY, data, self._problems)
        if reply is None:
            return
        usage = usage_object(reply.usage, self._problems)
        if usage is not None:
            read_token_usage(usage[0], self._last, self._problems, into=Bucket.INPUT, out=Bucket.OUTPUT_AUDIO)
            self._last.usage = usage[1]
        elif (error := member_error(reply.error)) is not None:
            self._last.error_type, self._last.error_message = error

    def _close(self, facts: RequestFacts, complete: bool) -> Reading:
        reading = self._last
        if reading.state is UsageState.NONE:
            note(self._problems, "estimated")
            characters = facts.input_bytes if facts.characters is None else facts.characters
            reading.input_tokens = reading.prompt_tokens = output_tokens(characters, RequestFacts())
            reading.output_tokens = min(int(characters * AUDIO_TOKENS_PER_CHARACTER) + 1, MAX_COUNT)
            counts = {Bucket.INPUT: reading.input_tokens, Bucket.OUTPUT_AUDIO: reading.output_tokens}
            reading.parts = (Part(None, {bucket: amount for bucket, amount in counts.items() if amount}),)
            reading.state = UsageState.ESTIMATED
        return reading


class TranscriptionReader(BodyReader):
    """A transcript as JSON, or as plain text or subtitles, which tell nothing."""

    __slots__ = ()

    def _read(self, body: bytes, facts: RequestFacts) -> Reading:
        reading = Reading()
        if body.lstrip()[:1] == b"{":
            reply = decode(_REPLY, body, self._problems)
            if reply is not None:
                _read_transcript(reply, reading, self._problems)
        return reading

    def _estimate(self, reading: Reading, body: bytes, facts: RequestFacts) -> None:
        estimate_transcription(reading, facts, self._text + written_bytes(body), self._problems)


class TranscriptionStreamReader(EventReader):
    """A transcript in events; the last one tells the usage."""

    __slots__ = ("_last",)

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._last = Reading()

    def _event(self, data: bytes) -> None:
        if data.lstrip().startswith(b'{"type":"transcript.text.delta"'):
            self._text += max(len(data) - len(b' {"type":"transcript.text.delta","delta":""}'), 1)
            return
        reply = decode(_REPLY, data, self._problems)
        if reply is not None:
            if reply.type == "transcript.text.delta":
                self._text += written_bytes(data)
            _read_transcript(reply, self._last, self._problems)

    def _close(self, facts: RequestFacts, complete: bool) -> Reading:
        reading = self._last
        if reading.state is UsageState.NONE and (reading.error_type is None or self._text):
            estimate_transcription(reading, facts, self._text, self._problems)
        return reading


def estimate_transcription(reading: Reading, facts: RequestFacts, text_bytes: int, problems: list[str]) -> None:
    """Put the length of the upload in the place of a duration that was not told."""
    note(problems, "estimated")
    milliseconds = min(facts.input_bytes * 1000 // AUDIO_BYTES_PER_SECOND, MAX_COUNT)
    reading.parts = (Part(None, {Bucket.AUDIO_SECONDS: max(milliseconds, 1)}),)
    reading.output_tokens = output_tokens(text_bytes, facts)
    reading.state = UsageState.ESTIMATED


def read_token_usage(
    usage: Mapping[str, Any], reading: Reading, problems: list[str], *, into: Bucket, out: Bucket
) -> None:
    """Fill ``reading`` from audio usage in tokens. Input that no detail names goes ``into`` that bucket."""
    said = count(usage, "input_tokens", problems)
    written = count(usage, "output_tokens", problems)
    if said is None or written is None:
        return
    details = table(usage, "input_token_details", problems)
    audio = min(count(details, "audio_tokens", problems) or 0, said)
    text = min(count(details, "text_tokens", problems) or 0, said - audio)
    rest = said - audio - text
    if rest and details:
        note(problems, "details_mismatch")
    counts = {Bucket.INPUT: text, Bucket.INPUT_AUDIO: audio}
    counts[into] += rest
    counts[out] = written
    total = count(usage, "total_tokens", problems)
    if total is not None and total != said + written:
        note(problems, "total_mismatch")
    reading.parts = (Part(None, {bucket: amount for bucket, amount in counts.items() if amount}),)
    reading.input_tokens = reading.prompt_tokens = said
    reading.output_tokens = written
    reading.state = UsageState.FINAL


def _read_transcript(reply: _Reply, reading: Reading, problems: list[str]) -> None:
    usage = usage_object(reply.usage, problems)
    duration: object = any_value(reply.duration) if bytes(reply.duration) else None
    if usage is not None:
        reading.usage = usage[1]
        if "input_tokens" in usage[0]:
            read_token_usage(usage[0], reading, problems, into=Bucket.INPUT_AUDIO, out=Bucket.OUTPUT)
            return
        duration = usage[0].get("seconds", duration)
    elif (error := member_error(reply.error)) is not None:
        reading.error_type, reading.error_message = error
    if duration is not None:
        milliseconds = _milliseconds(duration)
        if milliseconds is None:
            note(problems, "bad_count:seconds")
            return
        reading.parts = (Part(None, {Bucket.AUDIO_SECONDS: milliseconds} if milliseconds else {}),)
        whole = usage is not None or NOT_WHOLE not in problems  # else the usage may have been cut off
        reading.state = UsageState.FINAL if whole else UsageState.ESTIMATED


def _milliseconds(seconds: object) -> int | None:
    """Seconds, a number or its text, in whole milliseconds, rounded up; None if they are no duration."""
    if seconds.__class__ not in (int, float, str):
        return None
    text = str(seconds)
    if len(text) > 32:  # no duration is written so; and a hostile exponent costs time
        return None
    try:
        value = Decimal(text)
    except ArithmeticError:
        return None
    if not value.is_finite() or value < 0 or value > MAX_COUNT // 1000:
        return None
    return int((value * 1000).to_integral_value(ROUND_CEILING))
