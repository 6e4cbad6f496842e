"""What is read out of a reply to Claude Code: in whatever pieces and encoding, cut anywhere, and of hostile ones."""

import gzip

import brotli
import pytest
import zstandard
from claude_requests import asked, head
from meter_samples import FACTS, JSON, LIMIT, MESSAGE, MESSAGE_STREAM, SSE, events, message_delta, message_start, text

from majordomo.apis import Api
from majordomo.meter.claude_details import details_of
from majordomo.meter.claude_reply import BOOKINGS_MAX, TOOLS_MAX, ClaudeReply
from majordomo.meter.readers import reader_for

MODEL = "claude-sonnet-5"
REQUEST = asked({"model": MODEL, "messages": []})
USAGE = {"input_tokens": 1_000_000, "output_tokens": 1}


def start(index, kind, **more):
    return {"type": "content_block_start", "index": index, "content_block": {"type": kind, **more}}


def stop(index):
    return {"type": "content_block_stop", "index": index}


CALLS = [
    start(0, "redacted_thinking", data="x"),
    stop(0),
    start(1, "text", text=""),
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Let me see."}},
    stop(1),
    start(2, "tool_use", id="t1", name="Read", input={}),
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"a":1}'}},
    stop(2),
    start(3, "tool_use", id="t2", name="Bash", input={}),
    stop(3),
    start(4, "tool_use", id="t3", name="Read", input={}),
    stop(4),
    start(5, "server_tool_use", id="t4", name="web_search", input={}),
    stop(5),
]
END = [message_delta({"output_tokens": 100_000}, "tool_use"), {"type": "message_stop"}]
STREAM = events(message_start(USAGE), *CALLS, *END, named=True)
BODY = text(
    {
        "type": "message",
        "model": MODEL,
        "content": [event["content_block"] for event in CALLS if event["type"] == "content_block_start"],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 1_000_000, "output_tokens": 100_000},
    }
)


def details(body, content_type=SSE, *, encoding="", complete=True, request=REQUEST, heard=True, limit=LIMIT):
    """The details of a reply fed in the given pieces, and what any reader reads of it."""
    reply = ClaudeReply()
    reply.heard = heard
    reader = reader_for(
        Api.ANTHROPIC_MESSAGES,
        status=200,
        content_type=content_type,
        content_encoding=encoding,
        limit=limit,
        claude=reply,
    )
    for piece in [body] if isinstance(body, bytes) else body:
        reader.feed(piece)
    reading = reader.finish(FACTS, complete=complete)
    return details_of(request, reply, reading, MODEL, head(), complete=complete), reading


def check(found):
    assert (found.tool_names, found.tool_use_count) == (("Bash", "Read", "web_search"), 4)
    assert (found.has_thinking, found.stop_reason, found.usage_cost) == (True, "tool_use", 4.5)


WHOLE = [pytest.param(STREAM, SSE, id="stream"), pytest.param(BODY, JSON, id="body")]


@pytest.mark.parametrize(("body", "content_type"), WHOLE)
def test_a_reply_is_read_right_in_whatever_pieces_and_encoding(body, content_type):
    """Whole, byte by byte, cut in two anywhere, compressed, and without a content type."""
    check(details(body, content_type)[0])
    check(details([body[i : i + 1] for i in range(len(body))], content_type)[0])
    check(details(body, "")[0])
    for cut in range(len(body)):
        check(details([body[:cut], body[cut:]], content_type)[0])
    for encoding, squeeze in (("gzip", gzip.compress), ("br", brotli.compress), ("zstd", zstandard.compress)):
        squeezed = squeeze(body)
        check(details([squeezed[i : i + 7] for i in range(0, len(squeezed), 7)], content_type, encoding=encoding)[0])


@pytest.mark.parametrize(
    ("body", "content_type"), [*WHOLE, (MESSAGE_STREAM, SSE), (text(MESSAGE), JSON)], ids=["tools", "json", "a", "b"]
)
def test_the_usage_is_read_as_for_anyone(body, content_type):
    """Details change nothing of the reading that is billed."""
    plain = reader_for(Api.ANTHROPIC_MESSAGES, status=200, content_type=content_type, content_encoding="", limit=LIMIT)
    plain.feed(body)
    assert details(body, content_type)[1] == plain.finish(FACTS, complete=True)


