"""What caches saved is the difference to what the pricer itself would have billed without them."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from recorded_rows import Exchange, exchange, record
from usage_book import START_US, WHOLE, Book

from majordomo.apis import Api
from majordomo.meter.reading import Bucket, Part
from majordomo.price.bill import usd
from majordomo.price.pricer import Pricer
from majordomo.price.reprice import reprice

#: Tokens of one request: read anew, from a cache, written to one, answered.
TOKENS = ((1_000, 50_000, 0, 300), (10, 0, 40_000, 20), (500, 80_000, 2_000, 900))


def billed(provider: str, model: str, counts: dict[Bucket, int]) -> Any:
    """The pricer's own bill."""
    bill = reprice(
        Pricer.load(None, None), provider=provider, api=Api.ANTHROPIC_MESSAGES, model=model,
        parts=(Part(None, counts),), service_tier=None, speed=None, geo=None, batch=False, requested_at_us=START_US,
    )  # fmt: skip
    assert bill.total_cost is not None
    return bill


def priced(
    provider: str, model: str, uncached: int, cached: int, written: int, output: int
) -> tuple[Exchange, Decimal]:
    """A request as it was billed, and what it would have cost with no cache at all."""
    bill = billed(
        provider,
        model,
        {Bucket.INPUT: uncached, Bucket.CACHE_READ: cached, Bucket.CACHE_WRITE_5M: written, Bucket.OUTPUT: output},
    )
    plain = billed(provider, model, {Bucket.INPUT: uncached + cached + written, Bucket.OUTPUT: output})
    costs = (bill.input_cost, bill.cache_read_cost, bill.cache_creation_cost, bill.output_cost, 0)
    made = exchange(
        START_US, provider=provider, model=model, uncached=uncached, cached=cached, written=written, output=output,
        costs=costs,
    )  # fmt: skip
    return made, usd(plain.total_cost - bill.total_cost)


def test_it_is_what_the_same_requests_would_have_cost_more_without_a_cache(
    member: Any, postgres_dsn: str, tmp_path: Path
) -> None:
    made = [priced("anthropic", "claude-sonnet-4-5", *tokens) for tokens in TOKENS]
    record(postgres_dsn, tmp_path, [one for one, _ in made])
    told = Book(member, []).ask("caching", **WHOLE)
    assert Decimal(told["saved"]) == sum(saved for _, saved in made)
    (row,) = told["rows"]
    assert row["saved"] == told["saved"] and told["unknown"] == 0
    assert row["cached_tokens"] == 130_000 and row["cache_creation_tokens"] == 42_000


def test_writing_what_nobody_reads_has_saved_less_than_nothing(member: Any, postgres_dsn: str, tmp_path: Path) -> None:
    made, saved = priced("anthropic", "claude-sonnet-4-5", *TOKENS[1])
    record(postgres_dsn, tmp_path, [made])
    told = Book(member, []).ask("caching", **WHOLE)
    assert Decimal(told["saved"]) == saved < 0


def test_a_model_without_prices_is_not_guessed_at(member: Any, postgres_dsn: str, tmp_path: Path) -> None:
    record(postgres_dsn, tmp_path, [exchange(START_US, provider="baseten", model="house", cached=70, costs=None)])
    told = Book(member, []).ask("caching", **WHOLE)
    assert (told["saved"], told["unknown"]) == ("0", 70)
    assert told["rows"][0]["saved"] is None


@pytest.mark.parametrize("filters", [(), ("provider:anthropic",), ("-Feature",), ("User-Id",)])
def test_its_tokens_are_those_of_the_rows(book: Book, filters: tuple[str, ...]) -> None:
    """From sums and from rows alike."""
    told = book.ask("caching", *filters, **WHOLE)
    whole = book.ask("summary", *filters, **WHOLE)["usage"]
    for name in ("cached_tokens", "cache_creation_tokens"):
        assert sum(row[name] for row in told["rows"]) == whole[name]


def test_the_values_behind_it_are_no_dimension_for_people(book: Book) -> None:
    refused = book.get("breakdown", group_by="provider_and_model", **WHOLE)
    assert refused.status == 422
