"""The scripted provider itself: it answers what it was told, in the bytes it was told, and remembers what it got."""

import gzip
import http.client
import json
import socket
import subprocess
import sys
import time
import zlib
from typing import Any
from urllib.parse import urlsplit

import anthropic
import brotli
import openai
import psutil
import pytest
import zstandard
from google import genai
from google.genai.errors import ClientError

from majordomo.demo.provider_process import ProviderError, ProviderProcess
from majordomo.demo.visits import Visits

MESSAGES = [{"role": "user", "content": "What is the capital of France?"}]


def post(provider: ProviderProcess, target: str, body: Any, script: dict[str, Any] | None = None) -> tuple[Any, bytes]:
    """POST a JSON body; the reply (read) and its raw body."""
    connection = http.client.HTTPConnection(urlsplit(provider.url).netloc, timeout=10)
    headers = {"content-type": "application/json"}
    if script is not None:
        headers["x-script"] = json.dumps(script)
    connection.request("POST", target, json.dumps(body), headers)
    reply = connection.getresponse()
    try:
        return reply, reply.read()
    finally:
        connection.close()


def chat(**fields: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": MESSAGES, **fields}


def test_dictated_usage_is_replied_verbatim(provider: ProviderProcess) -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 9, "total_tokens": 16, "an_unknown_field": {"x": [1]}}
    _, body = post(provider, "/v1/chat/completions", chat(), {"usage": usage})
    assert json.loads(body)["usage"] == usage


