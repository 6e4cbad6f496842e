"""The rate card: every rate that one kind of request is billed at, in whole femto-dollars, ready to multiply.

A kind is (provider, model, tier, speed, geo, batch); a card holds for a span of time. Making one takes some hundred
microseconds, using one less than two, so cards are kept (``pricer``). Sources, lowest first: catalogue, supplement,
overlay.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal

import msgspec

from majordomo.meter.reading import Bucket
from majordomo.price import spans
from majordomo.price.adjustments import Adjustments, RatesRule
from majordomo.price.catalogue import Catalogue, Model, Prices, Tiered
from majordomo.price.spans import Span
from majordomo.price.units import (
    CATALOGUE_KEYS,
    EXACT,
    FEES,
    REQUEST,
    SPLITS,
    Ladder,
    Sheet,
    Step,
    at_length,
    femto_per_count,
    flat,
    scaled,
)

STANDARD = "standard"
BATCH = "batch"

#: A reply's own words go into a problem code; this much of them.
_MAX_TOLD = 32

#: Geographies that no provider charges for.
_NO_GEO = frozenset({"", "global", "not_available"})


class Kind(msgspec.Struct, frozen=True):
    """What selects a card besides the moment. A tuple of plain values, so that it can be a dictionary's key."""

    provider: str
    model: str
    tier: str | None
    speed: str | None
    geo: str | None
    batch: bool


#: Where a bucket's cost goes in a bill: the order of ``COSTS`` in pricer.
INPUT_COST, CACHE_READ_COST, CACHE_CREATION_COST, OUTPUT_COST, TOOL_COST = range(5)

SLOTS: dict[Bucket, int] = {
    Bucket.INPUT: INPUT_COST,
    Bucket.INPUT_AUDIO: INPUT_COST,
    Bucket.INPUT_IMAGE: INPUT_COST,
    Bucket.INPUT_VIDEO: INPUT_COST,
    Bucket.CHARACTERS: INPUT_COST,
    Bucket.AUDIO_SECONDS: INPUT_COST,
    Bucket.CACHE_READ: CACHE_READ_COST,
    Bucket.CACHE_READ_AUDIO: CACHE_READ_COST,
    Bucket.CACHE_READ_IMAGE: CACHE_READ_COST,
    Bucket.CACHE_READ_VIDEO: CACHE_READ_COST,
    Bucket.CACHE_WRITE: CACHE_CREATION_COST,
    Bucket.CACHE_WRITE_5M: CACHE_CREATION_COST,
    Bucket.CACHE_WRITE_1H: CACHE_CREATION_COST,
    Bucket.OUTPUT: OUTPUT_COST,
    Bucket.OUTPUT_AUDIO: OUTPUT_COST,
    Bucket.OUTPUT_IMAGE: OUTPUT_COST,
    Bucket.IMAGES: OUTPUT_COST,
    Bucket.WEB_SEARCH: TOOL_COST,
    Bucket.FILE_SEARCH: TOOL_COST,
    Bucket.GROUNDING: TOOL_COST,
}

#: What a prompt's length is the sum of: it chooses the context bracket.
PROMPT_BUCKETS = frozenset(
    bucket
    for bucket, slot in SLOTS.items()
    if slot in (INPUT_COST, CACHE_READ_COST, CACHE_CREATION_COST)
    and bucket not in (Bucket.CHARACTERS, Bucket.AUDIO_SECONDS)
)

Rates = dict[Bucket, tuple[int, int]]  # bucket: (slot, femto-dollars per count)


class Card(msgspec.Struct, frozen=True):
    """Rates of one kind of request during ``[start_us, until_us)``."""

    start_us: int
    until_us: int
    found: bool  # the model is known
    problem: str | None  # why nothing can be priced at all
    rates: Rates = {}  # for prompts of any length, or of the first bracket
    longer: tuple[tuple[int, Rates], ...] = ()  # (above so many prompt tokens, rates), longest first
    request_fee: int = 0
    inexact: frozenset[str] = frozenset()  # units whose rate is no whole number of femto-dollars
    entry: str | None = None  # the catalogue's id of the model
    sheet: Sheet = {}  # the rates in USD, for people


