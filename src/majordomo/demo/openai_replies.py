"""The OpenAI API of the scripted provider, and of everything compatible with it: chat, completions, embeddings, errors.

The Responses API stands in ``responses_replies.py``, images and audio in ``media_replies.py``.
"""

import base64
import struct
from collections.abc import Iterator

from majordomo.demo import media_replies, responses_replies
from majordomo.demo.reply import CREATED, Ask, Reply, data_event, encode, json_reply, sse_reply
from majordomo.demo.script import Json

MODELS = ("gpt-4o", "gpt-4o-mini", "text-embedding-3-small")

#: Length of the vectors that embeddings return: short, as nobody looks at them.
DIMENSIONS = 8

DONE = b"data: [DONE]\n\n"

ERROR_TYPES = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
}


def answer(ask: Ask) -> Reply | None:
    """The reply to a request on an OpenAI path, or None if the path is not one."""
    path = ask.path
    if path.endswith("/chat/completions"):
        return sse_reply(_chat_events(ask)) if ask.wants_stream else json_reply(_chat(ask))
    if path.endswith("/completions"):
        return sse_reply(_completion_events(ask)) if ask.wants_stream else json_reply(_completion(ask))
    if path.endswith("/embeddings"):
        return json_reply(_embeddings(ask))
    if path.endswith("/moderations"):
        result = {"flagged": False, "categories": {}, "category_scores": {}, "category_applied_input_types": {}}
        return json_reply({"id": ask.id("modr-"), "model": ask.model, "results": [result]})
    return responses_replies.answer(ask) or media_replies.answer(ask)


def models(ask: Ask) -> Reply:
    """The list of models, or one of them."""
    name = ask.path.rpartition("/models")[2].strip("/")
    return json_reply(_model(name) if name else {"object": "list", "data": [_model(m) for m in MODELS]})


def error(status: int, kind: str | None, message: str) -> Json:
    """The body of an OpenAI error."""
    usual, code = ERROR_TYPES.get(status, ("server_error", None))
    return {"error": {"message": message, "type": kind or usual, "param": None, "code": code}}


def usage_of(ask: Ask) -> dict[str, Json]:
    """The usage object of chat and completions."""
    if ask.script.usage is not None:
        return ask.script.usage
    prompt, output = ask.input_tokens, ask.output_tokens
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def _model(name: str) -> Json:
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "scripted"}


def _chat_head(ask: Ask, kind: str) -> dict[str, Json]:
    head = {"id": ask.id("chatcmpl-"), "object": kind, "created": CREATED, "model": ask.model}
    return {**head, "service_tier": "default", "system_fingerprint": None, **ask.script.extra}


def _tool_calls(ask: Ask) -> list[Json]:
    return [
        {
            "id": ask.id(f"call_{number}"),
            "type": "function",
            "function": {"name": tool.name, "arguments": encode(tool.input).decode()},
        }
        for number, tool in enumerate(ask.script.tools)
    ]


def _finish(ask: Ask) -> str:
    return ask.script.stop_reason or ("tool_calls" if ask.script.tools else "stop")


def _chat(ask: Ask) -> Json:
    silent = bool(ask.script.tools) and ask.script.text is None
    message: dict[str, Json] = {"role": "assistant", "content": None if silent else ask.text, "refusal": None}
    if ask.script.tools:
        message["tool_calls"] = _tool_calls(ask)
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(ask)}
    return {**_chat_head(ask, "chat.completion"), "choices": [choice], "usage": usage_of(ask)}


def _asked_for_usage(ask: Ask) -> bool:
    options = ask.json.get("stream_options") if isinstance(ask.json, dict) else None
    return isinstance(options, dict) and options.get("include_usage") is True


def _with_usage(ask: Ask, head: dict[str, Json], choices: Iterator[list[Json]]) -> Iterator[bytes]:
    """With include_usage every chunk says ``"usage": null`` and one more, without choices, says the counts."""
    asked = _asked_for_usage(ask)
    for choice in choices:
        yield data_event({**head, "choices": choice, **({"usage": None} if asked else {})})
    if asked:
        yield data_event({**head, "choices": [], "usage": usage_of(ask)})
    yield DONE


def _chat_events(ask: Ask) -> Iterator[bytes]:
    return _with_usage(ask, _chat_head(ask, "chat.completion.chunk"), _chat_choices(ask))


def _chat_choices(ask: Ask) -> Iterator[list[Json]]:
    yield [_delta({"role": "assistant", "content": "", "refusal": None})]
    if not (ask.script.tools and ask.script.text is None):
        for piece in ask.text_pieces:
            yield [_delta({"content": piece})]
    for index, call in enumerate(_tool_calls(ask)):
        arguments = call["function"]["arguments"]
        opening = {**call, "index": index, "function": {**call["function"], "arguments": ""}}
        yield [_delta({"tool_calls": [opening]})]
        yield [_delta({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]})]
    yield [{**_delta({}), "finish_reason": _finish(ask)}]


def _delta(delta: dict[str, Json]) -> dict[str, Json]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}


def _completion_head(ask: Ask) -> dict[str, Json]:
    head = {"id": ask.id("cmpl-"), "object": "text_completion", "created": CREATED, "model": ask.model}
    return {**head, **ask.script.extra}


def _completion_choice(text: str, finish: str | None) -> list[Json]:
    return [{"index": 0, "text": text, "logprobs": None, "finish_reason": finish}]


def _completion(ask: Ask) -> Json:
    return {**_completion_head(ask), "choices": _completion_choice(ask.text, _finish(ask)), "usage": usage_of(ask)}


def _completion_events(ask: Ask) -> Iterator[bytes]:
    choices = [_completion_choice(piece, None) for piece in ask.text_pieces]
    choices.append(_completion_choice("", _finish(ask)))
    return _with_usage(ask, _completion_head(ask), iter(choices))


def _embeddings(ask: Ask) -> Json:
    asked = ask.json if isinstance(ask.json, dict) else {}
    inputs = asked.get("input")
    count = len(inputs) if isinstance(inputs, list) and inputs and not isinstance(inputs[0], int) else 1
    vector: Json = [0.125] * DIMENSIONS
    if asked.get("encoding_format") == "base64":
        vector = base64.b64encode(struct.pack(f"<{DIMENSIONS}f", *vector)).decode()
    data = [{"object": "embedding", "index": index, "embedding": vector} for index in range(count)]
    usage = ask.script.usage or {"prompt_tokens": ask.input_tokens, "total_tokens": ask.input_tokens}
    return {"object": "list", "data": data, "model": ask.model, "usage": usage, **ask.script.extra}
