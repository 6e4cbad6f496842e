"""Readers fed random, malformed or hostile bytes never raise, never go negative and never grow without bound."""

import sys
import tracemalloc
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from meter_samples import (
    CHAT,
    CHAT_USAGE,
    GEMINI_USAGE,
    IMAGE_USAGE,
    JSON,
    MESSAGE,
    MESSAGE_USAGE,
    RESPONSE,
    RESPONSE_USAGE,
    SAMPLES,
    SSE,
    TRANSCRIPT_USAGE,
    Sample,
    billed,
    chunk,
    events,
    message_delta,
    message_start,
    piece,
    read,
    text,
    text_delta,
)

from majordomo.apis import Api
from majordomo.meter.counts import MAX_COUNT
from majordomo.meter.decoding import USAGE_LIMIT
from majordomo.meter.readers import READERS, reader_for
from majordomo.meter.reading import Reading, RequestFacts, UsageState

KINDS = [JSON, SSE, "", "text/plain"]
HOSTILE: list[Any] = [-1, 1.5, 5.0, True, "7", 2**31, 2**70, [], {}, [1], {"a": 1}, None, ""]
COLUMNS = (
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cache_creation_tokens",
    "cache_creation_5m_tokens",
    "cache_creation_1h_tokens",
    "reasoning_tokens",
    "prompt_tokens",
)


def check_sane(reading: Reading) -> None:
    """What holds of a reading of anything."""
    assert "reader_failed" not in reading.problems
    for column in COLUMNS:
        value = getattr(reading, column)
        assert value is None or (type(value) is int and 0 <= value <= MAX_COUNT), column
    for part in reading.parts:
        assert all(type(amount) is int and amount > 0 for amount in part.counts.values())
    for word in (reading.model, reading.service_tier, reading.stop_reason, reading.error_type, reading.error_message):
        if word is not None:
            assert "\x00" not in word
            word.encode("utf-8")
    if reading.usage is not None:
        assert len(reading.usage) <= 2 * USAGE_LIMIT
        assert b"\\u0000" not in reading.usage
        msgspec.json.decode(reading.usage)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of everything inside a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, item in inner for found in leaves(item, (*path, key)))][0 if path else 1 :]


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """``value`` with ``new`` at ``path``."""
    copy = msgspec.json.decode(msgspec.json.encode(value))
    place = copy
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = new
    return copy


ITERATED = {
    **MESSAGE_USAGE,
    "iterations": [{"type": "message", "model": "m", "input_tokens": 12, "output_tokens": 345}],
}
WHOLE: list[tuple[Api, dict[str, Any]]] = [
    (Api.ANTHROPIC_MESSAGES, MESSAGE),
    (Api.ANTHROPIC_MESSAGES, {**MESSAGE, "usage": ITERATED}),
    (Api.OPENAI_CHAT, CHAT),
    (Api.OPENAI_RESPONSES, {**RESPONSE, "tool_usage": {"web_search": {"num_requests": 1}, "image_gen": IMAGE_USAGE}}),
    (Api.OPENAI_EMBEDDINGS, {"model": "e", "data": [], "usage": {"prompt_tokens": 5, "total_tokens": 5}}),
    (Api.OPENAI_IMAGES, {"data": [{"url": "u"}], "usage": IMAGE_USAGE, "svg_usage": {"model": "m", "input_tokens": 1}}),
    (Api.OPENAI_TRANSCRIPTION, {"text": "a", "usage": TRANSCRIPT_USAGE}),
    (Api.GEMINI_GENERATE, piece("a", GEMINI_USAGE, "STOP", groundingMetadata={"webSearchQueries": ["q"]})),
    (Api.GEMINI_EMBED, {"embeddings": [{"statistics": {"tokenCount": 4}}], "usageMetadata": {"promptTokenCount": 5}}),
]


@pytest.mark.parametrize(("api", "body"), WHOLE, ids=lambda value: str(value)[:30])
def test_anything_in_any_place_of_a_body_is_ignored_and_named(api: Api, body: dict[str, Any]):
    """Every value of a real reply, replaced by every kind of nonsense, one at a time."""
    for path in leaves(body):
        for nonsense in HOSTILE:
            check_sane(read(api, text(replaced(body, path, nonsense))))


USAGES: list[tuple[Api, str, dict[str, Any], tuple[str, ...]]] = [
    (Api.ANTHROPIC_MESSAGES, "usage", MESSAGE_USAGE, ("input_tokens", "output_tokens", "cache_read_input_tokens")),
    (Api.OPENAI_CHAT, "usage", CHAT_USAGE, ("prompt_tokens", "completion_tokens", "total_tokens")),
    (Api.OPENAI_RESPONSES, "usage", RESPONSE_USAGE, ("input_tokens", "output_tokens", "total_tokens")),
    (Api.OPENAI_IMAGES, "usage", IMAGE_USAGE, ("input_tokens", "output_tokens")),
    (Api.OPENAI_TRANSCRIPTION, "usage", TRANSCRIPT_USAGE, ("input_tokens", "output_tokens")),
    (
        Api.GEMINI_GENERATE,
        "usageMetadata",
        GEMINI_USAGE,
        ("promptTokenCount", "candidatesTokenCount", "totalTokenCount"),
    ),
]


