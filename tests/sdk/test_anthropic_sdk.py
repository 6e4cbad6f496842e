"""The official ``anthropic`` SDK for Python through the gateway: sync, async and streaming, to the last decimal."""

import asyncio
from collections.abc import Iterator
from typing import Any

import anthropic
import hand_computed as bills
import pytest
from gateway_fixture import Gateway

MESSAGES: Any = [{"role": "user", "content": "What is the capital of France?"}]
CASES = pytest.mark.parametrize(
    "case", [bills.MESSAGE_CACHED, bills.MESSAGE_US, bills.MESSAGE_PLAIN], ids=["cached", "us", "plain"]
)


@pytest.fixture
def client(gateway: Gateway) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=gateway.base_url, api_key="sk-ant-scripted", max_retries=0) as made:
        yield made


def run_async(gateway: Gateway, work: Any) -> Any:
    """Run ``work(client)`` with an asynchronous client."""

    async def run() -> Any:
        async with anthropic.AsyncAnthropic(
            base_url=gateway.base_url, api_key="sk-ant-scripted", max_retries=0
        ) as client:
            return await work(client)

    return asyncio.run(run())


def asked(case: bills.Case, headers: dict[str, str]) -> Any:
    """The arguments of a call."""
    return {"model": case.model, "max_tokens": 1024, "messages": MESSAGES, "extra_headers": headers}


@CASES
class TestMessages:
    """Messages, from a plain one to thinking, tools, searches and both cache lifetimes."""

    def test_sync(self, call: Any, client: anthropic.Anthropic, case: bills.Case) -> None:
        made = call(case)
        message = client.messages.create(**asked(case, made.headers))
        assert message.usage.output_tokens == case.row["output_tokens"]
        made.check(streamed=False, request_path="/v1/messages")

    def test_stream(self, call: Any, client: anthropic.Anthropic, case: bills.Case) -> None:
        made = call(case)
        with client.messages.stream(**asked(case, made.headers)) as stream:
            message = stream.get_final_message()
        assert message.usage.output_tokens == case.row["output_tokens"]
        made.check(streamed=True)

    def test_async(self, call: Any, gateway: Gateway, case: bills.Case) -> None:
        made = call(case)
        run_async(gateway, lambda client: client.messages.create(**asked(case, made.headers)))
        made.check(streamed=False)

    def test_async_stream(self, call: Any, gateway: Gateway, case: bills.Case) -> None:
        made = call(case)

        async def read(client: anthropic.AsyncAnthropic) -> list[str]:
            stream = await client.messages.create(**asked(case, made.headers), stream=True)
            return [event.type async for event in stream]

        assert run_async(gateway, read)[-1] == "message_stop"
        made.check(streamed=True)


def test_thinking_tools_and_searches_arrive_whole(call: Any, client: anthropic.Anthropic) -> None:
    made = call(bills.MESSAGE_CACHED)
    with client.messages.stream(**asked(bills.MESSAGE_CACHED, made.headers)) as stream:
        blocks = stream.get_final_message().content
    kinds = [block.type for block in blocks]
    assert (kinds[0], kinds[-1]) == ("thinking", "tool_use")
    assert kinds.count("server_tool_use") == 2
    assert blocks[-1].input == {"city": "Paris"}
    made.check()


@pytest.mark.parametrize("piece_bytes", [1, 7])
def test_a_stream_in_tiny_pieces_is_the_same_stream(call: Any, client: anthropic.Anthropic, piece_bytes: int) -> None:
    case = bills.Case(
        "claude-opus-4-8", {**bills.MESSAGE_CACHED.script, "piece_bytes": piece_bytes}, bills.MESSAGE_CACHED.row
    )
    made = call(case)
    with client.messages.stream(**asked(case, made.headers)) as stream:
        assert stream.get_final_message().stop_reason == "tool_use"
    made.check(streamed=True)


def test_count_tokens_models_and_batches_are_free(call: Any, client: anthropic.Anthropic) -> None:
    works = (
        lambda headers: client.messages.count_tokens(model="claude-opus-4-8", messages=MESSAGES, extra_headers=headers),
        lambda headers: client.models.list(extra_headers=headers),
        lambda headers: client.messages.batches.create(requests=[], extra_headers=headers),
    )
    for work in works:
        made = call()
        work(made.headers)
        made.check(provider="anthropic", usage_state="none", output_tokens=None)


