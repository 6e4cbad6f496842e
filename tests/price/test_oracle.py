"""The ``genai-prices`` calculator as oracle wherever it is right, and a test for every way in which it is not."""

import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal as D
from functools import cache
from typing import Any

import pytest
from genai_prices import Usage, calc_price
from genai_prices.data import providers as oracle_providers
from hypothesis import given, settings
from hypothesis import strategies as st

from majordomo.apis import Api
from majordomo.meter.reading import Bucket, Part, Reading, RequestFacts, UsageState
from majordomo.price.bill import Bill, usd
from majordomo.price.pricer import Pricer

Billing = Callable[..., Bill]
Dollars = Callable[[Bill], dict[str, D]]

M = D(1_000_000)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
OURS = {"google": "gemini", "moonshotai": "moonshot"}

#: Models that the oracle does not price as their provider does, or that stand in this repository's supplement.
NOT_COMPARED = {
    ("openai", "gpt-4o-search-preview"),  # a fee per request, which it leaves out
    ("openai", "gpt-5-search-api"),
    ("openai", "gpt-4o-audio-preview"),  # audio at text rates
    ("openai", "gpt-4o-mini-audio-preview"),
    ("google", "gemini-omni-1.1-flash"),  # video output, which no reading tells from text
    ("google", "gemini-omni-flash-preview"),
    ("openai", "ft:gpt-3.5-turbo-"),  # the id is a prefix, and nobody's model
}


@cache
def _models() -> list[tuple[str, str, Any]]:
    """(catalogue provider, model id, the oracle's entry) for every entry that its own id leads back to."""
    chosen = ("openai", "anthropic", "google", "deepseek", "moonshotai", "fireworks", "together", "novita", "baseten")
    listed = []
    for provider in oracle_providers:
        for model in provider.models if provider.id in chosen else ():
            if (provider.id, model.id) not in NOT_COMPARED and provider.find_model(model.id) is model:
                listed.append((provider.id, model.id, model))
    return listed


def _bucket_counts(entry: Any, context: dict[str, str], draw: Callable[[int], int]) -> dict[Bucket, int]:
    """Counts for the buckets that an entry lists a rate for: elsewhere we decline where the oracle takes another's."""
    listed = entry.get_prices(NOON, context or None)

    def has(key: str) -> bool:
        return getattr(listed, key, None) is not None

    pairs = {
        Bucket.INPUT: "input_mtok",
        Bucket.INPUT_AUDIO: "input_audio_mtok",
        Bucket.INPUT_IMAGE: "input_image_mtok",
        Bucket.CACHE_READ: "cache_read_mtok",
        Bucket.CACHE_READ_AUDIO: "cache_audio_read_mtok",
        Bucket.CACHE_READ_IMAGE: "cache_image_read_mtok",
        Bucket.CACHE_WRITE_5M: "cache_write_mtok",
        Bucket.CACHE_WRITE_1H: "cache_write_1h_mtok",
        Bucket.OUTPUT: "output_mtok",
        Bucket.OUTPUT_AUDIO: "output_audio_mtok",
        Bucket.OUTPUT_IMAGE: "output_image_mtok",
    }
    return {bucket: draw(number) for number, (bucket, key) in enumerate(pairs.items()) if has(key)}


def _oracle_usage(counts: dict[Bucket, int], searches: int) -> Usage:
    def total(*buckets: Bucket) -> int:
        return sum(counts.get(bucket, 0) for bucket in buckets)

    writes = total(Bucket.CACHE_WRITE_5M, Bucket.CACHE_WRITE_1H)
    cached_audio, cached_image = total(Bucket.CACHE_READ_AUDIO), total(Bucket.CACHE_READ_IMAGE)
    reads = total(Bucket.CACHE_READ) + cached_audio + cached_image
    audio, image = total(Bucket.INPUT_AUDIO) + cached_audio, total(Bucket.INPUT_IMAGE) + cached_image
    return Usage(
        input_tokens=total(Bucket.INPUT, Bucket.INPUT_AUDIO, Bucket.INPUT_IMAGE) + reads + writes,
        input_audio_tokens=audio,
        input_image_tokens=image,
        cache_read_tokens=reads,
        cache_audio_read_tokens=cached_audio,
        cache_image_read_tokens=cached_image,
        cache_write_tokens=writes,
        cache_write_1h_tokens=counts.get(Bucket.CACHE_WRITE_1H, 0),
        output_tokens=total(Bucket.OUTPUT, Bucket.OUTPUT_AUDIO, Bucket.OUTPUT_IMAGE),
        output_audio_tokens=counts.get(Bucket.OUTPUT_AUDIO, 0),
        output_image_tokens=counts.get(Bucket.OUTPUT_IMAGE, 0),
        web_searches=searches,
    )


BOUNDARIES = [0, 1, 99_999, 100_001, 200_000, 200_001, 272_000, 272_001]
TOKENS = st.sampled_from(BOUNDARIES) | st.integers(0, 10**7)


