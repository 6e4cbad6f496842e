"""The usage object of OpenAI's text APIs and of the many that speak like them, divided into what is billed.

Conventions (accuracy: OpenAI chat completions, Responses): ``prompt_tokens`` (Responses: ``input_tokens``) is the total
and contains cached, cache-written and audio tokens; ``completion_tokens`` (``output_tokens``) contains reasoning,
rejected predictions and audio. Kin: DeepSeek tells the cache as ``prompt_cache_hit_tokens``, Moonshot as
``cached_tokens``; xAI and Gemini's OpenAI endpoint leave reasoning out of ``completion_tokens`` but count it in
``total_tokens``.

Plan: a usage made only of known counts decodes straight into a Struct. Anything else is decoded freely, taken count by
count, and what is no count leaves a problem.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec

from majordomo.meter.counts import MAX_COUNT, count, note, table
from majordomo.meter.decoding import MALFORMED, USAGE_LIMIT, usage_object
from majordomo.meter.reading import Bucket, Part, Reading, UsageState

Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_COUNT)] | None


class Details(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """What a prompt or a completion is made of. Only the first four bear on the bill."""

    cached_tokens: Count = None
    cache_write_tokens: Count = None
    audio_tokens: Count = None
    reasoning_tokens: Count = None
    text_tokens: Count = None
    image_tokens: Count = None
    accepted_prediction_tokens: Count = None
    rejected_prediction_tokens: Count = None
    cached_audio_tokens: Count = None  # from cached_tokens_details, which only the free decoding knows


class TokenUsage(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A usage object. The first five are the chat API's, the next four the Responses API's, the last ones the kin's."""

    prompt_tokens: Count = None
    completion_tokens: Count = None
    total_tokens: Count = None
    prompt_tokens_details: Details | None = None
    completion_tokens_details: Details | None = None
    input_tokens: Count = None
    output_tokens: Count = None
    input_tokens_details: Details | None = None
    output_tokens_details: Details | None = None
    prompt_cache_hit_tokens: Count = None
    prompt_cache_miss_tokens: Count = None
    cached_tokens: Count = None
    reasoning_tokens: Count = None
    cache_write_12h_tokens: Count = None  # from cache_write_tokens_details, which only the free decoding knows


_USAGE: Final = msgspec.json.Decoder(TokenUsage)
_NO_DETAILS: Final = Details()

# Looked up once: on the request path a member of an enum costs more than a name of the module.
_INPUT: Final = Bucket.INPUT
_OUTPUT: Final = Bucket.OUTPUT
_CACHE_READ: Final = Bucket.CACHE_READ
_FINAL: Final = UsageState.FINAL


def token_usage(raw: msgspec.Raw, problems: list[str]) -> tuple[TokenUsage, bytes] | None:
    """A usage object, and its JSON text for the row. None if it is absent, null or no object."""
    text = bytes(raw)
    if not text or text == b"null":
        return None
    if len(text) <= USAGE_LIMIT:
        try:
            return _USAGE.decode(text), text
        except MALFORMED:
            pass
    free = usage_object(raw, problems)
    return (_counted(free[0], problems), free[1]) if free is not None else None


