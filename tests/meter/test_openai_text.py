"""OpenAI chat, completions, Responses and embeddings, and what their kin do otherwise."""

from typing import Any

import pytest
from meter_samples import CHAT, JSON, RESPONSE, RESPONSE_USAGE, SSE, billed, chunk, events, read, text, tokens

from majordomo.apis import Api
from majordomo.meter.reading import Reading, RequestFacts, UsageState


def whole(usage: Any, **more: Any) -> Reading:
    return read(Api.OPENAI_CHAT, text({**CHAT, "usage": usage, **more}))


def stream(*chunks: dict[str, Any], done: bool = True, complete: bool = True, **facts: Any) -> Reading:
    return read(Api.OPENAI_CHAT, events(*chunks, done=done), SSE, complete=complete, facts=RequestFacts(**facts))


def both(usage: dict[str, Any]) -> list[Reading]:
    return [whole(usage), stream(chunk({"content": "Hi"}), chunk({}, "stop"), chunk(None, usage=usage))]


# buckets


def test_cached_tokens_are_inside_the_prompt_and_billed_once():
    """Cached input is neither priced as plain input nor added to it."""
    for reading in both(
        {
            "prompt_tokens": 17_903,
            "completion_tokens": 10,
            "total_tokens": 17_913,
            "prompt_tokens_details": {"cached_tokens": 17_817},
        }
    ):
        assert billed(reading) == [{"input": 86, "cache_read": 17_817, "output": 10}]
        assert (reading.input_tokens, reading.prompt_tokens, reading.cached_tokens) == (17_903, 17_903, 17_817)


def test_reasoning_is_inside_the_completion_and_billed_once():
    """It is told, not added."""
    for reading in both(
        {
            "prompt_tokens": 10,
            "completion_tokens": 500,
            "total_tokens": 510,
            "completion_tokens_details": {"reasoning_tokens": 450, "rejected_prediction_tokens": 20},
        }
    ):
        assert billed(reading) == [{"input": 10, "output": 500}]
        assert reading.reasoning_tokens == 450


def test_cached_audio_is_taken_out_of_audio_where_its_share_is_told():
    """Each modality has its own cache rate."""
    for reading in both(
        {
            "prompt_tokens": 300,
            "completion_tokens": 10,
            "total_tokens": 310,
            "prompt_tokens_details": {
                "cached_tokens": 120,
                "audio_tokens": 200,
                "cached_tokens_details": {"audio_tokens": 80, "text_tokens": 40},
            },
        }
    ):
        assert billed(reading) == [
            {"input": 60, "input_audio": 120, "cache_read": 40, "cache_read_audio": 80, "output": 10}
        ]


@pytest.mark.parametrize(
    ("details", "counts"),
    [
        ({"cached_tokens": 150}, {"cache_read": 100, "output": 10}),
        ({"cached_tokens": 80, "cache_write_tokens": 50}, {"cache_read": 80, "cache_write": 20, "output": 10}),
        ({"cached_tokens": 80, "audio_tokens": 90}, {"cache_read": 80, "input_audio": 20, "output": 10}),
    ],
)
def test_details_larger_than_the_prompt_are_cut_and_flagged(details: dict[str, int], counts: dict[str, int]):
    """Nothing turns negative, and the prompt's total comes out."""
    for reading in both(
        {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110, "prompt_tokens_details": details}
    ):
        assert billed(reading) == [counts]
        assert reading.problems == ("details_exceed_total",)


def test_the_responses_model_and_tier_are_the_replys_own():
    """A dated snapshot and the tier that was really given, not what was asked for."""
    reading = stream(
        chunk({"content": "Hi"}, service_tier="auto"),
        chunk(None, usage={"prompt_tokens": 1, "completion_tokens": 1}, service_tier="flex"),
        service_tier="priority",
        model="gpt-5.6",
    )
    assert reading.model == "gpt-5.6-2026-02-01"
    assert reading.service_tier == "flex"


# kin


def test_deepseek_tells_its_cache_at_the_top():
    """Hits and misses instead of details."""
    for reading in both(
        {
            "prompt_tokens": 100,
            "completion_tokens": 10,
            "total_tokens": 110,
            "prompt_cache_hit_tokens": 64,
            "prompt_cache_miss_tokens": 36,
        }
    ):
        assert billed(reading) == [{"input": 36, "cache_read": 64, "output": 10}]
        assert reading.problems == ()


