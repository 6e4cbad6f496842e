"""Gemini's ``usageMetadata``, divided into what is billed.

Conventions (accuracy: Gemini): ``promptTokenCount`` contains the cached tokens, ``toolUsePromptTokenCount`` is input
beside it, ``candidatesTokenCount`` excludes thoughts, ``totalTokenCount`` is the sum of prompt, candidates, tool use
and thoughts. Details come per modality, and one modality may come several times.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from majordomo.meter.counts import count, note, rows
from majordomo.meter.reading import Bucket, Part, Reading, UsageState
from majordomo.meter.text import name

_TEXT: Final = "TEXT"
#: Modalities by the class they are billed in. A document is priced as image; what is not named counts as text.
_CLASSES: Final = {
    "TEXT": _TEXT,
    "MODALITY_UNSPECIFIED": _TEXT,
    "IMAGE": "IMAGE",
    "DOCUMENT": "IMAGE",
    "VIDEO": "VIDEO",
    "AUDIO": "AUDIO",
}
_INPUT: Final = {
    _TEXT: Bucket.INPUT,
    "AUDIO": Bucket.INPUT_AUDIO,
    "IMAGE": Bucket.INPUT_IMAGE,
    "VIDEO": Bucket.INPUT_VIDEO,
}
_CACHED: Final = {
    _TEXT: Bucket.CACHE_READ,
    "AUDIO": Bucket.CACHE_READ_AUDIO,
    "IMAGE": Bucket.CACHE_READ_IMAGE,
    "VIDEO": Bucket.CACHE_READ_VIDEO,
}
_OUTPUT: Final = {_TEXT: Bucket.OUTPUT, "AUDIO": Bucket.OUTPUT_AUDIO, "IMAGE": Bucket.OUTPUT_IMAGE}

#: What a provider writes where it means that it says nothing.
_UNSAID: Final = frozenset({"unspecified", "SERVICE_TIER_UNSPECIFIED", "TRAFFIC_TYPE_UNSPECIFIED"})
_GENERATION: Final = re.compile(r"gemini-(\d+)")
#: From this generation on grounding is billed by search query; before, by grounded prompt.
_BILLED_BY_QUERY: Final = 3

Amounts = dict[str, int]


def read_usage(usage: Mapping[str, Any], queries: int, reading: Reading, problems: list[str]) -> None:
    """Fill ``reading``; its state stays NONE without a prompt count. ``queries`` are the searches of its grounding."""
    prompt = count(usage, "promptTokenCount", problems)
    if prompt is None:
        return
    tool_use = count(usage, "toolUsePromptTokenCount", problems) or 0
    thoughts = count(usage, "thoughtsTokenCount", problems)
    said = "candidates" if "candidatesTokenCount" in usage or "responseTokenCount" not in usage else "response"
    candidates = count(usage, said + "TokenCount", problems) or 0
    total = count(usage, "totalTokenCount", problems)
    output = candidates + (thoughts or 0)
    if total is not None and total != prompt + tool_use + output:
        note(problems, "total_mismatch")
        if total >= prompt + tool_use:
            output = total - prompt - tool_use

    fresh = spread(prompt, rows(usage, "promptTokensDetails", problems), problems)
    for modality, amount in spread(tool_use, rows(usage, "toolUsePromptTokensDetails", problems), problems).items():
        fresh[modality] = fresh.get(modality, 0) + amount
    cached = take_cached(usage, fresh, problems)
    counts = {_INPUT[modality]: amount for modality, amount in fresh.items() if amount}
    for modality, amount in cached.items():
        if amount:
            counts[_CACHED[modality]] = amount
    for modality, amount in _outputs(usage, said, candidates, output, problems).items():
        if amount:
            counts[_OUTPUT[modality]] = amount
    if queries:
        counts[Bucket.GROUNDING] = queries if _by_query(reading.model) else 1
    reading.parts = (Part(reading.model, counts, prompt),)  # the bracket goes by the prompt, without tool use

    reading.input_tokens = prompt
    reading.prompt_tokens = prompt + tool_use
    reading.output_tokens = output
    reading.reasoning_tokens = thoughts
    if usage.get("cachedContentTokenCount") is not None:
        reading.cached_tokens = sum(cached.values())
    reading.service_tier = _tier(usage)
    reading.state = UsageState.FINAL


def spread(total: int, details: list[dict[str, Any]], problems: list[str]) -> Amounts:
    """``total`` tokens by modality class. What details leave open is text; an excess is cut, text first."""
    amounts: Amounts = {}
    for detail in details:
        said = detail.get("modality")
        modality = _CLASSES.get(said) if isinstance(said, str) else _TEXT
        if modality is None:
            note(problems, "unknown_modality")
            modality = _TEXT
        amounts[modality] = amounts.get(modality, 0) + (count(detail, "tokenCount", problems) or 0)
    rest = total - sum(amounts.values())
    if rest > 0:
        if amounts:
            note(problems, "details_short")
        amounts[_TEXT] = amounts.get(_TEXT, 0) + rest
    elif rest < 0:
        note(problems, "details_exceed_total")
        for modality in sorted(amounts, key=lambda m: m != _TEXT):
            cut = min(amounts[modality], -rest)
            amounts[modality] -= cut
            rest += cut
    return amounts


def take_cached(usage: Mapping[str, Any], fresh: Amounts, problems: list[str]) -> Amounts:
    """The cached tokens by modality, taken out of ``fresh``."""
    total = count(usage, "cachedContentTokenCount", problems) or 0
    if not total:
        return {}
    details = rows(usage, "cacheTokensDetails", problems)
    if details:
        wanted = spread(total, details, problems)
    else:
        wanted = {_TEXT: total}
        if usage.get("promptTokensDetails") is None or any(fresh.get(m) for m in ("AUDIO", "IMAGE", "VIDEO")):
            note(problems, "cache_modality_missing")
    cached: Amounts = {}
    left = 0
    for modality, amount in wanted.items():
        taken = min(amount, fresh.get(modality, 0))
        cached[modality] = taken
        fresh[modality] = fresh.get(modality, 0) - taken
        left += amount - taken
    if left and details:
        note(problems, "cache_details_mismatch")
    for modality in sorted(fresh, key=lambda m: m != _TEXT):
        taken = min(left, fresh[modality])
        cached[modality] = cached.get(modality, 0) + taken
        fresh[modality] -= taken
        left -= taken
    if left:
        note(problems, "cached_exceeds_prompt")
    return cached


def _outputs(usage: Mapping[str, Any], said: str, candidates: int, output: int, problems: list[str]) -> Amounts:
    """``output`` tokens by modality: the candidates by their details, everything else (thoughts) as text."""
    amounts = spread(candidates, rows(usage, said + "TokensDetails", problems), problems)
    if amounts.get("VIDEO"):
        note(problems, "unknown_modality")
        amounts[_TEXT] = amounts.get(_TEXT, 0) + amounts.pop("VIDEO")
    media = {modality: amount for modality, amount in amounts.items() if modality != _TEXT}
    for modality in media:
        media[modality] = min(media[modality], output)
        output -= media[modality]
    return {_TEXT: output, **media}


def _by_query(model: str | None) -> bool:
    generation = _GENERATION.search(model or "")
    return generation is None or len(generation[1]) > 2 or int(generation[1]) >= _BILLED_BY_QUERY


def _tier(usage: Mapping[str, Any]) -> str | None:
    """The tier in the provider's own word: the Gemini API's service tier, or Vertex's traffic type."""
    said = (name(usage.get(key)) for key in ("serviceTier", "trafficType"))
    return next((tier for tier in said if tier is not None and tier not in _UNSAID), None)
