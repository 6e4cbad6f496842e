"""Anthropic Messages: cache splits, cumulative streams, iterations, tools, and streams that broke off."""

from typing import Any

import pytest
from meter_samples import (
    JSON,
    MESSAGE,
    MESSAGE_STREAM,
    SSE,
    billed,
    events,
    message_delta,
    message_start,
    read,
    text,
    text_delta,
    tokens,
)

from majordomo.apis import Api
from majordomo.meter.reading import Reading, RequestFacts, UsageState
from majordomo.meter.request import read_request

MODEL = "claude-opus-5-20260401"


def whole(usage: dict[str, Any], **facts: Any) -> Reading:
    return read(Api.ANTHROPIC_MESSAGES, text({**MESSAGE, "usage": usage}), facts=RequestFacts(**facts))


def stream(*values: dict[str, Any], complete: bool = True, **facts: Any) -> Reading:
    body = events(*values, named=True)
    return read(Api.ANTHROPIC_MESSAGES, body, SSE, complete=complete, facts=RequestFacts(**facts))


def both(usage: dict[str, Any]) -> list[Reading]:
    """The same usage in one body, and in a stream that tells input and cache first."""
    start = {
        key: value for key, value in usage.items() if key not in ("output_tokens", "iterations", "server_tool_use")
    }
    end = {key: value for key, value in usage.items() if key not in ("cache_creation", "service_tier")}
    return [whole(usage), stream(message_start({**start, "output_tokens": 1}), text_delta("Hi"), message_delta(end))]


# cache writes


def test_cache_writes_and_reads_are_billed_once_each_beside_uncached_input():
    """Input excludes the cache: nothing is counted twice, nothing as plain input."""
    for reading in both(
        {
            "input_tokens": 3,
            "cache_creation_input_tokens": 50,
            "cache_read_input_tokens": 700,
            "cache_creation": {"ephemeral_5m_input_tokens": 50, "ephemeral_1h_input_tokens": 0},
            "output_tokens": 9,
        }
    ):
        assert billed(reading) == [{"input": 3, "output": 9, "cache_read": 700, "cache_write_5m": 50}]
        assert reading.prompt_tokens == 753
        assert reading.problems == ()


def test_one_hour_writes_are_not_billed_at_the_five_minute_rate():
    """The split decides, write by write."""
    for reading in both(
        {
            "input_tokens": 1,
            "cache_creation_input_tokens": 100,
            "output_tokens": 2,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 100},
        }
    ):
        assert billed(reading) == [{"input": 1, "output": 2, "cache_write_1h": 100}]


@pytest.mark.parametrize("ttl_1h", [False, True])
def test_what_the_split_leaves_open_gets_the_life_that_the_request_asked_for(ttl_1h: bool):
    """A stream whose writes grow after the start has no new split: the rest goes to the requested time to live."""
    reading = stream(
        message_start(
            {"input_tokens": 5, "cache_creation_input_tokens": 100, "output_tokens": 1}
            | {"cache_creation": {"ephemeral_5m_input_tokens": 60, "ephemeral_1h_input_tokens": 40}}
        ),
        message_delta({"cache_creation_input_tokens": 1_000, "output_tokens": 7}),
        cache_ttl_1h=ttl_1h,
    )
    split = {"cache_write_5m": 60, "cache_write_1h": 940} if ttl_1h else {"cache_write_5m": 960, "cache_write_1h": 40}
    assert billed(reading) == [{"input": 5, "output": 7, **split}]
    assert reading.cache_creation_tokens == 1_000
    assert reading.problems == ("split_incomplete",)


@pytest.mark.parametrize(("ttl_1h", "bucket"), [(False, "cache_write_5m"), (True, "cache_write_1h")])
def test_writes_without_any_split_get_the_requested_life(ttl_1h: bool, bucket: str):
    """Some platforms tell only the total."""
    reading = whole({"input_tokens": 5, "cache_creation_input_tokens": 80, "output_tokens": 7}, cache_ttl_1h=ttl_1h)
    assert billed(reading) == [{"input": 5, "output": 7, bucket: 80}]
    assert reading.problems == ("split_missing",)


