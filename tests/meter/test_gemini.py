"""Gemini: modalities, cache, thoughts, tool use, tiers, grounding, streams that broke off, embeddings."""

from typing import Any

import pytest
from meter_samples import GEMINI_PIECES, GROUNDING, JSON, SSE, billed, events, piece, read, text, tokens

from majordomo.apis import Api
from majordomo.meter.reading import Reading, RequestFacts, UsageState


def whole(usage: dict[str, Any], **more: Any) -> Reading:
    return read(Api.GEMINI_GENERATE, text({**piece("Hi", usage, "STOP"), **more}))


def both(usage: dict[str, Any]) -> list[Reading]:
    """In one body, as events and as an array."""
    pieces = [piece("Hi", {"promptTokenCount": usage["promptTokenCount"]}), piece(".", usage, "STOP")]
    return [
        whole(usage),
        read(Api.GEMINI_STREAM, events(*pieces), SSE),
        read(Api.GEMINI_STREAM, text(pieces), JSON),
    ]


def detail(**amounts: int) -> list[dict[str, Any]]:
    return [{"modality": modality, "tokenCount": amount} for modality, amount in amounts.items()]


def test_thoughts_are_output_beside_the_candidates():
    """198 candidates and 405 thoughts are 603 tokens of output."""
    for reading in both(
        {"promptTokenCount": 10, "candidatesTokenCount": 198, "thoughtsTokenCount": 405, "totalTokenCount": 613}
    ):
        assert billed(reading) == [{"input": 10, "output": 603}]
        assert (reading.output_tokens, reading.reasoning_tokens) == (603, 405)
        assert reading.problems == ()


def test_cached_content_is_inside_the_prompt_and_billed_once():
    """An implicit cache hit is neither ignored nor counted twice."""
    for reading in both(
        {
            "promptTokenCount": 5_000,
            "cachedContentTokenCount": 4_000,
            "candidatesTokenCount": 10,
            "totalTokenCount": 5_010,
            "promptTokensDetails": detail(TEXT=5_000),
            "cacheTokensDetails": detail(TEXT=4_000),
        }
    ):
        assert billed(reading) == [{"input": 1_000, "cache_read": 4_000, "output": 10}]
        assert (reading.input_tokens, reading.cached_tokens, reading.prompt_tokens) == (5_000, 4_000, 5_000)


def test_tool_results_are_input_beside_the_prompt():
    """The uniform prompt holds them; the provider's own number does not."""
    for reading in both(
        {"promptTokenCount": 100, "toolUsePromptTokenCount": 50, "candidatesTokenCount": 10, "totalTokenCount": 160}
    ):
        assert billed(reading) == [{"input": 150, "output": 10}]
        assert (reading.input_tokens, reading.prompt_tokens) == (100, 150)
        assert reading.parts[0].context == 100  # it decides the bracket


def test_a_modality_that_comes_several_times_is_summed():
    """Not only its first entry counts."""
    details = detail(AUDIO=10) + detail(TEXT=5) + detail(AUDIO=20) + detail(TEXT=15)
    for reading in both(
        {"promptTokenCount": 50, "candidatesTokenCount": 1, "totalTokenCount": 51, "promptTokensDetails": details}
    ):
        assert billed(reading) == [{"input": 20, "input_audio": 30, "output": 1}]


def test_cache_without_details_is_text_first_and_flagged():
    """Then the other modalities."""
    usage = {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 80,
        "candidatesTokenCount": 1,
        "totalTokenCount": 101,
        "promptTokensDetails": detail(AUDIO=40, TEXT=60),
    }
    for reading in both(usage):
        assert billed(reading) == [{"input_audio": 20, "cache_read": 60, "cache_read_audio": 20, "output": 1}]
        assert reading.problems == ("cache_modality_missing",)


def test_cache_without_details_of_a_prompt_of_text_is_plain():
    """There is only one place it can belong."""
    usage = {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 80,
        "candidatesTokenCount": 1,
        "totalTokenCount": 101,
        "promptTokensDetails": detail(TEXT=100),
    }
    for reading in both(usage):
        assert billed(reading) == [{"input": 20, "cache_read": 80, "output": 1}]
        assert reading.problems == ()


