"""The Anthropic API of the scripted provider: messages (JSON and SSE), count_tokens, models, errors."""

from collections.abc import Iterator
from itertools import islice

from majordomo.demo.reply import Ask, Reply, encode, json_reply, named_event, sse_reply
from majordomo.demo.script import Json

MODELS = ("claude-opus-4-8", "claude-sonnet-5", "claude-haiku-4-5-20251001")

ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}

#: Fields of ``usage`` that a message_delta repeats. It carries no cache split, tier, geo or speed.
DELTA_FIELDS = (
    "input_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "output_tokens",
    "output_tokens_details",
    "server_tool_use",
    "iterations",
)


def answer(ask: Ask) -> Reply | None:
    """The reply to a request on an Anthropic path, or None if the path is not one."""
    path = ask.path
    if path.endswith("/messages/count_tokens"):
        return json_reply({"input_tokens": (ask.script.usage or {}).get("input_tokens", ask.input_tokens)})
    if path.endswith("/messages"):
        return sse_reply(_stream(ask)) if ask.wants_stream else json_reply(_message(ask))
    if "/messages/batches" in path:
        return _batches(ask)
    return None


def models(ask: Ask) -> Reply:
    """The list of models, or one of them."""
    name = ask.path.rpartition("/models")[2].strip("/")
    if name:
        return json_reply(_model(name))
    first, last = MODELS[0], MODELS[-1]
    return json_reply({"data": [_model(m) for m in MODELS], "has_more": False, "first_id": first, "last_id": last})


def error(status: int, kind: str | None, message: str) -> Json:
    """The body of an Anthropic error."""
    kind = kind or ERROR_TYPES.get(status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_scripted"}


def _model(name: str) -> Json:
    return {"type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z"}


def _usage(ask: Ask) -> dict[str, Json]:
    if ask.script.usage is not None:
        return ask.script.usage
    usage: dict[str, Json] = {
        "input_tokens": ask.input_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": ask.output_tokens,
        "service_tier": "standard",
        "inference_geo": "not_available",
    }
    if ask.script.web_searches:
        usage["server_tool_use"] = {"web_search_requests": ask.script.web_searches, "web_fetch_requests": 0}
    return usage


def _blocks(ask: Ask) -> list[dict[str, Json]]:
    blocks: list[dict[str, Json]] = []
    if ask.script.thinking is not None:
        blocks.append({"type": "thinking", "thinking": ask.script.thinking, "signature": "c2NyaXB0ZWQ="})
    if ask.script.redacted_thinking:
        blocks.append({"type": "redacted_thinking", "data": "c2NyaXB0ZWQ="})
    for number in range(ask.script.web_searches):
        use = ask.id(f"srvtoolu_{number}")
        blocks.append({"type": "server_tool_use", "id": use, "name": "web_search", "input": {"query": "weather"}})
        blocks.append({"type": "web_search_tool_result", "tool_use_id": use, "content": []})
    if ask.text and not (ask.script.tools and ask.script.text is None):
        blocks.append({"type": "text", "text": ask.text})
    for number, tool in enumerate(ask.script.tools):
        blocks.append({"type": "tool_use", "id": ask.id(f"toolu_{number}"), "name": tool.name, "input": tool.input})
    return blocks


def _stop_reason(ask: Ask) -> str:
    return ask.script.stop_reason or ("tool_use" if ask.script.tools else "end_turn")


def _message(ask: Ask) -> dict[str, Json]:
    return {
        "id": ask.id("msg_"),
        "type": "message",
        "role": "assistant",
        "model": ask.model,
        "content": _blocks(ask),
        "stop_reason": _stop_reason(ask),
        "stop_sequence": None,
        "usage": _usage(ask),
        **ask.script.extra,
    }


def _stream(ask: Ask) -> Iterator[bytes]:
    yield from islice(_events(ask), ask.script.error_after)
    if ask.script.error_after is not None:
        told = error(529, ask.script.error_type, ask.script.error_message or "Overloaded (scripted).")
        yield named_event(told)


def _events(ask: Ask) -> Iterator[bytes]:
    usage = _usage(ask)
    start = {**_message(ask), "content": [], "stop_reason": None}
    start["usage"] = {name: value for name, value in usage.items() if name not in ("server_tool_use", "iterations")}
    if ask.script.start_usage is not None:
        start["usage"] = ask.script.start_usage
    elif "output_tokens" in usage:
        start["usage"]["output_tokens"] = min(1, usage["output_tokens"])
    yield named_event({"type": "message_start", "message": start})
    yield named_event({"type": "ping"})
    for index, block in enumerate(_blocks(ask)):
        yield from _block_events(ask, index, block)
    final = ask.script.stream_usage
    if final is None:
        final = {name: usage[name] for name in DELTA_FIELDS if name in usage}
    stop = {"stop_reason": _stop_reason(ask), "stop_sequence": None}
    yield named_event({"type": "message_delta", "delta": stop, "usage": final})
    yield named_event({"type": "message_stop"})


def _block_events(ask: Ask, index: int, block: dict[str, Json]) -> Iterator[bytes]:
    kind = block["type"]
    deltas: list[dict[str, Json]] = []
    if kind == "text":
        opening = {**block, "text": ""}
        deltas = [{"type": "text_delta", "text": piece} for piece in ask.text_pieces]
    elif kind == "thinking":
        opening = {**block, "thinking": "", "signature": ""}
        deltas = [
            {"type": "thinking_delta", "thinking": block["thinking"]},
            {"type": "signature_delta", "signature": block["signature"]},
        ]
    elif kind in ("tool_use", "server_tool_use"):
        opening = {**block, "input": {}}
        text = encode(block["input"]).decode()
        half = len(text) // 2
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in (text[:half], text[half:])]
    else:
        opening = block
    yield named_event({"type": "content_block_start", "index": index, "content_block": opening})
    for delta in deltas:
        yield named_event({"type": "content_block_delta", "index": index, "delta": delta})
    yield named_event({"type": "content_block_stop", "index": index})


def _batches(ask: Ask) -> Reply:
    """One finished batch with one result: enough for an SDK to create, poll and read it."""
    if ask.path.endswith("/results"):
        inner = Ask(ask.method, ask.path, "", ask.headers, ask.body, {"model": ask.model}, ask.script)
        item = {"custom_id": "first", "result": {"type": "succeeded", "message": _message(inner)}}
        return Reply(200, (("content-type", "application/x-jsonl"),), (encode(item) + b"\n",))
    base = f"http://{ask.header('host')}{ask.path.partition('/messages/batches')[0]}/messages/batches"
    batch = {
        "id": "msgbatch_scripted",
        "type": "message_batch",
        "processing_status": "ended",
        "request_counts": {"processing": 0, "succeeded": 1, "errored": 0, "canceled": 0, "expired": 0},
        "created_at": "2026-11-01T00:00:00Z",
        "expires_at": "2026-11-02T00:00:00Z",
        "ended_at": "2026-11-01T00:10:00Z",
        "archived_at": None,
        "cancel_initiated_at": None,
        "results_url": f"{base}/msgbatch_scripted/results",
    }
    if ask.method == "GET" and ask.path.endswith("/batches"):
        return json_reply({"data": [batch], "has_more": False, "first_id": batch["id"], "last_id": batch["id"]})
    return json_reply(batch)
