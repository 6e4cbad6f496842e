"""The same traffic on other prices: what each request would have been billed, added up; what has no price is named."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from recorded_rows import exchange, record
from usage_book import START_US, WHOLE, Book

from majordomo.apis import Api
from majordomo.meter.reading import Bucket, Part
from majordomo.price.bill import usd
from majordomo.price.pricer import Pricer
from majordomo.price.reprice import reprice
from majordomo.report.questions import what_if

#: Prompts on both sides of the bracket of 200,000 tokens that gemini-2.5-pro has.
PROMPTS = (100, 5_000, 200_000, 200_001, 900_000)


@pytest.fixture
def prices() -> Pricer:
    return Pricer.load(None, None)


def billed_as(pricer: Pricer, provider: str, model: str, parts: tuple[Part, ...]) -> Decimal:
    """What one request costs at another model's rates, by the pricer itself."""
    made = reprice(
        pricer, provider=provider, api=Api.OPENAI_CHAT, model=model,
        parts=tuple(msgspec.structs.replace(part, model=None) for part in parts),
        service_tier=None, speed=None, geo=None, batch=False, requested_at_us=START_US,
    )  # fmt: skip
    assert made.total_cost is not None
    return usd(made.total_cost)


def test_it_is_the_sum_of_what_each_request_would_cost(
    member: Any, postgres_dsn: str, tmp_path: Path, prices: Pricer
) -> None:
    made = [
        exchange(START_US + n, uncached=prompt, cached=prompt // 3, output=50 * n) for n, prompt in enumerate(PROMPTS)
    ]
    made.append(exchange(START_US, model="gpt-5", provider="openai", uncached=1000, output=70))
    record(postgres_dsn, tmp_path, made)
    told = Book(member, []).ask("what-if", model="gemini-2.5-pro", provider="gemini", **WHOLE)
    for row, those in zip(sorted(told["rows"], key=lambda row: row["model"]), ([made[-1]], made[:-1]), strict=True):
        expected = sum(
            (billed_as(prices, "gemini", "gemini-2.5-pro", close.parts) for _, close in those if close), Decimal(0)
        )
        assert Decimal(row["what_if_cost"]) == expected
        assert Decimal(row["difference"]) == expected - Decimal(row["actual_cost"])
    assert Decimal(told["total"]["what_if_cost"]) == sum(Decimal(row["what_if_cost"]) for row in told["rows"])
    assert told["not_compared"] == 0


def test_a_class_without_a_rate_of_its_own_counts_as_input(
    member: Any, postgres_dsn: str, tmp_path: Path, prices: Pricer
) -> None:
    """OpenAI bills nothing apart for writing to a cache."""
    record(postgres_dsn, tmp_path, [exchange(START_US, provider="anthropic", uncached=100, written=900, output=5)])
    told = Book(member, []).ask("what-if", model="gpt-5-mini", provider="openai", **WHOLE)
    parts = (Part(None, {Bucket.INPUT: 1000, Bucket.OUTPUT: 5}),)
    assert Decimal(told["rows"][0]["what_if_cost"]) == billed_as(prices, "openai", "gpt-5-mini", parts)


def test_what_has_no_price_is_named_and_not_compared(member: Any, postgres_dsn: str, tmp_path: Path) -> None:
    opening, close = exchange(START_US, model="gpt-5")
    assert close is not None
    listening = msgspec.structs.replace(close, parts=(Part("gpt-5", {Bucket.INPUT_VIDEO: 7, Bucket.INPUT: 1}),))
    record(postgres_dsn, tmp_path, [(opening, listening), exchange(START_US), exchange(START_US, costs=None)])
    told = Book(member, []).ask("what-if", model="gpt-5-mini", **WHOLE)
    rows = {row["model"]: row for row in told["rows"]}
    assert rows["gpt-5"]["not_priced"] == [{"what": "input_video", "units": 7}]
    assert rows["gpt-5"]["what_if_cost"] is rows["gpt-5"]["difference"] is None
    assert (rows["gpt-5-mini"]["requests"], rows["gpt-5-mini"]["unpriced"]) == (1, 1)
    assert (told["total"]["requests"], told["not_compared"]) == (1, 2)
    unknown = Book(member, []).ask("what-if", model="no-such-model", **WHOLE)
    assert {row["not_priced"][0]["what"] for row in unknown["rows"]} == {"unknown_model"}
    assert unknown["total"]["requests"] == 0


def test_too_much_to_read_is_refused(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(what_if, "MOST_REQUESTS", 10)
    reply = book.get("what-if", model="gpt-5", **WHOLE)
    assert (reply.status, reply.json["error"]["code"]) == (422, "too_many_requests")
    assert book.get("what-if", **WHOLE).status == 422
    assert book.get("what-if", model="a\0b", **WHOLE).status == 422
