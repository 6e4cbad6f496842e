"""The official Node SDKs ``openai`` and ``@anthropic-ai/sdk`` through the gateway, to the last decimal."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hand_computed as bills
import pytest
from gateway_fixture import Gateway
from node_packages import NODE, installed

FOLDER = Path(__file__).with_name("node")
TEXT = "Certainly. Here is a short and friendly answer."

#: Seconds for one run of Node.
NODE_SECONDS = 60


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The pinned SDKs."""
    return installed(FOLDER)


Node = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def node(gateway: Gateway, node_modules: Path) -> Node:
    """Make calls with the Node SDKs; their answers in order."""

    def run(*calls: dict[str, Any]) -> list[dict[str, Any]]:
        job = {"openai": gateway.base_url + "/v1", "anthropic": gateway.base_url, "calls": calls}
        command = [str(NODE), str(FOLDER / "calls.mjs")]
        done = subprocess.run(
            command, input=json.dumps(job), capture_output=True, text=True, timeout=NODE_SECONDS, check=False
        )
        assert done.returncode == 0, done.stderr
        answers: list[dict[str, Any]] = json.loads(done.stdout)
        return answers

    return run


OPENAI_CALLS = [
    ("chat", bills.CHAT_CACHED, {"text": TEXT, "output": 77}, False),
    ("chat", bills.CHAT_REASONING, {"text": TEXT, "output": 640}, False),
    ("chatStream", bills.CHAT_CACHED, {"text": TEXT}, True),
    ("chatStreamUsage", bills.CHAT_REASONING, {"output": 640}, True),
    ("responses", bills.RESPONSES_SEARCH, {"text": TEXT, "output": 1234}, False),
    ("responsesStream", bills.RESPONSES_SEARCH, {"last": "response.completed", "output": 1234}, True),
    ("embeddings", bills.EMBEDDING, {"length": 8}, False),
]

KINDS = ["thinking"] + ["server_tool_use", "web_search_tool_result"] * 2 + ["tool_use"]
ANTHROPIC_CALLS = [
    ("messages", bills.MESSAGE_CACHED, {"kinds": KINDS, "output": 393}, False),
    ("messagesStream", bills.MESSAGE_CACHED, {"kinds": KINDS, "output": 393}, True),
    ("messages", bills.MESSAGE_US, {"kinds": ["text"], "output": 100}, False),
    ("messagesStream", bills.MESSAGE_PLAIN, {"kinds": ["text"], "output": 111}, True),
]


@pytest.mark.parametrize("table", [OPENAI_CALLS, ANTHROPIC_CALLS], ids=["openai", "anthropic"])
def test_every_call_is_answered_and_billed(call: Any, node: Node, table: list[Any]) -> None:
    made = [call(case) for _, case, _, _ in table]
    calls = [
        {"name": name, "model": case.model, "headers": one.headers}
        for (name, case, _, _), one in zip(table, made, strict=True)
    ]
    assert node(*calls) == [expected for _, _, expected, _ in table]
    for (_, _, _, streamed), one in zip(table, made, strict=True):
        one.check(streamed=streamed)


def test_count_tokens_is_free(call: Any, node: Node) -> None:
    made = call()
    assert node({"name": "countTokens", "model": "claude-opus-4-8", "headers": made.headers}) == [{"counted": True}]
    made.check(usage_state="none", output_tokens=None)


def test_errors_become_the_sdks_own_classes(call: Any, node: Node) -> None:
    wanted = [
        (400, "BadRequestError"),
        (401, "AuthenticationError"),
        (404, "NotFoundError"),
        (429, "RateLimitError"),
        (500, "InternalServerError"),
    ]
    calls = []
    for name, model in (("chat", "gpt-4o"), ("messages", "claude-opus-4-8")):
        for status, _ in wanted:
            calls.append(
                {"name": name, "model": model, "headers": call(bills.Case(model, {"status": status}, {})).headers}
            )
    answers = node(*calls)
    assert [(answer["status"], answer["error"]) for answer in answers] == wanted * 2


def test_the_gateway_s_own_errors_are_understood(call: Any, node: Node) -> None:
    unknown = {"X-Majordomo-Key": "mdm_sk_" + "x" * 43}
    calls = [
        {"name": name, "model": model, "headers": headers}
        for name, model in (("chat", "gpt-4o"), ("messages", "claude-opus-4-8"))
        for headers in ({}, unknown)
    ]
    answers = node(*calls)
    assert {(answer["status"], answer["error"]) for answer in answers} == {(401, "AuthenticationError")}
    assert ["No gateway key" in answer["message"] for answer in answers] == [True, False, True, False]
    assert ["not known" in answer["message"] for answer in answers] == [False, True, False, True]


def test_a_retry_is_a_row_of_its_own(gateway: Gateway, call: Any, node: Node) -> None:
    made = call()
    gateway.provider.queue({"status": 529, "headers": {"retry-after-ms": "5"}}, bills.MESSAGE_PLAIN.script)
    answers = node({"name": "messages", "model": bills.MESSAGE_PLAIN.model, "headers": made.headers, "retries": 2})
    assert answers == [{"kinds": ["text"], "output": 111}]
    rows = gateway.rows(made.tag, 2)
    assert [row["status_code"] for row in rows] == [529, 200]
    assert rows[-1]["total_cost"] == bills.MESSAGE_PLAIN.row["total_cost"]


def test_an_aborted_stream_is_read_on_and_counted_exactly(call: Any, node: Node) -> None:
    chat = call(bills.Case("gpt-4o", {**bills.CHAT_CACHED.script, "event_delay_ms": 30}, bills.CHAT_CACHED.row))
    cached = bills.MESSAGE_CACHED
    message = call(bills.Case(cached.model, {**cached.script, "event_delay_ms": 30}, cached.row))
    answers = node(
        {"name": "chatCancelled", "model": "gpt-4o", "headers": chat.headers},
        {"name": "messagesCancelled", "model": cached.model, "headers": message.headers},
    )
    assert answers == [{"first": "chat.completion.chunk"}, {"first": "message_start"}]
    chat.check(outcome="client_closed", usage_state="drained", streamed=True)
    message.check(outcome="client_closed", usage_state="drained", streamed=True)
