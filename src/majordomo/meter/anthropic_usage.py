"""Anthropic's usage object: overlaying it as a stream goes on, and dividing it into what is billed.

Conventions (accuracy: Anthropic ``/v1/messages``): ``input_tokens`` excludes the cache; cache writes come as a total
and, mostly, split by time to live; ``output_tokens`` includes thinking. With ``iterations``, the top level is the sum
of the ``message`` (and ``fallback_message``) entries, ``compaction`` is extra, and ``advisor_message`` is extra at its
own model.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from majordomo.meter.counts import count, note, rows, table
from majordomo.meter.reading import Bucket, Part, Reading, UsageState
from majordomo.meter.text import name

#: Most iterations billed apart; those beyond are added to the last one of their model.
ITERATIONS_MAX: Final = 200

_OWN: Final = ("message", "fallback_message")


class Tokens(NamedTuple):
    """One entry's counts, each billed token in one place."""

    input: int
    output: int
    cache_read: int
    write_5m: int
    write_1h: int

    def counts(self) -> dict[Bucket, int]:
        """The counts by bucket, without zeros."""
        return {bucket: amount for bucket, amount in zip(_BUCKETS, self, strict=True) if amount}


_BUCKETS: Final = (
    Bucket.INPUT,
    Bucket.OUTPUT,
    Bucket.CACHE_READ,
    Bucket.CACHE_WRITE_5M,
    Bucket.CACHE_WRITE_1H,
)


def read_usage(usage: Mapping[str, Any], reading: Reading, problems: list[str], *, ttl_1h: bool) -> None:
    """Fill ``reading`` from a whole or overlaid usage. ``ttl_1h``: the request asked for one-hour writes only."""
    said = count(usage, "input_tokens", problems)
    written = count(usage, "output_tokens", problems)
    cached = count(usage, "cache_read_input_tokens", problems)
    total_write, split_5m, split_1h = _writes(usage, problems)
    write_5m, write_1h = split_writes(total_write, split_5m, split_1h, ttl_1h, problems)
    top = Tokens(said or 0, written or 0, cached or 0, write_5m, write_1h)

    details = usage.get("output_tokens_details")
    if details is not None:
        reading.reasoning_tokens = count(table(usage, "output_tokens_details", problems), "thinking_tokens", problems)
    parts: list[Part] = []
    if usage.get("iterations"):
        parts, write_5m, write_1h = _iterations(usage, top, reading.model, ttl_1h, problems)
    if not parts:
        parts = [Part(reading.model, top.counts())]
    searches = count(table(usage, "server_tool_use", problems), "web_search_requests", problems)
    if searches:
        parts[0].counts[Bucket.WEB_SEARCH] = searches
    reading.parts = tuple(parts)
    if usage.get("fallback_credit"):
        status = table(table(usage, "fallback_credit", problems), "status", problems)
        if status.get("type") == "redeemed":
            note(problems, "fallback_credit")  # billed as if the conversation had been on this model all along

    reading.input_tokens = said
    reading.output_tokens = written
    reading.cached_tokens = cached
    reading.cache_creation_tokens = top.write_5m + top.write_1h if total_write is not None else None
    if total_write is not None:
        reading.cache_creation_5m_tokens = write_5m
        reading.cache_creation_1h_tokens = write_1h
    if said is not None:
        reading.prompt_tokens = top.input + top.cache_read + top.write_5m + top.write_1h
    reading.service_tier = name(usage.get("service_tier"))
    reading.batch = reading.service_tier == "batch"
    reading.geo = name(usage.get("inference_geo"))
    reading.speed = name(usage.get("speed"))
    reading.state = UsageState.FINAL if said is not None and written is not None else UsageState.NONE


def split_writes(total: int | None, told_5m: int, told_1h: int, ttl_1h: bool, problems: list[str]) -> tuple[int, int]:
    """Cache writes of five minutes and of one hour. What the split leaves open gets the life that was asked for.

    ``total`` is the provider's sum and always comes out; a split that exceeds it is cut down, one-hour writes last.
    """
    told = told_5m + told_1h
    if total is None:
        return told_5m, told_1h
    if told > total:
        note(problems, "split_exceeds_total")
        if total == 0:
            return told_5m, told_1h  # the total was left out; the split was not
        kept_1h = min(told_1h, total)
        return total - kept_1h, kept_1h
    rest = total - told
    if not rest:
        return told_5m, told_1h
    note(problems, "split_incomplete" if told else "split_missing")
    return (told_5m, told_1h + rest) if ttl_1h else (told_5m + rest, told_1h)


