"""The worst case truly bounds: over any usage that is consistent with the request, at any rate it may be billed at."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from majordomo.apis import Api
from majordomo.budget.bounds import ADDED_TOKENS, bound
from majordomo.budget.expected import Expected
from majordomo.clock import wall_us
from majordomo.meter.reading import Bucket, Part, Reading, RequestFacts, UsageState
from majordomo.price.pricer import Pricer

PRICER = Pricer.load(None, None)
AT = wall_us()

#: Requested models with what may answer for them, per provider and API.
MODELS = {
    ("anthropic", Api.ANTHROPIC_MESSAGES): {
        "claude-opus-4-8": ["claude-opus-4-8"],
        "claude-sonnet-4-5": ["claude-sonnet-4-5-20250929", "claude-sonnet-4-5"],
        "claude-haiku-4-5": ["claude-haiku-4-5-20251001"],
    },
    ("openai", Api.OPENAI_CHAT): {
        "gpt-4o": ["gpt-4o", "gpt-4o-2024-05-13", "gpt-4o-2024-11-20"],
        "gpt-5": ["gpt-5", "gpt-5-2025-08-07"],
    },
    ("openai", Api.OPENAI_RESPONSES): {"gpt-5.4": ["gpt-5.4"], "o3": ["o3-2025-04-16"]},
    ("gemini", Api.GEMINI_GENERATE): {"gemini-2.5-pro": ["gemini-2.5-pro"], "gemini-2.5-flash": ["gemini-2.5-flash"]},
}
PROMPT = (Bucket.INPUT, Bucket.CACHE_READ, Bucket.CACHE_WRITE, Bucket.CACHE_WRITE_5M, Bucket.CACHE_WRITE_1H)


def body_of(api: Api, text: str, most: int, n: int = 1) -> dict[str, Any]:
    if api is Api.GEMINI_GENERATE:
        config = {"maxOutputTokens": most, "candidateCount": n}
        return {"contents": [{"parts": [{"text": text}]}], "generationConfig": config}
    if api is Api.OPENAI_RESPONSES:
        return {"model": "m", "input": text, "max_output_tokens": most}
    message = [{"role": "user", "content": text}]
    return {"model": "m", "messages": message, "max_tokens": most} | ({"n": n} if api is Api.OPENAI_CHAT else {})


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_no_consistent_usage_costs_more_than_the_bound(data: st.DataObject) -> None:
    (provider, api), models = data.draw(st.sampled_from(sorted(MODELS.items(), key=str)))
    requested, answering = data.draw(st.sampled_from(sorted(models.items())))
    n = data.draw(st.integers(1, 3)) if api in (Api.OPENAI_CHAT, Api.GEMINI_GENERATE) else 1
    most = data.draw(st.integers(1, 64_000))
    text = "x" * data.draw(st.sampled_from([0, 10, 1000, 250_000, 300_000]))
    body = json.dumps(body_of(api, text, most, n)).encode()
    limit = bound(PRICER, provider, api, requested, body, AT)
    assert isinstance(limit, Expected), limit
    assert limit.usd is not None

    left = data.draw(st.integers(0, len(body) + ADDED_TOKENS))
    counts: dict[Bucket, int] = {Bucket.OUTPUT: data.draw(st.integers(0, most * n))}
    prompt = left
    for bucket in data.draw(st.permutations(PROMPT)):
        counts[bucket] = data.draw(st.integers(0, left))
        left -= counts[bucket]
    counts[Bucket.INPUT] += left
    reading = Reading(
        model=data.draw(st.sampled_from(answering)),
        parts=(Part(None, {bucket: count for bucket, count in counts.items() if count}),),
        state=UsageState.FINAL,
        service_tier=data.draw(st.sampled_from([None, "standard", "default", "priority", "flex", "scale", "batch"])),
        speed=data.draw(st.sampled_from([None, "standard", "fast"])) if provider == "anthropic" else None,
        geo=data.draw(st.sampled_from([None, "global", "us"])),
    )
    bill = PRICER.bill(provider, api, reading, RequestFacts(model=requested), AT)
    if bill.total_cost is not None:
        assert bill.total_cost <= limit.usd
    assert prompt <= limit.input_tokens
    assert counts[Bucket.OUTPUT] <= limit.output_tokens


def told(api: Api, **fields: Any) -> Expected | str:
    said = {**body_of(api, "Hello", 100), **fields}
    said = {key: value for key, value in said.items() if value is not None}
    return bound(PRICER, "anthropic", api, "claude-opus-4-8", json.dumps(said).encode(), AT)


MESSAGE = Api.ANTHROPIC_MESSAGES


@pytest.mark.parametrize(
    ("api", "fields", "why"),
    [
        (MESSAGE, {"max_tokens": None}, "max_tokens"),
        (MESSAGE, {"max_tokens": "100"}, "max_tokens"),
        (MESSAGE, {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "web_search_20250305"),
        (MESSAGE, {"mcp_servers": [{"url": "https://x"}]}, "mcp_servers"),
        (MESSAGE, {"container": "c"}, "container"),
        (MESSAGE, {"context_management": {"edits": [{"type": "compact_20260112"}]}}, "compact_20260112"),
        (MESSAGE, {"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]}, "image"),
        (
            MESSAGE,
            {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": [{"type": "document"}]}]}]},
            "document",
        ),
        (Api.OPENAI_CHAT, {"modalities": ["audio"]}, "modalities"),
        (Api.OPENAI_CHAT, {"web_search_options": {}}, "web_search_options"),
        (Api.OPENAI_CHAT, {"prediction": {"type": "content", "content": "x"}}, "prediction"),
        (Api.OPENAI_CHAT, {"n": 10_000}, "alternatives"),
        (Api.OPENAI_CHAT, {"n": "many"}, "alternatives"),
        (Api.OPENAI_RESPONSES, {"previous_response_id": "r"}, "previous_response_id"),
        (Api.OPENAI_RESPONSES, {"background": True}, "background"),
        (Api.OPENAI_RESPONSES, {"tools": [{"type": "file_search"}]}, "file_search"),
        (Api.OPENAI_RESPONSES, {"input": [{"type": "item_reference", "id": "i"}]}, "item_reference"),
        (Api.GEMINI_GENERATE, {"cachedContent": "c"}, "cachedContent"),
        (Api.GEMINI_GENERATE, {"tools": [{"googleSearch": {}}]}, "googleSearch"),
        (Api.GEMINI_GENERATE, {"contents": [{"parts": [{"fileData": {"fileUri": "f"}}]}]}, "fileData"),
        (
            Api.GEMINI_GENERATE,
            {"generationConfig": {"responseModalities": ["IMAGE"], "maxOutputTokens": 9}},
            "only text",
        ),
        (Api.OPENAI_IMAGES, {}, "openai.images"),
        (Api.ANTHROPIC_BATCHES, {}, "anthropic.batches"),
        (Api.OPENAI_OTHER, {}, "openai.other"),
    ],
)
def test_what_has_no_bound_is_told_why(api: Api, fields: dict[str, Any], why: str) -> None:
    reason = told(api, **fields)
    assert isinstance(reason, str)
    assert why in reason


def test_claude_code_s_own_kind_of_request_has_a_bound() -> None:
    found = told(
        MESSAGE,
        system=[{"type": "text", "text": "You are", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        tools=[{"name": "Bash", "description": "d", "input_schema": {"type": "object"}}],
        metadata={"user_id": "{}"},
        thinking={"type": "adaptive"},
        context_management={"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        output_config={"effort": "high"},
        stream=True,
    )
    assert isinstance(found, Expected)
    assert found.output_tokens == 100


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"m","max_tokens":1,"max_tokens":64000,"messages":[]}',
        b'{"model":"m","max_tokens":1,"m\\u0061x_tokens":64000,"messages":[]}',
        b'{"model":"m","max_tokens":1,"messages":[{"content":[{"type":"text","t\\u0079pe":"image"}]}]}',
        b"not json",
        b"[]",
        b"",
        b"[" * 100_000,
    ],
)
def test_a_body_that_two_readers_may_read_differently_has_no_bound(body: bytes) -> None:
    assert isinstance(bound(PRICER, "anthropic", MESSAGE, "claude-opus-4-8", body, AT), str)


def test_an_unpriced_model_has_a_bound_in_tokens_alone() -> None:
    body = json.dumps(body_of(MESSAGE, "Hello", 100)).encode()
    found = bound(PRICER, "anthropic", MESSAGE, "nobody-knows", body, AT)
    assert isinstance(found, Expected)
    assert (found.usd, found.output_tokens) == (None, 100)
