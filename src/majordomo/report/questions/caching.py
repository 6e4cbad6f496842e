"""What prompt caches saved: what cached tokens cost, less what they would have cost as plain input.

It is told from what was billed, model by model. A read was billed at a fraction of the model's input rate; that
fraction is taken from today's card, and the rest is what was saved, whatever bracket or discount there was. Tokens
written to a cache cost more than plain input; that is taken off. So what is written and hardly read saved less than
nothing.
"""

from decimal import Decimal
from typing import Final

import msgspec

from majordomo.meter.reading import Bucket
from majordomo.price.card import Card, Kind
from majordomo.price.pricer import Pricer
from majordomo.record.database import Connection
from majordomo.report.questions import pivot
from majordomo.report.questions.cells import Scope
from majordomo.report.questions.relations import PROVIDER_AND_MODEL, SEPARATOR
from majordomo.report.questions.usage import Usage

#: A millionth of a millionth of a dollar: as much of a saving as means something.
_SMALLEST: Final = Decimal("0.000000000001")
_FEMTO: Final = Decimal(10) ** 15


class Cached(msgspec.Struct, frozen=True):
    """One model's use of caches. ``saved`` None: its card has no rate for plain input, or none for cached."""

    provider: str
    model: str | None
    usage: Usage
    saved: Decimal | None


async def caching(connection: Connection, scope: Scope, pricer: Pricer, at_us: int) -> list[Cached]:
    """The models of ``scope`` that used a cache, those with the most tokens first."""
    found = await pivot.breakdown(connection, scope, PROVIDER_AND_MODEL, pivot.MOST_VALUES, "prompt_tokens")
    told = []
    for share in found.shares:
        usage = share.usage
        if share.value is not None and (usage.cached_tokens or usage.cache_creation_tokens):
            provider, _, model = share.value.partition(SEPARATOR)
            card = pricer.card(Kind(provider, model, None, None, None, False), at_us)
            told.append(Cached(provider, model or None, usage, saved(usage, card)))
    return told


def saved(usage: Usage, card: Card) -> Decimal | None:
    """USD that caching saved in ``usage``, all of it of the card's model; below zero if it cost more than it saved."""
    plain, read = (card.rates.get(bucket) for bucket in (Bucket.INPUT, Bucket.CACHE_READ))
    if plain is None or (usage.cached_tokens and (read is None or not read[1])):
        return None
    rate = Decimal(plain[1]) / _FEMTO
    as_input = Decimal(0)
    if usage.cached_tokens and read is not None and usage.cache_read_cost:
        as_input = usage.cache_read_cost * plain[1] / read[1]
        rate = as_input / usage.cached_tokens
    written = (
        usage.cache_creation_cost - rate * usage.cache_creation_tokens if usage.cache_creation_cost else Decimal(0)
    )
    return (as_input - usage.cache_read_cost - written).quantize(_SMALLEST)
