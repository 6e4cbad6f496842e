"""The official ``openai`` SDK for Python through the gateway: sync, async and streaming, to the last decimal."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import hand_computed as bills
import openai
import pytest
from gateway_fixture import Gateway

MESSAGES: Any = [{"role": "user", "content": "What is the capital of France?"}]
TEXT = "Certainly. Here is a short and friendly answer."


@pytest.fixture
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway.base_url + "/v1", api_key="sk-scripted", max_retries=0) as made:
        yield made


def run_async(gateway: Gateway, work: Any, **options: Any) -> Any:
    """Run ``work(client)`` with an asynchronous client."""

    async def run() -> Any:
        settings = {"max_retries": 0, **options}
        async with openai.AsyncOpenAI(base_url=gateway.base_url + "/v1", api_key="sk-scripted", **settings) as client:
            return await work(client)

    return asyncio.run(run())


@pytest.mark.parametrize("case", [bills.CHAT_CACHED, bills.CHAT_REASONING], ids=["cached", "reasoning"])
class TestChat:
    """Chat completions."""

    def test_sync(self, call: Any, client: openai.OpenAI, case: bills.Case) -> None:
        made = call(case)
        reply = client.chat.completions.create(model=case.model, messages=MESSAGES, extra_headers=made.headers)
        assert reply.choices[0].message.content == TEXT
        made.check(streamed=False, request_path="/v1/chat/completions", request_method="POST", error_message=None)

    def test_stream_with_usage(self, call: Any, client: openai.OpenAI, case: bills.Case) -> None:
        made = call(case)
        chunks = list(
            client.chat.completions.create(
                model=case.model,
                messages=MESSAGES,
                stream=True,
                stream_options={"include_usage": True},
                extra_headers=made.headers,
            )
        )
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == TEXT
        assert chunks[-1].choices == []
        assert chunks[-1].usage.prompt_tokens == case.row["input_tokens"]
        made.check(streamed=True)

    def test_stream_without_usage_is_counted_all_the_same(
        self, call: Any, client: openai.OpenAI, case: bills.Case
    ) -> None:
        made = call(case)
        chunks = list(
            client.chat.completions.create(model=case.model, messages=MESSAGES, stream=True, extra_headers=made.headers)
        )
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == TEXT
        assert all(chunk.usage is None for chunk in chunks)
        made.check(streamed=True)

    def test_async(self, call: Any, gateway: Gateway, case: bills.Case) -> None:
        made = call(case)
        run_async(
            gateway,
            lambda client: client.chat.completions.create(
                model=case.model, messages=MESSAGES, extra_headers=made.headers
            ),
        )
        made.check(streamed=False)

    def test_async_stream(self, call: Any, gateway: Gateway, case: bills.Case) -> None:
        made = call(case)

        async def read(client: openai.AsyncOpenAI) -> str:
            stream = await client.chat.completions.create(
                model=case.model, messages=MESSAGES, stream=True, extra_headers=made.headers
            )
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

        assert run_async(gateway, read) == TEXT
        made.check(streamed=True)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
@pytest.mark.parametrize("stream", [False, True])
def test_compressed_replies_are_read_by_both(call: Any, client: openai.OpenAI, encoding: str, stream: bool) -> None:
    case = bills.Case("gpt-4o", {**bills.CHAT_CACHED.script, "encoding": encoding}, bills.CHAT_CACHED.row)
    made = call(case)
    options: Any = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    reply = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, extra_headers=made.headers, **options)
    usage = list(reply)[-1].usage if stream else reply.usage
    assert usage.prompt_tokens == 1203
    made.check(streamed=stream)


def test_no_usage_chunk_comes_unasked_from_a_provider_that_compresses(call: Any, client: openai.OpenAI) -> None:
    case = bills.Case("gpt-4o", {**bills.CHAT_CACHED.script, "encoding": "accepted"}, bills.CHAT_CACHED.row)
    made = call(case)
    chunks = list(
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True, extra_headers=made.headers)
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == TEXT
    made.check(streamed=True)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
def test_a_stream_that_is_compressed_against_the_request_still_counts(
    call: Any, client: openai.OpenAI, encoding: str
) -> None:
    case = bills.Case("gpt-4o", {**bills.CHAT_CACHED.script, "encoding": encoding}, bills.CHAT_CACHED.row)
    made = call(case)
    chunks = list(
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True, extra_headers=made.headers)
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == TEXT
    made.check(streamed=True)


def test_tool_calls_arrive_whole(call: Any, client: openai.OpenAI) -> None:
    made = call(bills.CHAT_TOOL)
    reply = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, extra_headers=made.headers)
    (tool,) = reply.choices[0].message.tool_calls
    assert (tool.function.name, json.loads(tool.function.arguments)) == ("get_weather", {"city": "Paris"})
    made.check()


def test_a_tool_call_is_put_together_from_a_stream(call: Any, client: openai.OpenAI) -> None:
    made = call(bills.CHAT_TOOL)
    with client.chat.completions.stream(model="gpt-4o", messages=MESSAGES, extra_headers=made.headers) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.tool_calls[0].function.arguments == '{"city":"Paris"}'
    made.check(streamed=True)


class TestResponses:
    """The Responses API, with reasoning and two web searches."""

    case = bills.RESPONSES_SEARCH

    def test_sync(self, call: Any, client: openai.OpenAI) -> None:
        made = call(self.case)
        reply = client.responses.create(model="gpt-5", input="Search!", extra_headers=made.headers)
        assert reply.output_text == TEXT
        made.check(streamed=False)

    def test_stream(self, call: Any, client: openai.OpenAI) -> None:
        made = call(self.case)
        with client.responses.stream(model="gpt-5", input="Search!", extra_headers=made.headers) as stream:
            kinds = [event.type for event in stream]
            assert stream.get_final_response().usage.output_tokens == 1234
        assert kinds[-1] == "response.completed"
        made.check(streamed=True)

    def test_async_stream(self, call: Any, gateway: Gateway) -> None:
        made = call(self.case)

        async def read(client: openai.AsyncOpenAI) -> list[str]:
            stream = await client.responses.create(
                model="gpt-5", input="Search!", stream=True, extra_headers=made.headers
            )
            return [event.type async for event in stream]

        assert run_async(gateway, read)[-1] == "response.completed"
        made.check(streamed=True)

    def test_async(self, call: Any, gateway: Gateway) -> None:
        made = call(self.case)
        run_async(
            gateway,
            lambda client: client.responses.create(model="gpt-5", input="Search!", extra_headers=made.headers),
        )
        made.check(streamed=False)


def test_embeddings(call: Any, client: openai.OpenAI) -> None:
    made = call(bills.EMBEDDING)
    reply = client.embeddings.create(model=bills.EMBEDDING.model, input="Hello", extra_headers=made.headers)
    assert len(reply.data[0].embedding) == 8
    made.check(output_cost=0)


@pytest.mark.parametrize("stream", [False, True])
def test_completions(call: Any, client: openai.OpenAI, stream: bool) -> None:
    made = call(bills.COMPLETION)
    reply = client.completions.create(
        model=bills.COMPLETION.model, prompt="Once", stream=stream, extra_headers=made.headers
    )
    text = "".join(chunk.choices[0].text for chunk in reply) if stream else reply.choices[0].text
    assert text == TEXT
    made.check(streamed=stream)


@pytest.mark.parametrize("stream", [False, True])
def test_images(call: Any, client: openai.OpenAI, stream: bool) -> None:
    made = call(bills.IMAGE)
    reply = client.images.generate(model="gpt-image-1", prompt="A cat", stream=stream, extra_headers=made.headers)
    usage = list(reply)[-1].usage if stream else reply.usage
    assert usage.output_tokens == 1056
    made.check(streamed=stream)


def test_image_edits_as_a_form(call: Any, client: openai.OpenAI) -> None:
    made = call(bills.IMAGE)
    client.images.edit(
        model="gpt-image-1", prompt="A hat", image=("a.png", bytes(3000), "image/png"), extra_headers=made.headers
    )
    made.check(requested_model="gpt-image-1")


def test_speech(call: Any, client: openai.OpenAI) -> None:
    made = call(bills.SPEECH)
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input=bills.SPEECH_TEXT, extra_headers=made.headers
    ) as reply:
        sound = b"".join(reply.iter_bytes())
    assert len(sound) == 8 * 417
    made.check()


def test_transcription_by_tokens(call: Any, client: openai.OpenAI) -> None:
    made = call(bills.TRANSCRIPTION)
    heard = client.audio.transcriptions.create(
        model="gpt-4o-transcribe", file=("a.mp3", bytes(5000)), extra_headers=made.headers
    )
    assert heard.text == TEXT
    made.check(streamed=False)


def test_transcription_as_a_stream(call: Any, client: openai.OpenAI) -> None:
    made = call(bills.TRANSCRIPTION)
    events = client.audio.transcriptions.create(
        model="gpt-4o-transcribe", file=("a.mp3", bytes(5000)), stream=True, extra_headers=made.headers
    )
    assert [event.type for event in events][-1] == "transcript.text.done"
    made.check(streamed=True)


def test_transcription_by_time(call: Any, client: openai.OpenAI) -> None:
    made = call(bills.TRANSCRIPTION_BY_TIME)
    client.audio.transcriptions.create(model="whisper-1", file=("a.mp3", bytes(5000)), extra_headers=made.headers)
    made.check()


def test_moderations_and_models_cost_nothing(call: Any, client: openai.OpenAI) -> None:
    for work in (
        lambda h: client.moderations.create(input="hi", extra_headers=h),
        lambda h: client.models.list(extra_headers=h),
    ):
        made = call()
        work(made.headers)
        made.check(usage_state="none", input_tokens=None)


def test_a_compatible_provider_is_chosen_by_header(call: Any, gateway: Gateway, client: openai.OpenAI) -> None:
    made = call(bills.TOGETHER, Provider="together", Provider_Alias="open models")
    client.chat.completions.create(model=bills.TOGETHER.model, messages=MESSAGES, extra_headers=made.headers)
    made.check(provider_api_key_alias="open models")
    assert gateway.provider.requests()[-1].target == "/together/v1/chat/completions"


def test_the_provider_gets_the_caller_s_body_and_none_of_the_gateway_s_headers(
    call: Any, gateway: Gateway, client: openai.OpenAI
) -> None:
    made = call(bills.CHAT_CACHED, Feature="chat")
    reply = client.chat.completions.with_raw_response.create(
        model="gpt-4o", messages=MESSAGES, extra_headers=made.headers
    )
    received = gateway.provider.requests()[-1]
    assert received.body == reply.http_response.request.content
    assert received.header("authorization") == "Bearer sk-scripted"
    assert not [name for name, _ in received.headers if name.lower().startswith("x-majordomo")]
    assert str(gateway.row(made.tag)["id"]) == reply.headers["x-majordomo-request-id"]


class TestErrors:
    """Errors become the SDK's own exception classes, the gateway's as the provider's."""

    @pytest.mark.parametrize(
        ("status", "error"),
        [
            (400, openai.BadRequestError),
            (401, openai.AuthenticationError),
            (403, openai.PermissionDeniedError),
            (404, openai.NotFoundError),
            (429, openai.RateLimitError),
            (500, openai.InternalServerError),
            (503, openai.InternalServerError),
        ],
    )
    def test_the_provider_s_errors_pass(
        self, call: Any, client: openai.OpenAI, status: int, error: type[openai.APIStatusError]
    ) -> None:
        made = call(bills.Case("gpt-4o", {"status": status, "error_message": "As scripted."}, {}))
        with pytest.raises(error, match="As scripted"):
            client.chat.completions.create(model="gpt-4o", messages=MESSAGES, extra_headers=made.headers)
        made.check(status_code=status, usage_state="none", output_tokens=None, outcome="completed")
        assert "As scripted." in made.gateway.row(made.tag)["error_message"]

    @pytest.mark.parametrize(
        ("headers", "told"), [({}, "No gateway key"), ({"X-Majordomo-Key": "mdm_sk_" + "x" * 43}, "not known")]
    )
    def test_a_missing_or_unknown_key(self, client: openai.OpenAI, headers: dict[str, str], told: str) -> None:
        with pytest.raises(openai.AuthenticationError, match=told):
            client.chat.completions.create(model="gpt-4o", messages=MESSAGES, extra_headers=headers)

    def test_a_path_without_a_provider(self, call: Any, client: openai.OpenAI) -> None:
        made = call()
        with pytest.raises(openai.NotFoundError, match="/v1/chat/completions"):
            client.post("/nothing/here", body={}, cast_to=object, options={"headers": made.headers})
        made.check(status_code=404, outcome="refused", usage_state="none")

    def test_an_unknown_provider(self, call: Any, client: openai.OpenAI) -> None:
        made = call(Provider="nobody")
        with pytest.raises(openai.NotFoundError, match="nobody"):
            client.chat.completions.create(model="gpt-4o", messages=MESSAGES, extra_headers=made.headers)
        made.check(status_code=404, outcome="refused", usage_state="none")

    def test_a_provider_that_breaks_before_it_answers(self, call: Any, client: openai.OpenAI) -> None:
        made = call(bills.Case("gpt-4o", {"break_after": -1}, {}))
        with pytest.raises(openai.InternalServerError) as raised:
            client.chat.completions.create(model="gpt-4o", messages=MESSAGES, extra_headers=made.headers)
        assert raised.value.status_code == 502
        assert made.gateway.row(made.tag)["outcome"] == "provider_broke"

    def test_a_provider_that_breaks_mid_stream(self, call: Any, client: openai.OpenAI) -> None:
        made = call(bills.Case("gpt-4o", {"break_after": 3}, {}))
        with pytest.raises((openai.APIError, Exception), match=r"(?i)incomplete|closed|connection"):
            list(
                client.chat.completions.create(
                    model="gpt-4o", messages=MESSAGES, stream=True, extra_headers=made.headers
                )
            )
        row = made.gateway.row(made.tag)
        assert (row["outcome"], row["usage_state"]) == ("provider_broke", "estimated")
        assert row["output_tokens"] > 0


