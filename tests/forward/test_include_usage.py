"""The only change ever made to a body: OpenAI streams are asked for their usage, and the extra chunk stays here."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from running_desk import RunningDesk, ask
from wire import Message, Peer, Providers

from majordomo.apis import Api
from majordomo.forward.include_usage import UsageWithheld, ask_for_usage
from majordomo.meter.reading import UsageState
from majordomo.meter.request import read_request

CHAT = "/v1/chat/completions"
ASKED = '"stream_options":{"include_usage":true}'

#: What a caller sends, and what the provider gets; None: the same.
BODIES = {
    "plain": ('{"model":"m","stream":true}', '{"model":"m","stream":true,' + ASKED + "}"),
    "with spaces": ('{ "model" : "m" , "stream" : true }\n ', '{ "model" : "m" , "stream" : true ,' + ASKED + "}\n "),
    "null": (
        '{"stream":true,"stream_options":null,"model":"m"}',
        '{"stream":true,"stream_options":{"include_usage":true},"model":"m"}',
    ),
    "empty": (
        '{"stream":true,"stream_options": {} ,"model":"m"}',
        '{"stream":true,"stream_options": {"include_usage":true} ,"model":"m"}',
    ),
    "other keys": (
        '{"stream":true,"stream_options":{"include_obfuscation":false},"model":"m"}',
        '{"stream":true,"stream_options":{"include_obfuscation":false,"include_usage":true},"model":"m"}',
    ),
    "said no": (
        '{"stream":true,"stream_options":{"include_usage":false},"model":"m"}',
        '{"stream":true,"stream_options":{"include_usage":true},"model":"m"}',
    ),
    "the words in a prompt": (
        '{"messages":[{"content":"\\"stream_options\\":null"}],"x":"stream_options","stream":true}',
        '{"messages":[{"content":"\\"stream_options\\":null"}],"x":"stream_options","stream":true,' + ASKED + "}",
    ),
    "the words in a prompt and outside": (
        '{"messages":[{"stream_options":null}],"stream":true,"stream_options":null}',
        '{"messages":[{"stream_options":null}],"stream":true,"stream_options":{"include_usage":true}}',
    ),
    "asked itself": ('{"stream":true,"stream_options":{"include_usage":true}}', None),
    "asked itself in another spelling": ('{"stream":true,"stream\\u005foptions":{"include_usage":true}}', None),
    "no stream": ('{"model":"m"}', None),
    "stream false": ('{"model":"m","stream":false}', None),
    "the word stream in a prompt": ('{"model":"m","messages":[{"content":"\\"stream\\":true"}]}', None),
    "options of another type": ('{"stream":true,"stream_options":"yes"}', None),
    "no object": ('[{"stream":true}]', None),
    "no JSON": ('{"stream":true', None),
    "rubbish behind it": ('{"stream":true}}', None),
    "empty body": ("", None),
}


def chunk(**fields: Any) -> bytes:
    told = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "gpt-4.1-mini-2025-04-14", **fields}
    return b"data: " + json.dumps(told).encode() + b"\n\n"


USAGE = {"prompt_tokens": 12, "completion_tokens": 2, "total_tokens": 14}
FIRST = chunk(choices=[{"index": 0, "delta": {"role": "assistant", "content": "Hel"}}], usage=None)
SECOND = chunk(choices=[{"index": 0, "delta": {"content": 'lo "usage"'}}], usage=None)
LAST = chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}], usage=None)
ONLY_USAGE = chunk(choices=[], usage=USAGE)
DONE = b"data: [DONE]\n\n"
STREAM = FIRST + SECOND + LAST + ONLY_USAGE + DONE
WITHOUT = FIRST + SECOND + LAST + DONE

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"


@pytest.mark.parametrize("case", BODIES)
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_body_is_changed_in_one_place_or_not_at_all(
    caller: Peer, providers: Providers, case: str, framing: str
) -> None:
    body, changed = (text.encode() if text is not None else None for text in BODIES[case])
    assert body is not None
    if framing == "length":
        caller.send(ask(CHAT, "Accept-Encoding: gzip, br", body=body))
    else:
        pieces = [body[i : i + 9] for i in range(0, len(body), 9)]
        head = ask(CHAT, "accept-encoding: gzip, br", "Transfer-Encoding: chunked", method="POST")
        caller.send(head, *(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces), b"0\r\n\r\n")
    provider = providers.accept()
    got = provider.request()
    assert got.body == (body if changed is None else changed)
    assert got.value("Accept-Encoding") == ("gzip, br" if changed is None else "identity")
    if changed is not None or framing == "length":
        assert got.value("Content-Length") == str(len(got.body))
        assert got.value("Transfer-Encoding") is None
    provider.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert caller.reply().status == 200


@pytest.mark.parametrize("body", [text for text, changed in BODIES.values() if changed is not None])
def test_the_changed_body_differs_in_nothing_but_the_asking(body: str) -> None:
    data = body.encode()
    pieces = ask_for_usage(data, read_request(Api.OPENAI_CHAT, CHAT, data, "application/json"))
    assert pieces is not None
    before, after = json.loads(body), json.loads(b"".join(pieces))
    assert after.pop("stream_options")["include_usage"] is True
    before.pop("stream_options", None)
    assert after == before


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=14), inner, max_size=4),
    max_leaves=12,
)
option_values = st.sampled_from([None, {}, {"include_usage": False}, {"x": 1}, {"include_usage": True}, "x"])


@given(
    st.dictionaries(st.sampled_from(["model", "stream_options", "messages", "x"]) | st.text(max_size=6), json_values),
    st.none() | option_values,
    st.booleans(),
)
def test_any_json_object_is_changed_so_that_it_reads_back_as_asked_and_otherwise_equal(
    fields: dict[str, Any], options: Any, compact: bool
) -> None:
    fields = {**fields, "stream": True}
    if options is not None:
        fields["stream_options"] = options
    data = json.dumps(fields, separators=(",", ":") if compact else None, ensure_ascii=compact).encode(errors="replace")
    try:
        before = json.loads(data)
    except ValueError:
        return
    pieces = ask_for_usage(data, read_request(Api.OPENAI_CHAT, CHAT, data, "application/json"))
    if pieces is None:
        return
    after = json.loads(b"".join(pieces))
    old = before.pop("stream_options", None) or {}
    assert after.pop("stream_options") == {**old, "include_usage": True}
    assert after == before


# -- the reply ------------------------------------------------------------------------------------------------------


def streamed(caller: Peer, providers: Providers, reply: list[bytes], body: bytes = b'{"stream":true}') -> Message:
    caller.send(ask(CHAT, body=body))
    provider = providers.accept()
    provider.request()
    provider.send(*reply)
    return caller.reply()


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_the_extra_chunk_is_withheld_and_counted(
    desk: RunningDesk, caller: Peer, providers: Providers, framing: str
) -> None:
    if framing == "length":
        reply = HEAD + b"Content-Length: %d\r\n\r\n" % len(STREAM) + STREAM
    else:
        reply = HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(STREAM), STREAM)
    got = streamed(caller, providers, [reply])
    assert got.body == WITHOUT
    assert got.value("Content-Length") is None
    assert not got.cut
    close = desk.closed_row()
    assert (close.usage_state, close.input_tokens, close.output_tokens) == (UsageState.FINAL, 12, 2)
    assert close.streamed


@pytest.mark.parametrize("cut", range(len(HEAD), len(HEAD) + 40 + len(STREAM), 41))
def test_the_extra_chunk_is_withheld_wherever_the_wire_cuts(caller: Peer, providers: Providers, cut: int) -> None:
    data = HEAD + b"Content-Length: %d\r\n\r\n" % len(STREAM) + STREAM
    assert streamed(caller, providers, [data[:cut], data[cut:]]).body == WITHOUT


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_the_filter_withholds_the_chunk_at_every_cut_and_byte_by_byte(end: bytes) -> None:
    stream, without = STREAM.replace(b"\n", end), WITHOUT.replace(b"\n", end)
    for cut in range(len(stream) + 1):
        withheld = UsageWithheld()
        assert withheld.feed(stream[:cut]) + withheld.feed(stream[cut:]) + withheld.finish() == without
    withheld = UsageWithheld()
    assert b"".join(withheld.feed(stream[i : i + 1]) for i in range(len(stream))) + withheld.finish() == without


@given(
    st.lists(st.sampled_from([FIRST, SECOND, LAST, DONE, b": ping\n\n", b"event: x\ndata: 1\n\n", b"\n", b"x\r\n\r\n"]))
)
def test_the_filter_changes_nothing_in_streams_without_such_a_chunk(events: list[bytes]) -> None:
    stream = b"".join(events)
    withheld = UsageWithheld()
    assert withheld.feed(stream) + withheld.finish() == stream


@given(st.lists(st.binary(max_size=40) | st.sampled_from([b"\n\n", b"data: ", b'"usage"', ONLY_USAGE[:30]])))
def test_the_filter_takes_no_byte_from_what_is_no_event_stream(pieces: list[bytes]) -> None:
    withheld = UsageWithheld()
    passed = b"".join(withheld.feed(piece) for piece in pieces) + withheld.finish()
    assert passed == b"".join(pieces)


def test_an_event_of_any_length_passes_without_being_held_for_ever() -> None:
    withheld = UsageWithheld()
    held = 0
    for i in range(200):
        held += 4096 - len(withheld.feed(b'data: {"usage"' if i == 0 else b"x" * 4096))
        assert held < 128 * 1024


@pytest.mark.parametrize(
    "event",
    [
        chunk(choices=[{"index": 0, "delta": {"content": "x"}}], usage=USAGE),
        chunk(choices=[], usage=None),
        chunk(choices=[], prompt_filter_results=[]),
        chunk(choices=None, usage=USAGE),
        chunk(usage=USAGE),
        b'data: {"error":{"message":"\\"usage\\""}}\n\n',
        b'data: {"choices":[],"usage":\n\n',
    ],
)
def test_an_event_that_holds_more_or_less_than_usage_is_passed_on(event: bytes) -> None:
    withheld = UsageWithheld()
    assert withheld.feed(event) + withheld.finish() == event


def test_a_caller_that_asked_itself_gets_the_chunk(desk: RunningDesk, caller: Peer, providers: Providers) -> None:
    reply = HEAD + b"Content-Length: %d\r\n\r\n" % len(STREAM) + STREAM
    got = streamed(caller, providers, [reply], b'{"stream":true,"stream_options":{"include_usage":true}}')
    assert got.body == STREAM
    assert got.value("Content-Length") == str(len(STREAM))
    assert desk.closed_row().output_tokens == 2


@pytest.mark.parametrize("off", ["setting", "provider"])
def test_turned_off_nothing_is_changed_and_the_usage_estimated(
    open_desk: Callable[..., RunningDesk], providers: Providers, off: str
) -> None:
    own = {"openai": {"inject_stream_usage": False}} if off == "provider" else {}
    desk = open_desk(inject_stream_usage=off != "setting", providers=own)
    caller = desk.dial()
    caller.send(ask(CHAT, "Accept-Encoding: gzip", body=b'{"stream":true,"model":"gpt-4.1-mini"}'))
    provider = providers.accept()
    got = provider.request()
    assert got.body == b'{"stream":true,"model":"gpt-4.1-mini"}'
    assert got.value("Accept-Encoding") == "gzip"
    provider.send(HEAD + b"Content-Length: %d\r\n\r\n" % len(WITHOUT) + WITHOUT)
    assert caller.reply().body == WITHOUT
    assert desk.closed_row().usage_state is UsageState.ESTIMATED


@pytest.mark.parametrize(
    ("status", "lines"),
    [
        (200, "Content-Type: text/event-stream\r\nContent-Encoding: br\r\n"),
        (200, "Content-Type: application/json\r\n"),
        (400, "Content-Type: text/event-stream\r\n"),
        (200, ""),
    ],
    ids=["compressed all the same", "no stream", "an error", "no type"],
)
def test_a_reply_that_is_no_plain_stream_passes_unfiltered(
    caller: Peer, providers: Providers, status: int, lines: str
) -> None:
    reply = f"HTTP/1.1 {status} X\r\n{lines}Content-Length: {len(STREAM)}\r\n\r\n".encode() + STREAM
    got = streamed(caller, providers, [reply])
    assert got.body == STREAM
    assert got.value("Content-Length") == str(len(STREAM))


def test_a_stream_that_breaks_off_gives_what_came_of_it(desk: RunningDesk, caller: Peer, providers: Providers) -> None:
    caller.send(ask(CHAT, body=b'{"stream":true}'))
    provider = providers.accept()
    provider.request()
    provider.send(HEAD + b"Content-Length: 10000\r\n\r\n" + FIRST + SECOND)
    caller.head()
    caller.expect(b"%x\r\n%b\r\n" % (len(FIRST + SECOND), FIRST + SECOND))
    provider.hang_up()
    caller.assert_ended()
    assert desk.closed_row().outcome == "provider_broke"


def test_the_chunk_is_withheld_from_http_10_callers_too(caller: Peer, providers: Providers) -> None:
    caller.send(ask(CHAT, body=b'{"stream":true}', version="1.0"))
    provider = providers.accept()
    provider.request()
    provider.send(HEAD + b"Content-Length: %d\r\n\r\n" % len(STREAM) + STREAM)
    got = caller.reply()
    assert got.body == WITHOUT
    assert got.value("Content-Length") is None