def test_a_split_larger_than_its_total_is_cut_to_the_total_and_flagged():
    """The provider's total always comes out."""
    reading = whole(
        {
            "input_tokens": 5,
            "cache_creation_input_tokens": 150,
            "output_tokens": 7,
            "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 100},
        }
    )
    assert billed(reading) == [{"input": 5, "output": 7, "cache_write_5m": 50, "cache_write_1h": 100}]
    assert reading.problems == ("split_exceeds_total",)


@pytest.mark.parametrize("total", [None, 0])
def test_a_split_without_its_total_still_counts(total: int | None):
    """Writes that are itemised were made, whatever the total says."""
    reading = whole(
        {
            "input_tokens": 5,
            "cache_creation_input_tokens": total,
            "output_tokens": 7,
            "cache_creation": {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 20},
        }
    )
    assert billed(reading) == [{"input": 5, "output": 7, "cache_write_5m": 30, "cache_write_1h": 20}]
    assert reading.cache_creation_tokens == 50


# streams


def test_cumulative_usage_is_laid_over_what_is_known_and_never_added():
    """Two deltas that repeat input, cache and output leave the last one's numbers."""
    reading = stream(
        message_start({"input_tokens": 10, "cache_read_input_tokens": 500, "output_tokens": 1, "speed": "fast"}),
        message_delta({"input_tokens": 10, "cache_read_input_tokens": 500, "output_tokens": 40}, None),
        message_delta({"input_tokens": 25, "cache_read_input_tokens": None, "output_tokens": 90}),
    )
    assert billed(reading) == [{"input": 25, "output": 90, "cache_read": 500}]
    assert reading.speed == "fast"
    assert reading.state is UsageState.FINAL


