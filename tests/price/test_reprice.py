"""A stored row is priced as its reading was, by the prices of now and for its own day."""

from collections.abc import Callable
from typing import Any

import pytest

from majordomo.meter.reading import Bucket, Part
from majordomo.price.bill import Bill
from majordomo.price.pricer import Pricer
from majordomo.price.reprice import reprice

Billing = Callable[..., Bill]


@pytest.fixture
def stored(pricer: Pricer, at: Callable[[str], int]) -> Billing:
    """Prices a stored Anthropic row with the given differences."""

    def pricing(**given: Any) -> Bill:
        row = {
            "provider": "anthropic",
            "api": "anthropic.messages",
            "model": "claude-opus-5-5",
            "parts": [Part(None, {Bucket.INPUT: 1000})],
            "service_tier": "standard",
            "speed": None,
            "geo": None,
            "batch": False,
            "requested_at_us": at("2026-11-20"),
        }
        return reprice(pricer, **(row | given))

    return pricing


@pytest.mark.parametrize(
    "parts",
    [
        [Part(None, {Bucket.INPUT: 1000})],
        '[{"model":null,"counts":{"input":1000},"context":null}]',
        b'[{"model":null,"counts":{"input":1000}}]',
        '"[{\\"model\\":null,\\"counts\\":{\\"input\\":1000}}]"',
    ],
)
def test_parts_are_read_as_journals_and_rows_have_them(parts: Any, stored: Billing) -> None:
    assert stored(parts=parts).total_cost == 4 * 10**12


def test_tier_speed_geography_and_batch_count(stored: Billing) -> None:
    assert stored(speed="fast").total_cost == 8 * 10**12
    assert stored(geo="us").total_cost == 44 * 10**11
    assert stored(batch=True).total_cost == 2 * 10**12
    assert stored(service_tier="priority").problems == ("unknown_tier:priority",)


@pytest.mark.parametrize("parts", ["", "[]", b"", []])
def test_a_row_without_parts_has_no_price(parts: Any, stored: Billing) -> None:
    assert stored(parts=parts).problems == ("no_usage",)


@pytest.mark.parametrize(
    "broken", [{"parts": "{"}, {"parts": "[1]"}, {"parts": '[{"counts":{"gold":1}}]'}, {"api": "x"}]
)
def test_a_row_that_cannot_be_read_stays_unpriced(broken: dict[str, Any], stored: Billing) -> None:
    bill = stored(**broken)
    assert (bill.total_cost, bill.problems) == (None, ("unreadable_row",))
