"""The highest rates that a request for a model can be billed at, whatever tier, speed, region or bracket it ends in.

What a strict budget reserves. Worked out once for each model and catalogue: some milliseconds.
"""

from collections.abc import Iterator

import msgspec

from majordomo.meter.reading import Bucket
from majordomo.price import matching
from majordomo.price.card import BATCH, PROMPT_BUCKETS, STANDARD, Card, Kind, PriceBook, make_card

_TEXT_INPUT = frozenset(
    {Bucket.INPUT, Bucket.CACHE_READ, Bucket.CACHE_WRITE, Bucket.CACHE_WRITE_5M, Bucket.CACHE_WRITE_1H}
)
_TEXT_OUTPUT = frozenset({Bucket.OUTPUT})
_ANY_OUTPUT = frozenset({Bucket.OUTPUT, Bucket.OUTPUT_AUDIO, Bucket.OUTPUT_IMAGE})


class Dearest(msgspec.Struct, frozen=True):
    """Femto-dollars for one token, whatever its cache class, and for the request itself."""

    text_input: int
    text_output: int
    any_input: int  # also of audio, images and video
    any_output: int
    fee: int
    free: bool = False  # nothing that it does costs anything, whatever it is counted in

    def text_cost(self, prompt: int, output: int) -> int:
        """The most that so many tokens of text can cost."""
        return prompt * self.text_input + output * self.text_output + self.fee

    def any_cost(self, prompt: int, output: int) -> int:
        """The most that so many tokens of anything can cost."""
        return prompt * self.any_input + output * self.any_output + self.fee


def dearest(book: PriceBook, provider: str, model: str, at_us: int) -> Dearest | None:
    """The highest rates among all kinds of request for ``model``, and for its dated revisions; None: none is known."""
    cards = [card for kind in _kinds(book, provider, model) if (card := make_card(book, kind, at_us)).problem is None]
    if not cards:
        return None
    return Dearest(
        max(_highest(card, _TEXT_INPUT) for card in cards),
        max(_highest(card, _TEXT_OUTPUT) for card in cards),
        max(_highest(card, PROMPT_BUCKETS) for card in cards),
        max(_highest(card, _ANY_OUTPUT) for card in cards),
        max(card.request_fee for card in cards),
        free=not any(card.request_fee or _highest(card, frozenset(Bucket)) or card.inexact for card in cards),
    )


def _highest(card: Card, buckets: frozenset[Bucket]) -> int:
    brackets = (card.rates, *(rates for _, rates in card.longer))
    return max((rates[bucket][1] for rates in brackets for bucket in buckets if bucket in rates), default=0)


def _kinds(book: PriceBook, provider: str, model: str) -> Iterator[Kind]:
    catalogue_id, _ = book.catalogue_id(provider)
    names = {model}
    for entry in book.catalogue.models(catalogue_id):
        if matching.is_revision(entry.id, model):
            names.add(entry.id)
    tiers = {STANDARD} | {rule.means.lower() for layer in book.layers for rule in layer.tier_name} - {BATCH}
    tiers |= {rule.tier for layer in book.layers for rule in layer.tier}
    tiers |= {rule.tier for layer in book.layers for rule in layer.rates if rule.tier is not None}
    speeds = {rule.speed for layer in book.layers for rule in layer.rates if rule.speed is not None}
    for entry in book.catalogue.models(catalogue_id):
        if any(matching.matches(entry.match, name) for name in names):
            for variant in entry.price_variants or ():
                tiers |= {value for key, value in variant.when.items() if key == "service_tier"}
                speeds |= {value for key, value in variant.when.items() if key == "speed"}
    geos: set[str | None] = {None}
    for layer in book.layers:  # places of one rule are all charged alike
        geos |= {rule.geo[0] for rule in layer.geo if rule.geo and rule.provider in (provider, catalogue_id)}
    for name in sorted(names):
        for geo in geos:
            for tier in tiers:
                yield Kind(provider, name, tier, None, geo, False)
            for speed in speeds:
                yield Kind(provider, name, None, speed, geo, False)
