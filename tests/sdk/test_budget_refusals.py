"""The providers' own SDKs, as they come, meet a spent budget: they make one request, and raise what it says."""

import asyncio
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from budget_terms import limit, requests
from google import genai
from google.genai import types
from node_packages import NODE, installed
from running_desk import KEY, RunningDesk
from wire import Providers

from majordomo.price.pricer import Pricer
from majordomo.record.frames import Outcome

FOLDER = Path(__file__).with_name("node")

#: Seconds for one run of Node.
NODE_SECONDS = 60

HEADERS = {"X-Majordomo-Key": KEY}
MESSAGES: Any = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture
def desk(short_tmp: Path) -> Iterator[RunningDesk]:
    """A desk whose only budget is spent, before a provider that must not be called."""
    providers = Providers()
    made = RunningDesk(short_tmp, Pricer.load(short_tmp, None), providers)
    limit(made, requests(0, contact="ann@example.com"))
    yield made
    providers.assert_nobody_called()
    made.stop()
    providers.close()


def asked_once(desk: RunningDesk, said: str) -> None:
    """One request came, was refused, and its caller was told why."""
    close = desk.closed_row()
    assert (close.outcome, close.error_type) == (Outcome.REFUSED, "budget_exceeded")
    for part in ("'team'", "0 of 0 requests spent", "ask ann@example.com"):
        assert part in said


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_anthropic_for_python_makes_one_request(desk: RunningDesk, stream: bool) -> None:
    client = anthropic.Anthropic(base_url=f"http://127.0.0.1:{desk.port}", api_key="k", default_headers=HEADERS)
    assert client.max_retries > 0
    with pytest.raises(anthropic.APIStatusError) as raised, client:
        client.messages.create(model="claude-opus-4-8", max_tokens=9, messages=MESSAGES, stream=stream)
    assert raised.value.status_code == 402
    assert raised.value.response.headers["x-majordomo-budget-name"] == "team"
    asked_once(desk, str(raised.value))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_anthropic_for_python_makes_one_request_when_asynchronous(desk: RunningDesk, stream: bool) -> None:
    async def run() -> None:
        url = f"http://127.0.0.1:{desk.port}"
        async with anthropic.AsyncAnthropic(base_url=url, api_key="k", default_headers=HEADERS) as client:
            await client.messages.create(model="claude-opus-4-8", max_tokens=9, messages=MESSAGES, stream=stream)

    with pytest.raises(anthropic.APIStatusError) as raised:
        asyncio.run(run())
    asked_once(desk, str(raised.value))


CALLS: dict[str, Callable[[openai.OpenAI], Any]] = {
    "chat": lambda client: client.chat.completions.create(model="gpt-4o", messages=MESSAGES),
    "stream": lambda client: client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True),
    "responses": lambda client: client.responses.create(model="gpt-4o", input="Hello"),
    "responses stream": lambda client: client.responses.create(model="gpt-4o", input="Hello", stream=True),
    "images": lambda client: client.images.generate(model="gpt-image-1", prompt="A cat"),
    "embeddings": lambda client: client.embeddings.create(model="text-embedding-3-small", input="Hello"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
def test_openai_for_python_makes_one_request(desk: RunningDesk, call: Callable[[openai.OpenAI], Any]) -> None:
    client = openai.OpenAI(base_url=f"http://127.0.0.1:{desk.port}/v1", api_key="k", default_headers=HEADERS)
    assert client.max_retries > 0
    with pytest.raises(openai.RateLimitError) as raised, client:
        call(client)
    assert raised.value.code == "insufficient_quota"
    asked_once(desk, str(raised.value))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_openai_for_python_makes_one_request_when_asynchronous(desk: RunningDesk, stream: bool) -> None:
    async def run() -> None:
        url = f"http://127.0.0.1:{desk.port}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key="k", default_headers=HEADERS) as client:
            await client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=stream)

    with pytest.raises(openai.RateLimitError) as raised:
        asyncio.run(run())
    asked_once(desk, str(raised.value))


def test_gemini_for_python_makes_one_request_even_where_it_is_set_to_retry(desk: RunningDesk) -> None:
    options = types.HttpOptions(
        base_url=f"http://127.0.0.1:{desk.port}",
        headers=HEADERS,
        retry_options=types.HttpRetryOptions(attempts=3, initial_delay=0.01),
    )
    client = genai.Client(api_key="k", http_options=options)
    with pytest.raises(genai.errors.ClientError) as raised:
        client.models.generate_content(model="gemini-2.5-flash", contents="Hello")
    assert (raised.value.code, raised.value.status) == (402, "FAILED_PRECONDITION")
    asked_once(desk, str(raised.value))


@pytest.mark.parametrize("retries", [None, 3], ids=["as it comes", "set to retry"])
def test_gemini_for_python_makes_one_request_for_a_stream(desk: RunningDesk, retries: int | None) -> None:
    retrying = None if retries is None else types.HttpRetryOptions(attempts=retries, initial_delay=0.01)
    options = types.HttpOptions(base_url=f"http://127.0.0.1:{desk.port}", headers=HEADERS, retry_options=retrying)
    client = genai.Client(api_key="k", http_options=options)
    with pytest.raises(genai.errors.ClientError) as raised:
        list(client.models.generate_content_stream(model="gemini-2.5-flash", contents="Hello"))
    assert raised.value.code == 402
    asked_once(desk, str(raised.value))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_gemini_for_python_makes_one_request_when_asynchronous(desk: RunningDesk, stream: bool) -> None:
    async def run() -> None:
        options = types.HttpOptions(base_url=f"http://127.0.0.1:{desk.port}", headers=HEADERS)
        models = genai.Client(api_key="k", http_options=options).aio.models
        if not stream:
            await models.generate_content(model="gemini-2.5-flash", contents="Hello")
            return
        async for _ in await models.generate_content_stream(model="gemini-2.5-flash", contents="Hello"):
            raise AssertionError("a piece of a refused reply")

    with pytest.raises(genai.errors.ClientError) as raised:
        asyncio.run(run())
    asked_once(desk, str(raised.value))


NODE_CALLS = {
    "chat": 429, "chatStream": 429, "responses": 429, "responsesStream": 429, "embeddings": 429, "messages": 402,
    "messagesStream": 402,
}  # fmt: skip


@pytest.mark.parametrize(("call", "status"), NODE_CALLS.items(), ids=list(NODE_CALLS))
def test_the_node_sdks_make_one_request(desk: RunningDesk, call: str, status: int) -> None:
    installed(FOLDER)
    model = "claude-opus-4-8" if status == 402 else "gpt-4o"
    url = f"http://127.0.0.1:{desk.port}"
    calls = [{"name": call, "model": model, "headers": HEADERS, "retries": 2}]
    job = json.dumps({"openai": url + "/v1", "anthropic": url, "calls": calls})
    command = [str(NODE), str(FOLDER / "calls.mjs")]
    done = subprocess.run(command, input=job, capture_output=True, text=True, timeout=NODE_SECONDS, check=True)
    (answer,) = json.loads(done.stdout)
    assert answer["status"] == status
    asked_once(desk, answer["message"])
