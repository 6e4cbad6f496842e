"""Every formula of the exactness rules, worked out by hand in USD and compared to the last decimal."""

from collections.abc import Callable
from decimal import Decimal as D
from typing import Any

import pytest

from majordomo.apis import Api
from majordomo.meter.gemini_usage import read_usage
from majordomo.meter.reading import Bucket, Part, Reading, RequestFacts, UsageState
from majordomo.price.bill import Bill, usd
from majordomo.price.pricer import Pricer

Billing = Callable[..., Bill]
Dollars = Callable[[Bill], dict[str, D]]

M = D(1_000_000)

# (provider, model, what was counted and told, the costs worked out by hand)
CASES: dict[str, tuple[str, str, dict[str, Any], dict[str, D]]] = {
    "anthropic: uncached, 5m and 1h writes, reads and output each at its own rate": (
        "anthropic", "claude-opus-5-5",
        {"input": 1000, "cache_write_5m": 200, "cache_write_1h": 300, "cache_read": 5000, "output": 700},
        {"input": 1000 * 4 / M, "cache_creation": (200 * 5 + 300 * 8) / M, "cache_read": 5000 * D("0.2") / M,
         "output": 700 * 20 / M},
    ),
    "anthropic: a cache read at 0.025 of input, from the table": (
        "anthropic", "claude-fable-5-1", {"input": 10, "cache_read": 1_000_000},
        {"input": 100 / M, "cache_read": D("0.25")},
    ),
    "anthropic: US inference multiplies tokens by 1.1 and leaves the search fee alone": (
        "anthropic", "claude-opus-4-6",
        {"input": 1000, "cache_write_5m": 100, "cache_write_1h": 100, "cache_read": 1000, "output": 100,
         "web_search": 3, "geo": "us"},
        {"input": D("1.1") * 1000 * 5 / M, "cache_creation": D("1.1") * (100 * D("6.25") + 100 * 10) / M,
         "cache_read": D("1.1") * 1000 * D("0.5") / M, "output": D("1.1") * 100 * 25 / M, "tool": D("0.03")},
    ),
    "anthropic: global inference costs nothing more": (
        "anthropic", "claude-opus-4-6", {"input": 1000, "geo": "global"}, {"input": 5000 / M},
    ),
    "anthropic: a model before Opus 4.6 has no geography to pay for": (
        "anthropic", "claude-opus-4-5", {"input": 1000, "geo": "us"}, {"input": 5000 / M},
    ),
    "anthropic: fast mode of Opus 5.5 is 2x": (
        "anthropic", "claude-opus-5-5", {"input": 1000, "cache_read": 1000, "output": 10, "speed": "fast"},
        {"input": 8000 / M, "cache_read": 400 / M, "output": 400 / M},
    ),
    "anthropic: fast mode of Opus 4.6 is 6x, cache and US uplift on top": (
        "anthropic", "claude-opus-4-6",
        {"input": 1000, "cache_read": 1000, "cache_write_1h": 1000, "output": 10, "speed": "fast", "geo": "us"},
        {"input": D("1.1") * 30_000 / M, "cache_read": D("1.1") * 3000 / M, "cache_creation": D("1.1") * 60_000 / M,
         "output": D("1.1") * 1500 / M},
    ),
    "anthropic: batch is half, also of cache reads and writes": (
        "anthropic", "claude-opus-5-5",
        {"input": 1000, "cache_read": 1000, "cache_write_5m": 1000, "cache_write_1h": 1000, "output": 10,
         "batch": True},
        {"input": 2000 / M, "cache_read": 100 / M, "cache_creation": (2500 + 4000) / M, "output": 100 / M},
    ),
    "anthropic: a tier told as batch is batch": (
        "anthropic", "claude-opus-5-5", {"input": 1000, "service_tier": "batch"}, {"input": 2000 / M},
    ),
    "anthropic: Haiku 5.5 above 100,000 is 5x throughout, in batch too": (
        "anthropic", "claude-haiku-5-5",
        {"input": 1, "cache_read": 100_000, "output": 10, "batch": True},
        {"input": D("0.25") / M, "cache_read": 100_000 * D("0.025") / M, "output": D("12.5") / M},
    ),
    "anthropic: a search is $0.01": (
        "anthropic", "claude-sonnet-5-5", {"web_search": 1, "api": Api.ANTHROPIC_MESSAGES}, {"tool": D("0.01")},
    ),
    "openai: uncached, cached, cache writes and output": (
        "openai", "gpt-6-sol", {"input": 700, "cache_read": 200, "cache_write": 100, "output": 50},
        {"input": 1400 / M, "cache_read": 40 / M, "cache_creation": 250 / M, "output": 500 / M},
    ),
    "openai: audio in and out at audio rates": (
        "openai", "gpt-audio", {"input": 100, "input_audio": 50, "output": 10, "output_audio": 20},
        {"input": (100 * D("2.5") + 50 * 32) / M, "output": (10 * 10 + 20 * 64) / M},
    ),
    "openai: audio of the preview models, which the catalogue has no rates for": (
        "openai", "gpt-4o-audio-preview-2024-12-17", {"input": 10, "input_audio": 50, "output_audio": 20},
        {"input": (10 * D("2.5") + 50 * 40) / M, "output": 20 * 80 / M},
    ),
    "openai: realtime, cached audio at its own rate": (
        "openai", "gpt-realtime-2",
        {"input": 10, "input_audio": 100, "cache_read": 20, "cache_read_audio": 30, "output": 5, "output_audio": 6},
        {"input": (40 + 3200) / M, "cache_read": (20 * D("0.4") + 30 * D("0.4")) / M, "output": (120 + 384) / M},
    ),
    "openai: flex": (
        "openai", "gpt-6-sol", {"input": 1000, "cache_read": 1000, "output": 10, "service_tier": "flex"},
        {"input": 1000 / M, "cache_read": 100 / M, "output": 50 / M},
    ),
    "openai: priority": (
        "openai", "gpt-5.5", {"input": 1000, "output": 10, "service_tier": "priority"},
        {"input": 12_500 / M, "output": 750 / M},
    ),
    "openai: fast is priority": (
        "openai", "gpt-5.5", {"input": 1000, "service_tier": "fast"}, {"input": 12_500 / M},
    ),
    "openai: default is standard": (
        "openai", "gpt-5.5", {"input": 1000, "service_tier": "default"}, {"input": 5000 / M},
    ),
    "openai: batch is half, and cached input keeps its rate where the page lists no other": (
        "openai", "gpt-4.1", {"input": 1000, "cache_read": 1000, "output": 10, "batch": True,
                              "service_tier": "default"},
        {"input": 1000 / M, "cache_read": 500 / M, "output": 40 / M},
    ),
    "openai: flex above 272,000 has its own long rates": (
        "openai", "gpt-5.5", {"input": 272_001, "output": 10, "service_tier": "flex"},
        {"input": 272_001 * D(5) / M, "output": D(225) / M},
    ),
    "openai: batch above 272,000": (
        "openai", "gpt-6-sol", {"input": 272_001, "output": 10, "batch": True},
        {"input": 272_001 * D(2) / M, "output": D(75) / M},
    ),
    "openai: no cached rate on the page means no discount": (
        "openai", "gpt-5.4-pro", {"input": 10, "cache_read": 10}, {"input": 300 / M, "cache_read": 300 / M},
    ),
    "openai: web search and file search by the call": (
        "openai", "gpt-6-sol",
        {"input": 1, "web_search": 3, "file_search": 4, "api": Api.OPENAI_RESPONSES},
        {"input": 2 / M, "tool": D("0.03") + D("0.01")},
    ),
    "openai: tool fees hold for a model whose entry lists none": (
        "openai", "gpt-5.3", {"web_search": 1, "file_search": 2}, {"tool": D("0.015")},
    ),
    "openai: a tier or batch leaves tool fees alone": (
        "openai", "gpt-6-sol", {"web_search": 1, "service_tier": "flex"}, {"tool": D("0.01")},
    ),
    "openai: a search model pays per request": (
        "openai", "gpt-4o-search-preview-2025-03-11", {"input": 100, "output": 10},
        {"input": 250 / M, "output": 100 / M, "tool": D("0.025")},
    ),
    "openai: the mini search model keeps its own tokens and fee": (
        "openai", "gpt-4o-mini-search-preview", {"input": 100},
        {"input": 15 / M, "tool": D("0.025")},
    ),
    "openai: embeddings": (
        "openai", "text-embedding-3-small", {"input": 12_345, "api": Api.OPENAI_EMBEDDINGS},
        {"input": 12_345 * D("0.02") / M},
    ),
    "openai: images by tokens, text and image apart": (
        "openai", "gpt-image-1.5", {"input": 10, "input_image": 100, "output": 5, "output_image": 1000,
                                    "api": Api.OPENAI_IMAGES},
        {"input": (50 + 800) / M, "output": (50 + 32_000) / M},
    ),
    "openai: an image model whose only output rate is that of images": (
        "openai", "gpt-image-1", {"input": 10, "output_image": 1000, "api": Api.OPENAI_IMAGES},
        {"input": 50 / M, "output": 40_000 / M},
    ),
    "openai: transcription by tokens, audio at the audio rate": (
        "openai", "gpt-4o-transcribe", {"input": 10, "input_audio": 100, "output": 20,
                                        "api": Api.OPENAI_TRANSCRIPTION},
        {"input": (25 + 600) / M, "output": 200 / M},
    ),
    "openai: transcription by duration, in milliseconds": (
        "openai", "whisper-1", {"audio_seconds": 90_500, "api": Api.OPENAI_TRANSCRIPTION},
        {"input": D("0.36") * D("90.5") / 3600},
    ),
    "openai: speech by characters": (
        "openai", "tts-1-hd", {"characters": 1234, "api": Api.OPENAI_SPEECH}, {"input": 1234 * 30 / M},
    ),
    "openai: speech by tokens": (
        "openai", "gpt-4o-mini-tts", {"input": 100, "output_audio": 1000, "api": Api.OPENAI_SPEECH},
        {"input": 60 / M, "output": 12_000 / M},
    ),
    "gemini: text, audio and picture in, cached of each, thoughts in output": (
        "gemini", "gemini-2.5-flash",
        {"input": 1000, "input_audio": 100, "input_image": 10, "input_video": 1, "cache_read": 50,
         "cache_read_audio": 60, "cache_read_image": 70, "output": 20},
        {"input": (1000 * D("0.3") + 100 * 1 + 11 * D("0.3")) / M,
         "cache_read": (50 * D("0.03") + 60 * D("0.1") + 70 * D("0.03")) / M, "output": 50 / M},
    ),
    "gemini: image output": (
        "gemini", "gemini-3-pro-image-preview", {"input": 100, "output": 10, "output_image": 1120},
        {"input": 200 / M, "output": (120 + 1120 * 120) / M},
    ),
    "gemini: speech output": (
        "gemini", "gemini-2.5-flash-preview-tts", {"input": 100, "output_audio": 1000},
        {"input": 50 / M, "output": 10_000 / M},
    ),
    "gemini: batch halves input and output, cached input stays": (
        "gemini", "gemini-2.5-pro", {"input": 1000, "cache_read": 1000, "output": 10, "batch": True},
        {"input": 625 / M, "cache_read": 125 / M, "output": 50 / M},
    ),
    "gemini: flex costs what batch costs, cached input stays": (
        "gemini", "gemini-2.5-pro", {"input": 1000, "cache_read": 1000, "output": 10, "service_tier": "flex"},
        {"input": 625 / M, "cache_read": 125 / M, "output": 50 / M},
    ),
    "gemini: flex halves cached input too where batch does": (
        "gemini", "gemini-3.8-flash", {"cache_read": 1000, "service_tier": "ON_DEMAND_FLEX"},
        {"cache_read": D("37.5") / M},
    ),
    "gemini: batch cached input that is neither half nor whole": (
        "gemini", "gemini-3.5-flash-lite", {"cache_read": 1000, "batch": True}, {"cache_read": 20 / M},
    ),
    "gemini: priority is 1.8x, long context too": (
        "gemini", "gemini-2.5-pro", {"input": 200_001, "output": 10, "service_tier": "priority"},
        {"input": 200_001 * D("4.5") / M, "output": 270 / M},
    ),
    "gemini: Vertex's on-demand is standard": (
        "gemini", "gemini-2.5-pro", {"input": 1000, "service_tier": "ON_DEMAND"}, {"input": 1250 / M},
    ),
    "gemini 3: grounding by the query": (
        "gemini", "gemini-3-flash-preview", {"grounding": 3}, {"tool": D("0.042")},
    ),
    "gemini 2: grounding by the prompt": (
        "gemini", "gemini-2.5-flash", {"grounding": 1}, {"tool": D("0.035")},
    ),
    "gemini: a resource name is the model's": (
        "gemini-openai", "models/gemini-2.5-flash", {"input": 1000}, {"input": 300 / M},
    ),
    "gemini: embeddings of pictures": (
        "gemini", "gemini-embedding-2", {"input": 10, "input_image": 100}, {"input": (2 + 45) / M},
    ),
    "gemini: free models cost nothing, and are known to": (
        "gemini", "gemma-4-31b-it", {"input": 1000, "output": 1000}, {},
    ),
    "moonshot: known under the catalogue's name": (
        "moonshot", "kimi-k3", {"input": 1000, "cache_read": 1000, "cache_write": 10, "output": 10},
        {"input": 3000 / M, "cache_read": 300 / M, "cache_creation": 30 / M, "output": 150 / M},
    ),
    "deepseek: off the peak": (
        "deepseek", "deepseek-flash", {"input": 1000, "cache_read": 1000, "output": 10, "on": "2026-11-20T12:00"},
        {"input": 150 / M, "cache_read": 3 / M, "output": 6 / M},
    ),
    "deepseek: at the peak": (
        "deepseek", "deepseek-flash", {"input": 1000, "cache_read": 1000, "output": 10, "on": "2026-11-20T09:59:59"},
        {"input": 300 / M, "cache_read": 6 / M, "output": 12 / M},
    ),
    "x-ai: a threshold that the long price includes": (
        "x-ai", "grok-4.3", {"input": 200_000}, {"input": 200_000 * D("2.5") / M},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_formula_comes_out_to_the_last_decimal(case: str, bill_of: Billing, dollars: Dollars) -> None:
    provider, model, given, expected = CASES[case]
    assert dollars(bill_of(provider, model, **given)) == expected


def test_every_iteration_is_priced_at_its_own_model_and_prompt(pricer: Pricer, at: Callable[[str], int]) -> None:
    """Advisor and compaction turns are parts of their own: neither their model nor their prompt is the reply's."""
    reading = Reading(
        model="claude-haiku-5-5",
        parts=(
            Part(None, {Bucket.INPUT: 60_000, Bucket.OUTPUT: 100}),  # 60,000 each: below 100,000 where they are apart
            Part(None, {Bucket.INPUT: 60_000, Bucket.OUTPUT: 100}),
            Part("claude-opus-5-5", {Bucket.INPUT: 1000, Bucket.OUTPUT: 10}),
        ),
        state=UsageState.FINAL,
    )
    bill = pricer.bill("anthropic", Api.ANTHROPIC_MESSAGES, reading, RequestFacts(), at("2026-11-20"))
    assert bill.total_cost is not None
    assert usd(bill.total_cost) == 2 * (60_000 * D("0.1") + 100 * D("0.5")) / M + D(4000 + 200) / M
    assert bill.input_cost is not None and bill.output_cost is not None
    assert bill.input_cost + bill.output_cost == bill.total_cost


def test_the_part_may_say_which_prompt_size_decides(bill_of: Billing, dollars: Dollars) -> None:
    """Gemini's tool prompts are billed as input but do not lift a request over the threshold."""
    below = bill_of("gemini", "gemini-2.5-pro", input=200_500, context=200_000)
    assert dollars(below) == {"input": 200_500 * D("1.25") / M}


@pytest.mark.parametrize(("prompt", "rate"), [(200_000, "1.25"), (200_001, "2.5")])
def test_the_prompt_of_a_gemini_reply_chooses_its_bracket_whatever_its_tools_read(
    prompt: int, rate: str, pricer: Pricer, at: Callable[[str], int], dollars: Dollars
) -> None:
    """5,000 tokens of tool use are billed at the rate of the prompt's own bracket."""
    usage = {"promptTokenCount": prompt, "toolUsePromptTokenCount": 5_000, "totalTokenCount": prompt + 5_000}
    reading = Reading(model="gemini-2.5-pro")
    read_usage(usage, 0, reading, [])
    bill = pricer.bill("gemini", Api.GEMINI_GENERATE, reading, RequestFacts(), at("2026-11-20"))
    assert dollars(bill) == {"input": (prompt + 5_000) * D(rate) / M}


@pytest.mark.parametrize(
    ("model", "threshold", "short", "long"),
    [
        ("anthropic/claude-haiku-5-5", 100_000, "0.1", "0.5"),
        ("gemini/gemini-2.5-pro", 200_000, "1.25", "2.5"),
        ("gemini/gemini-3.1-pro-preview", 200_000, "2", "4"),
        ("openai/gpt-6-sol", 272_000, "2", "4"),
        ("openai/gpt-5.4-pro", 272_000, "30", "60"),
        ("x-ai/grok-4.3", 199_999, "1.25", "2.5"),
        ("minimax/MiniMax-M3", 512_000, "0.3", "0.6"),
    ],
)
def test_the_long_price_starts_one_token_above_the_threshold(
    model: str, threshold: int, short: str, long: str, bill_of: Billing, dollars: Dollars
) -> None:
    """At the threshold less one, at it, and one above it; then every token of the request costs the long rate."""
    provider, _, name = model.partition("/")
    for tokens, rate in ((threshold - 1, short), (threshold, short), (threshold + 1, long)):
        assert dollars(bill_of(provider, name, input=tokens)) == {"input": tokens * D(rate) / M}


def test_cached_and_written_tokens_count_towards_the_threshold(bill_of: Billing, dollars: Dollars) -> None:
    bill = bill_of("anthropic", "claude-haiku-5-5", input=1, cache_read=99_998, cache_write_5m=1, cache_write_1h=1)
    assert dollars(bill) == {
        "input": D("0.5") / M,
        "cache_read": 99_998 * D("0.05") / M,
        "cache_creation": (D("0.625") + 1) / M,
    }
    output_only = bill_of("anthropic", "claude-haiku-5-5", input=100_000, output=1_000_000)
    assert dollars(output_only) == {"input": D("0.01"), "output": D("0.5")}


def test_a_price_is_that_of_the_day_of_the_request(bill_of: Billing, dollars: Dollars) -> None:
    """Rates are appended, never overwritten: yesterday's request keeps yesterday's rate, to the second."""
    for moment, rate in (("2026-07-29T23:59:59", "1"), ("2026-07-30T00:00:00", "0.2"), ("2026-07-29T00:00:00", "1")):
        assert dollars(bill_of("openai", "gpt-5.6-luna", input=1000, on=moment)) == {"input": 1000 * D(rate) / M}


def test_a_daily_price_changes_with_the_clock_in_both_directions(bill_of: Billing, dollars: Dollars) -> None:
    for moment, rate in (
        ("00:59:59", "0.15"),
        ("01:00", "0.3"),
        ("04:00", "0.15"),
        ("06:00", "0.3"),
        ("10:00", "0.15"),
    ):
        bill = bill_of("deepseek", "deepseek-flash", input=1000, on=f"2026-11-20T{moment}")
        assert dollars(bill) == {"input": 1000 * D(rate) / M}
