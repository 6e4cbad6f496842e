"""The results file of an Anthropic message batch: one JSON object a line, each with its own message and usage.

Plan: every line is read as it ends and forgotten. Items with small prompts are added up by model and tier, since no
context bracket begins that low; items with large prompts stay parts of their own, up to a bound.

The file can be downloaded as often as one likes, and the provider bills the batch once: a whole download carries the
batch's mark. One that was cut uses nothing, and its cost is unknown; what it would bill, the whole one bills again.
"""

from typing import Final

import msgspec

from majordomo.meter.anthropic import MESSAGE, read_message
from majordomo.meter.body import ReaderBase
from majordomo.meter.counts import note
from majordomo.meter.decoding import ABSENT, USAGE_LIMIT, decode
from majordomo.meter.reading import Bucket, Part, Reading, RequestFacts, UsageState
from majordomo.meter.sse import Lines
from majordomo.meter.text import mark

#: Prompts up to this many tokens are added up: Anthropic's lowest context bracket begins at 100,000.
SMALL_PROMPT: Final = 65_536
#: Most items with larger prompts that stay apart; a row with more parts would grow without bound.
LARGE_ITEMS_MAX: Final = 1_000
#: Most models told apart in one file.
MODELS_MAX: Final = 64

_CACHE_BUCKETS: Final = frozenset({Bucket.INPUT, Bucket.CACHE_READ, Bucket.CACHE_WRITE_5M, Bucket.CACHE_WRITE_1H})


class _Result(msgspec.Struct, gc=False):
    type: str | None = None
    message: msgspec.Raw = ABSENT


class _Item(msgspec.Struct, gc=False):
    result: _Result | None = None


_ITEM: Final = msgspec.json.Decoder(_Item)


class BatchResultsReader(ReaderBase):
    """The results of a batch. Its columns are the sums over its items."""

    __slots__ = ("_large", "_lines", "_small", "_total", "_usages", "_usages_size")

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._lines = Lines(limit)
        self._small: dict[str | None, Part] = {}
        self._large: list[Part] = []
        self._total = Reading()
        self._usages: list[bytes] = []
        self._usages_size = 0

    def _take(self, data: bytes) -> None:
        for line in self._lines.feed(data):
            self._item(line)

    def _conclude(self, facts: RequestFacts, complete: bool) -> Reading:
        self._item(self._lines.rest())
        if self._lines.dropped:
            note(self._problems, "too_long")
        total = self._total
        usage = b"[" + b",".join(self._usages) + b"]" if self._usages else None
        if not complete:
            return Reading(model=total.model, usage=usage, service_tier=total.service_tier, batch=True)
        total.parts = (*self._small.values(), *self._large)
        total.usage = usage
        total.batch = True
        if total.parts and facts.batch_id is not None:
            total.billed_once = mark("batch", facts.batch_id)
        return total

    def _item(self, line: bytes) -> None:
        if not line.strip():
            return
        item = decode(_ITEM, line, self._problems)
        if item is None or item.result is None or item.result.type != "succeeded":
            return  # errored, expired and canceled items are not billed
        message = decode(MESSAGE, bytes(item.result.message), self._problems)
        if message is None:
            return
        reading = Reading()
        read_message(message, reading, RequestFacts(), self._problems)
        if reading.state is not UsageState.FINAL:
            note(self._problems, "item_without_usage")
            return
        for part in reading.parts:
            self._bill(part)
        self._sum(reading)

    def _bill(self, part: Part) -> None:
        prompt = sum(amount for bucket, amount in part.counts.items() if bucket in _CACHE_BUCKETS)
        if prompt > SMALL_PROMPT and len(self._large) < LARGE_ITEMS_MAX:
            self._large.append(Part(part.model, part.counts, prompt))
            return
        if prompt > SMALL_PROMPT:
            note(self._problems, "large_items_merged")
        model = part.model
        if model not in self._small and len(self._small) >= MODELS_MAX:
            note(self._problems, "many_models")
            model = next(iter(self._small))
        together = self._small.get(model)
        counts = dict(together.counts) if together is not None else {}
        for bucket, amount in part.counts.items():
            counts[bucket] = counts.get(bucket, 0) + amount
        context = max(prompt, together.context or 0) if together is not None else prompt
        self._small[model] = Part(model, counts, context)

    def _sum(self, item: Reading) -> None:
        total = self._total
        for column in _SUMMED:
            value = getattr(item, column)
            if value is not None:
                setattr(total, column, (getattr(total, column) or 0) + value)
        total.model = total.model or item.model
        total.service_tier = item.service_tier or total.service_tier
        total.geo = item.geo or total.geo
        total.speed = item.speed or total.speed
        total.state = UsageState.FINAL
        if item.usage is not None and self._usages_size + len(item.usage) <= USAGE_LIMIT:
            self._usages.append(item.usage)
            self._usages_size += len(item.usage)
        else:
            note(self._problems, "usage_not_kept_whole")


_SUMMED: Final = (
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cache_creation_tokens",
    "cache_creation_5m_tokens",
    "cache_creation_1h_tokens",
    "reasoning_tokens",
    "prompt_tokens",
)
