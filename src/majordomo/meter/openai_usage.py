"""The usage object of OpenAI's text APIs and of the many that speak like them, divided into what is billed.

Conventions (accuracy: OpenAI chat completions, Responses): ``prompt_tokens`` (Responses: ``input_tokens``) is the
total and contains cached, cache-written and audio tokens; ``completion_tokens`` (``output_tokens``) contains
reasoning, rejected predictions and audio. Kin: DeepSeek tells the cache as ``prompt_cache_hit_tokens``, Moonshot as
``cached_tokens``; xAI and Gemini's OpenAI endpoint leave reasoning out of ``completion_tokens`` but count it in
``total_tokens``.
"""

from collections.abc import Mapping
from typing import Any, Final

from majordomo.meter.counts import count, note, table
from majordomo.meter.reading import Bucket, Part, Reading, UsageState

#: Models whose every call carries one web search, by a piece of their names (OpenAI's search models).
_SEARCH_MODELS: Final = ("-search-preview", "-search-api")


def read_usage(usage: Mapping[str, Any], reading: Reading, problems: list[str]) -> None:
    """Fill ``reading``; its state stays NONE if ``usage`` tells neither input nor output."""
    get = usage.get
    prompt = count(usage, "prompt_tokens" if "prompt_tokens" in usage else "input_tokens", problems)
    completion = count(usage, "completion_tokens" if "completion_tokens" in usage else "output_tokens", problems)
    total = count(usage, "total_tokens", problems)
    cached = write = audio_in = audio_out = cached_audio = 0
    reasoning: int | None = None

    if get("completion_tokens_details") or get("output_tokens_details"):
        key = "completion_tokens_details" if get("completion_tokens_details") else "output_tokens_details"
        details = table(usage, key, problems)
        reasoning = count(details, "reasoning_tokens", problems)
        audio_out = count(details, "audio_tokens", problems) or 0
    elif get("reasoning_tokens") is not None:
        reasoning = count(usage, "reasoning_tokens", problems)

    cached_told: int | None = None
    write_told: int | None = None
    if get("prompt_tokens_details") or get("input_tokens_details"):
        key = "prompt_tokens_details" if get("prompt_tokens_details") else "input_tokens_details"
        details = table(usage, key, problems)
        cached_told = count(details, "cached_tokens", problems)
        write_told = count(details, "cache_write_tokens", problems)
        audio_in = count(details, "audio_tokens", problems) or 0
        if audio_in and details.get("cached_tokens_details"):
            cached_audio = count(table(details, "cached_tokens_details", problems), "audio_tokens", problems) or 0
    if cached_told is None:  # the kin's places
        cached_told = count(usage, "prompt_cache_hit_tokens", problems)
        if cached_told is None:
            cached_told = count(usage, "cached_tokens", problems)

    if prompt is None and completion is None:
        return
    if completion is None:
        completion = max(total - prompt, 0) if total is not None and prompt is not None else None
    elif prompt is None:
        prompt = total - completion if total is not None and total >= completion else None
    elif total is not None and total != prompt + completion:
        completion = _against_total(prompt, completion, total, reasoning, problems)

    counts: dict[Bucket, int] = {}
    if prompt is not None:
        left = prompt
        cached, left = _take(cached_told or 0, left, problems)
        write, left = _take(write_told or 0, left, problems)
        if audio_in:
            cached_audio = min(cached_audio, cached, audio_in)
            audio_in, left = _take(audio_in - cached_audio, left, problems)
        if left:
            counts[Bucket.INPUT] = left
        if audio_in:
            counts[Bucket.INPUT_AUDIO] = audio_in
        if cached - cached_audio:
            counts[Bucket.CACHE_READ] = cached - cached_audio
        if cached_audio:
            counts[Bucket.CACHE_READ_AUDIO] = cached_audio
        if write:
            counts[Bucket.CACHE_WRITE] = write
    if completion is not None:
        audio_out, text_out = _take(audio_out, completion, problems)
        if text_out:
            counts[Bucket.OUTPUT] = text_out
        if audio_out:
            counts[Bucket.OUTPUT_AUDIO] = audio_out
        if reasoning is not None and reasoning > completion:
            note(problems, "reasoning_exceeds_output")

    reading.parts = (Part(reading.model, counts),)
    reading.input_tokens = reading.prompt_tokens = prompt
    reading.output_tokens = completion
    reading.cached_tokens = None if cached_told is None else cached
    reading.cache_creation_tokens = None if write_told is None else write
    reading.reasoning_tokens = reasoning
    if prompt is not None and completion is not None:
        reading.state = UsageState.FINAL


def add_search_fee(reading: Reading) -> None:
    """One web search for a search model's call: its fee is per call and not in the usage."""
    model = reading.model
    if model is not None and "-search-" in model and any(piece in model for piece in _SEARCH_MODELS) and reading.parts:
        reading.parts[0].counts[Bucket.WEB_SEARCH] = 1


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
