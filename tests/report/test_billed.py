"""A request's cost bucket by bucket: told only when it gives the very cost that was recorded."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from majordomo.apis import Api
from majordomo.meter.reading import Bucket, Part, Reading, RequestFacts, UsageState
from majordomo.price.bill import usd
from majordomo.price.pricer import Pricer
from majordomo.report.questions.billed import billed_buckets

AT = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def pricer() -> Pricer:
    return Pricer.load(None, None)


def row(pricer: Pricer, provider: str, api: Api, *parts: Part, **kind: Any) -> dict[str, Any]:
    """The fields of a row that was billed for these parts, as the database gives them back."""
    model = parts[0].model
    reading = Reading(model=model, parts=parts, state=UsageState.FINAL, **kind)
    bill = pricer.bill(provider, api, reading, RequestFacts(model=model), int(AT.timestamp() * 1e6))
    assert bill.total_cost is not None, bill.problems
    return {
        "provider": provider,
        "model": model,
        "service_tier": kind.get("service_tier"),
        "requested_at": AT,
        "total_cost": usd(bill.total_cost),
        "billed": {
            "parts": [{"model": p.model, "counts": {b.value: n for b, n in p.counts.items()}} for p in parts],
            **{name: value for name, value in kind.items() if name != "service_tier"},
        },
    }


def test_the_buckets_add_up_to_the_cost(pricer: Pricer) -> None:
    """Each bucket has its count and rate, and together they are the total, exactly."""
    counts = {Bucket.INPUT: 1001, Bucket.CACHE_READ: 777, Bucket.CACHE_WRITE_1H: 33, Bucket.OUTPUT: 451}
    counts[Bucket.WEB_SEARCH] = 2
    made = row(pricer, "anthropic", Api.ANTHROPIC_MESSAGES, Part("claude-sonnet-4-5", counts))
    lines = billed_buckets(made, pricer)
    assert {line.bucket: line.count for line in lines} == {bucket.value: n for bucket, n in counts.items()}
    assert sum((line.cost or Decimal(0) for line in lines), Decimal(0)) == made["total_cost"]
    assert all(line.rate is not None and line.cost == line.rate * line.count for line in lines)


def test_several_models_and_batch_rates_add_up_too(pricer: Pricer) -> None:
    """Parts of different models are each at their own rates."""
    parts = (
        Part("claude-sonnet-4-5", {Bucket.INPUT: 250_000, Bucket.OUTPUT: 12}),
        Part("claude-haiku-4-5", {Bucket.INPUT: 90, Bucket.OUTPUT: 7}),
    )
    made = row(pricer, "anthropic", Api.ANTHROPIC_MESSAGES, *parts, batch=True)
    lines = billed_buckets(made, pricer)
    assert [line.model for line in lines] == ["claude-sonnet-4-5"] * 2 + ["claude-haiku-4-5"] * 2
    assert sum((line.cost or Decimal(0) for line in lines), Decimal(0)) == made["total_cost"]


def test_rates_that_do_not_give_the_recorded_cost_are_not_told(pricer: Pricer) -> None:
    """After a change of prices, or without any, the counts stand without rates."""
    made = row(pricer, "openai", Api.OPENAI_CHAT, Part("gpt-5-mini", {Bucket.INPUT: 10, Bucket.OUTPUT: 3}))
    for changed, prices in (
        (made | {"total_cost": made["total_cost"] + Decimal("1E-15")}, pricer),
        (made | {"total_cost": None}, pricer),
        (made | {"model": "nobody-knows", "billed": {"parts": [{"model": None, "counts": {"input": 1}}]}}, pricer),
        (made, None),
    ):
        lines = billed_buckets(changed, prices)
        assert lines
        assert all(line.rate is None and line.cost is None for line in lines)


@pytest.mark.parametrize("billed", [None, {}, {"parts": "no"}, {"parts": [{"counts": {"unheard": 1}}]}, []])
def test_a_row_without_readable_parts_has_no_buckets(pricer: Pricer, billed: Any) -> None:
    """Old, foreign or damaged rows are shown without a breakdown."""
    fields = {"provider": "x", "model": None, "service_tier": None, "requested_at": AT, "total_cost": Decimal(1)}
    assert billed_buckets(fields | {"billed": billed}, pricer) == []
