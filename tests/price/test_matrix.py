"""The price matrix: model x tier x context x time to live x modality x batch, by an independent reading of the data."""

from collections.abc import Callable
from decimal import Decimal as D
from itertools import product
from typing import Any

import pytest

from majordomo.price.bill import Bill, usd

Billing = Callable[..., Bill]

# USD per million tokens as the providers' pages print them: input, 5m write, 1h write, cache read, output
ANTHROPIC = {
    "claude-fable-5-2": ("8", "10", "16", "0.2", "40"),
    "claude-fable-5-1": ("10", "12.5", "20", "0.25", "50"),
    "claude-opus-5-5": ("4", "5", "8", "0.2", "20"),
    "claude-opus-4-8": ("5", "6.25", "10", "0.5", "25"),
    "claude-sonnet-5-5": ("2", "2.5", "4", "0.1", "10"),
    "claude-haiku-4-5": ("1", "1.25", "2", "0.1", "5"),
    "claude-haiku-5-5": ("0.1", "0.125", "0.2", "0.01", "0.5"),
}
FAST = {"claude-fable-5-2": 2, "claude-opus-5-5": 2, "claude-opus-4-8": 2}
LONG = {"claude-haiku-5-5": (100_000, 5)}
US = {name for name in ANTHROPIC if name != "claude-haiku-4-5"}
BUCKETS = ("input", "cache_write_5m", "cache_write_1h", "cache_read", "output")


@pytest.mark.parametrize("model", ANTHROPIC)
def test_anthropic(model: str, bill_of: Billing) -> None:
    """Every class of token, short and long, in every processing and geography."""
    processings: list[dict[str, Any]] = [{}, {"batch": True}] + ([{"speed": "fast"}] if model in FAST else [])
    for processing, geo, long, (bucket, rate) in product(
        processings, (None, "global", "us"), (False, True), zip(BUCKETS, ANTHROPIC[model], strict=True)
    ):
        factor = D(1)
        if processing.get("batch"):
            factor /= 2
        if processing.get("speed"):
            factor *= FAST[model]
        if geo == "us" and model in US:
            factor *= D("1.1")
        prompt = 150_000 if long else 90_000
        if model in LONG and prompt > LONG[model][0]:
            factor *= LONG[model][1]
        bill = bill_of("anthropic", model, geo=geo, context=prompt, **{bucket: 1000}, **processing)
        assert bill.total_cost is not None
        assert usd(bill.total_cost) == 1000 * D(rate) * factor / 1_000_000, (processing, geo, long, bucket)


# input, cache read, cache write, output; then the same above 272,000 tokens
OPENAI = {
    "gpt-6-sol": (("2", "0.2", "2.5", "10"), ("4", "0.4", "5", "15")),
    "gpt-6-luna": (("0.1", "0.01", "0.125", "0.5"), ("0.2", "0.02", "0.25", "0.75")),
    "gpt-6-astra": (("10", "1", "12.5", "50"), ("20", "2", "25", "75")),
    "gpt-6.1-sol": (("2", "0.1", "2.5", "10"), ("4", "0.2", "5", "15")),
}


@pytest.mark.parametrize("model", OPENAI)
def test_openai(model: str, bill_of: Billing) -> None:
    """Flex and batch are half, priority is double, a regional endpoint 1.1; all hold for long prompts as well."""
    tiers: dict[str, tuple[dict[str, Any], D]] = {
        "none": ({}, D(1)),
        "default": ({"service_tier": "default"}, D(1)),
        "flex": ({"service_tier": "flex"}, D("0.5")),
        "priority": ({"service_tier": "priority"}, D(2)),
        "batch": ({"batch": True, "service_tier": "default"}, D("0.5")),
    }
    for (tier, (told, factor)), geo, prompt in product(tiers.items(), (None, "eu"), (272_000, 272_001)):
        rates = OPENAI[model][prompt > 272_000]
        for bucket, rate in zip(("input", "cache_read", "cache_write", "output"), rates, strict=True):
            bill = bill_of("openai", model, geo=geo, context=prompt, **{bucket: 1000}, **told)
            assert bill.total_cost is not None
            expected = 1000 * D(rate) * factor * (D("1.1") if geo else 1) / 1_000_000
            assert usd(bill.total_cost) == expected, (tier, geo, prompt, bucket)


# input, audio in, cached, cached audio, output
GEMINI = {
    "gemini-2.5-flash": ("0.3", "1", "0.03", "0.1", "2.5"),
    "gemini-2.5-flash-lite": ("0.1", "0.3", "0.01", "0.03", "0.4"),
    "gemini-3-flash-preview": ("0.5", "1", "0.05", "0.1", "3"),
}


@pytest.mark.parametrize("model", GEMINI)
def test_gemini(model: str, bill_of: Billing) -> None:
    """Flex and batch halve input and output and leave the cache; priority is 1.8x throughout."""
    rates = dict(zip(("input", "input_audio", "cache_read", "cache_read_audio", "output"), GEMINI[model], strict=True))
    rates |= {"input_image": rates["input"], "input_video": rates["input"], "cache_read_image": rates["cache_read"]}
    for told, tokens, cached in (
        ({}, "1", "1"),
        ({"service_tier": "flex"}, "0.5", "1"),
        ({"batch": True}, "0.5", "1"),
        ({"service_tier": "priority"}, "1.8", "1.8"),
    ):
        for bucket, rate in rates.items():
            bill = bill_of("gemini", model, **{bucket: 1000}, **told)
            factor = D(cached if bucket.startswith("cache") else tokens)
            assert bill.total_cost is not None
            assert usd(bill.total_cost) == 1000 * D(rate) * factor / 1_000_000, (told, bucket)