def test_a_reply_cut_anywhere_tells_what_came():
    """Tools only grow; a stream is booked whole once its usage was told, a body only if all of it came."""
    names = set()
    told = STREAM.index(b"event: message_delta")
    told = STREAM.index(b"\n\n", told) + 2
    kept = STREAM.index(b"event: content_block_stop")
    kept = STREAM.index(b"\n\n", kept) + 2
    for length in range(len(STREAM)):
        found, _ = details(STREAM[:length], complete=False)
        assert names <= set(found.tool_names) <= {"Read", "Bash", "web_search"}
        names = set(found.tool_names)
        assert found.usage_cost == (4.5 if length >= told else 3.000015 if length >= kept else 0.0)
    for length in range(len(BODY)):
        assert details(BODY[:length], JSON, complete=False)[0].usage_cost == 0.0


@pytest.mark.parametrize(
    ("cost", "seen", "complete"),
    [
        (0.0, [message_start(USAGE)], False),
        (0.0, [message_start(USAGE), start(0, "text", text="")], False),
        (3.000015, [message_start(USAGE), start(0, "text", text=""), stop(0)], False),
        (3.000015, [message_start(USAGE), start(0, "thinking", thinking=""), stop(0)], False),
        (0.0, [message_start(USAGE), start(0, "text", text=""), stop(0)], True),
        (4.5, [message_start(USAGE), start(0, "text", text=""), stop(0), END[0]], False),
        (9.0, [message_start(USAGE), start(0, "text", text=""), stop(0), END[0], END[0]], True),
        (3.000015, [message_start(USAGE), {"type": "error", "error": {"type": "overloaded_error"}}], True),
        (0.0, [message_start(USAGE), {"type": "error", "error": {"type": "api_error"}}], True),
        (0.0, [{"type": "error", "error": {"type": "overloaded_error"}}], True),
        (
            0.0,
            [
                message_start(USAGE),
                start(0, "thinking", thinking=""),
                stop(0),
                {"type": "error", "error": {"type": "overloaded_error"}},
            ],
            True,
        ),
        (
            9.0,
            [message_start(USAGE), start(0, "text", text=""), stop(0), message_delta({"output_tokens": 100_000}, None)],
            False,
        ),
        (
            0.0,
            [message_start(USAGE), start(0, "text", text=""), {"type": "error", "error": {"type": "overloaded_error"}}],
            True,
        ),
    ],
)
def test_what_is_booked_for_a_stream_that_broke_off(cost, seen, complete):
    """As the CLI did in each case: nothing before ``message_delta``, but for what it keeps, and an overload."""
    assert details(events(*seen, named=True), complete=complete)[0].usage_cost == cost


def test_nothing_is_booked_that_the_cli_did_not_hear_or_does_not_count():
    """A caller that had gone, and a side query."""
    assert details(STREAM, heard=False)[0].usage_cost == 0.0
    assert details(STREAM[:-200], heard=False, complete=False)[0].usage_cost == 0.0
    assert details(BODY, JSON, heard=False)[0].usage_cost == 0.0
    side_query = asked({"model": MODEL, "max_tokens": 64, "messages": []})
    found, _ = details(BODY, JSON, request=side_query)
    assert (found.usage_cost, found.tool_use_count) == (0.0, 4)


@pytest.mark.parametrize(
    "hostile",
    [
        events({"type": "content_block_start", "content_block": [1]}, {"type": "content_block_start"}),
        events({"type": "content_block_start", "content_block": {"type": 5, "name": "x"}}),
        events(start(0, "tool_use", name="\ud7ff\x00" + "x" * 5_000), start(1, "tool_use", name=None)),
        events(*[start(i, "tool_use", name=f"t{i}") for i in range(3 * TOOLS_MAX)]),
        events(message_start(USAGE), *[message_delta({"output_tokens": 1})] * (3 * BOOKINGS_MAX)),
        events(
            message_start({"input_tokens": 1e300, "iterations": [{"type": "advisor_message", "model": "x" * 9_000}]})
        ),
        b'data: {"type":"message_delta","usage":' + b"[" * 50_000 + b"\n\n",
        b'data: {"type":"content_block_start","content_block":{"type":"tool_use","name":"\\ud800"}}\n\n',
        b"\xff" * 1_000,
    ],
)
def test_hostile_replies_are_survived(hostile):
    """Names fit a row, lists are bounded, and the cost is a number."""
    for content_type in (SSE, JSON):
        found, reading = details(hostile, content_type)
        assert "reader_failed" not in reading.problems
        assert len(found.tool_names) <= TOOLS_MAX
        assert all(0 < len(tool) <= 255 and "\x00" not in tool for tool in found.tool_names)
        assert 0 <= found.usage_cost < 10 * BOOKINGS_MAX


def test_a_body_longer_than_is_kept_books_nothing():
    """What could not be read was not seen; the row says so."""
    found, reading = details(BODY, JSON, limit=100)
    assert (found.usage_cost, found.tool_names) == (0.0, ())
    assert "too_long" in reading.problems
