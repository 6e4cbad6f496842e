"""Prices for the tests of this folder: the packaged catalogue at a fixed moment, and readings made by hand."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from majordomo.apis import Api
from majordomo.meter.reading import Bucket, Part, Reading, RequestFacts, UsageState
from majordomo.price.bill import Bill, usd
from majordomo.price.pricer import Pricer

Billing = Callable[..., Bill]
Dollars = Callable[[Bill], dict[str, Decimal]]


@pytest.fixture(scope="session")
def pricer() -> Pricer:
    """The packaged catalogue and supplement, without overlay."""
    return Pricer.load(None, None)


@pytest.fixture(scope="session")
def at() -> Callable[[str], int]:
    """A date or moment, UTC unless it says otherwise, as microseconds since the Unix epoch."""

    def microseconds(text: str) -> int:
        moment = datetime.fromisoformat(text)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()) * 1_000_000

    return microseconds


@pytest.fixture(scope="session")
def bill_with(at: Callable[[str], int]) -> Billing:
    """``bill_with(pricer, provider, model, input=1, ...)``: buckets as keywords, the rest of a reading by its names."""

    def billing(
        pricer: Pricer, provider: str, model: str | None, *, on: str = "2026-11-20T12:00", **given: Any
    ) -> Bill:
        api = given.pop("api", Api.OPENAI_CHAT)
        context = given.pop("context", None)
        counts = {Bucket(name): given.pop(name) for name in list(given) if name in set(Bucket)}
        reading = Reading(model=model, parts=(Part(model, counts, context),), state=UsageState.FINAL, **given)
        return pricer.bill(provider, api, reading, RequestFacts(), at(on))

    return billing


@pytest.fixture(scope="session")
def bill_of(pricer: Pricer, bill_with: Billing) -> Billing:
    """``bill_of(provider, model, input=1, ...)`` by the packaged prices."""

    def billing(provider: str, model: str | None, **given: Any) -> Bill:
        return bill_with(pricer, provider, model, **given)

    return billing


@pytest.fixture(scope="session")
def dollars() -> Dollars:
    """A bill's costs that are not zero, in USD, after checking that they add up to its total."""

    def split(bill: Bill) -> dict[str, Decimal]:
        assert bill.total_cost is not None, bill.problems
        names = ("input", "cache_read", "cache_creation", "output", "tool")
        costs = {name: getattr(bill, f"{name}_cost") for name in names}
        assert sum(costs.values()) == bill.total_cost
        assert bill.model_found
        assert not bill.problems
        return {name: usd(cost) for name, cost in costs.items() if cost}

    return split