class TestErrors:
    """Errors become the SDK's own exception classes, the gateway's as the provider's."""

    @pytest.mark.parametrize(
        ("status", "error"),
        [
            (400, anthropic.BadRequestError),
            (401, anthropic.AuthenticationError),
            (403, anthropic.PermissionDeniedError),
            (404, anthropic.NotFoundError),
            (429, anthropic.RateLimitError),
            (500, anthropic.InternalServerError),
            (529, anthropic.OverloadedError),
        ],
    )
    def test_the_provider_s_errors_pass(
        self, call: Any, client: anthropic.Anthropic, status: int, error: type[anthropic.APIStatusError]
    ) -> None:
        case = bills.Case("claude-opus-4-8", {"status": status, "error_message": "As scripted."}, {})
        made = call(case)
        with pytest.raises(error, match="As scripted"):
            client.messages.create(**asked(case, made.headers))
        made.check(status_code=status, usage_state="none", outcome="completed")
        assert "As scripted." in made.gateway.row(made.tag)["error_message"]

    @pytest.mark.parametrize(
        ("headers", "told"), [({}, "No gateway key"), ({"X-Majordomo-Key": "mdm_sk_" + "x" * 43}, "not known")]
    )
    def test_a_missing_or_unknown_key(self, client: anthropic.Anthropic, headers: dict[str, str], told: str) -> None:
        with pytest.raises(anthropic.AuthenticationError, match=told) as raised:
            client.messages.create(**asked(bills.MESSAGE_PLAIN, headers))
        assert raised.value.body["type"] == "error"
        assert raised.value.body["error"]["type"] == "authentication_error"

    def test_a_provider_that_breaks_before_it_answers(self, call: Any, client: anthropic.Anthropic) -> None:
        case = bills.Case("claude-opus-4-8", {"break_after": -1}, {})
        made = call(case)
        with pytest.raises(anthropic.InternalServerError) as raised:
            client.messages.create(**asked(case, made.headers))
        assert raised.value.status_code == 502
        assert made.gateway.row(made.tag)["outcome"] == "provider_broke"


def test_the_wait_that_a_provider_asks_for_reaches_the_caller(call: Any, client: anthropic.Anthropic) -> None:
    case = bills.Case(
        "claude-opus-4-8", {"status": 429, "retry_after": "17", "headers": {"x-should-retry": "false"}}, {}
    )
    made = call(case)
    with pytest.raises(anthropic.RateLimitError) as raised:
        client.messages.create(**asked(case, made.headers))
    assert raised.value.response.headers["retry-after"] == "17"
    assert raised.value.response.headers["x-should-retry"] == "false"
    made.check(status_code=429, usage_state="none", error_type="rate_limit_error")


def test_a_retry_is_a_row_of_its_own(gateway: Gateway, call: Any) -> None:
    made = call()
    quick = {"retry-after-ms": "5"}
    gateway.provider.queue({"status": 529, "headers": quick, "times": 2}, bills.MESSAGE_PLAIN.script)
    with anthropic.Anthropic(base_url=gateway.base_url, api_key="sk-ant-scripted", max_retries=2) as client:
        client.messages.create(**asked(bills.MESSAGE_PLAIN, made.headers))
    rows = gateway.rows(made.tag, 3)
    assert [row["status_code"] for row in rows] == [529, 529, 200]
    assert rows[-1]["total_cost"] == bills.MESSAGE_PLAIN.row["total_cost"]


def test_a_cancelled_task_s_stream_is_read_on_and_counted_exactly(gateway: Gateway, call: Any) -> None:
    case = bills.Case(
        "claude-opus-4-8", {**bills.MESSAGE_CACHED.script, "event_delay_ms": 30}, bills.MESSAGE_CACHED.row
    )
    made = call(case)

    async def cancel(client: anthropic.AsyncAnthropic) -> None:
        begun = asyncio.Event()

        async def read() -> None:
            async with client.messages.stream(**asked(case, made.headers)) as stream:
                async for _ in stream:
                    begun.set()

        task = asyncio.create_task(read())
        await begun.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()

    run_async(gateway, cancel)
    made.check(outcome="client_closed", usage_state="drained", streamed=True)
