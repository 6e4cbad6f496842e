"""The OpenAI Responses API of the scripted provider: JSON, SSE, and fetching, cancelling or deleting a response."""

from collections.abc import Iterator

from majordomo.demo.reply import CREATED, Ask, Reply, encode, json_reply, named_event, sse_reply
from majordomo.demo.script import Json


def answer(ask: Ask) -> Reply | None:
    """The reply to a request under ``/responses``, or None if the path is not one."""
    if ask.path.endswith("/responses"):
        return sse_reply(_events(ask)) if ask.wants_stream else json_reply(_response(ask))
    if "/responses/" not in ask.path:
        return None
    name = ask.path.rpartition("/responses/")[2].partition("/")[0]
    if ask.method == "DELETE":
        return json_reply({"id": name, "object": "response", "deleted": True})
    if ask.path.endswith("/input_items"):
        return json_reply({"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False})
    return json_reply({**_response(ask), "id": name})


def _usage(ask: Ask) -> dict[str, Json]:
    if ask.script.usage is not None:
        return ask.script.usage
    prompt, output = ask.input_tokens, ask.output_tokens
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": prompt + output,
    }


def _output(ask: Ask) -> list[dict[str, Json]]:
    items: list[dict[str, Json]] = []
    if ask.script.thinking is not None:
        summary = [{"type": "summary_text", "text": ask.script.thinking}]
        items.append({"type": "reasoning", "id": ask.id("rs_"), "summary": summary})
    for number in range(ask.script.web_searches):
        action = {"type": "search", "query": f"query {number}"}
        items.append({"type": "web_search_call", "id": ask.id(f"ws_{number}"), "status": "completed", "action": action})
    if not (ask.script.tools and ask.script.text is None):
        content = [{"type": "output_text", "text": ask.text, "annotations": [], "logprobs": []}]
        message = {"type": "message", "id": ask.id("msg_"), "role": "assistant", "status": "completed"}
        items.append({**message, "content": content})
    for number, tool in enumerate(ask.script.tools):
        call = {"type": "function_call", "id": ask.id(f"fc_{number}"), "call_id": ask.id(f"call_{number}")}
        items.append({**call, "name": tool.name, "arguments": encode(tool.input).decode(), "status": "completed"})
    return items


def _response(ask: Ask) -> dict[str, Json]:
    return {
        "id": ask.id("resp_"),
        "object": "response",
        "created_at": CREATED,
        "status": "completed",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": ask.model,
        "output": _output(ask),
        "parallel_tool_calls": True,
        "service_tier": "default",
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": _usage(ask),
        **ask.script.extra,
    }


def _events(ask: Ask) -> Iterator[bytes]:
    for number, event in enumerate(_event_values(ask)):
        yield named_event({**event, "sequence_number": number})


def _event_values(ask: Ask) -> Iterator[dict[str, Json]]:
    whole = _response(ask)
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for index, item in enumerate(whole["output"]):
        yield from _item_events(ask, index, item)
    ending = {"incomplete": "response.incomplete", "failed": "response.failed"}
    yield {"type": ending.get(whole["status"], "response.completed"), "response": whole}


def _item_events(ask: Ask, index: int, item: dict[str, Json]) -> Iterator[dict[str, Json]]:
    where = {"item_id": item["id"], "output_index": index}
    begun = {**item, "status": "in_progress"}
    if item["type"] == "message":
        begun["content"] = []
    if item["type"] == "function_call":
        begun["arguments"] = ""
    yield {"type": "response.output_item.added", "output_index": index, "item": begun}
    if item["type"] == "message":
        part = item["content"][0]
        spot = {**where, "content_index": 0}
        yield {"type": "response.content_part.added", **spot, "part": {**part, "text": ""}}
        for piece in ask.text_pieces:
            yield {"type": "response.output_text.delta", **spot, "delta": piece, "logprobs": []}
        yield {"type": "response.output_text.done", **spot, "text": part["text"], "logprobs": []}
        yield {"type": "response.content_part.done", **spot, "part": part}
    if item["type"] == "function_call":
        yield {"type": "response.function_call_arguments.delta", **where, "delta": item["arguments"]}
        done = {"name": item["name"], "arguments": item["arguments"]}
        yield {"type": "response.function_call_arguments.done", **where, **done}
    yield {"type": "response.output_item.done", "output_index": index, "item": item}
