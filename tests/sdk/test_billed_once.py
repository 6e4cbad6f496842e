"""What several requests are told the usage of, through the whole gateway: one row has the cost, to the last decimal."""

import http.client
import json
from typing import Any
from urllib.request import Request, urlopen

import hand_computed as bills
import openai
import pytest
from gateway_fixture import Gateway

CASE = bills.RESPONSES_SEARCH
SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}}
ENDED = {
    "object": "response",
    "created_at": 1_790_000_000,
    "status": "completed",
    "background": True,
    "model": "gpt-5",
    "output": [SEARCH, SEARCH],
    "service_tier": "default",
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": CASE.script["usage"],
}
RUNNING = {**ENDED, "status": "in_progress", "output": [], "usage": None}


def scripted(headers: dict[str, str], body: str, content_type: str = "application/json") -> dict[str, str]:
    """The headers of a request that is answered with just this body."""
    return {**headers, "x-script": json.dumps({"body": body, "content_type": content_type})}


def costs(gateway: Gateway, tag: str, count: int) -> list[tuple[Any, ...]]:
    """Of each row of a tag, in order: total cost, state, prompt tokens, problems."""
    rows = gateway.rows(tag, count)
    return [(row["total_cost"], row["usage_state"], row["prompt_tokens"], row["problems"]) for row in rows]


TOLD = (CASE.row["total_cost"], "final", CASE.row["prompt_tokens"], [])
NOTHING_YET = (0, "none", None, [])
TOLD_BEFORE = (0, "none", None, ["billed_before"])


@pytest.mark.parametrize("streamed", [False, True])
def test_a_background_response_is_billed_at_the_first_look_at_its_end(
    call: Any, gateway: Gateway, streamed: bool
) -> None:
    """Asked for, polled while it runs, fetched whole three times, once as a stream."""
    made = call()
    name = {"id": f"resp_{made.tag}"}
    running, ended = (json.dumps({**name, **told}) for told in (RUNNING, ENDED))
    events = "".join(
        f"event: {kind}\ndata: " + json.dumps({"type": kind, "response": {**name, **told}}) + "\n\n"
        for kind, told in (("response.created", RUNNING), ("response.completed", ENDED))
    )
    with openai.OpenAI(base_url=gateway.base_url + "/v1", api_key="sk-scripted", max_retries=0) as client:
        first = client.responses.create(
            model="gpt-5", input="Search!", background=True, extra_headers=scripted(made.headers, running)
        )
        polled = client.responses.retrieve(first.id, extra_headers=scripted(made.headers, running))
        assert polled.status == "in_progress"
        as_events = scripted(made.headers, events, "text/event-stream")
        for stream in (streamed, not streamed, False):
            if stream:
                *_, last = client.responses.retrieve(first.id, stream=True, extra_headers=as_events)
                assert last.type == "response.completed"
            else:
                whole = client.responses.retrieve(first.id, extra_headers=scripted(made.headers, ended))
                assert whole.usage is not None and whole.usage.output_tokens == 1234
        client.responses.cancel(first.id, extra_headers=scripted(made.headers, ended))
    told = costs(gateway, made.tag, 6)
    assert told[:2] == [NOTHING_YET, NOTHING_YET]
    # rows of one moment are stored in no particular order: one of the looks has the cost, whichever it is
    assert sorted(told[2:], key=str) == sorted([TOLD, TOLD_BEFORE, TOLD_BEFORE, TOLD_BEFORE], key=str)
    assert {row["api"] for row in gateway.rows(made.tag, 6)} == {"openai.responses", "openai.response"}


def test_a_response_that_was_billed_where_it_was_made_is_free_to_look_at(call: Any, gateway: Gateway) -> None:
    made = call(CASE)
    with openai.OpenAI(base_url=gateway.base_url + "/v1", api_key="sk-scripted", max_retries=0) as client:
        first = client.responses.create(model="gpt-5", input="Search!", extra_headers=made.headers)
        body = json.dumps({**ENDED, "id": first.id, "background": False})
        client.responses.retrieve(first.id, extra_headers=scripted(made.headers, body))
    assert costs(gateway, made.tag, 2) == [TOLD, NOTHING_YET]


def test_the_results_of_a_batch_are_billed_once_however_often_they_are_downloaded(call: Any, gateway: Gateway) -> None:
    """The first download breaks off and leaves its cost unknown; of the whole ones, one has it all."""
    made = call()
    usage = {"input_tokens": 1000, "output_tokens": 100, "service_tier": "batch"}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-4-8", "content": []}
    item = {"custom_id": "a", "result": {"type": "succeeded", "message": {**message, "usage": usage}}}
    lines = (json.dumps(item) + "\n") * 3
    url = f"{gateway.base_url}/v1/messages/batches/msgbatch_{made.tag}/results"
    headers = {**made.headers, "x-api-key": "sk-ant-scripted", "anthropic-version": "2023-06-01"}
    script = {"body": lines, "content_type": "application/x-jsonl"}

    def download(**how: int) -> str:
        asked = Request(url, headers={**headers, "x-script": json.dumps({**script, **how})})
        with urlopen(asked, timeout=30) as reply:
            return reply.read().decode()

    with pytest.raises(http.client.HTTPException):
        download(piece_bytes=300, break_after=2)
    assert [download() for _ in range(3)] == [lines] * 3
    told = costs(gateway, made.tag, 4)
    assert told[0] == (None, "none", None, ["cut", "not_json", "no_usage"])
    # claude-opus-4-8 in a batch: input 2.50, output 12.50.   3 x (1000 x 2.50 + 100 x 12.50) = 11250 millionths
    billed = (bills.usd("0.01125"), "final", 3000, [])
    assert sorted(told[1:], key=str) == sorted([billed, TOLD_BEFORE, TOLD_BEFORE], key=str)