def test_more_cached_of_a_modality_than_was_sent_goes_to_the_others():
    """Nothing turns negative."""
    usage = {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 50,
        "candidatesTokenCount": 1,
        "totalTokenCount": 101,
        "promptTokensDetails": detail(TEXT=80, IMAGE=20),
        "cacheTokensDetails": detail(IMAGE=50),
    }
    for reading in both(usage):
        assert billed(reading) == [{"input": 50, "cache_read_image": 20, "cache_read": 30, "output": 1}]
        assert reading.problems == ("cache_details_mismatch",)


def test_more_cached_than_the_whole_prompt_is_cut_and_flagged():
    """The prompt's total comes out."""
    usage = {"promptTokenCount": 100, "cachedContentTokenCount": 150, "candidatesTokenCount": 1, "totalTokenCount": 101}
    for reading in both(usage):
        assert billed(reading) == [{"cache_read": 100, "output": 1}]
        assert "cached_exceeds_prompt" in reading.problems
        assert reading.cached_tokens == 100


@pytest.mark.parametrize(
    ("details", "counts", "problem"),
    [
        (detail(TEXT=10, AUDIO=30), {"input": 70, "input_audio": 30}, "details_short"),
        (detail(TEXT=90, AUDIO=30), {"input": 70, "input_audio": 30}, "details_exceed_total"),
        (detail(SMELL=30, AUDIO=70), {"input": 30, "input_audio": 70}, "unknown_modality"),
        ([{"tokenCount": 100}], {"input": 100}, None),
        (detail(MODALITY_UNSPECIFIED=100), {"input": 100}, None),
        (detail(DOCUMENT=60, IMAGE=40), {"input_image": 100}, None),
    ],
)
def test_details_that_do_not_fit_leave_the_prompts_total_intact(
    details: list[dict[str, Any]], counts: dict[str, int], problem: str | None
):
    """The rest, and what is not named, is text; documents are priced as images."""
    for reading in both({"promptTokenCount": 100, "totalTokenCount": 100, "promptTokensDetails": details}):
        assert billed(reading) == [counts]
        assert reading.problems == (() if problem is None else (problem,))


def test_a_total_that_is_not_the_sum_decides_the_output():
    """Output is total less prompt and tool use, and flagged."""
    for reading in both(
        {"promptTokenCount": 100, "toolUsePromptTokenCount": 20, "candidatesTokenCount": 10, "totalTokenCount": 190}
    ):
        assert billed(reading) == [{"input": 120, "output": 70}]
        assert reading.problems == ("total_mismatch",)


def test_pictures_and_sound_that_a_model_made_are_billed_as_such():
    """Thoughts stay text."""
    for reading in both(
        {
            "promptTokenCount": 1,
            "candidatesTokenCount": 1_390,
            "thoughtsTokenCount": 5,
            "totalTokenCount": 1_396,
            "candidatesTokensDetails": detail(IMAGE=1_290, TEXT=60, AUDIO=40),
        }
    ):
        assert billed(reading) == [{"input": 1, "output": 65, "output_audio": 40, "output_image": 1_290}]


def test_the_live_name_of_candidates_is_understood():
    """``responseTokenCount``."""
    reading = whole(
        {
            "promptTokenCount": 1,
            "responseTokenCount": 9,
            "totalTokenCount": 10,
            "responseTokensDetails": detail(AUDIO=9),
        }
    )
    assert billed(reading) == [{"input": 1, "output_audio": 9}]