def read_usage(usage: TokenUsage, reading: Reading, problems: list[str]) -> None:
    """Fill ``reading``; its state stays NONE unless ``usage`` tells input and output."""
    prompt = usage.prompt_tokens if usage.prompt_tokens is not None else usage.input_tokens
    completion = usage.completion_tokens if usage.completion_tokens is not None else usage.output_tokens
    if prompt is None and completion is None:
        return
    details = usage.prompt_tokens_details or usage.input_tokens_details or _NO_DETAILS
    out_details = usage.completion_tokens_details or usage.output_tokens_details or _NO_DETAILS
    reasoning = out_details.reasoning_tokens if out_details.reasoning_tokens is not None else usage.reasoning_tokens
    total = usage.total_tokens
    if completion is None:
        completion = max(total - prompt, 0) if total is not None and prompt is not None else None
    elif prompt is None:
        prompt = total - completion if total is not None and total >= completion else None
    elif total is not None and total != prompt + completion:
        completion = _against_total(prompt, completion, total, reasoning, problems)

    counts: dict[Bucket, int] = {}
    if prompt is not None:
        cached = details.cached_tokens
        if cached is not None and cached <= prompt and not details.audio_tokens and details.cache_write_tokens is None:
            reading.cached_tokens = cached  # what nearly every usage looks like
            if cached:
                counts[_CACHE_READ] = cached
            if cached < prompt:
                counts[_INPUT] = prompt - cached
        else:
            _divide_prompt(usage, prompt, details, counts, reading, problems)
    if completion:
        audio = out_details.audio_tokens
        if audio:
            audio, text = _take(audio, completion, problems)
            counts[Bucket.OUTPUT_AUDIO] = audio
            if text:
                counts[_OUTPUT] = text
        else:
            counts[_OUTPUT] = completion
    if reasoning and completion is not None and reasoning > completion:
        note(problems, "reasoning_exceeds_output")
    reading.parts = (Part(reading.model, counts),)
    reading.input_tokens = reading.prompt_tokens = prompt
    reading.output_tokens = completion
    reading.reasoning_tokens = reasoning
    if prompt is not None and completion is not None:
        reading.state = _FINAL


def _divide_prompt(
    usage: TokenUsage,
    prompt: int,
    details: Details,
    counts: dict[Bucket, int],
    reading: Reading,
    problems: list[str],
) -> None:
    cached = details.cached_tokens
    if cached is None:  # the kin's places
        cached = usage.prompt_cache_hit_tokens
        if cached is None:
            cached = usage.cached_tokens
    left = prompt
    if cached is not None:
        cached, left = _take(cached, left, problems)
        reading.cached_tokens = cached
    if details.cache_write_tokens is not None:
        written, left = _take(details.cache_write_tokens, left, problems)
        reading.cache_creation_tokens = written
        if written:
            counts[Bucket.CACHE_WRITE] = written
        if usage.cache_write_12h_tokens:
            note(problems, "cache_write_12h")  # may have a rate of its own
    if details.audio_tokens:
        cached_audio = min(details.cached_audio_tokens or 0, cached or 0, details.audio_tokens)
        audio, left = _take(details.audio_tokens - cached_audio, left, problems)
        if audio:
            counts[Bucket.INPUT_AUDIO] = audio
        if cached_audio:
            counts[Bucket.CACHE_READ_AUDIO] = cached_audio
            cached = (cached or 0) - cached_audio
    if cached:
        counts[_CACHE_READ] = cached
    if left:
        counts[_INPUT] = left


def _against_total(prompt: int, completion: int, total: int, reasoning: int | None, problems: list[str]) -> int:
    """Completion tokens that agree with the provider's total, where that can be."""
    if total < prompt + completion:
        note(problems, "total_mismatch")
        return completion
    if total - prompt - completion != reasoning:
        note(problems, "output_from_total")
    return total - prompt


def _take(wanted: int, left: int, problems: list[str]) -> tuple[int, int]:
    """``wanted`` out of ``left``, and what then remains; a detail larger than its whole is cut down."""
    if wanted > left:
        note(problems, "details_exceed_total")
        return left, 0
    return wanted, left - wanted


def _counted(usage: Mapping[str, Any], problems: list[str]) -> TokenUsage:
    """The known counts of a usage that holds more, or worse."""
    made = TokenUsage()
    for key in TokenUsage.__struct_fields__:
        if key not in usage or usage[key] is None:
            continue
        if key.endswith("_details"):
            said = table(usage, key, problems)
            details = Details(*(count(said, field, problems) for field in Details.__struct_fields__))
            details.cached_audio_tokens = count(
                table(said, "cached_tokens_details", problems), "audio_tokens", problems
            )
            setattr(made, key, details)
            writes = table(said, "cache_write_tokens_details", problems)
            made.cache_write_12h_tokens = count(writes, "ttl_12h_tokens", problems) or made.cache_write_12h_tokens
        else:
            setattr(made, key, count(usage, key, problems))
    return made
