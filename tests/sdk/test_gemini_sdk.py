"""The official ``google-genai`` SDK for Python through the gateway: sync, async and streaming, to the last decimal."""

import asyncio
from typing import Any

import hand_computed as bills
import pytest
from gateway_fixture import Gateway
from google import genai
from google.genai import types
from google.genai.errors import ClientError, ServerError

CASES = pytest.mark.parametrize("case", [bills.GEMINI_THINKING, bills.GEMINI_LONG], ids=["thinking", "long"])
TEXT = "Certainly. Here is a short and friendly answer."


@pytest.fixture
def client(gateway: Gateway) -> genai.Client:
    return genai.Client(api_key="scripted", http_options=types.HttpOptions(base_url=gateway.base_url))


def config(made: Any) -> types.GenerateContentConfig:
    """The headers of a call."""
    return types.GenerateContentConfig(http_options=types.HttpOptions(headers=made.headers))


@CASES
@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_sync(call: Any, gateway: Gateway, case: bills.Case, version: str) -> None:
    options = types.HttpOptions(base_url=gateway.base_url, api_version=version)
    client = genai.Client(api_key="scripted", http_options=options)
    made = call(case)
    assert client.models.generate_content(model=case.model, contents="Hello", config=config(made)).text == TEXT
    made.check(streamed=False, request_path=f"/{version}/models/gemini-2.5-pro:generateContent")


@CASES
def test_stream(call: Any, client: genai.Client, case: bills.Case) -> None:
    made = call(case)
    chunks = list(client.models.generate_content_stream(model=case.model, contents="Hello", config=config(made)))
    assert "".join(chunk.text for chunk in chunks) == TEXT
    made.check(streamed=True)


@CASES
def test_async(call: Any, client: genai.Client, case: bills.Case) -> None:
    made = call(case)

    async def run() -> str:
        async with client.aio as own:
            reply = await own.models.generate_content(model=case.model, contents="Hello", config=config(made))
            return reply.text

    assert asyncio.run(run()) == TEXT
    made.check(streamed=False)


@CASES
def test_async_stream(call: Any, client: genai.Client, case: bills.Case) -> None:
    made = call(case)

    async def run() -> str:
        async with client.aio as own:
            stream = await own.models.generate_content_stream(model=case.model, contents="Hello", config=config(made))
            return "".join([chunk.text async for chunk in stream])

    assert asyncio.run(run()) == TEXT
    made.check(streamed=True)


def test_a_function_call_arrives_whole(call: Any, client: genai.Client) -> None:
    script = {**bills.GEMINI_THINKING.script, "tools": [{"name": "get_weather", "input": {"city": "Paris"}}]}
    made = call(bills.Case("gemini-2.5-pro", script, bills.GEMINI_THINKING.row))
    reply = client.models.generate_content(model="gemini-2.5-pro", contents="Weather?", config=config(made))
    assert reply.function_calls[0].args == {"city": "Paris"}
    made.check()


def test_count_tokens_is_free(call: Any, client: genai.Client) -> None:
    made = call()
    options = types.CountTokensConfig(http_options=types.HttpOptions(headers=made.headers))
    assert client.models.count_tokens(model="gemini-2.5-pro", contents="Hello", config=options).total_tokens > 0
    made.check(provider="gemini", usage_state="none", output_tokens=None)


def test_an_embedding_is_a_row(call: Any, client: genai.Client) -> None:
    made = call()
    options = types.EmbedContentConfig(http_options=types.HttpOptions(headers=made.headers))
    reply = client.models.embed_content(model="gemini-embedding-001", contents="Hello", config=options)
    assert len(reply.embeddings[0].values) == 8
    row = made.gateway.row(made.tag)
    assert (row["provider"], row["requested_model"], row["status_code"]) == ("gemini", "gemini-embedding-001", 200)


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, ClientError), (403, ClientError), (429, ClientError), (500, ServerError), (503, ServerError)],
)
def test_the_provider_s_errors_pass(
    call: Any, client: genai.Client, status: int, error: type[ClientError] | type[ServerError]
) -> None:
    made = call(bills.Case("gemini-2.5-pro", {"status": status, "error_message": "As scripted."}, {}))
    with pytest.raises(error, match="As scripted") as raised:
        client.models.generate_content(model="gemini-2.5-pro", contents="Hello", config=config(made))
    assert raised.value.code == status
    made.check(status_code=status, usage_state="none", outcome="completed")


@pytest.mark.parametrize(
    ("headers", "told"), [({}, "No gateway key"), ({"X-Majordomo-Key": "mdm_sk_" + "x" * 43}, "not known")]
)
def test_a_missing_or_unknown_key(client: genai.Client, headers: dict[str, str], told: str) -> None:
    options = types.GenerateContentConfig(http_options=types.HttpOptions(headers=headers))
    with pytest.raises(ClientError, match=told) as raised:
        client.models.generate_content(model="gemini-2.5-pro", contents="Hello", config=options)
    assert (raised.value.code, raised.value.status) == (401, "UNAUTHENTICATED")


def test_the_caller_s_key_is_kept_as_a_hash_alone(call: Any, client: genai.Client) -> None:
    made = call(bills.GEMINI_LONG)
    client.models.generate_content(model="gemini-2.5-pro", contents="Hello", config=config(made))
    row = made.gateway.row(made.tag)
    # SHA-256 of "scripted"
    assert row["provider_api_key_hash"] == "f4e1a209c1327917d06c4480845518078fe28345dde2a986ff4d1e5d43971c96"
    assert "scripted" not in repr(dict(row))
