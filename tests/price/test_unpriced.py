"""What has no known price: every cost None and a reason, never zero and never silently the standard rate."""

from collections.abc import Callable
from typing import Any

import pytest

from majordomo.apis import Api
from majordomo.meter.reading import Bucket, Part, Reading, RequestFacts, UsageState
from majordomo.price.bill import Bill
from majordomo.price.pricer import MAX_CARDS, Pricer

Billing = Callable[..., Bill]

COSTS = ("input_cost", "output_cost", "cache_read_cost", "cache_creation_cost", "tool_cost", "total_cost")

# (provider, model, what was counted and told, is the model known, the reason)
CASES: dict[str, tuple[str, str | None, dict[str, Any], bool, str]] = {
    "a model that is nowhere": ("openai", "gpt-99", {"input": 1}, False, "unknown_model"),
    "no model at all": ("openai", None, {"input": 1}, False, "unknown_model"),
    "a provider without prices": ("deepinfra", "deepseek-ai/DeepSeek-V4-Pro", {"input": 1}, False, "unknown_model"),
    "a model of another provider": ("anthropic", "gpt-6-sol", {"input": 1}, False, "unknown_model"),
    "a tier that nobody sells": ("openai", "gpt-6-sol", {"input": 1, "service_tier": "ultrafast"}, True,
                                 "unknown_tier:ultrafast"),
    "prepaid capacity of OpenAI": ("openai", "gpt-6-sol", {"input": 1, "service_tier": "scale"}, True,
                                   "unknown_tier:scale"),
    "prepaid capacity of Anthropic": ("anthropic", "claude-opus-5-5", {"input": 1, "service_tier": "priority"}, True,
                                      "unknown_tier:priority"),
    "prepaid capacity of Vertex": ("gemini", "gemini-2.5-pro",
                                   {"input": 1, "service_tier": "PROVISIONED_THROUGHPUT"}, True,
                                   "unknown_tier:provisioned_throughput"),
    "a tier that this model does not have": ("openai", "gpt-4o", {"input": 1, "service_tier": "flex"}, True,
                                             "unknown_tier:flex"),
    "a tier before its rates were known": ("openai", "gpt-5", {"input": 1, "service_tier": "flex",
                                                               "on": "2026-10-11"}, True, "unknown_tier:flex"),
    "batch of a model without batch rates": ("openai", "gpt-5.3", {"input": 1, "batch": True}, True,
                                             "unknown_tier:batch"),
    "fast mode of a model without it": ("anthropic", "claude-haiku-5-5", {"input": 1, "speed": "fast"}, True,
                                        "unknown_speed:fast"),
    "a new speed": ("anthropic", "claude-opus-5-5", {"input": 1, "speed": "turbo"}, True, "unknown_speed:turbo"),
    "batch and fast at once": ("anthropic", "claude-opus-5-5", {"input": 1, "speed": "fast", "batch": True}, True,
                               "unknown_combination:batch+fast"),
    "a new geography": ("anthropic", "claude-opus-5-5", {"input": 1, "geo": "moon"}, True, "unknown_geo:moon"),
    "audio at a model without an audio rate": ("openai", "gpt-6-sol", {"input": 1, "input_audio": 1}, True,
                                               "no_rate:input_audio"),
    "cached tokens without a published rate": ("deepseek", "deepseek-v3.2", {"input": 1, "cache_read": 1}, True,
                                               "no_rate:cache_read"),
    "hour-long writes without a published rate": ("anthropic", "claude-2", {"cache_write_1h": 1}, True,
                                                  "no_rate:cache_write_1h"),
    "grounding without a published fee": ("gemini", "gemini-2.0-flash-lite", {"input": 1, "grounding": 1}, True,
                                          "no_rate:grounding"),
    "pictures by the piece": ("openai", "gpt-image-1", {"images": 1}, True, "no_rate:images"),
    "video output, which no bucket tells from text": ("gemini", "gemini-omni-1.1-flash", {"input": 1, "output": 1},
                                                      True, "no_rate:output"),
    "a rate with no whole number of femto-dollars a count": ("openai", "gpt-live-transcribe", {"audio_seconds": 1000},
                                                             True, "inexact_rate:audio_seconds"),
    "a count below zero": ("openai", "gpt-6-sol", {"input": -1}, True, "negative_count:input"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_not_known_is_not_priced(case: str, bill_of: Billing) -> None:
    provider, model, given, found, reason = CASES[case]
    bill = bill_of(provider, model, **given)
    assert [getattr(bill, cost) for cost in COSTS] == [None] * 6
    assert (bill.model_found, bill.problems) == (found, (reason,))
    assert bill.price_version


def test_one_unknown_part_leaves_the_whole_request_unpriced(pricer: Pricer, at: Callable[[str], int]) -> None:
    parts = (Part("claude-opus-5-5", {Bucket.INPUT: 1}), Part("claude-opus-99", {Bucket.INPUT: 1}))
    reading = Reading(model="claude-opus-5-5", parts=parts, state=UsageState.FINAL)
    bill = pricer.bill("anthropic", Api.ANTHROPIC_MESSAGES, reading, RequestFacts(), at("2026-11-20"))
    assert (bill.total_cost, bill.model_found, bill.problems) == (None, False, ("unknown_model",))


@pytest.mark.parametrize("api", [Api.ANTHROPIC_COUNT_TOKENS, Api.OPENAI_MODELS, Api.OPENAI_MODERATIONS])
def test_free_endpoints_cost_nothing(api: Api, pricer: Pricer, at: Callable[[str], int]) -> None:
    reading = Reading(model="claude-opus-5-5", problems=("not_json",))
    bill = pricer.bill("anthropic", api, reading, RequestFacts(), at("2026-11-20"))
    assert (bill.total_cost, bill.tool_cost, bill.model_found) == (0, 0, True)


def test_an_error_reply_costs_nothing(pricer: Pricer, at: Callable[[str], int]) -> None:
    reading = Reading(error_type="overloaded_error", problems=("cut",))
    bill = pricer.bill("anthropic", Api.ANTHROPIC_MESSAGES, reading, RequestFacts(model="nope"), at("2026-11-20"))
    assert (bill.total_cost, bill.model_found) == (0, False)


def test_a_reply_that_lost_its_usage_is_not_free(pricer: Pricer, at: Callable[[str], int]) -> None:
    reading = Reading(model="gpt-6-sol", problems=("cut",))
    bill = pricer.bill("openai", Api.OPENAI_CHAT, reading, RequestFacts(), at("2026-11-20"))
    assert (bill.total_cost, bill.problems) == (None, ("no_usage",))


def test_the_requests_model_prices_a_reply_that_names_none(pricer: Pricer, at: Callable[[str], int]) -> None:
    reading = Reading(parts=(Part(None, {Bucket.CHARACTERS: 10}),), state=UsageState.FINAL)
    bill = pricer.bill("openai", Api.OPENAI_SPEECH, reading, RequestFacts(model="tts-1"), at("2026-11-20"))
    assert bill.total_cost == 10 * 15 * 10**9


def test_invented_models_do_not_fill_memory(bill_of: Billing, pricer: Pricer) -> None:
    for number in range(MAX_CARDS + 10):
        bill_of("openai", f"model-{number}", input=1)
    assert len(pricer._cards) <= MAX_CARDS
    assert bill_of("openai", "m" * 1_000_000, input=1).problems == ("unknown_model",)
    assert max(len(key[1]) for key in pricer._cards) < 1000
