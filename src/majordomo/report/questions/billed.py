"""What a row was billed for, bucket by bucket, at which rate: the row's cost made again from what it keeps."""

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from majordomo.meter.reading import Bucket, Part
from majordomo.price.bill import usd
from majordomo.price.card import PROMPT_BUCKETS, Card, Kind, Rates

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
REQUEST_FEE = "request_fee"


class Cards(Protocol):
    """Where rate cards come from: a pricer, or something that keeps what one gave."""

    def card(self, kind: Kind, at_us: int) -> Card:
        """The card for a kind of request at a moment (microseconds since the Unix epoch)."""
        ...


class BilledBucket(msgspec.Struct, frozen=True):
    """One billed quantity. Rate and cost are USD, None where the prices at hand do not give the row's cost."""

    model: str | None
    bucket: str
    count: int
    rate: Decimal | None  # USD for one
    cost: Decimal | None
    above: int = 0  # the bracket of its rate: for prompts of more tokens than this


def billed_buckets(row: Mapping[str, Any], cards: Cards | None) -> list[BilledBucket]:
    """Every billed quantity of a row as ``request`` gives it.

    Rates are told only if they add up to the very cost that the row has: prices may have changed since.
    """
    parts = _parts(row)
    rated = rated_buckets(row, cards) if cards is not None and row["total_cost"] is not None else None
    if rated is not None and sum((line.cost or Decimal(0) for line in rated), Decimal(0)) == row["total_cost"]:
        return rated
    return [
        BilledBucket(part.model, bucket.value, count, None, None)
        for part in parts
        for bucket, count in part.counts.items()
    ]


def rated_buckets(row: Mapping[str, Any], cards: Cards) -> list[BilledBucket] | None:
    """Every billed quantity of a row at the rates that these cards have; None if one has no rate there."""
    billed = row.get("billed") or {}
    at_us = (row["requested_at"] - _EPOCH) // dt.timedelta(microseconds=1)
    lines = []
    for number, part in enumerate(_parts(row)):
        model = part.model or row["model"] or ""
        speed, geo, batch = billed.get("speed"), billed.get("geo"), bool(billed.get("batch"))
        kind = Kind(row["provider"], model, row["service_tier"], speed, geo, batch)
        card = cards.card(kind, at_us)
        above, rates = _bracket(card, part)
        for bucket, count in part.counts.items():
            if bucket not in rates:
                if count:
                    return None
                continue
            rate = rates[bucket][1]
            lines.append(BilledBucket(model, bucket.value, count, usd(rate), usd(rate * count), above))
        if number == 0 and card.request_fee:
            lines.append(BilledBucket(model, REQUEST_FEE, 1, usd(card.request_fee), usd(card.request_fee)))
    return lines


def _parts(row: Mapping[str, Any]) -> list[Part]:
    """What the row was billed for; nothing where it does not say so in our own form."""
    try:
        return msgspec.convert((row.get("billed") or {}).get("parts", []), list[Part])
    except (msgspec.ValidationError, AttributeError):
        return []


def _bracket(card: Card, part: Part) -> tuple[int, Rates]:
    """The bracket that the prompt's length is in: more tokens than so many, and its rates."""
    prompt = part.context
    if prompt is None:
        prompt = sum(count for bucket, count in part.counts.items() if bucket in PROMPT_BUCKETS)
    return next(((above, rates) for above, rates in card.longer if prompt > above), (0, card.rates))


#: Buckets counted in something else than tokens, and in what.
UNITS: dict[str, str] = {
    Bucket.WEB_SEARCH: "calls",
    Bucket.FILE_SEARCH: "calls",
    Bucket.GROUNDING: "queries",
    Bucket.CHARACTERS: "characters",
    Bucket.AUDIO_SECONDS: "ms",
    Bucket.IMAGES: "images",
    REQUEST_FEE: "requests",
}