@pytest.mark.parametrize(
    ("said", "tier"),
    [
        ({"serviceTier": "priority"}, "priority"),
        ({"serviceTier": "unspecified"}, None),
        ({"trafficType": "ON_DEMAND_FLEX"}, "ON_DEMAND_FLEX"),
        ({"trafficType": "TRAFFIC_TYPE_UNSPECIFIED"}, None),
        ({}, None),
    ],
)
def test_the_tier_is_kept_in_the_providers_own_word(said: dict[str, str], tier: str | None):
    """The Gemini API's service tier, or Vertex's traffic type."""
    for reading in both({"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2, **said}):
        assert reading.service_tier == tier


@pytest.mark.parametrize(
    ("model", "grounding"),
    [("gemini-3-pro", 2), ("gemini-3.5-flash", 2), ("gemini-2.5-pro", 1), ("gemini-2.0-flash-001", 1)],
)
def test_grounding_is_billed_by_query_from_the_third_generation_on_and_by_prompt_before(model: str, grounding: int):
    """Queries that a later piece repeats are not counted again; an empty one is none."""
    usage = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}
    pieces = [
        {**piece("a", usage, **GROUNDING), "modelVersion": model},
        {**piece("b", usage, "STOP", **GROUNDING), "modelVersion": model},
    ]
    for reading in (read(Api.GEMINI_STREAM, events(*pieces), SSE), read(Api.GEMINI_STREAM, text(pieces))):
        assert billed(reading) == [{"input": 1, "output": 1, "grounding": grounding}]


def test_a_reply_without_queries_is_not_grounded():
    """An empty list, or no grounding at all."""
    empty = {"groundingMetadata": {"webSearchQueries": []}}
    usage = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}
    reading = read(Api.GEMINI_GENERATE, text(piece("a", usage, "STOP", **empty)))
    assert billed(reading) == [{"input": 1, "output": 1}]


def test_a_blocked_prompt_is_billed_for_its_input():
    """It has no candidates."""
    reply = {
        "promptFeedback": {"blockReason": "SAFETY"},
        "usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 9},
    }
    for reading in (read(Api.GEMINI_GENERATE, text(reply)), read(Api.GEMINI_STREAM, events(reply), SSE)):
        assert billed(reading) == [{"input": 9}]
        assert reading.stop_reason == "SAFETY"
        assert reading.state is UsageState.FINAL


@pytest.mark.parametrize("as_array", [False, True])
def test_a_cut_stream_has_an_exact_prompt_and_at_least_the_output_told(as_array: bool):
    """Both ways of streaming."""
    pieces = GEMINI_PIECES[:2]
    body = text(pieces)[:-1] if as_array else events(*pieces)
    reading = read(Api.GEMINI_STREAM, body, JSON if as_array else SSE, complete=False)
    assert billed(reading) == [{"input": 1_000, "output": 60}]
    assert reading.state is UsageState.ESTIMATED


def test_a_stream_that_never_tells_usage_is_estimated():
    """From the text, and from the size of the request."""
    pieces = [piece("x" * 400, None), piece("", None, "STOP")]
    facts = RequestFacts(input_bytes=400)
    for body, kind in ((events(*pieces), SSE), (text(pieces), JSON)):
        reading = read(Api.GEMINI_STREAM, body, kind, facts=facts)
        assert billed(reading) == [{"input": 100, "output": 100}]
        assert reading.state is UsageState.ESTIMATED


def test_an_error_in_a_stream_is_named():
    """As an event, and as an element."""
    error = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
    for body, kind in ((events(error), SSE), (text([error]), JSON)):
        reading = read(Api.GEMINI_STREAM, body, kind)
        assert (reading.error_type, reading.error_message) == ("UNAVAILABLE", "The model is overloaded.")
        assert reading.state is UsageState.NONE


def test_a_stream_answered_with_one_object_is_read():
    """Not every server sends an array."""
    usage = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}
    assert tokens(read(Api.GEMINI_STREAM, text(piece("a", usage, "STOP"))).parts) == 2


def test_embeddings_are_billed_by_what_is_told_or_estimated():
    """Vertex counts per vector, in floats; the Gemini API mostly tells nothing."""
    vectors = {
        "embeddings": [
            {"values": [0.1], "statistics": {"tokenCount": 4.0}},
            {"values": [0.1], "statistics": {"tokenCount": 3}},
        ]
    }
    assert billed(read(Api.GEMINI_EMBED, text(vectors))) == [{"input": 7}]
    silent = read(Api.GEMINI_EMBED, text({"embeddings": [{"values": [0.1]}]}), facts=RequestFacts(input_bytes=80))
    assert billed(silent) == [{"input": 20}]
    assert silent.state is UsageState.ESTIMATED
    odd = read(Api.GEMINI_EMBED, text({"embedding": {"statistics": {"tokenCount": 1.5}}}))
    assert odd.state is UsageState.ESTIMATED
    assert "bad_count:tokenCount" in odd.problems