class PriceBook(msgspec.Struct, frozen=True):
    """Everything that rates come from."""

    catalogue: Catalogue
    layers: tuple[Adjustments, ...]  # lowest first

    def catalogue_id(self, provider: str) -> tuple[str, str | None]:
        """The catalogue's id of a provider, and the geography that its requests are set up for."""
        for layer in reversed(self.layers):
            for rule in layer.provider:
                if rule.name == provider:
                    return rule.catalogue, rule.geo
        return provider, None


class _UnpricedError(Exception):
    """The code of the reason why a kind of request has no price."""


def make_card(book: PriceBook, kind: Kind, at_us: int) -> Card:
    """The card for a kind of request at a moment. A card without a price says why."""
    return _Maker(book, kind, at_us).make()


class _Maker:
    """Makes one card, narrowing the span in which it holds with each dated thing that it looks at."""

    def __init__(self, book: PriceBook, kind: Kind, at_us: int) -> None:
        self.book = book
        self.kind = kind
        self.at_us = at_us
        self.span: Span = spans.ALWAYS
        self.catalogue_id, set_geo = book.catalogue_id(kind.provider)
        self.providers = (kind.provider, self.catalogue_id)
        self.geo = (kind.geo or set_geo or "").lower()
        self.names: tuple[str, ...] = ()

    def make(self) -> Card:
        model = self._aliased(self.kind.model)
        entry = self.book.catalogue.find(self.catalogue_id, model)
        self.names = (entry.id, model) if entry else (model,)
        if entry is None and not self._is_own_model():
            return self._card(False, "unknown_model")
        try:
            sheet = self._standard(entry)
            processing = self._processing()
            if processing:
                sheet = self._processed(sheet, entry, *processing)
            self._fill_same(sheet)
            self._uplift(sheet)
            self._discount(sheet)
        except _UnpricedError as why:
            return self._card(True, str(why), entry)
        except ArithmeticError:  # more digits than any money has, out of an overlay
            return self._card(True, "inexact_rate:all", entry)
        return self._compiled(sheet, entry)

    def _card(self, found: bool, problem: str, entry: Model | None = None) -> Card:
        return Card(*self.span, found, problem, entry=entry.id if entry else None)

    def _aliased(self, model: str) -> str:
        model = model.removeprefix("models/")  # Gemini's resource names
        for layer in reversed(self.book.layers):
            for rule in layer.alias:
                if rule.provider in self.providers and rule.model.lower() == model.lower():
                    return rule.means
        return model

    def _is_own_model(self) -> bool:
        return any(
            rule.new_model and rule.covers(self.providers, self.names)
            for layer in self.book.layers
            for rule in layer.rates
        )

    def _standard(self, entry: Model | None) -> Sheet:
        sheet: Sheet = {}
        if entry:
            conditionals = entry.conditionals()
            prices = conditionals[0].prices  # the oldest, where no date is reached
            for conditional in conditionals:
                if self._holds(*spans.active(conditional.constraint, self.at_us)):
                    prices = conditional.prices
            sheet = self._from_catalogue(prices)
        for rule in self._rates_rules(None, None, False):
            _overlay(sheet, rule)
        return sheet

    def _from_catalogue(self, prices: Prices) -> Sheet:
        sheet: Sheet = {}
        for key, unit in CATALOGUE_KEYS.items():
            price = prices.get(key)
            if price is not None:
                sheet[unit] = _ladder(price)
        if self.catalogue_id == "google" and Bucket.WEB_SEARCH in sheet:
            sheet[Bucket.GROUNDING] = sheet.pop(Bucket.WEB_SEARCH)
        if Bucket.CACHE_WRITE in sheet:  # the rate without a time to live is that of five minutes
            sheet.setdefault(Bucket.CACHE_WRITE_5M, sheet[Bucket.CACHE_WRITE])
        for key, unit in SPLITS.items():
            if (split := prices.get(key)) is not None and _ladder(split) != sheet.get(unit):
                sheet.pop(unit, None)
        return sheet

    def _rates_rules(self, tier: str | None, speed: str | None, batch: bool) -> Iterator[RatesRule]:
        for layer in self.book.layers:
            for rule in layer.rates:
                same_kind = (rule.tier, rule.speed, rule.batch) == (tier, speed, batch)
                if same_kind and rule.covers(self.providers, self.names) and self._in_force(rule):
                    yield rule

    def _in_force(self, rule: RatesRule | object) -> bool:
        return self._holds(*spans.dated(getattr(rule, "start", None), getattr(rule, "until", None), self.at_us))

    def _holds(self, active: bool, span: Span) -> bool:
        self.span = spans.narrow(self.span, span)
        return active

    def _processing(self) -> tuple[str, str] | None:
        """The one thing that departs from standard processing, as the catalogue's key and value."""
        tier = self._tier()
        speed = (self.kind.speed or STANDARD).lower()
        departures = []
        if self.kind.batch or tier == BATCH:
            departures.append(("processing", BATCH))
        if tier not in (STANDARD, BATCH):
            departures.append(("service_tier", tier))
        if speed != STANDARD:
            departures.append(("speed", speed))
        if len(departures) > 1:  # no provider offers two at once; if one does, its price is not known here
            raise _UnpricedError("unknown_combination:" + "+".join(_told(value) for _, value in departures))
        return departures[0] if departures else None

    def _tier(self) -> str:
        said = (self.kind.tier or STANDARD).lower()
        for layer in reversed(self.book.layers):
            for rule in layer.tier_name:
                if rule.provider in self.providers and said in rule.says:
                    return rule.means.lower()
        for layer in reversed(self.book.layers):
            for rule in layer.tier_name:
                if rule.provider == "*" and said in rule.says:
                    return rule.means.lower()
        return said

    def _processed(self, sheet: Sheet, entry: Model | None, key: str, value: str) -> Sheet:
        found = self._listed(sheet, entry, key, value)
        if not found and key == "service_tier":
            found = self._by_tier_rule(sheet, entry, value)
        if not found:
            what = {"processing": "unknown_tier", "service_tier": "unknown_tier", "speed": "unknown_speed"}[key]
            raise _UnpricedError(f"{what}:{_told(value)}")
        return sheet

    def _listed(self, sheet: Sheet, entry: Model | None, key: str, value: str) -> bool:
        """Lay the listed rates of one departure over a sheet; False if there are none."""
        found = self._variant(sheet, entry, key, value)
        for rule in self._rates_rules(*_rule_kind(key, value)):
            _overlay(sheet, rule)
            found = True
        return found

    def _variant(self, sheet: Sheet, entry: Model | None, key: str, value: str) -> bool:
        """Lay the catalogue's variant over a sheet: for each rate the first one in force counts."""
        overriding: Prices = {}
        found = False
        for variant in (entry.price_variants if entry else None) or ():
            if variant.when == {key: value} and self._holds(*spans.active(variant.constraint, self.at_us)):
                found = True
                for price_key, price in variant.prices.items():
                    overriding.setdefault(price_key, price)
        sheet.update(self._from_catalogue(overriding))
        return found

    def _by_tier_rule(self, sheet: Sheet, entry: Model | None, tier: str) -> bool:
        for layer in reversed(self.book.layers):
            for rule in layer.tier:
                if rule.tier != tier or not rule.covers(self.providers, self.names) or not self._in_force(rule):
                    continue
                if rule.factor is None:
                    return self._listed(sheet, entry, "processing", BATCH)
                sheet.update({u: scaled(ladder, rule.factor) for u, ladder in sheet.items() if u not in FEES})
                return True
        return False

    def _fill_same(self, sheet: Sheet) -> None:
        listed = frozenset(sheet)
        for layer in self.book.layers:
            for rule in layer.same:
                applies = rule.rate_of in listed and rule.covers(self.providers, self.names)
                if not applies or not self._in_force(rule):
                    continue
                for unit in rule.units:
                    # cached audio is not at the text rate where audio itself is not
                    apart = unit.startswith("cache_read_") and unit.replace("cache_read", "input") in listed
                    if unit not in listed and not apart:
                        sheet[unit] = sheet[rule.rate_of]

    def _uplift(self, sheet: Sheet) -> None:
        if self.geo in _NO_GEO:
            return
        known = False
        for layer in reversed(self.book.layers):
            for rule in layer.geo:
                if self.geo not in rule.geo or rule.provider not in self.providers:
                    continue
                known = True  # this geography is one that is charged for; whether for this model and day, is next
                if rule.covers(self.providers, self.names) and self._in_force(rule):
                    sheet.update({u: scaled(ladder, rule.factor) for u, ladder in sheet.items() if u not in FEES})
                    return
        if not known:
            raise _UnpricedError(f"unknown_geo:{_told(self.geo)}")

    def _discount(self, sheet: Sheet) -> None:
        for layer in self.book.layers:
            for rule in layer.discount:
                if not rule.covers(self.providers, self.names) or not self._in_force(rule):
                    continue
                factor = EXACT.divide(EXACT.subtract(Decimal(100), rule.percent), Decimal(100))
                for unit in rule.units or [u for u in sheet if u not in FEES]:
                    if unit in sheet:
                        sheet[unit] = scaled(sheet[unit], factor)

    def _compiled(self, sheet: Sheet, entry: Model | None) -> Card:
        inexact: set[str] = set()
        brackets = sorted({step.above for ladder in sheet.values() for step in ladder} | {-1}, reverse=True)
        by_length = [(above, _rates_at(sheet, above, inexact)) for above in brackets]
        fee = sheet.get(REQUEST)
        per_request = femto_per_count(REQUEST, fee[0].usd) if fee else 0
        return Card(
            *self.span,
            found=True,
            problem="inexact_rate:request" if per_request is None else None,
            rates=by_length[-1][1],
            longer=tuple(by_length[:-1]),
            request_fee=per_request or 0,
            inexact=frozenset(inexact),
            entry=entry.id if entry else None,
            sheet=sheet,
        )