def test_deepseek_cache_told_twice_counts_once():
    """The details and the hits are the same tokens."""
    for reading in both(
        {
            "prompt_tokens": 100,
            "completion_tokens": 10,
            "total_tokens": 110,
            "prompt_tokens_details": {"cached_tokens": 64},
            "prompt_cache_hit_tokens": 64,
        }
    ):
        assert billed(reading) == [{"input": 36, "cache_read": 64, "output": 10}]


def test_moonshot_puts_usage_into_the_last_choice():
    """With ``cached_tokens`` at its top level, and null outside."""
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110, "cached_tokens": 30}
    last = chunk({}, "stop")
    last["choices"][0]["usage"] = usage
    assert billed(stream(chunk({"content": "Hi"}), last)) == [{"input": 70, "cache_read": 30, "output": 10}]
    assert billed(whole(usage)) == [{"input": 70, "cache_read": 30, "output": 10}]


def test_groq_puts_usage_into_an_extension():
    """``x_groq.usage`` of the last chunk."""
    usage = {"queue_time": 0.01, "prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110, "total_time": 0.1}
    reading = stream(chunk({"content": "Hi"}), chunk({}, "stop", x_groq={"id": "req_1", "usage": usage}))
    assert billed(reading) == [{"input": 100, "output": 10}]
    assert reading.problems == ()


def test_usage_in_every_chunk_is_cumulative_and_the_last_one_stands():
    """Summing would overcount."""

    def at(written: int) -> dict[str, int]:
        return {"prompt_tokens": 50, "completion_tokens": written, "total_tokens": 50 + written}

    reading = stream(
        chunk({"content": "a"}, usage=at(1)),
        chunk({"content": "b"}, usage=at(2)),
        chunk({"content": "c"}, "stop", usage=at(3)),
    )
    assert billed(reading) == [{"input": 50, "output": 3}]
    assert reading.state is UsageState.FINAL


def test_a_null_after_the_usage_does_not_unsay_it():
    """Last that is not null wins."""
    usage = {"prompt_tokens": 50, "completion_tokens": 5, "total_tokens": 55}
    reading = stream(chunk({"content": "a"}, "stop", usage=usage), chunk({}, usage=None), chunk(None, usage=None))
    assert billed(reading) == [{"input": 50, "output": 5}]


def test_geminis_openai_endpoint_leaves_thoughts_out_of_the_completion_but_not_out_of_the_total():
    """Output is total less prompt."""
    for reading in both({"prompt_tokens": 10, "completion_tokens": 198, "total_tokens": 613}):
        assert billed(reading) == [{"input": 10, "output": 603}]
        assert reading.output_tokens == 603
        assert reading.problems == ("output_from_total",)


def test_reasoning_beside_the_completion_is_billed_and_no_problem():
    """xAI tells reasoning apart; the total says that it comes on top."""
    for reading in both(
        {
            "prompt_tokens": 10,
            "completion_tokens": 20,
            "total_tokens": 130,
            "num_sources_used": 0,
            "completion_tokens_details": {"reasoning_tokens": 100},
        }
    ):
        assert billed(reading) == [{"input": 10, "output": 120}]
        assert reading.problems == ()


def test_a_total_below_its_parts_is_flagged():
    """The parts stand."""
    reading = whole({"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 25})
    assert billed(reading) == [{"input": 10, "output": 20}]
    assert reading.problems == ("total_mismatch",)


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ({"prompt_tokens": 10, "total_tokens": 25}, {"input": 10, "output": 15}),
        ({"completion_tokens": 15, "total_tokens": 25}, {"input": 10, "output": 15}),
        ({"input_tokens": 10, "output_tokens": 15}, {"input": 10, "output": 15}),
    ],
)
def test_what_is_missing_follows_from_the_rest(usage: dict[str, int], counts: dict[str, int]):
    """A total and one side give the other."""
    assert billed(whole(usage)) == [counts]


# streams without, or without all, usage


def test_a_stream_without_usage_is_estimated_and_never_zero():
    """Nobody asked for it, or the server does not know of it."""
    reading = stream(chunk({"content": "x" * 400}), chunk({}, "stop"), input_bytes=4_000)
    assert billed(reading) == [{"input": 1_000, "output": 100}]
    assert reading.state is UsageState.ESTIMATED
    assert reading.problems == ("estimated",)


def test_all_that_a_model_writes_counts_in_an_estimate():
    """Content, reasoning, refusals and tool calls."""
    call = {"index": 0, "function": {"arguments": "x" * 100}}
    reading = stream(
        chunk({"content": "x" * 100}),
        chunk({"reasoning_content": "x" * 100}),
        chunk({"reasoning": "x" * 100}),
        chunk({"refusal": "x" * 100}),
        chunk({"tool_calls": [call]}),
        complete=False,
        done=False,
    )
    assert 120 <= (reading.output_tokens or 0) <= 130


def test_zeros_in_place_of_usage_are_no_usage():
    """Some servers send zeros until, or instead of, the count."""
    zero = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    reading = stream(chunk({"content": "x" * 400}, usage=zero), chunk({}, "stop", usage=zero), input_bytes=400)
    assert billed(reading) == [{"input": 100, "output": 100}]
    assert reading.state is UsageState.ESTIMATED


def test_a_cut_stream_with_running_usage_keeps_what_was_told_and_estimates_the_rest():
    """Prompt exact, output told so far plus the text since."""
    usage = {"prompt_tokens": 50, "completion_tokens": 30, "total_tokens": 80}
    reading = stream(
        chunk({"content": "x" * 1_000}, usage=usage), chunk({"content": "x" * 40}), complete=False, done=False
    )
    assert billed(reading) == [{"input": 50, "output": 40}]
    assert reading.state is UsageState.ESTIMATED


def test_a_stream_cut_after_its_usage_is_exact():
    """Only ``[DONE]`` is missing."""
    usage = {"prompt_tokens": 50, "completion_tokens": 30, "total_tokens": 80}
    reading = stream(chunk({"content": "a"}), chunk({}, "stop"), chunk(None, usage=usage), complete=False, done=False)
    assert billed(reading) == [{"input": 50, "output": 30}]
    assert reading.state is UsageState.FINAL


def test_an_error_within_a_stream_is_named():
    """With what was produced before it."""
    error = {"error": {"message": "The server had an error", "type": "server_error", "code": None}}
    reading = stream(chunk({"content": "x" * 40}), error, done=False, input_bytes=40)
    assert (reading.error_type, reading.error_message) == ("server_error", "The server had an error")
    assert billed(reading) == [{"input": 10, "output": 10}]
    nothing = stream(error, done=False)
    assert nothing.state is UsageState.NONE
    assert nothing.error_type == "server_error"


def test_a_body_without_usage_is_estimated_from_its_text():
    """Text that looks like usage is only text."""
    choices = [{"index": 0, "message": {"role": "assistant", "content": "x" * 400}, "finish_reason": "stop"}]
    reading = read(Api.OPENAI_CHAT, text({"model": "m", "choices": choices}), facts=RequestFacts(input_bytes=40))
    assert billed(reading)[0]["input"] == 10
    assert 100 <= billed(reading)[0]["output"] <= 101


# Responses


def response(**more: Any) -> Reading:
    return read(Api.OPENAI_RESPONSES, text({**RESPONSE, **more}))


@pytest.mark.parametrize("status", ["completed", "incomplete", "failed"])
def test_every_last_event_of_a_response_brings_the_usage(status: str):
    """Not only ``response.completed``."""
    last = {**RESPONSE, "status": status, "output": []}
    body = events({"type": f"response.{status}", "response": last}, named=True)
    reading = read(Api.OPENAI_RESPONSES, body, SSE)
    assert tokens(reading.parts) == 1_900
    assert reading.state is UsageState.FINAL


def test_the_reason_of_an_incomplete_response_is_its_stop_reason():
    """max_output_tokens or content_filter."""
    reading = response(status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    assert reading.stop_reason == "max_output_tokens"


def test_the_providers_own_count_of_billable_searches_stands():
    """``tool_usage`` knows which searches are billed; it is kept with the usage."""
    reading = response(tool_usage={"web_search": {"num_requests": 1}, "image_gen": {"input_tokens": 0}})
    assert billed(reading)[0]["web_search"] == 1
    assert reading.usage is not None
    assert b'"tool_usage"' in reading.usage


def test_image_tokens_of_the_tool_are_billed_at_the_tools_model():
    """They are no part of ``usage``."""
    reading = response(
        tools=[{"type": "image_generation", "model": "gpt-image-1"}],
        tool_usage={
            "image_gen": {
                "input_tokens": 20,
                "output_tokens": 272,
                "total_tokens": 292,
                "input_tokens_details": {"text_tokens": 15, "image_tokens": 5},
            },
            "web_search": {"num_requests": 0},
        },
        output=[{"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "iVBORw0KGgo="}],
    )
    assert [part.model for part in reading.parts] == ["gpt-5.6-2026-02-01", "gpt-image-1"]
    assert billed(reading)[1] == {"input": 15, "input_image": 5, "output_image": 272}


def test_a_picture_whose_tokens_are_not_told_is_counted_and_flagged():
    """So that its cost is unknown, not nothing."""
    reading = response(output=[{"type": "image_generation_call", "id": "ig_1", "status": "completed"}])
    assert billed(reading)[1] == {"images": 1}
    assert reading.problems == ("image_call_without_usage",)


def test_a_background_response_has_used_nothing_yet():
    """Its usage is told where it is fetched."""
    reading = response(status="queued", usage=None, output=[])
    assert reading.state is UsageState.NONE
    assert reading.parts == ()
    assert reading.problems == ()


BACKGROUND = RequestFacts(background=True, input_bytes=400)
RUNNING = {"background": True, "status": "in_progress", "output": [], "usage": None}


def fetched(*, http: int = 200, complete: bool = True, **more: Any) -> Reading:
    body = text({**RESPONSE, **more})
    return read(Api.OPENAI_RESPONSE, body, status=http, complete=complete, facts=RequestFacts())


def fetched_stream(*, created: dict[str, Any], last: dict[str, Any] | None, complete: bool = True) -> Reading:
    seen = [{"type": "response.created", "response": {**RESPONSE, **created}}] if created else []
    seen.append({"type": "response.output_text.delta", "item_id": "m", "delta": "x" * 400})
    if last is not None:
        seen.append({"type": "response.completed", "response": {**RESPONSE, **last}})
    return read(Api.OPENAI_RESPONSE, events(*seen), SSE, complete=complete, facts=RequestFacts())


@pytest.mark.parametrize("status", ["completed", "incomplete", "failed", "cancelled"])
def test_the_end_of_a_background_response_is_billed_where_it_is_fetched(status: str):
    """Whichever end it came to; the mark is the same at every look, so that only one is billed."""
    for reading in (fetched(background=True, status=status), fetched_stream(created={}, last={"background": True})):
        assert reading.billed_once == "response:resp_1"
        assert reading.state is UsageState.FINAL
        assert billed(reading) == [billed(response())[0]]
        assert reading.model == "gpt-5.6-2026-02-01"


@pytest.mark.parametrize(
    "told",
    [
        {"background": False},
        {"background": None},
        {},
        {"background": True, "status": "queued", "usage": None, "output": []},
        RUNNING,
        {"background": True, "status": "in_progress"},
        {"background": True, "status": "failed", "usage": None},
        {"background": True, "usage": {"input_tokens": 5}},
    ],
    ids=str,
)
def test_whatever_else_is_fetched_has_used_nothing(told: dict[str, Any]):
    """It was billed where it was made, has not ended yet, or tells no usage."""
    for reading in (fetched(**told), fetched_stream(created=told, last=None)):
        assert (reading.state, reading.parts, reading.billed_once) == (UsageState.NONE, (), None)
        assert reading.problems == ()


@pytest.mark.parametrize(("http", "complete"), [(200, False), (206, True)])
def test_what_was_not_fetched_whole_is_left_to_the_next_look(http: int, complete: bool):
    """A part of a reply may lack what is billed. One that says it was billed elsewhere is free, cut or not."""
    reading = fetched(background=True, http=http, complete=complete)
    assert (reading.state, reading.parts, reading.problems) == (UsageState.NONE, (), ("cut",))
    assert fetched(background=False, http=http, complete=complete).problems == ()
    assert fetched_stream(created={"background": False}, last=None, complete=False).problems == ()
    assert fetched_stream(created=RUNNING, last=None, complete=False).problems == ("cut",)


def test_a_background_stream_that_came_to_its_end_carries_the_mark_of_its_response():
    """The same response can still be fetched, and must not be billed again."""
    body = events(
        {"type": "response.created", "response": {**RESPONSE, **RUNNING}},
        {"type": "response.completed", "response": {**RESPONSE, "background": True}},
    )
    reading = read(Api.OPENAI_RESPONSES, body, SSE, facts=BACKGROUND)
    assert (reading.state, reading.billed_once) == (UsageState.FINAL, "response:resp_1")
    assert response().billed_once is None


@pytest.mark.parametrize("facts", [BACKGROUND, RequestFacts(input_bytes=400)])
def test_a_background_stream_that_broke_off_bills_nothing_as_its_end_can_be_fetched(facts: RequestFacts):
    """An estimate would be billed beside the exact usage. A response that says no background is estimated as ever."""
    delta = {"type": "response.output_text.delta", "item_id": "m", "delta": "x" * 400}
    for told, state in ((RUNNING, UsageState.NONE), ({**RUNNING, "background": False}, UsageState.ESTIMATED)):
        body = events({"type": "response.created", "response": {**RESPONSE, **told}}, delta)
        reading = read(Api.OPENAI_RESPONSES, body, SSE, complete=False, facts=facts)
        assert (reading.state, bool(reading.parts)) == (state, state is not UsageState.NONE)
        assert "cut" in reading.problems


def test_a_caller_who_leaves_before_a_background_response_was_named_bills_nothing():
    """It may have begun, and then it can be fetched; nothing of it is known here."""
    for content_type in (JSON, SSE, ""):
        reading = read(Api.OPENAI_RESPONSES, b"", content_type, complete=False, facts=BACKGROUND)
        assert (reading.state, reading.parts, reading.problems[0]) == (UsageState.NONE, (), "cut")


def test_a_cut_response_stream_is_estimated_with_the_tools_that_ran():
    """A cancelled stream reports no usage."""
    body = events(
        {"type": "response.created", "response": {**RESPONSE, "status": "in_progress", "output": [], "usage": None}},
        {"type": "response.output_item.done", "item": RESPONSE["output"][1]},
        {"type": "response.output_text.delta", "item_id": "m", "delta": "x" * 400},
    )
    reading = read(Api.OPENAI_RESPONSES, body, SSE, complete=False, facts=RequestFacts(input_bytes=400))
    assert billed(reading) == [{"input": 100, "output": 100, "web_search": 1}]
    assert reading.state is UsageState.ESTIMATED
    assert reading.model == "gpt-5.6-2026-02-01"


def test_an_error_event_of_a_response_stream_is_named():
    """Its fields stand at the top of the event."""
    error = {"type": "error", "code": "server_error", "message": "The server had an error", "sequence_number": 1}
    reading = read(Api.OPENAI_RESPONSES, events(error), SSE)
    assert (reading.error_type, reading.error_message) == ("server_error", "The server had an error")
    assert reading.state is UsageState.NONE


def test_a_failed_response_without_usage_used_nothing_that_is_known():
    """The error is named."""
    failed = {**RESPONSE, "status": "failed", "usage": None, "output": []}
    failed["error"] = {"code": "rate_limit_exceeded", "message": "Slow down"}
    reading = read(Api.OPENAI_RESPONSES, events({"type": "response.failed", "response": failed}), SSE)
    assert reading.error_type == "rate_limit_exceeded"
    assert reading.state is UsageState.NONE


def test_written_tokens_with_twelve_hours_to_live_are_flagged():
    """They may have a rate of their own."""
    details = {
        "cached_tokens": 0,
        "cache_write_tokens": 9,
        "cache_write_tokens_details": {"ttl_12h_tokens": 9, "ttl_30m_tokens": 0},
    }
    reading = response(usage={**RESPONSE_USAGE, "input_tokens_details": details})
    assert billed(reading)[0]["cache_write"] == 9
    assert reading.problems == ("cache_write_12h",)


# embeddings


def test_embeddings_without_usage_are_estimated_from_the_request():
    """Vectors are no output."""
    body = text({"model": "e", "data": [{"embedding": [0.1] * 100}]})
    reading = read(Api.OPENAI_EMBEDDINGS, body, JSON, facts=RequestFacts(input_bytes=40))
    assert billed(reading) == [{"input": 10}]
    assert reading.output_tokens == 0
    assert reading.state is UsageState.ESTIMATED