@settings(max_examples=300, deadline=None)
@given(
    which=st.integers(0, 10**6),
    tokens=st.lists(TOKENS, min_size=11, max_size=11),
    searches=st.integers(0, 5),
    variant=st.integers(0, 5),
)
def test_it_agrees_with_the_oracle(
    which: int, tokens: list[int], searches: int, variant: int, pricer: Pricer, at: Callable[[str], int]
) -> None:
    """Any model, any counts, any listed tier, speed or batch: the same total to the last decimal."""
    provider, model, entry = _models()[which % len(_models())]
    contexts = _contexts(entry)
    _agree(pricer, at, provider, model, entry, contexts[variant % len(contexts)], tokens, searches)


@pytest.mark.parametrize("prompt", [1_000, 150_000, 250_000, 300_000])
def test_it_agrees_for_every_model_in_every_processing(prompt: int, pricer: Pricer, at: Callable[[str], int]) -> None:
    for provider, model, entry in _models():
        for context in _contexts(entry):
            _agree(pricer, at, provider, model, entry, context, [prompt, *range(1, 11)], 1)


def _contexts(entry: Any) -> list[dict[str, str]]:
    in_force = [v.when for v in entry.price_variants or () if v.constraint is None or v.constraint.active(NOON)]
    return [{}, *in_force]


def _agree(
    pricer: Pricer,
    at: Callable[[str], int],
    provider: str,
    model: str,
    entry: Any,
    context: dict[str, str],
    tokens: list[int],
    searches: int,
) -> None:
    counts = _bucket_counts(entry, context, lambda number: tokens[number])
    if not counts or getattr(entry.get_prices(NOON), "web_searches_kcount", None) is None:
        searches = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = calc_price(
            _oracle_usage(counts, searches),
            model,
            provider_id=provider,
            genai_request_timestamp=NOON,
            price_context=context or None,
        )
    if searches:
        counts[Bucket.GROUNDING if provider == "google" else Bucket.WEB_SEARCH] = searches
    reading = Reading(
        model=model,
        parts=(Part(model, counts),),
        state=UsageState.FINAL,
        service_tier=context.get("service_tier"),
        speed=context.get("speed"),
        batch=context.get("processing") == "batch",
    )
    bill = pricer.bill(OURS.get(provider, provider), Api.OPENAI_CHAT, reading, RequestFacts(), at("2026-11-20T12:00"))
    assert bill.total_cost is not None, (provider, model, context, bill.problems)
    assert usd(bill.total_cost) == expected.total_price, (provider, model, context, counts)


def oracle(provider: str, model: str, on: datetime = NOON, context: dict[str, str] | None = None, **usage: int) -> D:
    """The oracle's total in USD."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return calc_price(
            Usage(**usage), model, provider_id=provider, genai_request_timestamp=on, price_context=context
        ).total_price


# Where the oracle is wrong, or silent where a bill must not be: one test each, with both numbers.


def test_1_it_knows_no_geography(bill_of: Billing, dollars: Dollars) -> None:
    """US inference at Anthropic costs 1.1x; there is no way to tell it so."""
    wrong = oracle("anthropic", "claude-opus-5-5", context={"inference_geo": "us"}, input_tokens=1_000_000)
    right = dollars(bill_of("anthropic", "claude-opus-5-5", input=1_000_000, geo="us"))
    assert (wrong, right) == (D(4), {"input": D("4.4")})


def test_2_it_prices_an_advisors_tokens_at_the_replys_model(pricer: Pricer, at: Callable[[str], int]) -> None:
    """``usage.iterations`` are not read: the advisor's turn is left out or priced at the wrong model."""
    wrong = oracle("anthropic", "claude-haiku-5-5", input_tokens=2000)
    parts = (Part(None, {Bucket.INPUT: 1000}), Part("claude-opus-5-5", {Bucket.INPUT: 1000}))
    reading = Reading(model="claude-haiku-5-5", parts=parts, state=UsageState.FINAL)
    bill = pricer.bill("anthropic", Api.ANTHROPIC_MESSAGES, reading, RequestFacts(), at("2026-11-20"))
    assert bill.total_cost is not None
    assert (wrong, usd(bill.total_cost)) == (200 / M, 4100 / M)


def test_3_it_raises_on_audio_with_cached_tokens_of_unknown_kind(bill_of: Billing, dollars: Dollars) -> None:
    """A Gemini reply with audio and a cache without details, which are common."""
    with pytest.raises(ValueError, match="require explicit cache_audio_read_tokens"):
        oracle("google", "gemini-2.5-flash", input_tokens=100, input_audio_tokens=80, cache_read_tokens=30)
    right = dollars(bill_of("gemini", "gemini-2.5-flash", input_audio=70, cache_read=20, cache_read_audio=10))
    assert right == {"input": 70 / M, "cache_read": (20 * D("0.03") + 10 * D("0.1")) / M}


def test_3_it_raises_where_a_providers_numbers_do_not_add_up() -> None:
    """A split larger than its total, more cached than prompt: real replies. A reading has been made whole before."""
    with pytest.raises(ValueError, match="cannot exceed"):
        oracle("openai", "gpt-6-sol", input_tokens=10, cache_read_tokens=20)