def _rates_at(sheet: Sheet, above: int, inexact: set[str]) -> Rates:
    rates: Rates = {}
    for bucket, slot in SLOTS.items():
        ladder = sheet.get(bucket)
        if ladder is None:
            continue
        femto = femto_per_count(bucket, at_length(ladder, above))
        if femto is None:
            inexact.add(bucket)
        else:
            rates[bucket] = (slot, femto)
    return rates


def _rule_kind(key: str, value: str) -> tuple[str | None, str | None, bool]:
    return (value if key == "service_tier" else None, value if key == "speed" else None, key == "processing")


def _ladder(price: Decimal | Tiered) -> Ladder:
    if isinstance(price, Decimal):
        return flat(price)
    return (Step(-1, price.base), *(Step(tier.start, tier.price) for tier in price.tiers))


def _overlay(sheet: Sheet, rule: RatesRule) -> None:
    for unit, usd in _in_order(rule.rates.items()):
        if rule.only_missing and unit in sheet:
            continue
        ladder = flat(usd)
        if rule.above is not None and unit in rule.long_rates:
            ladder = (*ladder, Step(rule.above, rule.long_rates[unit]))
        sheet[unit] = ladder


def _in_order(rates: Iterable[tuple[str, Decimal]]) -> list[tuple[str, Decimal]]:
    return sorted(rates)


def _told(said: str) -> str:
    return "".join(c if c.isalnum() or c in "_-." else "_" for c in said[:_MAX_TOLD])