def test_a_zero_in_a_later_event_does_not_wipe_out_input_that_was_told():
    """Input cannot fall while a reply streams."""
    reading = stream(
        message_start({"input_tokens": 10, "cache_read_input_tokens": 500, "output_tokens": 1}),
        message_delta({"input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 4}),
    )
    assert billed(reading) == [{"input": 10, "output": 4, "cache_read": 500}]
    assert reading.problems == ("count_fell",)


def test_a_hostile_count_in_a_later_event_does_not_wipe_out_a_good_one():
    """What is no count is left out and named."""
    reading = stream(
        message_start({"input_tokens": 10, "output_tokens": 1}),
        message_delta({"input_tokens": -3, "output_tokens": 4}),
    )
    assert billed(reading) == [{"input": 10, "output": 4}]
    assert reading.problems == ("bad_count:input_tokens",)


def test_wherever_the_stream_breaks_off_input_and_cache_are_exact_once_it_has_started():
    """Cut after any byte: from message_start on only the output may be an estimate, and it is never 0."""
    started = MESSAGE_STREAM.index(b"\n\n") + 2
    for length in range(started, len(MESSAGE_STREAM)):
        reading = read(Api.ANTHROPIC_MESSAGES, MESSAGE_STREAM[:length], SSE, complete=False)
        assert (reading.input_tokens, reading.cached_tokens, reading.cache_creation_tokens) == (12, 9_000, 700)
        counts = billed(reading)[0]
        assert (counts["cache_write_5m"], counts["cache_write_1h"]) == (200, 500)
        assert counts["output"] >= 3
        assert reading.state is (UsageState.FINAL if counts["output"] == 345 else UsageState.ESTIMATED)


def test_output_of_a_cut_stream_is_estimated_from_the_text_that_came():
    """Thinking, text and tool input count; a signature does not."""

    def delta(**what: str) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": 0, "delta": what}

    reading = stream(
        message_start({"input_tokens": 10, "output_tokens": 2}),
        delta(type="thinking_delta", thinking="x" * 400),
        delta(type="signature_delta", signature="x" * 4_000),
        delta(type="text_delta", text="\u4e2d" * 100),
        delta(type="input_json_delta", partial_json='{"a' + "x" * 97),
        complete=False,
    )
    assert reading.output_tokens == (400 + 300 + 100) // 4
    assert billed(reading) == [{"input": 10, "output": 200}]
    assert reading.state is UsageState.ESTIMATED
    assert reading.problems == ("cut", "estimated")


def test_an_estimate_is_no_less_than_what_was_told_and_no_more_than_was_allowed():
    """The start's output is the floor, max_tokens the ceiling."""
    start = message_start({"input_tokens": 10, "output_tokens": 9})
    assert stream(start, text_delta("Hi"), complete=False).output_tokens == 9
    assert stream(start, text_delta("x" * 4_000), complete=False, max_output_tokens=50).output_tokens == 50


def test_text_after_a_cumulative_usage_is_estimated_on_top_of_it():
    """What the provider has accounted for stays exact."""
    reading = stream(
        message_start({"input_tokens": 10, "output_tokens": 1}),
        text_delta("x" * 4_000),
        message_delta({"output_tokens": 700}, None),
        text_delta("x" * 40),
        complete=False,
    )
    assert reading.output_tokens == 710
    assert reading.state is UsageState.ESTIMATED


def test_an_error_after_the_start_is_named_and_its_input_kept():
    """``overloaded_error`` in the middle of a stream with status 200."""
    reading = stream(
        message_start({"input_tokens": 10, "output_tokens": 1}),
        text_delta("x" * 40),
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
    )
    assert (reading.error_type, reading.error_message) == ("overloaded_error", "Overloaded")
    assert billed(reading) == [{"input": 10, "output": 10}]
    assert reading.state is UsageState.ESTIMATED


def test_an_error_before_the_start_used_nothing():
    """A stream that is only an error."""
    reading = stream({"type": "error", "error": {"type": "api_error", "message": "Internal"}})
    assert reading.state is UsageState.NONE
    assert reading.parts == ()
    assert reading.error_type == "api_error"


def test_a_stream_that_never_tells_its_output_is_estimated_although_it_ended():
    """Some compatible servers leave usage out of message_delta."""
    reading = stream(
        message_start({"input_tokens": 10, "output_tokens": 1}),
        text_delta("x" * 400),
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        {"type": "message_stop"},
    )
    assert reading.output_tokens == 100
    assert reading.state is UsageState.ESTIMATED


def test_a_body_without_usage_is_estimated_from_what_was_written():
    """Input from the size of the request, output from the text."""
    body = text({"type": "message", "model": "claude-compatible", "content": [{"type": "text", "text": "x" * 400}]})
    reading = read(Api.ANTHROPIC_MESSAGES, body, facts=RequestFacts(input_bytes=800))
    assert reading.input_tokens == 200
    assert 100 <= (reading.output_tokens or 0) <= 103
    assert reading.state is UsageState.ESTIMATED


# iterations


def entry(kind: str, given: int, written: int, **more: Any) -> dict[str, Any]:
    return {
        "type": kind,
        "input_tokens": given,
        "output_tokens": written,
        "cache_read_input_tokens": 0,
        "cache_creation_input_tokens": 0,
        **more,
    }


def test_each_message_iteration_is_a_part_so_that_its_own_prompt_decides_its_bracket():
    """The turns of a server-side tool loop sum to the top level."""
    usage = {
        "input_tokens": 130_000,
        "output_tokens": 30,
        "server_tool_use": {"web_search_requests": 1},
        "iterations": [entry("message", 60_000, 10), entry("message", 70_000, 20)],
    }
    for reading in both(usage):
        assert billed(reading) == [{"input": 60_000, "output": 10, "web_search": 1}, {"input": 70_000, "output": 20}]
        assert [part.model for part in reading.parts] == [MODEL, MODEL]
        assert reading.input_tokens == 130_000
        assert reading.problems == ()


def test_compaction_is_billed_beside_the_top_level():
    """Its tokens stand only in the iterations."""
    usage = {
        "input_tokens": 100,
        "output_tokens": 10,
        "iterations": [entry("compaction", 5_000, 600), entry("message", 100, 10)],
    }
    for reading in both(usage):
        assert billed(reading) == [{"input": 100, "output": 10}, {"input": 5_000, "output": 600}]
        assert (reading.input_tokens, reading.output_tokens) == (100, 10)
        assert reading.problems == ()


def test_an_advisor_is_billed_at_its_own_model():
    """Its tokens are no part of the main model's."""
    usage = {
        "input_tokens": 100,
        "output_tokens": 10,
        "iterations": [
            entry("message", 40, 4),
            entry("advisor_message", 900, 90, model="claude-fable-5"),
            entry("message", 60, 6),
        ],
    }
    for reading in both(usage):
        assert [(part.model, dict(part.counts)) for part in reading.parts] == [
            (MODEL, {"input": 40, "output": 4}),
            (MODEL, {"input": 60, "output": 6}),
            ("claude-fable-5", {"input": 900, "output": 90}),
        ]
        assert reading.problems == ()


def test_a_fallback_is_billed_at_the_model_that_served_and_the_declined_hop_not_at_all():
    """The hop that declined is named."""
    usage = {
        "input_tokens": 60,
        "output_tokens": 6,
        "iterations": [entry("message", 50, 1, model=MODEL), entry("fallback_message", 60, 6, model="claude-sonnet-5")],
    }
    for reading in both(usage):
        assert [(part.model, dict(part.counts)) for part in reading.parts] == [
            ("claude-sonnet-5", {"input": 60, "output": 6})
        ]
        assert reading.problems == ("declined_hop",)


@pytest.mark.parametrize(("status", "problems"), [("redeemed", ("fallback_credit",)), ("not_applied", ())])
def test_a_redeemed_fallback_credit_is_flagged(status: str, problems: tuple[str, ...]):
    """The provider then bills otherwise than the counts say."""
    reading = whole({"input_tokens": 1, "output_tokens": 1, "fallback_credit": {"status": {"type": status}}})
    assert reading.problems == problems


def test_iterations_that_do_not_add_up_are_flagged():
    """Billed is what is itemised."""
    reading = whole({"input_tokens": 100, "output_tokens": 10, "iterations": [entry("message", 90, 10)]})
    assert billed(reading) == [{"input": 90, "output": 10}]
    assert reading.problems == ("iterations_mismatch",)


def test_iterations_that_itemise_nothing_of_the_conversation_leave_the_top_level():
    """Only a compaction is listed."""
    reading = whole({"input_tokens": 100, "output_tokens": 10, "iterations": [entry("compaction", 5, 6)]})
    assert billed(reading) == [{"input": 100, "output": 10}, {"input": 5, "output": 6}]


def test_splits_of_the_iterations_decide_where_the_stream_has_only_its_first_split():
    """The writes of later turns are itemised by time to live."""
    split = {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 100}
    later = {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 0}
    reading = stream(
        message_start(
            {"input_tokens": 10, "cache_creation_input_tokens": 100, "cache_creation": split, "output_tokens": 1}
        ),
        message_delta(
            {
                "input_tokens": 10,
                "cache_creation_input_tokens": 130,
                "output_tokens": 9,
                "iterations": [
                    entry("message", 5, 4, cache_creation_input_tokens=100, cache_creation=split),
                    entry("message", 5, 5, cache_creation_input_tokens=30, cache_creation=later),
                ],
            }
        ),
    )
    assert billed(reading) == [
        {"input": 5, "output": 4, "cache_write_1h": 100},
        {"input": 5, "output": 5, "cache_write_5m": 30},
    ]
    assert (reading.cache_creation_5m_tokens, reading.cache_creation_1h_tokens) == (30, 100)
    assert tokens(reading.parts) == 10 + 130 + 9


def test_a_split_of_the_top_level_is_handed_out_over_iterations_without_one():
    """Nothing is written twice."""
    usage = {
        "input_tokens": 10,
        "cache_creation_input_tokens": 130,
        "output_tokens": 9,
        "cache_creation": {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 100},
        "iterations": [
            entry("message", 5, 4, cache_creation_input_tokens=110),
            entry("message", 5, 5, cache_creation_input_tokens=20),
        ],
    }
    reading = whole(usage)
    assert billed(reading) == [
        {"input": 5, "output": 4, "cache_write_1h": 100, "cache_write_5m": 10},
        {"input": 5, "output": 5, "cache_write_5m": 20},
    ]
    assert reading.problems == ()


def test_endless_iterations_are_bounded_and_still_all_billed():
    """A hostile reply cannot make a row of any size."""
    usage = {
        "input_tokens": 500,
        "output_tokens": 500,
        "iterations": [{"type": "message", "input_tokens": 1, "output_tokens": 1} for _ in range(500)],
    }
    reading = whole(usage)
    assert len(reading.parts) == 200
    assert tokens(reading.parts) == 1_000
    assert reading.problems == ("many_iterations",)


# batches


def test_large_items_of_a_batch_stay_apart_with_the_prompt_that_decides_their_bracket():
    """Small ones are added up, per model, with the largest of their prompts."""

    def line(model: str, given: int) -> bytes:
        usage = {"input_tokens": given, "output_tokens": 1, "service_tier": "batch"}
        message = {**MESSAGE, "model": model, "usage": usage}
        return text({"custom_id": "c", "result": {"type": "succeeded", "message": message}}) + b"\n"

    body = line("a", 10) + line("a", 150_000) + line("b", 30) + line("a", 20)
    reading = read(Api.ANTHROPIC_BATCH_RESULTS, body, "application/octet-stream")
    assert reading.billed_once is None  # nothing says which batch it was
    assert [(part.model, dict(part.counts), part.context) for part in reading.parts] == [
        ("a", {"input": 30, "output": 2}, 20),
        ("b", {"input": 30, "output": 1}, 30),
        ("a", {"input": 150_000, "output": 1}, 150_000),
    ]
    assert reading.batch
    assert reading.state is UsageState.FINAL
    assert reading.input_tokens == 150_060


ITEM = text({"custom_id": "c", "result": {"type": "succeeded", "message": MESSAGE}}) + b"\n"
RESULTS_PATH = "/v1/messages/batches/msgbatch_01/results"


@pytest.mark.parametrize("path", [RESULTS_PATH, "/v1/messages//batches/msgbatch%5f01//results"])
def test_whole_results_carry_the_mark_of_their_batch(path: str):
    """By the id in the path, however it is spelt: the second download of the same batch bills nothing."""
    facts = read_request(Api.ANTHROPIC_BATCH_RESULTS, path, b"", "")
    reading = read(Api.ANTHROPIC_BATCH_RESULTS, ITEM * 3, JSON, facts=facts)
    assert reading.billed_once == "batch:msgbatch_01"
    assert reading.state is UsageState.FINAL


def test_ids_of_any_length_make_marks_that_tell_them_apart():
    """Two long ids that begin alike are two batches."""
    marks = set()
    for end in "ab":
        path = f"/v1/messages/batches/{'x' * 5_000}{end}/results"
        facts = read_request(Api.ANTHROPIC_BATCH_RESULTS, path, b"", "")
        marks.add(read(Api.ANTHROPIC_BATCH_RESULTS, ITEM, JSON, facts=facts).billed_once)
    assert len(marks) == 2
    assert all(mark is not None and len(mark) < 100 for mark in marks)


@pytest.mark.parametrize(("status", "complete"), [(200, False), (206, True)])
def test_results_that_did_not_come_whole_bill_nothing(status: int, complete: bool):
    """The whole file tells the same items again. What was told is kept, and that the cost is unknown."""
    facts = read_request(Api.ANTHROPIC_BATCH_RESULTS, RESULTS_PATH, b"", "")
    body = ITEM * 3 + ITEM[:40]
    reading = read(Api.ANTHROPIC_BATCH_RESULTS, body, JSON, facts=facts, status=status, complete=complete)
    assert (reading.billed_once, reading.parts, reading.state) == (None, (), UsageState.NONE)
    assert (reading.input_tokens, reading.output_tokens) == (None, None)
    assert reading.usage is not None
    assert "cut" in reading.problems


def test_results_without_a_successful_item_claim_nothing():
    """Nothing was used, so there is nothing to bill once."""
    facts = read_request(Api.ANTHROPIC_BATCH_RESULTS, RESULTS_PATH, b"", "")
    reading = read(Api.ANTHROPIC_BATCH_RESULTS, b'{"result":{"type":"expired"}}\n', JSON, facts=facts)
    assert (reading.billed_once, reading.parts, reading.problems) == (None, (), ())


def test_a_batch_service_tier_marks_a_reading_as_batch():
    """However the reply came."""
    assert whole({"input_tokens": 1, "output_tokens": 1, "service_tier": "batch"}).batch
