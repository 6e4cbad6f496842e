"""What one request used, meter by meter, with the rate that it was billed at and the rate before any discount.

The costs of a request's meters add up to its ``total_cost``, always: where the rates at hand do not give what was
recorded, meters are the five recorded costs, with a rate only where one divides them exactly.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

from majordomo.price.card import Card, Kind, PriceBook
from majordomo.price.pricer import MAX_CARDS, Pricer
from majordomo.report.questions.billed import BilledBucket, billed_buckets, rated_buckets

#: The meter of what tools cost, and how others end of whose cost the row tells no count: each is one a request.
TOOLS: Final = "tools"
BY_REQUEST: Final = "_by_request"

_NOTHING: Final = Decimal(0)
_FEMTO: Final = Decimal(1).scaleb(-15)

#: The recorded costs, and which counts of the row each is for.
_CLASSES: Final = (
    ("input", "input_cost"),
    ("cache_read", "cache_read_cost"),
    ("cache_write", "cache_creation_cost"),
    ("output", "output_cost"),
    (TOOLS, "tool_cost"),
)


class Metered(msgspec.Struct, frozen=True):
    """One meter's reading. Rates and costs are USD; a rate is for one, None where there is no single one."""

    model: str | None
    meter: str
    count: int
    rate: Decimal | None
    list_rate: Decimal | None
    cost: Decimal | None  # None: no price is known
    list_cost: Decimal | None
    above: int = 0  # the bracket of its rate: for prompts of more tokens than this


class Rates:
    """The cards of a pricer, kept while they hold: requests ordered by model and time ask for the same ones."""

    def __init__(self, pricer: Pricer) -> None:
        self._pricer = pricer
        self._kept: dict[Kind, Card] = {}

    def card(self, kind: Kind, at_us: int) -> Card:
        """The card for a kind of request at a moment."""
        card = self._kept.get(kind)
        if card is None or not card.start_us <= at_us < card.until_us:
            if len(self._kept) >= MAX_CARDS:
                self._kept.clear()
            card = self._kept[kind] = self._pricer.card(kind, at_us)
        return card


class Meters:
    """Reads requests by the prices at hand."""

    def __init__(self, pricer: Pricer) -> None:
        self._rates = Rates(pricer)
        book = pricer.book
        discounted = any(layer.discount for layer in book.layers)
        layers = tuple(msgspec.structs.replace(layer, discount=[]) for layer in book.layers)
        self._list = Rates(Pricer(PriceBook(book.catalogue, layers), pricer.version)) if discounted else None

    def read(self, row: Mapping[str, Any]) -> list[Metered]:
        """A row's meters, if they read anything. ``row``: as ``request`` gives it, or what of it is billed by."""
        buckets = [one for one in billed_buckets(row, self._rates) if one.count]
        if row["total_cost"] is None:
            return [Metered(one.model, one.bucket, one.count, None, None, None, None) for one in buckets] or _uncosted(
                row
            )
        if not buckets or any(one.cost is None for one in buckets):
            return _by_class(row)
        return [
            Metered(one.model, one.bucket, one.count, one.rate, listed, one.cost, _times(listed, one), one.above)
            for one, listed in zip(buckets, self._list_rates(row, buckets), strict=True)
        ]

    def _list_rates(self, row: Mapping[str, Any], buckets: Sequence[BilledBucket]) -> list[Decimal | None]:
        listed = rated_buckets(row, self._list) if self._list is not None else None
        listed = listed and [one for one in listed if one.count]
        if listed is None or [one.bucket for one in listed] != [one.bucket for one in buckets]:
            return [one.rate for one in buckets]
        return [one.rate for one in listed]


def _times(rate: Decimal | None, one: BilledBucket) -> Decimal | None:
    return one.cost if rate is None else rate * one.count


def _by_class(row: Mapping[str, Any]) -> list[Metered]:
    """The recorded costs by class, whatever they add up to; what a class lacks to the total is the tools'."""
    counts = _counts(row)
    costs = {name: row[column] or _NOTHING for name, column in _CLASSES}
    costs[TOOLS] += row["total_cost"] - sum(costs.values())
    found = []
    for name, cost in costs.items():
        count = counts[name]
        if cost and not count:  # such as speech by its characters: in what it was counted is not known
            name, count = name if name == TOOLS else name + BY_REQUEST, 1
        if count:
            rate = _rate(cost, count)
            found.append(Metered(row["model"], name, count, rate, rate, cost, cost))
    return found


def _uncosted(row: Mapping[str, Any]) -> list[Metered]:
    return [Metered(row["model"], name, count, None, None, None, None) for name, count in _counts(row).items() if count]


def _counts(row: Mapping[str, Any]) -> dict[str, int]:
    cached, written = row["cached_tokens"] or 0, row["cache_creation_tokens"] or 0
    return {
        "input": max(0, (row["prompt_tokens"] or 0) - cached - written),
        "cache_read": cached,
        "cache_write": written,
        "output": row["output_tokens"] or 0,
        TOOLS: 0,
    }


def _rate(cost: Decimal, count: int) -> Decimal | None:
    """The rate that gives the cost exactly; None if no whole number of femto-dollars does."""
    rate = (cost / count).quantize(_FEMTO)
    return rate if rate * count == cost else None
