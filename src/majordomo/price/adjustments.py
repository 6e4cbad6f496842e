"""What stands above the catalogue: rules and rates read from TOML, one format for our supplement and a user's overlay.

``supplement.toml`` comes with the product and holds what the catalogue lacks. The overlay (setting ``price_overlay``)
is the user's: corrections, contract discounts, own models. The overlay wins over the supplement, which wins over the
catalogue. ``docs/prices.md`` describes the format.
"""

import hashlib
import tomllib
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from majordomo.price.units import DEAREST_USD, QUOTED_PER

SUPPLEMENT_NAME = "supplement.toml"

#: An overlay above this size is no list of prices that a person keeps.
MAX_OVERLAY_BYTES = 4 * 1024 * 1024


class OverlayError(ValueError):
    """An overlay cannot be used. The message names file, entry, value and what is allowed."""


class _Rule(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    provider: str  # a provider's name here, or its id in the catalogue
    models: tuple[str, ...] = ("*",)  # ids or patterns with *, lower or upper case alike
    except_models: tuple[str, ...] = ()
    start: date | None = msgspec.field(default=None, name="from")
    until: date | None = None  # the first day on which it no longer holds

    def covers(self, providers: Iterable[str], names: Iterable[str]) -> bool:
        """Whether this rule is about one of these providers and one of these names of a model."""
        if self.provider not in providers and self.provider != "*":
            return False
        lowered = [name.lower() for name in names]
        return _any_match(self.models, lowered) and not _any_match(self.except_models, lowered)


class RatesRule(_Rule, frozen=True, kw_only=True):
    """Rates in USD: per million tokens or characters, per thousand calls, per hour of audio."""

    rates: dict[str, Decimal]
    above: int | None = None  # prompts longer than so many tokens are priced at long_rates throughout
    long_rates: dict[str, Decimal] = {}
    tier: str | None = None
    speed: str | None = None
    batch: bool = False
    only_missing: bool = False  # fill in what the catalogue lacks, replace nothing
    new_model: bool = False  # these models need not be in the catalogue


class ProviderRule(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A provider's name here is priced as this provider of the catalogue."""

    name: str
    catalogue: str
    geo: str | None = None  # where its requests are processed, if the replies do not say


class AliasRule(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A model id that is another model's second name."""

    provider: str
    model: str
    means: str


class TierRule(_Rule, frozen=True, kw_only=True):
    """What a service tier costs where the catalogue has no rates for it: like batch, or times a factor."""

    tier: str
    like_batch: bool = False
    factor: Decimal | None = None


class TierName(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What a provider's replies call a tier: ``means`` is standard, batch, or the name that rates are listed under."""

    provider: str
    says: list[str]
    means: str


class GeoRule(_Rule, frozen=True, kw_only=True):
    """Token rates are multiplied by ``factor`` where a reply says that it was processed in ``geo``."""

    geo: list[str]
    factor: Decimal


class SameRule(_Rule, frozen=True, kw_only=True):
    """Units that a provider bills at another unit's rate where it lists none for them."""

    units: list[str]
    rate_of: str


class DiscountRule(_Rule, frozen=True, kw_only=True):
    """A contract: so many percent off. Without ``units`` every token class and no fee."""

    percent: Decimal
    units: list[str] = []


class Adjustments(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One file's content."""

    provider: list[ProviderRule] = []
    alias: list[AliasRule] = []
    rates: list[RatesRule] = []
    tier: list[TierRule] = []
    tier_name: list[TierName] = []
    geo: list[GeoRule] = []
    same: list[SameRule] = []
    discount: list[DiscountRule] = []


class Layer(msgspec.Struct, frozen=True):
    """A read file with the hash that identifies it."""

    rules: Adjustments
    digest: str


def _any_match(patterns: tuple[str, ...], names: list[str]) -> bool:
    return any(fnmatchcase(name, pattern.lower()) for pattern in patterns for name in names)


@cache
def supplement() -> Layer:
    """The rules that come with the product."""
    text = resources.files(__package__).joinpath(SUPPLEMENT_NAME).read_bytes()
    return parse(text, SUPPLEMENT_NAME)


def read_overlay(path: Path) -> Layer:
    """A user's overlay.

    Raises:
        OverlayError: unreadable or wrong.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_OVERLAY_BYTES + 1)
    except OSError as wrong:
        raise OverlayError(f"price overlay {path}: {wrong.strerror}; name a readable file in price_overlay") from None
    if len(text) > MAX_OVERLAY_BYTES:
        raise OverlayError(f"price overlay {path}: over {MAX_OVERLAY_BYTES} bytes; it is to hold prices only")
    return parse(text, str(path))


def parse(text: bytes, name: str) -> Layer:
    """Read and check adjustments.

    Raises:
        OverlayError: every problem that is found in one entry at once, with the entry's number and key.
    """
    try:
        content = tomllib.loads(text.decode(), parse_float=Decimal)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ArithmeticError) as wrong:
        raise OverlayError(f"price overlay {name}: not valid TOML: {wrong}") from None
    try:
        rules = msgspec.convert(content, Adjustments)
    except msgspec.ValidationError as wrong:
        raise OverlayError(f"price overlay {name}: {_locate(str(wrong), content)}") from None
    problems = [problem for kind in Adjustments.__struct_fields__ for problem in _problems(kind, getattr(rules, kind))]
    if problems:
        raise OverlayError("\n".join(f"price overlay {name}: {problem}" for problem in problems))
    return Layer(rules, hashlib.sha256(text).hexdigest()[:6])


def _locate(message: str, content: dict[str, Any]) -> str:
    """msgspec's message, with what the sections may be called where that is the mistake."""
    unknown = [key for key in content if key not in Adjustments.__struct_fields__]
    if unknown:
        return f"{unknown[0]}: no such section; allowed: {', '.join(f'[[{s}]]' for s in Adjustments.__struct_fields__)}"
    what, _, where = message.partition(" - at ")
    return f"{where.strip('`').removeprefix('$.') or 'the file'}: {what}"


def _problems(kind: str, rules: list[Any]) -> Iterable[str]:
    for number, rule in enumerate(rules):
        for key, problem in _rule_problems(rule):
            yield f"{kind}[{number}].{key}: {problem}"


def _rule_problems(rule: Any) -> Iterable[tuple[str, str]]:
    if isinstance(rule, _Rule) and rule.start and rule.until and rule.until <= rule.start:
        yield "until", f"{rule.until} is not after from = {rule.start}"
    match rule:
        case RatesRule():
            yield from _rates_problems(rule)
        case SameRule():
            for unit in (*rule.units, rule.rate_of):
                if unit not in QUOTED_PER:
                    yield "units", _unknown_unit(unit)
        case DiscountRule():
            if not (rule.percent.is_finite() and 0 < rule.percent <= 100):
                yield "percent", f"{rule.percent} is not above 0 and at most 100"
            for unit in rule.units:
                if unit not in QUOTED_PER:
                    yield "units", _unknown_unit(unit)
        case GeoRule() | TierRule():
            if rule.factor is not None and not (rule.factor.is_finite() and 0 < rule.factor <= 100):
                yield "factor", f"{rule.factor} is not above 0 and at most 100"
            if isinstance(rule, TierRule) and rule.like_batch is (rule.factor is not None):
                yield "factor", "give either factor or like_batch = true"
        case _:
            pass


def _rates_problems(rule: RatesRule) -> Iterable[tuple[str, str]]:
    for key, rates in (("rates", rule.rates), ("long_rates", rule.long_rates)):
        for unit, usd in rates.items():
            if unit not in QUOTED_PER:
                yield key, _unknown_unit(unit)
            elif not usd.is_finite() or usd < 0 or usd > DEAREST_USD:
                yield f"{key}.{unit}", f"{usd} is no rate in USD from 0 to {DEAREST_USD}"
    if not rule.rates:
        yield "rates", "no rate is given; allowed: " + ", ".join(sorted(QUOTED_PER))
    if (rule.above is None) is not (not rule.long_rates) or (rule.above is not None and rule.above < 0):
        yield "above", "give above (tokens, 0 or more) and long_rates together"
    if unlisted := sorted(set(rule.long_rates) - set(rule.rates)):
        yield "long_rates", f"{', '.join(unlisted)} must stand in rates too"
    if (rule.tier is not None) + (rule.speed is not None) + rule.batch > 1:
        yield "tier", "give one of tier, speed and batch"
    if rule.new_model and any("*" in model for model in rule.models):
        yield "models", "a new model is named in full, without *"


def _unknown_unit(unit: str) -> str:
    return f"{unit!r} is no unit; allowed: {', '.join(sorted(QUOTED_PER))}"