def test_a_chat_stream_says_usage_only_when_asked(provider: ProviderProcess) -> None:
    _, plain = post(provider, "/v1/chat/completions", chat(stream=True))
    options = {"include_usage": True}
    _, asked = post(provider, "/v1/chat/completions", chat(stream=True, stream_options=options))
    assert b"usage" not in plain
    chunks = [json.loads(line[6:]) for line in asked.decode().split("\n\n") if line.startswith("data: {")]
    assert [chunk["usage"] for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["total_tokens"] > 0
    assert plain.endswith(b"data: [DONE]\n\n")
    assert asked.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize(
    ("encoding", "inflate"),
    [
        ("gzip", gzip.decompress),
        ("deflate", zlib.decompress),
        ("br", brotli.decompress),
        ("zstd", lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data)),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_compressed_replies_hold_the_plain_ones(
    provider: ProviderProcess, encoding: str, inflate: Any, stream: bool
) -> None:
    _, plain = post(provider, "/v1/messages", chat(stream=stream))
    reply, packed = post(provider, "/v1/messages", chat(stream=stream), {"encoding": encoding})
    assert reply.getheader("content-encoding") == encoding
    assert inflate(packed) == plain


def test_a_reply_is_compressed_as_the_caller_accepts(provider: ProviderProcess) -> None:
    client = openai.OpenAI(base_url=provider.url + "/v1", api_key="k", max_retries=0)
    for accepted, expected in (("br, gzip", "gzip"), ("br", "br"), ("identity", None)):
        headers = {"accept-encoding": accepted, "x-script": '{"encoding": "accepted"}'}
        reply = client.models.with_raw_response.list(extra_headers=headers)
        assert reply.headers.get("content-encoding") == expected
        assert reply.parse().data


def test_a_cut_body_is_the_whole_one_in_other_pieces(provider: ProviderProcess) -> None:
    _, whole = post(provider, "/v1/messages", chat(stream=True))
    _, cut = post(provider, "/v1/messages", chat(stream=True), {"piece_bytes": 7})
    assert cut == whole


def test_a_broken_stream_ends_before_its_end(provider: ProviderProcess) -> None:
    with pytest.raises(http.client.IncompleteRead):
        post(provider, "/v1/chat/completions", chat(stream=True), {"break_after": 2})
    assert provider.stats()["cut"] == 1


def test_a_reset_is_seen_as_one(provider: ProviderProcess) -> None:
    with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
        post(provider, "/v1/chat/completions", chat(), {"break_after": -1, "break_with": "reset"})


def test_the_queue_answers_in_order_and_only_its_paths(provider: ProviderProcess) -> None:
    provider.queue(
        {"status": 429, "retry_after": "3"}, {"status": 500, "path": "/messages"}, {"status": 529, "times": 2}
    )
    first, _ = post(provider, "/v1/chat/completions", chat())
    rest = [post(provider, "/v1/chat/completions", chat())[0].status for _ in range(3)]
    last, _ = post(provider, "/v1/messages", chat())
    assert (first.status, first.getheader("retry-after")) == (429, "3")
    assert rest == [529, 529, 200]
    assert last.status == 500


def test_a_text_or_a_model_chooses_the_script(provider: ProviderProcess) -> None:
    spoken = chat(messages=[{"role": "user", "content": 'hello [[script {"status": 404}]]'}])
    assert post(provider, "/v1/chat/completions", spoken)[0].status == 404
    assert post(provider, "/v1/chat/completions", chat(model="status-529"))[0].status == 529


def test_a_wrong_script_is_refused_by_name(provider: ProviderProcess) -> None:
    with pytest.raises(ProviderError, match="stauts"):
        provider.queue({"stauts": 500})
    reply, body = post(provider, "/v1/chat/completions", chat(), {"stauts": 500})
    assert reply.status == 400
    assert b"stauts" in body


def test_requests_are_remembered_byte_for_byte(provider: ProviderProcess) -> None:
    sent = json.dumps(chat(note="é\u0000"))
    connection = http.client.HTTPConnection(urlsplit(provider.url).netloc, timeout=10)
    connection.request("POST", "/v1/chat/completions?x=1", sent, {"X-Some-Header": "Kept As Sent"})
    connection.getresponse().read()
    connection.close()
    (received,) = provider.requests()
    assert (received.method, received.target, received.body) == ("POST", "/v1/chat/completions?x=1", sent.encode())
    assert ("X-Some-Header", "Kept As Sent") in received.headers


def test_memory_is_bounded_and_what_is_dropped_is_counted() -> None:
    visits = Visits(limit=10_000)
    for _ in range(100):
        visits.add("POST", "/", (), bytes(1000))
    stats = visits.stats()
    assert stats["requests"] == 100
    assert 0 < stats["kept"] < 6
    assert stats["kept"] + stats["dropped"] == 100


def test_pipelined_requests_are_answered_in_order(provider: ProviderProcess) -> None:
    address = urlsplit(provider.url)
    slow = b'x-script: {"delay_ms": 50, "text": "first"}\r\n'
    quick = b'x-script: {"text": "second"}\r\n'
    request = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n%b\r\n{}"
    with socket.create_connection((address.hostname, address.port), timeout=10) as raw:
        raw.sendall(request % slow + (request % quick).replace(b"host: x", b"host: x\r\nconnection: close"))
        got = b"".join(iter(lambda: raw.recv(65536), b""))
    assert 0 < got.index(b'"content":"first"') < got.index(b'"content":"second"')


def test_it_does_not_outlive_its_parent() -> None:
    code = (
        "import os\nfrom majordomo.demo.provider_process import ProviderProcess\n"
        "process = ProviderProcess()\nprint(process.pid, flush=True)\nos._exit(0)"
    )
    pid = int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    deadline = time.monotonic() + 10
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the scripted provider outlived its parent"
        time.sleep(0.02)


def test_the_openai_sdk_understands_every_endpoint(provider: ProviderProcess) -> None:
    client = openai.OpenAI(base_url=provider.url + "/v1", api_key="k", max_retries=0)
    tool = {"tools": [{"name": "weather", "input": {"city": "Paris"}}]}
    called = client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "hi"}], extra_headers={"x-script": json.dumps(tool)}
    )
    assert called.choices[0].message.tool_calls[0].function.arguments == '{"city":"Paris"}'
    with client.responses.stream(model="gpt-4o", input="hi") as stream:
        assert stream.get_final_response().usage.total_tokens > 0
    assert client.responses.retrieve("resp_1").id == "resp_1"
    assert client.completions.create(model="gpt-3.5-turbo-instruct", prompt="hi").usage.total_tokens > 0
    assert len(client.embeddings.create(model="text-embedding-3-small", input=["a", "b"]).data) == 2
    assert client.images.generate(model="gpt-image-1", prompt="a cat").usage.output_tokens == 1056
    edits = client.images.edit(model="gpt-image-1", image=("a.png", b"x"), prompt="hat", stream=True)
    assert [event.type for event in edits][-1] == "image_edit.completed"
    assert client.audio.speech.create(model="tts-1", voice="alloy", input="hi").read().startswith(b"\xff\xfb")
    heard = client.audio.transcriptions.create(model="whisper-1", file=("a.mp3", b"x"))
    assert heard.usage.seconds == 7
    streamed = client.audio.transcriptions.create(model="gpt-4o-transcribe", file=("a.mp3", b"x"), stream=True)
    assert [event.type for event in streamed][-1] == "transcript.text.done"
    assert client.moderations.create(input="hi").results[0].flagged is False
    assert "gpt-4o" in [model.id for model in client.models.list()]