@pytest.mark.parametrize(("api", "member", "usage", "keys"), USAGES, ids=lambda value: str(value)[:20])
@pytest.mark.parametrize("nonsense", [-1, 1.5, 5.0, True, "7", 2**31, 2**70, [1], {"a": 1}], ids=repr)
def test_a_count_that_is_none_leaves_a_problem(
    api: Api, member: str, usage: dict[str, Any], keys: tuple[str, ...], nonsense: Any
):
    """And the counts beside it stay."""
    for key in keys:
        reading = read(api, text({"model": "m", member: {**usage, key: nonsense}}))
        assert any(problem.startswith("bad_count") for problem in reading.problems), (key, reading.problems)
        check_sane(reading)
        assert reading.parts


@given(st.sampled_from(sorted(READERS)), st.sampled_from(KINDS), st.lists(st.binary(max_size=120), max_size=8))
def test_random_bytes(api: Api, kind: str, pieces: list[bytes]):
    """In any pieces, as any kind, in any encoding."""
    for encoding in ("", "gzip", "br", "zstd", "deflate"):
        check_sane(read(api, pieces, kind, encoding=encoding))


values = st.recursive(
    st.sampled_from(HOSTILE) | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "usage",
                    "message",
                    "type",
                    "model",
                    "choices",
                    "delta",
                    "error",
                    "response",
                    "output",
                    "usageMetadata",
                    "candidates",
                    "iterations",
                    "cache_creation",
                    "input_tokens",
                    "output_tokens",
                    "prompt_tokens",
                    "completion_tokens",
                    "total_tokens",
                    "prompt_tokens_details",
                    "promptTokenCount",
                    "totalTokenCount",
                    "promptTokensDetails",
                    "modality",
                    "tokenCount",
                    "cachedContentTokenCount",
                    "cached_tokens",
                    "duration",
                    "data",
                    "result",
                    "stop_reason",
                    "finish_reason",
                    "tool_usage",
                    "groundingMetadata",
                    "status",
                    "content",
                ]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(READERS)), st.lists(values, min_size=1, max_size=5), st.booleans())
def test_json_of_any_shape(api: Api, shapes: list[Any], complete: bool):
    """As a body, as events, as an array, with the right words in the wrong places."""
    check_sane(read(api, text(shapes[0]), complete=complete))
    check_sane(read(api, text(shapes), complete=complete))
    stream = b"".join(b"data: " + text(shape) + b"\n\n" for shape in shapes)
    check_sane(read(api, stream, SSE, complete=complete))
    check_sane(read(api, b"\n".join(text(shape) for shape in shapes), "application/x-jsonl", complete=complete))


KINDS_OF_EVENTS = ["message_start", "message_delta", "message_stop", "content_block_delta", "error", "ping"]
KINDS_OF_EVENTS += ["response.created", "response.completed", "response.output_item.done", "response.failed"]
KINDS_OF_EVENTS += ["image_generation.completed", "speech.audio.done", "transcript.text.done"]


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(sorted(READERS)),
    st.lists(st.tuples(st.sampled_from(KINDS_OF_EVENTS), values, values), max_size=6),
)
def test_events_of_known_kinds_with_any_content(api: Api, shapes: list[tuple[str, Any, Any]]):
    """Right in type, wrong in everything else, in any order."""
    stream = events(
        *(
            {"type": kind, "message": a, "usage": b, "delta": a, "response": b, "item": a, "error": b, "choices": a}
            for kind, a, b in shapes
        )
    )
    check_sane(read(api, stream, SSE))


