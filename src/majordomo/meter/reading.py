"""What a reader found out about one reply: the noun that ``meter`` hands to ``price`` and ``record``.

Counts are tokens unless the bucket's name says otherwise. A billed quantity stands in exactly one bucket of exactly
one part; what the provider merely tells besides (reasoning inside output, totals) is kept apart from the parts.
"""

from enum import StrEnum
from typing import Protocol

import msgspec


class Bucket(StrEnum):
    """The classes that a provider bills apart. No bucket contains another."""

    INPUT = "input"  # uncached text, or anything the provider does not split further
    INPUT_AUDIO = "input_audio"
    INPUT_IMAGE = "input_image"
    INPUT_VIDEO = "input_video"
    CACHE_READ = "cache_read"
    CACHE_READ_AUDIO = "cache_read_audio"
    CACHE_READ_IMAGE = "cache_read_image"
    CACHE_READ_VIDEO = "cache_read_video"
    CACHE_WRITE = "cache_write"  # one write rate, no time to live told (OpenAI)
    CACHE_WRITE_5M = "cache_write_5m"
    CACHE_WRITE_1H = "cache_write_1h"
    OUTPUT = "output"  # text, reasoning included
    OUTPUT_AUDIO = "output_audio"
    OUTPUT_IMAGE = "output_image"
    WEB_SEARCH = "web_search"  # calls
    FILE_SEARCH = "file_search"  # calls
    GROUNDING = "grounding"  # Gemini 3: queries; Gemini 2: grounded prompts
    CHARACTERS = "characters"  # speech synthesis billed by text length
    AUDIO_SECONDS = "audio_seconds"  # transcription billed by duration, in milliseconds
    IMAGES = "images"  # pictures billed by the piece, where the provider tells no tokens


class UsageState(StrEnum):
    """How the counts came to be known. ``llm_requests.usage_state``."""

    FINAL = "final"  # the provider said so, and the caller had the whole reply
    DRAINED = "drained"  # the provider said so, after the caller had gone
    ESTIMATED = "estimated"  # some count is our estimate
    NONE = "none"  # nothing was used, or nothing can be known


class Part(msgspec.Struct, frozen=True, gc=False):
    """What is billed at one model's rates. Most replies have one part; every iteration, advisor turn or batch item
    adds its own, because the size of *its* prompt decides a context bracket.
    """

    model: str | None  # None: the reply's model, or else the request's
    counts: dict[Bucket, int]  # no zeros
    context: int | None = None  # the prompt size that decides the bracket; None: the sum of this part's input buckets


class Reading(msgspec.Struct, kw_only=True):
    """One reply, read. Every field has a meaning when the reply was empty, cut or hostile."""

    model: str | None = None  # the response's own model; None if it never said
    parts: tuple[Part, ...] = ()
    usage: bytes | None = None  # the provider's usage object(s) as JSON text, overlaid to the last state
    state: UsageState = UsageState.NONE
    # columns of llm_requests, the provider's own numbers (contract section 3); None where unknown
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cache_creation_tokens: int | None = None
    cache_creation_5m_tokens: int | None = None
    cache_creation_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    prompt_tokens: int | None = None  # uncached + cache read + cache write, whatever the provider
    # what selects a rate besides the model
    service_tier: str | None = None
    speed: str | None = None
    geo: str | None = None
    batch: bool = False
    stop_reason: str | None = None
    error_type: str | None = None
    error_message: str | None = None
    problems: tuple[str, ...] = ()  # short, stable codes: "split_exceeds_total", "cut", "not_json", ...
    #: Names what was used where several requests can be told of it (``text.mark``): the first row bills it, no other.
    billed_once: str | None = None


class RequestFacts(msgspec.Struct, kw_only=True):
    """What a reader needs to know of the request. Made from the caller's body after it went out."""

    model: str | None = None
    stream: bool = False
    include_usage: bool = False  # OpenAI chat: the caller itself asked for stream_options.include_usage
    cache_ttl_1h: bool = False  # Anthropic: every cache_control of the request says 1h
    max_output_tokens: int | None = None
    input_bytes: int = 0  # size of the body, for estimates
    characters: int | None = None  # speech: length of the text to speak
    service_tier: str | None = None  # what was asked for; the response decides
    background: bool = False  # OpenAI Responses: runs on without the caller, who fetches it later
    batch_id: str | None = None  # Anthropic: the batch whose results are fetched
    problems: tuple[str, ...] = ()


class Reader(Protocol):
    """Fed the reply's body as it passes; no I/O, never raises, bounded memory."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body, as sent (possibly compressed)."""

    def finish(self, facts: RequestFacts, *, complete: bool) -> Reading:
        """What was read. ``complete`` is False when the body ended before its end; idempotent."""
