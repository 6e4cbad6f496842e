"""What the same traffic would have cost on another model's, or another provider's, prices of today.

Every billed quantity is priced anew: tokens by class, in the other model's bracket for the prompt's length. Tokens of a
cache class that the other model has no rate for count as input. What it has no price for is named, and the traffic that
needs it is not compared.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

from majordomo.meter.reading import Bucket
from majordomo.price.bill import usd
from majordomo.price.card import PROMPT_BUCKETS, Card, Kind, Rates
from majordomo.price.pricer import Pricer
from majordomo.record.database import Connection
from majordomo.report.questions import cells
from majordomo.report.questions.cells import Scope
from majordomo.report.questions.relations import Parameters
from majordomo.report.sql import question

#: Requests that one question reads: what each was billed for is in its row alone, and reading them takes seconds.
MOST_REQUESTS: Final = 500_000

#: Classes of tokens that are input where a model does not price them apart.
_ELSE_INPUT: Final = {
    Bucket.CACHE_READ: Bucket.INPUT,
    Bucket.CACHE_WRITE: Bucket.INPUT,
    Bucket.CACHE_WRITE_5M: Bucket.INPUT,
    Bucket.CACHE_WRITE_1H: Bucket.INPUT,
    Bucket.CACHE_READ_AUDIO: Bucket.INPUT_AUDIO,
    Bucket.CACHE_READ_IMAGE: Bucket.INPUT_IMAGE,
    Bucket.CACHE_READ_VIDEO: Bucket.INPUT_VIDEO,
}


class NotPriced(msgspec.Struct, frozen=True):
    """Something that the other model has no price for."""

    what: str  # a bucket, or why nothing can be priced: unknown_model, ...
    units: int


class WhatIf(msgspec.Struct, frozen=True, kw_only=True):
    """The traffic of one model. ``what_if_cost`` None: something in it has no price there; ``not_priced`` says what."""

    provider: str
    model: str | None
    requests: int
    unpriced: int  # requests whose own price is unknown; not compared
    actual_cost: Decimal
    what_if_cost: Decimal | None
    not_priced: list[NotPriced]


class TooManyRequestsError(Exception):
    """The question is about more requests than it may read."""


async def what_if(
    connection: Connection, scope: Scope, pricer: Pricer, model: str, provider: str | None, at_us: int
) -> list[WhatIf]:
    """The traffic of ``scope`` by model, costliest first, priced as ``model``'s of ``provider`` (None: of its own).

    Raises:
        TooManyRequestsError: more than ``MOST_REQUESTS``.
    """
    statement, parameters = cells.over_rows(scope, question("billed_requests"))
    groups = await connection.fetch(statement, *parameters)
    if (requests := sum(row["requests"] for row in groups)) > MOST_REQUESTS:
        raise TooManyRequestsError(
            f"these are {requests} requests, and each has to be read; ask about at most {MOST_REQUESTS}: "
            "a shorter period, or more filters"
        )
    kinds = {(row["provider"], row["is_batch"]) for row in groups if row["requests"]}
    cards = {kind: pricer.card(Kind(provider or kind[0], model, None, None, None, kind[1]), at_us) for kind in kinds}
    bounds = sorted({above for card in cards.values() for above, _ in card.longer})
    counts = await _counts(connection, scope, bounds)
    found: dict[tuple[str, str | None], WhatIf] = {}
    for row in groups:
        if row["requests"] or row["unpriced"]:
            # Where there is nothing to price, nothing lacks a price, whatever card another model has had made.
            card = cards[row["provider"], row["is_batch"]] if row["requests"] else None
            told = _told(row, card, counts, bounds)
            place = (told.provider, told.model)
            found[place] = _joined(found[place], told) if place in found else told
    return sorted(found.values(), key=lambda one: (-one.actual_cost, one.provider, one.model or ""))


async def _counts(connection: Connection, scope: Scope, bounds: Sequence[int]) -> list[Any]:
    extra = Parameters()
    statement, parameters = cells.over_rows(
        scope,
        question("billed_counts"),
        extra=extra,
        prompt_buckets=extra.put([bucket.value for bucket in PROMPT_BUCKETS], "text[]"),
        bounds=extra.put(list(bounds), "bigint[]"),
    )
    return await connection.fetch(statement, *parameters)


def _told(group: Any, card: Card | None, counts: Iterable[Any], bounds: Sequence[int]) -> WhatIf:
    cost, missing = 0, dict[str, int]()
    kind = (group["provider"], group["model"], group["is_batch"])
    if card is None or card.problem:
        missing = {} if card is None else {card.problem or "": group["requests"]}
    else:
        cost = group["requests"] * card.request_fee
        for row in counts:
            if (row["provider"], row["model"], row["is_batch"]) == kind:
                rate = _rate(_rates(card, bounds, row["bracket"]), row["bucket"])
                if rate is not None:
                    cost += rate * row["units"]
                elif row["units"]:
                    missing[row["bucket"]] = missing.get(row["bucket"], 0) + row["units"]
    return WhatIf(
        provider=group["provider"],
        model=group["model"],
        requests=group["requests"],
        unpriced=group["unpriced"],
        actual_cost=group["total_cost"],
        what_if_cost=None if missing else usd(cost),
        not_priced=[NotPriced(what, units) for what, units in sorted(missing.items())],
    )


def _rates(card: Card, bounds: Sequence[int], bracket: int) -> Rates:
    """The card's rates for prompts that exceed ``bracket`` of the bounds."""
    exceeded = bounds[bracket - 1] if bracket else -1
    return next((rates for above, rates in card.longer if exceeded >= above), card.rates)


def _rate(rates: Rates, name: str) -> int | None:
    """Femto-dollars for one; None where there is no rate."""
    try:
        bucket = Bucket(name)
    except ValueError:
        return None
    found = rates.get(bucket) or rates.get(_ELSE_INPUT.get(bucket, bucket))
    return found[1] if found else None


def _joined(one: WhatIf, other: WhatIf) -> WhatIf:
    """The same model's batches and other requests together."""
    known = one.what_if_cost is not None and other.what_if_cost is not None
    return WhatIf(
        provider=one.provider,
        model=one.model,
        requests=one.requests + other.requests,
        unpriced=one.unpriced + other.unpriced,
        actual_cost=one.actual_cost + other.actual_cost,
        what_if_cost=(one.what_if_cost or Decimal(0)) + (other.what_if_cost or Decimal(0)) if known else None,
        not_priced=[*one.not_priced, *other.not_priced],
    )