def test_5_it_takes_the_standard_price_for_any_tier_it_does_not_know(bill_of: Billing) -> None:
    """A tier nobody has heard of, Anthropic's priority, a misspelt key: standard, without a sign."""
    for context in ({"service_tier": "ultrafast"}, {"service_teir": "flex"}):
        assert oracle("openai", "gpt-6-sol", context=context, input_tokens=1_000_000) == D(4)  # long context
    assert oracle("anthropic", "claude-opus-5-5", context={"service_tier": "priority"}, input_tokens=1_000_000) == D(4)
    assert bill_of("openai", "gpt-6-sol", input=1_000_000, service_tier="ultrafast").total_cost is None
    assert bill_of("anthropic", "claude-opus-5-5", input=1_000_000, service_tier="priority").total_cost is None


def test_5_it_does_nothing_with_anthropics_own_word_for_batch(bill_of: Billing, dollars: Dollars) -> None:
    wrong = oracle("anthropic", "claude-opus-5-5", context={"service_tier": "batch"}, input_tokens=1_000_000)
    right = dollars(bill_of("anthropic", "claude-opus-5-5", input=1_000_000, service_tier="batch"))
    assert (wrong, right) == (D(4), {"input": D(2)})


def test_5_it_takes_the_standard_price_for_a_tier_before_its_first_known_day(bill_of: Billing) -> None:
    before = datetime(2026, 10, 11, tzinfo=UTC)
    wrong = oracle("openai", "gpt-5", on=before, context={"service_tier": "flex"}, input_tokens=1_000_000)
    assert wrong == D("1.25")
    assert bill_of("openai", "gpt-5", input=1_000_000, service_tier="flex", on="2026-10-11").total_cost is None


def test_6_it_lets_the_first_of_two_variants_win(bill_of: Billing) -> None:
    """Fast and batch together are no offer; it charges the one that is listed first."""
    both = {"speed": "fast", "processing": "batch"}
    assert oracle("anthropic", "claude-opus-5-5", context=both, input_tokens=1_000_000) == D(2)
    assert bill_of("anthropic", "claude-opus-5-5", input=1_000_000, speed="fast", batch=True).total_cost is None


def test_7_it_falls_back_to_another_provider_without_its_tiers(bill_of: Billing) -> None:
    """Azure's flex at OpenAI's standard price. We do not guess one provider's price from another's."""
    assert oracle("azure", "gpt-6-sol", context={"service_tier": "flex"}, input_tokens=1000) == 2000 / M
    assert bill_of("azure", "gpt-6-sol", input=1000).problems == ("unknown_model",)


def test_8_it_prices_audio_without_a_listed_rate_as_text(bill_of: Billing, dollars: Dollars) -> None:
    wrong = oracle("openai", "gpt-4o-audio-preview", input_tokens=1000, input_audio_tokens=1000)
    right = dollars(bill_of("openai", "gpt-4o-audio-preview", input_audio=1000))
    assert (wrong, right) == (D("0.0025"), {"input": D("0.04")})


def test_8_it_leaves_out_the_fee_of_a_search_model(bill_of: Billing, dollars: Dollars) -> None:
    wrong = oracle("openai", "gpt-4o-search-preview", input_tokens=1000)
    right = dollars(bill_of("openai", "gpt-4o-search-preview", input=1000))
    assert (wrong, right) == (D("0.0025"), {"input": D("0.0025"), "tool": D("0.025")})


def test_8_it_has_no_flex_or_priority_for_gemini(bill_of: Billing, dollars: Dollars) -> None:
    for tier, cost in (("flex", "0.15"), ("priority", "0.54")):
        wrong = oracle("google", "gemini-2.5-flash", context={"service_tier": tier}, input_tokens=1_000_000)
        right = dollars(bill_of("gemini", "gemini-2.5-flash", input=1_000_000, service_tier=tier))
        assert (wrong, right) == (D("0.3"), {"input": D(cost)})


def test_8_it_takes_cached_tokens_without_a_listed_rate_for_uncached_ones(bill_of: Billing) -> None:
    """A provider that discounts its cache, and an entry that does not say by how much."""
    assert oracle("deepseek", "deepseek-v3.2", input_tokens=1000, cache_read_tokens=1000) == D("0.0002288")
    assert bill_of("deepseek", "deepseek-v3.2", cache_read=1000).problems == ("no_rate:cache_read",)


def test_10_it_prices_a_new_model_at_an_old_ones_rate(bill_of: Billing) -> None:
    for provider, ours, model, wrong in (
        ("google", "gemini", "gemini-3.6-flash-lite", D("0.75")),
        ("anthropic", "anthropic", "claude-opus-4-50", D(5)),
        ("deepseek", "deepseek", "deepseek-r1-distill-qwen-32b", D("0.55")),
    ):
        assert oracle(provider, model, input_tokens=1_000_000) == wrong
        assert bill_of(ours, model, input=1_000_000).problems == ("unknown_model",)


def test_11_it_cannot_say_which_prices_it_used(bill_of: Billing, pricer: Pricer) -> None:
    bill = bill_of("openai", "gpt-6-sol", input=1)
    assert bill.price_version == pricer.version
    assert pricer.version.startswith("20")