@given(st.sampled_from(SAMPLES), st.data())
def test_damaged_samples(sample: Sample, data: st.DataObject):
    """Bytes flipped, dropped and put in at random places of real replies."""
    body = bytearray(sample.body)
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, len(body)))
        body[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    check_sane(read(sample.api, bytes(body), sample.content_type, facts=sample.facts))


@pytest.mark.parametrize(
    "depth_bomb", [b"[" * 200_000, b'{"usage":' * 50_000, b'{"a":' * 50_000 + b"1" + b"}" * 50_000], ids=["[", "u", "a"]
)
@pytest.mark.parametrize("api", sorted(READERS), ids=str)
def test_nesting_beyond_the_stack(api: Api, depth_bomb: bytes):
    """Neither a crash nor a recursion error."""
    for body, kind in ((depth_bomb, JSON), (b"data: " + depth_bomb + b"\n\n", SSE)):
        check_sane(read(api, body, kind))
    check_sane(read(api, depth_bomb, status=500))


def test_the_scan_of_malformed_text_takes_time_in_proportion_to_its_length():
    """Quotes and backslashes cannot make it start over and over: a megabyte of each ends."""
    for body in (
        b'{"' + b'\\"' * 500_000,
        b"{" + b'"' * 1_000_000,
        b'{"a":"' + b"\\" * 1_000_001,
        b'{"usage":' * 100_000,
    ):
        check_sane(read(Api.OPENAI_CHAT, body))


def test_a_body_beyond_the_limit_is_not_kept():
    """It is counted and estimated."""
    reader = reader_for(Api.OPENAI_CHAT, status=200, content_type=JSON, content_encoding="", limit=10_000)
    tracemalloc.start()
    for _ in range(2_000):
        reader.feed(b"x" * 10_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    reading = reader.finish(RequestFacts(), complete=True)
    assert peak < 1 << 20
    assert reading.problems[0] == "too_long"
    assert reading.output_tokens == 5_000_000


STREAMS = {
    Api.ANTHROPIC_MESSAGES: events(text_delta("word ")),
    Api.OPENAI_CHAT: events(chunk({"content": "word "})),
    Api.OPENAI_RESPONSES: events({"type": "response.output_text.delta", "delta": "word "}),
    Api.GEMINI_STREAM: events(piece("word ", {"promptTokenCount": 1, "candidatesTokenCount": 1})),
}


@pytest.mark.parametrize("api", list(STREAMS), ids=str)
def test_a_stream_keeps_none_of_its_text(api: Api):
    """A thousand streams of a thousand events each: some kilobytes apiece."""

    def run(count: int) -> list[Any]:
        readers = []
        for _ in range(count):
            reader = reader_for(api, status=200, content_type=SSE, content_encoding="", limit=64 << 20)
            for _ in range(20):
                reader.feed(STREAMS[api] * 50)
            readers.append(reader)
        return readers

    run(1)  # what is made once is not counted
    tracemalloc.start()
    kept = run(20)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size / len(kept) < 4_096
    assert sys.getrefcount(kept) > 0


def test_a_stream_of_ever_new_usage_members_is_bounded():
    """Nor does overlaying for ever grow."""
    reader = reader_for(Api.ANTHROPIC_MESSAGES, status=200, content_type=SSE, content_encoding="", limit=1 << 20)
    reader.feed(events(message_start({"input_tokens": 5, "output_tokens": 1})))
    tracemalloc.start()
    for number in range(3_000):
        more = {f"k{number}{i}": {f"n{number}{j}": j for j in range(20)} for i in range(5)}
        reader.feed(events(message_delta({"output_tokens": number, "cache_creation": {f"x{number}": 1}, **more})))
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < 1 << 20
    reading = reader.finish(RequestFacts(), complete=True)
    assert billed(reading) == [{"input": 5, "output": 2_999}]
    check_sane(reading)


def test_a_usage_of_any_size_is_not_kept():
    """Beyond a bound it is named and the reply estimated."""
    usage = {**CHAT_USAGE, "junk": "x" * (USAGE_LIMIT + 1)}
    reading = read(Api.OPENAI_CHAT, text({**CHAT, "usage": usage}))
    assert reading.usage is None
    assert "usage_too_large" in reading.problems
    assert reading.state is UsageState.ESTIMATED


def test_sums_beyond_a_column_are_cut_there_and_billed_in_full():
    """Two counts that fit may have a sum that does not."""
    usage = {"input_tokens": MAX_COUNT, "cache_read_input_tokens": MAX_COUNT, "output_tokens": 1}
    reading = read(Api.ANTHROPIC_MESSAGES, text({**MESSAGE, "usage": usage}))
    assert reading.prompt_tokens == MAX_COUNT
    assert "column_overflow" in reading.problems
    assert billed(reading) == [{"input": MAX_COUNT, "cache_read": MAX_COUNT, "output": 1}]


def test_text_that_postgresql_refuses_never_reaches_a_row():
    """NUL in a name and in the usage; lone surrogates anywhere."""
    body = text({**CHAT, "model": "m\x00", "usage": {**CHAT_USAGE, "note": "a\x00b"}})
    reading = read(Api.OPENAI_CHAT, body.replace(b'"note":"', b'"note":"\\ud800'))
    check_sane(reading)
    assert reading.model == "m\ufffd"
    assert reading.state is UsageState.FINAL


def test_one_lone_surrogate_in_the_text_costs_nothing():
    """Models do write half an emoji."""
    reading = read(Api.OPENAI_CHAT, text(CHAT).replace(b"Say", b"\\ud83d"))
    assert reading.state is UsageState.FINAL
    assert reading.input_tokens == 2_006