def _writes(entry: Mapping[str, Any], problems: list[str]) -> tuple[int | None, int, int]:
    total = count(entry, "cache_creation_input_tokens", problems)
    split = table(entry, "cache_creation", problems)
    if not split:
        return total, 0, 0
    told_5m = count(split, "ephemeral_5m_input_tokens", problems) or 0
    told_1h = count(split, "ephemeral_1h_input_tokens", problems) or 0
    return (told_5m + told_1h if total is None else total), told_5m, told_1h


def _iterations(
    usage: Mapping[str, Any], top: Tokens, model: str | None, ttl_1h: bool, problems: list[str]
) -> tuple[list[Part], int, int]:
    """The parts of a reply that took several inferences, and the main conversation's cache writes by time to live.

    Every inference is a part of its own, since the size of its prompt decides its context bracket.
    """
    entries = rows(usage, "iterations", problems)
    served_by = next((name(e.get("model")) for e in entries if e.get("type") == "fallback_message"), None)
    pool_1h, pool_5m = top.write_1h, top.write_5m
    has_splits = any(e.get("cache_creation") for e in entries)
    parts: list[Part] = []
    extras: list[Part] = []
    own = [0, 0, 0, 0]  # what is billed of the main conversation: input, output, cache read, cache write
    declined = [0, 0, 0, 0]
    write_5m = write_1h = 0
    for entry in entries:
        kind = entry.get("type")
        total, told_5m, told_1h = _writes(entry, problems)
        if kind in _OWN and not has_splits and total:
            # only the top level is split: hand its split out in order
            told_1h = min(pool_1h, total)
            told_5m = min(pool_5m, total - told_1h)
            pool_1h, pool_5m = pool_1h - told_1h, pool_5m - told_5m
        tokens = Tokens(
            count(entry, "input_tokens", problems) or 0,
            count(entry, "output_tokens", problems) or 0,
            count(entry, "cache_read_input_tokens", problems) or 0,
            *split_writes(total, told_5m, told_1h, ttl_1h, problems),
        )
        entry_model = name(entry.get("model"))
        sums = (tokens.input, tokens.output, tokens.cache_read, tokens.write_5m + tokens.write_1h)
        if kind in _OWN:
            if kind == "message" and served_by is not None and entry_model not in (None, served_by):
                declined = [a + b for a, b in zip(declined, sums, strict=True)]
                note(problems, "declined_hop")  # a model that declined and handed on is not billed
                continue
            own = [a + b for a, b in zip(own, sums, strict=True)]
            write_5m += tokens.write_5m
            write_1h += tokens.write_1h
            _add(parts, Part(entry_model or model, tokens.counts()), problems)
            continue
        if kind == "advisor_message" and entry_model is None:
            note(problems, "advisor_without_model")
        elif kind not in ("compaction", "advisor_message"):
            note(problems, "unknown_iteration")
        _add(extras, Part(entry_model or model, tokens.counts()), problems)

    expected = [top.input, top.output, top.cache_read, top.write_5m + top.write_1h]
    if own != expected and [a + b for a, b in zip(own, declined, strict=True)] != expected:
        if any(own):
            note(problems, "iterations_mismatch")
        else:  # nothing of the main conversation is itemised
            parts, write_5m, write_1h = [Part(model, top.counts())], top.write_5m, top.write_1h
    return parts + extras, write_5m, write_1h


def _add(parts: list[Part], part: Part, problems: list[str]) -> None:
    if len(parts) < ITERATIONS_MAX:
        parts.append(part)
        return
    note(problems, "many_iterations")
    last = next((p for p in reversed(parts) if p.model == part.model), parts[-1])
    for bucket, amount in part.counts.items():
        last.counts[bucket] = last.counts.get(bucket, 0) + amount