def test_a_retry_is_a_row_of_its_own(gateway: Gateway, call: Any) -> None:
    made = call()
    gateway.provider.queue(
        {"status": 500}, {"status": 529, "headers": {"retry-after-ms": "5"}}, bills.CHAT_CACHED.script
    )
    with openai.OpenAI(base_url=gateway.base_url + "/v1", api_key="sk-scripted", max_retries=2) as client:
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES, extra_headers=made.headers)
    rows = gateway.rows(made.tag, 3)
    assert [row["status_code"] for row in rows] == [500, 529, 200]
    assert [row["total_cost"] for row in rows if row["status_code"] == 200] == [bills.CHAT_CACHED.row["total_cost"]]
    assert sum(row["output_tokens"] or 0 for row in rows) == 77


def test_a_cancelled_stream_is_read_on_and_counted_exactly(gateway: Gateway, call: Any) -> None:
    slow = {**bills.CHAT_CACHED.script, "event_delay_ms": 50}
    made = call(bills.Case("gpt-4o", slow, bills.CHAT_CACHED.row))

    async def cancel(client: openai.AsyncOpenAI) -> None:
        stream = await client.chat.completions.create(
            model="gpt-4o", messages=MESSAGES, stream=True, extra_headers=made.headers
        )
        async for _ in stream:
            break
        await stream.close()

    run_async(gateway, cancel)
    made.check(outcome="client_closed", usage_state="drained", streamed=True)
