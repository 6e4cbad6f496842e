"""A model's price list for people: every processing, prompt length and class that it is sold in."""

import difflib
from collections.abc import Iterable, Iterator
from decimal import Decimal

import msgspec

from majordomo.meter.reading import Bucket
from majordomo.price.card import BATCH, STANDARD, Card, Kind, PriceBook, make_card
from majordomo.price.units import QUOTED_PER, REQUEST, at_length

#: Near names offered for an unknown model.
_SUGGESTIONS = 8

#: The order in which units are shown.
UNITS = (*(bucket.value for bucket in Bucket), REQUEST)


class Line(msgspec.Struct, frozen=True):
    """The rates of one processing at one prompt length, in USD per quoted quantity."""

    processing: str  # "standard", "flex", "batch", "fast", ...
    above: int | None  # for prompts longer than so many tokens; None: from the start
    rates: dict[str, Decimal]
    inexact: list[str]  # units with a rate that cannot be charged exactly: they stay unpriced


class PriceList(msgspec.Struct, frozen=True):
    """What one provider charges for one model."""

    provider: str
    entry: str | None  # the catalogue's id; None: an own model of the overlay
    lines: list[Line]
    comments: str | None
    pages: list[str]


def price_lists(book: PriceBook, model: str, providers: Iterable[str], at_us: int) -> list[PriceList]:
    """The lists of those of the providers that sell a model of this name."""
    found = (_price_list(book, name, model, at_us) for name in providers)
    return [listed for listed in found if listed]


def quoted(unit: str) -> str:
    """How a unit's rate is told: ``$/M`` for a million, ``$/1k``, ``$/hour``, ``$`` for each."""
    if unit == Bucket.AUDIO_SECONDS:
        return "$/hour"
    return {10**6: "$/M", 10**3: "$/1k", 1: "$"}[QUOTED_PER[unit]]


def models_named(book: PriceBook, part: str, providers: Iterable[str]) -> list[tuple[str, str]]:
    """Every ``(provider, model)`` of the catalogue whose ``provider/model`` has each word of ``part`` in it."""
    words = part.lower().split()
    return [
        (name, entry.id)
        for name in providers
        for entry in book.catalogue.models(book.catalogue_id(name)[0])
        if all(word in f"{name}/{entry.id}".lower() for word in words)
    ]


def near_names(book: PriceBook, model: str, providers: Iterable[str]) -> list[str]:
    """Known models with names like an unknown one's, as ``provider/model``."""
    known: dict[str, str] = {}
    for name in providers:
        known |= {entry.id.lower(): f"{name}/{entry.id}" for entry in book.catalogue.models(book.catalogue_id(name)[0])}
    near = difflib.get_close_matches(model.lower(), known, n=_SUGGESTIONS, cutoff=0.6)
    return [known[name] for name in near]


def provider_names(book: PriceBook) -> list[str]:
    """Every provider by the name it is called by in requests."""
    named = {rule.catalogue: rule.name for layer in book.layers for rule in reversed(layer.provider)}
    own = {rule.provider for layer in book.layers for rule in layer.rates if rule.new_model}
    listed = [named.get(identity, identity) for identity in book.catalogue.providers()]
    return listed + sorted(own - set(listed))


def _price_list(book: PriceBook, provider: str, model: str, at_us: int) -> PriceList | None:
    standard = make_card(book, Kind(provider, model, None, None, None, False), at_us)
    if not standard.found:
        return None
    identity, _ = book.catalogue_id(provider)
    entry = next((known for known in book.catalogue.models(identity) if known.id == standard.entry), None)
    lines = list(_lines(STANDARD, standard))
    for label, kind in _kinds(book, provider, model, identity):
        card = make_card(book, kind, at_us)
        if card.problem is None:
            lines += _lines(label, card)
    comments = entry.price_comments if entry else None
    return PriceList(provider, standard.entry, lines, comments, book.catalogue.pricing_urls(identity))


def _kinds(book: PriceBook, provider: str, model: str, identity: str) -> Iterator[tuple[str, Kind]]:
    """What a model may be sold as besides standard; what it is not, makes no card."""
    tiers: dict[str, None] = {}
    speeds: dict[str, None] = {}
    for known in book.catalogue.models(identity):
        for variant in known.price_variants or ():
            tiers |= dict.fromkeys(value for key, value in variant.when.items() if key == "service_tier")
            speeds |= dict.fromkeys(value for key, value in variant.when.items() if key == "speed")
    for layer in book.layers:
        rates = [rule for rule in layer.rates if rule.provider in (provider, identity)]
        factors = [rule for rule in layer.tier if rule.provider in (provider, identity)]
        tiers |= dict.fromkeys(rule.tier for rule in rates if rule.tier)
        tiers |= dict.fromkeys(rule.tier for rule in factors)
        speeds |= dict.fromkeys(rule.speed for rule in rates if rule.speed)
    for tier in tiers:
        if tier not in ("default", STANDARD, "fast" if "priority" in tiers else ""):
            yield tier, Kind(provider, model, tier, None, None, False)
    for speed in speeds:
        yield speed, Kind(provider, model, None, speed, None, False)
    yield BATCH, Kind(provider, model, None, None, None, True)


def _lines(processing: str, card: Card) -> Iterator[Line]:
    lengths = sorted({step.above for ladder in card.sheet.values() for step in ladder} | {-1})
    for above in lengths:
        rates = {unit: at_length(card.sheet[unit], above) for unit in UNITS if unit in card.sheet}
        yield Line(processing, None if above < 0 else above, rates, sorted(card.inexact))
