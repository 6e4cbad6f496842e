"""What is put in a row where the provider did not tell, or was cut off before it could.

An estimate is marked ``UsageState.ESTIMATED`` and is never 0 where something was produced.
"""

from typing import Any, Final

from majordomo.meter.counts import MAX_COUNT, note
from majordomo.meter.reading import Bucket, Part, Reading, RequestFacts, UsageState

#: Bytes of output text in one token. OpenAI's and Anthropic's own rule of thumb for English is four characters; code
#: and JSON run shorter, other scripts have more bytes to a character and about as many to a token.
OUTPUT_BYTES_PER_TOKEN: Final = 4
#: Bytes of request body in one token: the same rule; what JSON syntax adds is about what dense text lacks.
INPUT_BYTES_PER_TOKEN: Final = 4
#: Largest estimated prompt: the largest context window sold. A body beyond it carries media, whose bytes say little.
INPUT_TOKENS_MAX: Final = 1_000_000

#: Keys under which replies carry what the model wrote; everything else in a reply is frame.
_SPOKEN: Final = frozenset(
    {"text", "content", "thinking", "reasoning_content", "reasoning", "refusal", "arguments", "partial_json", "delta"}
    | {"transcript", "input", "args"}
)
#: Deepest level at which text is looked for; replies nest some six deep.
_DEPTH_MAX: Final = 12


def output_tokens(text_bytes: int, facts: RequestFacts) -> int:
    """Tokens in so many bytes of output; at most what the request allowed, at least 1 if there was any."""
    tokens = min(-(-text_bytes // OUTPUT_BYTES_PER_TOKEN), MAX_COUNT)
    return min(tokens, facts.max_output_tokens) if facts.max_output_tokens else tokens


def input_tokens(facts: RequestFacts) -> int:
    """Tokens in the request, by its size."""
    return min(-(-facts.input_bytes // INPUT_BYTES_PER_TOKEN), INPUT_TOKENS_MAX)


def spoken_bytes(value: Any, *, spoken: bool = False, depth: int = 0) -> int:
    """Bytes of what the model wrote in a decoded reply."""
    if value.__class__ is str:
        return len(value.encode("utf-8", "replace")) if spoken else 0
    if depth >= _DEPTH_MAX:
        return 0
    if value.__class__ is dict:
        return sum(
            spoken_bytes(item, spoken=key in _SPOKEN or (spoken and item.__class__ is str), depth=depth + 1)
            for key, item in value.items()
        )
    if value.__class__ is list:
        return sum(spoken_bytes(item, spoken=spoken, depth=depth + 1) for item in value)
    return 0


def complete_reading(
    reading: Reading, facts: RequestFacts, text_bytes: int, problems: list[str], *, counted: int = 0
) -> None:
    """Fill what ``reading`` still lacks, and raise a last known output to what was produced.

    ``counted`` tokens of output the provider had accounted for when ``text_bytes`` more began to come. Whatever is
    known of input and cache stays exact. To be called only when the provider's last word is missing.
    """
    note(problems, "estimated")
    added: dict[Bucket, int] = {}
    if reading.prompt_tokens is None:
        reading.input_tokens = reading.prompt_tokens = input_tokens(facts)
        added[Bucket.INPUT] = reading.input_tokens
    known = reading.output_tokens or 0
    produced = counted + output_tokens(text_bytes, facts)
    if facts.max_output_tokens:
        produced = min(produced, facts.max_output_tokens)
    if produced > known:
        added[Bucket.OUTPUT] = produced - known
    reading.output_tokens = max(known, produced)
    add_counts(reading, added)
    reading.state = UsageState.ESTIMATED


def add_counts(reading: Reading, added: dict[Bucket, int]) -> None:
    """Add to the reading's first part, or make one for the reply's model."""
    first, *others = reading.parts or (Part(reading.model, {}),)
    counts = dict(first.counts)
    for bucket, amount in added.items():
        if amount:
            counts[bucket] = counts.get(bucket, 0) + amount
    reading.parts = (Part(first.model, counts, first.context), *others)
