"""What differs between two catalogues, and whether the difference can be believed.

A feed is somebody else's file: a slip there must not become a wrong bill here. So a new catalogue in which a model or a
provider is gone, or a rate is ten times what it was (either way, free or no longer free included), waits for a person.
"""

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from majordomo.price import spans
from majordomo.price.catalogue import Catalogue, Model, Prices, Tiered
from majordomo.price.spans import ALWAYS

#: A rate that grew or shrank by this factor is taken for a slip. The largest true cut so far was to a fifth.
IMPLAUSIBLE_FACTOR = 10


class RateChange(msgspec.Struct, frozen=True):
    """One rate that is another now. USD in the quantity of ``key``; None: not listed."""

    provider: str
    model: str
    key: str  # "input_mtok", "output_mtok > 200000", "processing=batch input_mtok"
    old: Decimal | None
    new: Decimal | None

    @property
    def implausible(self) -> bool:
        """Whether no provider would do this."""
        if self.old is None or self.new is None or self.old == self.new:
            return False
        low, high = sorted((self.old, self.new))
        return low * IMPLAUSIBLE_FACTOR <= high


class Changes(msgspec.Struct, frozen=True):
    """The difference between two catalogues; models as (provider, id)."""

    added: list[tuple[str, str]]
    removed: list[tuple[str, str]]
    rates: list[RateChange]
    providers_gone: list[str]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.rates or self.providers_gone)

    def doubts(self) -> list[str]:
        """Why the newer catalogue should not be believed unseen; empty if it can be."""
        gone = [f"provider {provider} is gone" for provider in self.providers_gone]
        models = [f"{p} {m} is gone" for p, m in self.removed if p not in self.providers_gone]
        jumps = [f"{c.provider} {c.model} {c.key} from {c.old} to {c.new}" for c in self.rates if c.implausible]
        return gone + models + jumps


def compare(old: Catalogue, new: Catalogue, at_us: int) -> Changes:
    """Compare the rates in force at a moment, and the last ones announced, of every model."""
    added: list[tuple[str, str]] = []
    removed: list[tuple[str, str]] = []
    rates: list[RateChange] = []
    for provider in sorted({*old.providers(), *new.providers()}):
        before = {model.id: model for model in old.models(provider)}
        after = {model.id: model for model in new.models(provider)}
        added += [(provider, name) for name in after if name not in before]
        removed += [(provider, name) for name in before if name not in after]
        for name in before.keys() & after.keys():
            if before[name] != after[name]:
                rates += _rate_changes(provider, before[name], after[name], at_us)
    rates.sort(key=lambda change: (change.provider, change.model, change.key))
    gone = [provider for provider in old.providers() if provider not in new.providers()]
    return Changes(added, removed, rates, gone)


def _rate_changes(provider: str, old: Model, new: Model, at_us: int) -> Iterator[RateChange]:
    seen: set[RateChange] = set()
    for moment in (at_us, ALWAYS[1] - 1):  # now, and when every announced change has come
        before, after = dict(_rates(old, moment)), dict(_rates(new, moment))
        for key in before.keys() | after.keys():
            change = RateChange(provider, new.id, key, before.get(key), after.get(key))
            if change.old != change.new and change not in seen:
                seen.add(change)
                yield change


def _rates(model: Model, at_us: int) -> Iterator[tuple[str, Decimal]]:
    prices: Prices = model.conditionals()[0].prices
    for conditional in model.conditionals():
        if _in_force(conditional.constraint, at_us):
            prices = conditional.prices
    yield from _listed("", prices)
    told: set[str] = set()
    for variant in model.price_variants or ():
        label = " ".join(f"{key}={value}" for key, value in sorted(variant.when.items()))
        if label not in told and _in_force(variant.constraint, at_us):
            told.add(label)
            yield from _listed(f"{label} ", variant.prices)


def _in_force(constraint: spans.Constraint | None, at_us: int) -> bool:
    if constraint is not None and constraint.start_time is not None:
        return False  # a time of day comes and goes; its base price is compared
    return spans.active(constraint, min(at_us, _FAR_FUTURE))[0]


def _listed(label: str, prices: Prices) -> Iterator[tuple[str, Decimal]]:
    for key, price in prices.items():
        if isinstance(price, Tiered):
            yield f"{label}{key}", price.base
            for tier in price.tiers:
                yield f"{label}{key} > {tier.start}", tier.price
        else:
            yield f"{label}{key}", price


#: Year 9000: beyond any announced price, within what a datetime holds.
_FAR_FUTURE = 221_845_392_000_000_000