def test_the_anthropic_sdk_understands_every_block(provider: ProviderProcess) -> None:
    client = anthropic.Anthropic(base_url=provider.url, api_key="k", max_retries=0)
    script = {
        "thinking": "hm",
        "web_searches": 1,
        "text": "ok",
        "tools": [{"name": "Bash", "input": {"command": "ls"}}],
    }
    with client.messages.stream(
        model="claude-sonnet-5", max_tokens=9, messages=MESSAGES, extra_headers={"x-script": json.dumps(script)}
    ) as stream:
        message = stream.get_final_message()
    kinds = [block.type for block in message.content]
    assert kinds == ["thinking", "server_tool_use", "web_search_tool_result", "text", "tool_use"]
    assert message.content[-1].input == {"command": "ls"}
    assert message.stop_reason == "tool_use"
    assert message.usage.server_tool_use.web_search_requests == 1
    assert client.messages.count_tokens(model="claude-sonnet-5", messages=MESSAGES).input_tokens > 0
    assert "claude-opus-4-8" in [model.id for model in client.models.list()]
    batch = client.messages.batches.create(requests=[])
    assert [item.result.type for item in client.messages.batches.results(batch.id)] == ["succeeded"]


def test_the_gemini_sdk_understands_every_verb(provider: ProviderProcess) -> None:
    client = genai.Client(api_key="k", http_options={"base_url": provider.url})
    assert client.models.generate_content(model="gemini-2.5-pro", contents="hi").usage_metadata.total_token_count > 0
    chunks = list(client.models.generate_content_stream(model="gemini-2.5-pro", contents="hi"))
    totals = [chunk.usage_metadata.total_token_count for chunk in chunks]
    assert totals == sorted(totals)
    assert len(chunks) > 1
    assert client.models.count_tokens(model="gemini-2.5-pro", contents="hi").total_tokens > 0
    assert client.models.embed_content(model="gemini-embedding-001", contents="hi").embeddings
    assert [model.name for model in client.models.list()] == ["models/gemini-2.5-pro", "models/gemini-2.5-flash"]
    _, array = post(provider, "/v1beta/models/gemini-2.5-pro:streamGenerateContent", {"contents": []})
    assert len(json.loads(array)) == 4


@pytest.mark.parametrize(
    ("status", "openai_error", "anthropic_error"),
    [
        (400, openai.BadRequestError, anthropic.BadRequestError),
        (401, openai.AuthenticationError, anthropic.AuthenticationError),
        (404, openai.NotFoundError, anthropic.NotFoundError),
        (429, openai.RateLimitError, anthropic.RateLimitError),
        (500, openai.InternalServerError, anthropic.InternalServerError),
        (529, openai.InternalServerError, anthropic.OverloadedError),
    ],
)
def test_errors_come_in_each_api_s_own_shape(
    provider: ProviderProcess, status: int, openai_error: type[Exception], anthropic_error: type[Exception]
) -> None:
    provider.queue({"status": status, "times": 3})
    with pytest.raises(openai_error):
        openai.OpenAI(base_url=provider.url + "/v1", api_key="k", max_retries=0).models.list()
    with pytest.raises(anthropic_error):
        anthropic.Anthropic(base_url=provider.url, api_key="k", max_retries=0).messages.create(
            model="claude-sonnet-5", max_tokens=1, messages=MESSAGES
        )
    if status < 500:
        gemini = genai.Client(api_key="k", http_options={"base_url": provider.url})
        with pytest.raises(ClientError):
            gemini.models.generate_content(model="gemini-2.5-pro", contents="hi")


def _events_of(provider: ProviderProcess, script: dict[str, Any]) -> list[dict[str, Any]]:
    _, body = post(provider, "/v1/messages", chat(stream=True), script)
    return [json.loads(event.partition("data: ")[2]) for event in body.decode().split("\n\n") if event]


def test_a_stream_of_messages_may_start_with_another_usage_than_it_ends_with(provider: ProviderProcess) -> None:
    started, ended = {"input_tokens": 3, "output_tokens": 2}, {"output_tokens": 9}
    events = _events_of(provider, {"start_usage": started, "stream_usage": ended})
    assert events[0]["message"]["usage"] == started
    assert [event["usage"] for event in events if event["type"] == "message_delta"] == [ended]


def test_a_stream_of_messages_may_end_with_an_error(provider: ProviderProcess) -> None:
    events = _events_of(provider, {"error_after": 3, "error_type": "overloaded_error", "error_message": "Too much."})
    assert [event["type"] for event in events] == ["message_start", "ping", "content_block_start", "error"]
    assert events[-1]["error"] == {"type": "overloaded_error", "message": "Too much."}


def test_thinking_may_be_redacted(provider: ProviderProcess) -> None:
    events = _events_of(provider, {"redacted_thinking": True})
    blocks = [event["content_block"] for event in events if event["type"] == "content_block_start"]
    assert blocks[0] == {"type": "redacted_thinking", "data": "c2NyaXB0ZWQ="}
    assert [block["type"] for block in blocks] == ["redacted_thinking", "text"]
