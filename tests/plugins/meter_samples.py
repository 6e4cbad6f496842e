"""Replies as providers send them, each with what must be read in it. The numbers are worked out by hand."""

from typing import Any

import msgspec

from majordomo.apis import Api
from majordomo.meter.readers import reader_for
from majordomo.meter.reading import Part, Reading, RequestFacts

JSON = "application/json"
SSE = "text/event-stream; charset=utf-8"
LIMIT = 1 << 20
FACTS = RequestFacts(input_bytes=4_000)


class Sample(msgspec.Struct, frozen=True):
    """One reply."""

    name: str
    api: Api
    content_type: str
    body: bytes
    counts: list[dict[str, int]]  # of each part, by bucket
    columns: dict[str, Any]  # of the reading
    total: int | None  # the provider's own total of the tokens billed, where it tells one
    facts: RequestFacts = msgspec.field(default_factory=lambda: FACTS)


def text(value: Any) -> bytes:
    """JSON as most providers write it."""
    return msgspec.json.encode(value)


def events(*values: Any, named: bool = False, done: bool = False, end: bytes = b"\n") -> bytes:
    """An event stream of JSON values."""
    out = []
    for value in values:
        name = b"event: " + value["type"].encode() + end if named else b""
        out.append(name + b"data: " + text(value) + end + end)
    return b"".join(out) + (b"data: [DONE]" + end + end if done else b"")


def read(
    api: Api,
    body: bytes | list[bytes],
    content_type: str = JSON,
    *,
    encoding: str = "",
    status: int = 200,
    complete: bool = True,
    facts: RequestFacts = FACTS,
    limit: int = LIMIT,
) -> Reading:
    """A reading of ``body``, fed in the given pieces."""
    reader = reader_for(api, status=status, content_type=content_type, content_encoding=encoding, limit=limit)
    for piece in [body] if isinstance(body, bytes) else body:
        reader.feed(piece)
    return reader.finish(facts, complete=complete)


def billed(reading: Reading) -> list[dict[str, int]]:
    """The counts of each part, by the buckets' values."""
    return [{str(bucket): amount for bucket, amount in part.counts.items()} for part in reading.parts]


def tokens(parts: tuple[Part, ...]) -> int:
    """All tokens of all parts."""
    others = {"web_search", "file_search", "grounding", "characters", "audio_seconds", "images"}
    return sum(amount for part in parts for bucket, amount in part.counts.items() if bucket not in others)


# --- Anthropic

MESSAGE_USAGE = {
    "input_tokens": 12,
    "cache_creation_input_tokens": 700,
    "cache_read_input_tokens": 9_000,
    "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 500},
    "output_tokens": 345,
    "output_tokens_details": {"thinking_tokens": 100},
    "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 1},
    "service_tier": "standard",
    "inference_geo": "us",
    "speed": "fast",
}
MESSAGE = {
    "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
    "type": "message",
    "role": "assistant",
    "model": "claude-opus-5-20260401",
    "content": [
        {"type": "thinking", "thinking": "The user greets me.", "signature": "EqQBCgIYAhIM1gbcDa9GJwZA2b3h"},
        {"type": "text", "text": 'Hello, "world" \\ \u00e9\u4e2d\U0001f600'},
    ],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": MESSAGE_USAGE,
}
MESSAGE_COUNTS = {
    "input": 12,
    "output": 345,
    "cache_read": 9_000,
    "cache_write_5m": 200,
    "cache_write_1h": 500,
    "web_search": 2,
}
MESSAGE_COLUMNS = {
    "model": "claude-opus-5-20260401",
    "state": "final",
    "input_tokens": 12,
    "output_tokens": 345,
    "cached_tokens": 9_000,
    "cache_creation_tokens": 700,
    "cache_creation_5m_tokens": 200,
    "cache_creation_1h_tokens": 500,
    "reasoning_tokens": 100,
    "prompt_tokens": 9_712,
    "service_tier": "standard",
    "geo": "us",
    "speed": "fast",
    "batch": False,
    "stop_reason": "end_turn",
    "problems": (),
}


def message_start(usage: dict[str, Any], model: str = "claude-opus-5-20260401") -> dict[str, Any]:
    """The first event of a message."""
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": []}
    return {"type": "message_start", "message": {**message, "stop_reason": None, "usage": usage}}


def text_delta(value: str) -> dict[str, Any]:
    """A piece of a text block."""
    return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": value}}


def message_delta(usage: dict[str, Any], stop_reason: str | None = "end_turn") -> dict[str, Any]:
    """The event that tells the cumulative usage."""
    return {"type": "message_delta", "delta": {"stop_reason": stop_reason, "stop_sequence": None}, "usage": usage}


#: In a stream the split, tier, geo and speed come at the start, and the rest once more at the end, cumulative.
MESSAGE_STREAM = events(
    message_start({**MESSAGE_USAGE, "output_tokens": 3, "output_tokens_details": None, "server_tool_use": None}),
    {"type": "ping"},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "The user greets me."}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "EqQBCgIYAhIM1gbc"}},
    {"type": "content_block_stop", "index": 0},
    text_delta('Hello, "world" \\ \u00e9\u4e2d\U0001f600'),
    message_delta(
        {
            "input_tokens": 12,
            "cache_creation_input_tokens": 700,
            "cache_read_input_tokens": 9_000,
            "output_tokens": 345,
            "output_tokens_details": {"thinking_tokens": 100},
            "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 1},
        }
    ),
    {"type": "message_stop"},
    named=True,
)

# --- OpenAI

CHAT_USAGE = {
    "prompt_tokens": 2_006,
    "completion_tokens": 300,
    "total_tokens": 2_306,
    "prompt_tokens_details": {"cached_tokens": 1_024, "audio_tokens": 100, "cache_write_tokens": 512},
    "completion_tokens_details": {
        "reasoning_tokens": 64,
        "audio_tokens": 50,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 10,
    },
}
CHAT_COUNTS = {
    "input": 370,
    "input_audio": 100,
    "cache_read": 1_024,
    "cache_write": 512,
    "output": 250,
    "output_audio": 50,
}
CHAT_COLUMNS = {
    "model": "gpt-5.6-2026-02-01",
    "state": "final",
    "input_tokens": 2_006,
    "output_tokens": 300,
    "cached_tokens": 1_024,
    "cache_creation_tokens": 512,
    "reasoning_tokens": 64,
    "prompt_tokens": 2_006,
    "service_tier": "priority",
    "stop_reason": "stop",
    "problems": (),
}
CHAT = {
    "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
    "object": "chat.completion",
    "created": 1741569952,
    "model": "gpt-5.6-2026-02-01",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": 'Say "usage": {"prompt_tokens": 1}', "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": CHAT_USAGE,
    "service_tier": "priority",
}


def chunk(delta: dict[str, Any] | None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """A piece of a chat completion; without a delta, the one after the last choice."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1741570283, "model": "gpt-5.6-2026-02-01"}
    return {**head, "service_tier": "priority", "choices": choices, "usage": None, **more}


CHAT_STREAM = events(
    chunk({"role": "assistant", "content": "", "refusal": None}, obfuscation="aF3"),
    chunk({"content": 'Say "usage"'}, obfuscation="x"),
    chunk({"content": ': {"prompt_tokens": 1}'}),
    chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"city":"Bern"}'}}]}),
    chunk({}, "stop"),
    chunk(None, usage=CHAT_USAGE),
    done=True,
)

RESPONSE_USAGE = {
    "input_tokens": 1_500,
    "input_tokens_details": {"cached_tokens": 1_000, "cache_write_tokens": 200},
    "output_tokens": 400,
    "output_tokens_details": {"reasoning_tokens": 320},
    "total_tokens": 1_900,
}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "model": "gpt-5.6-2026-02-01",
    "service_tier": "default",
    "error": None,
    "incomplete_details": None,
    "tools": [{"type": "web_search"}, {"type": "function", "name": "f"}],
    "output": [
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
        {"type": "web_search_call", "id": "ws_2", "status": "completed", "action": {"type": "open_page", "url": "u"}},
        {"type": "web_search_call", "id": "ws_3", "status": "completed"},
        {"type": "file_search_call", "id": "fs_1", "status": "completed", "queries": ["a"]},
        {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "Hi."}]},
    ],
    "usage": RESPONSE_USAGE,
}
RESPONSE_COUNTS = {
    "input": 300,
    "cache_read": 1_000,
    "cache_write": 200,
    "output": 400,
    "web_search": 2,
    "file_search": 1,
}
RESPONSE_COLUMNS = {
    "model": "gpt-5.6-2026-02-01",
    "state": "final",
    "input_tokens": 1_500,
    "output_tokens": 400,
    "cached_tokens": 1_000,
    "cache_creation_tokens": 200,
    "reasoning_tokens": 320,
    "prompt_tokens": 1_500,
    "service_tier": "default",
    "stop_reason": "completed",
    "problems": (),
}
STARTED = {"status": "in_progress", "output": [], "usage": None}
RESPONSE_STREAM = events(
    {
        "type": "response.created",
        "sequence_number": 0,
        "response": {**RESPONSE, **STARTED},
    },
    {"type": "response.output_item.done", "output_index": 1, "item": RESPONSE["output"][1], "sequence_number": 1},
    {"type": "response.output_text.delta", "sequence_number": 2, "item_id": "msg_1", "delta": 'H"i.', "logprobs": []},
    {"type": "response.output_text.done", "sequence_number": 3, "item_id": "msg_1", "text": 'H"i.'},
    {"type": "response.completed", "sequence_number": 4, "response": RESPONSE},
    named=True,
)

IMAGE_USAGE = {
    "total_tokens": 1_650,
    "input_tokens": 50,
    "output_tokens": 1_600,
    "input_tokens_details": {"text_tokens": 20, "image_tokens": 30},
}
IMAGE_COUNTS = {"input": 20, "input_image": 30, "output_image": 1_600}
IMAGE_COLUMNS = {"model": None, "state": "final", "input_tokens": 50, "output_tokens": 1_600, "problems": ()}

TRANSCRIPT_USAGE = {
    "type": "tokens",
    "input_tokens": 114,
    "input_token_details": {"text_tokens": 14, "audio_tokens": 100},
    "output_tokens": 31,
    "total_tokens": 145,
}

# --- Gemini

GEMINI_USAGE = {
    "promptTokenCount": 1_000,
    "cachedContentTokenCount": 600,
    "candidatesTokenCount": 198,
    "thoughtsTokenCount": 405,
    "toolUsePromptTokenCount": 40,
    "totalTokenCount": 1_643,
    "promptTokensDetails": [
        {"modality": "TEXT", "tokenCount": 300},
        {"modality": "AUDIO", "tokenCount": 500},
        {"modality": "TEXT", "tokenCount": 100},
        {"modality": "DOCUMENT", "tokenCount": 60},
        {"modality": "VIDEO", "tokenCount": 40},
    ],
    "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 350}, {"modality": "AUDIO", "tokenCount": 250}],
    "toolUsePromptTokensDetails": [{"modality": "TEXT", "tokenCount": 40}],
    "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 98}, {"modality": "IMAGE", "tokenCount": 100}],
    "serviceTier": "flex",
}
GEMINI_COUNTS = {
    "input": 90,
    "input_audio": 250,
    "input_image": 60,
    "input_video": 40,
    "cache_read": 350,
    "cache_read_audio": 250,
    "output": 503,
    "output_image": 100,
    "grounding": 2,
}
GEMINI_COLUMNS = {
    "model": "gemini-3-pro",
    "state": "final",
    "input_tokens": 1_000,
    "output_tokens": 603,
    "cached_tokens": 600,
    "reasoning_tokens": 405,
    "prompt_tokens": 1_040,
    "service_tier": "flex",
    "stop_reason": "STOP",
    "problems": (),
}


def piece(value: str, usage: dict[str, Any] | None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """A piece of a Gemini stream; a whole reply looks alike."""
    candidate: dict[str, Any] = {"content": {"parts": [{"text": value}], "role": "model"}, "index": 0, **more}
    if finish is not None:
        candidate["finishReason"] = finish
    reply: dict[str, Any] = {"candidates": [candidate], "modelVersion": "gemini-3-pro", "responseId": "r"}
    if usage is not None:
        reply["usageMetadata"] = usage
    return reply


GROUNDING = {"groundingMetadata": {"webSearchQueries": ["a", "b", ""], "groundingChunks": []}}
GEMINI_PIECES = [
    piece('Say "}]"', {"promptTokenCount": 1_000, "totalTokenCount": 1_000}),
    piece(" [{ and \\", {"promptTokenCount": 1_000, "candidatesTokenCount": 60, "totalTokenCount": 1_060}),
    piece(".", GEMINI_USAGE, "STOP", **GROUNDING),
]

SAMPLES = [
    Sample("message", Api.ANTHROPIC_MESSAGES, JSON, text(MESSAGE), [MESSAGE_COUNTS], MESSAGE_COLUMNS, 10_057),
    Sample("message stream", Api.ANTHROPIC_MESSAGES, SSE, MESSAGE_STREAM, [MESSAGE_COUNTS], MESSAGE_COLUMNS, 10_057),
    Sample(
        "batch results",
        Api.ANTHROPIC_BATCH_RESULTS,
        "application/x-jsonl",
        b"\n".join(
            text({"custom_id": str(number), "result": result})
            for number, result in enumerate(
                [
                    {"type": "succeeded", "message": {**MESSAGE, "usage": {**MESSAGE_USAGE, "service_tier": "batch"}}},
                    {"type": "errored", "error": {"type": "error", "error": {"type": "invalid_request_error"}}},
                    {"type": "succeeded", "message": {**MESSAGE, "usage": {"input_tokens": 88, "output_tokens": 5}}},
                    {"type": "expired"},
                ]
            )
        ),
        [{**MESSAGE_COUNTS, "input": 100, "output": 350}],
        {**MESSAGE_COLUMNS, "batch": True, "input_tokens": 100, "output_tokens": 350, "prompt_tokens": 9_800}
        | {"service_tier": "batch", "stop_reason": None},
        10_150,
    ),
    Sample("chat", Api.OPENAI_CHAT, JSON, text(CHAT), [CHAT_COUNTS], CHAT_COLUMNS, 2_306),
    Sample("chat stream", Api.OPENAI_CHAT, SSE, CHAT_STREAM, [CHAT_COUNTS], CHAT_COLUMNS, 2_306),
    Sample(
        "completion",
        Api.OPENAI_COMPLETIONS,
        JSON,
        text(
            {
                "object": "text_completion",
                "model": "gpt-3.5-turbo-instruct",
                "choices": [{"text": "\n\nThis is a test", "index": 0, "logprobs": None, "finish_reason": "length"}],
                "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
            }
        ),
        [{"input": 5, "output": 7}],
        {"model": "gpt-3.5-turbo-instruct", "state": "final", "stop_reason": "length", "problems": ()},
        12,
    ),
    Sample("response", Api.OPENAI_RESPONSES, JSON, text(RESPONSE), [RESPONSE_COUNTS], RESPONSE_COLUMNS, 1_900),
    Sample(
        "background response, fetched",
        Api.OPENAI_RESPONSE,
        JSON,
        text({**RESPONSE, "background": True}),
        [RESPONSE_COUNTS],
        {**RESPONSE_COLUMNS, "billed_once": "response:" + RESPONSE["id"]},
        1_900,
    ),
    Sample(
        "background response stream, fetched",
        Api.OPENAI_RESPONSE,
        SSE,
        RESPONSE_STREAM.replace(b'"response":{', b'"response":{"background":true,'),
        [RESPONSE_COUNTS],
        {**RESPONSE_COLUMNS, "billed_once": "response:" + RESPONSE["id"]},
        1_900,
    ),
    Sample("response stream", Api.OPENAI_RESPONSES, SSE, RESPONSE_STREAM, [RESPONSE_COUNTS], RESPONSE_COLUMNS, 1_900),
    Sample(
        "embeddings",
        Api.OPENAI_EMBEDDINGS,
        JSON,
        text(
            {
                "object": "list",
                "data": [{"object": "embedding", "index": 0, "embedding": [0.0023064255, -0.009327292, 1e-05]}],
                "model": "text-embedding-3-large",
                "usage": {"prompt_tokens": 8, "total_tokens": 8},
            }
        ),
        [{"input": 8}],
        {"model": "text-embedding-3-large", "state": "final", "input_tokens": 8, "output_tokens": 0, "problems": ()},
        8,
    ),
    Sample(
        "images",
        Api.OPENAI_IMAGES,
        JSON,
        text({"created": 1713833628, "data": [{"b64_json": "iVBORw0KGgo="}], "usage": IMAGE_USAGE}),
        [IMAGE_COUNTS],
        IMAGE_COLUMNS,
        1_650,
    ),
    Sample(
        "images stream",
        Api.OPENAI_IMAGES,
        SSE,
        events(
            {"type": "image_generation.partial_image", "b64_json": "iVBORw0KGgo=", "partial_image_index": 0},
            {"type": "image_generation.completed", "b64_json": "iVBORw0KGgo=", "usage": IMAGE_USAGE},
            named=True,
        ),
        [IMAGE_COUNTS],
        IMAGE_COLUMNS,
        1_650,
    ),
    Sample(
        "speech",
        Api.OPENAI_SPEECH,
        "audio/mpeg",
        b"\xff\xf3\xe4\xc4" + bytes(range(256)),
        [{"characters": 42}],
        {"state": "final", "problems": ()},
        None,
        RequestFacts(model="tts-1-hd", characters=42, input_bytes=90),
    ),
    Sample(
        "speech stream",
        Api.OPENAI_SPEECH,
        SSE,
        events(
            {"type": "speech.audio.delta", "audio": "UklGRiQAAABXQVZF"},
            {"type": "speech.audio.done", "usage": {"input_tokens": 14, "output_tokens": 101, "total_tokens": 115}},
        ),
        [{"input": 14, "output_audio": 101}],
        {"state": "final", "input_tokens": 14, "output_tokens": 101, "problems": ()},
        115,
        RequestFacts(model="gpt-4o-mini-tts", characters=42, input_bytes=90),
    ),
    Sample(
        "transcription in tokens",
        Api.OPENAI_TRANSCRIPTION,
        JSON,
        text({"text": "Imagine the wildest idea", "usage": TRANSCRIPT_USAGE}),
        [{"input": 14, "input_audio": 100, "output": 31}],
        {"state": "final", "input_tokens": 114, "output_tokens": 31, "problems": ()},
        145,
    ),
    Sample(
        "transcription in seconds",
        Api.OPENAI_TRANSCRIPTION,
        JSON,
        text({"text": "Imagine", "duration": 8.47, "usage": {"type": "duration", "seconds": 9}}),
        [{"audio_seconds": 9_000}],
        {"state": "final", "problems": ()},
        None,
    ),
    Sample(
        "transcription stream",
        Api.OPENAI_TRANSCRIPTION,
        SSE,
        events(
            {"type": "transcript.text.delta", "delta": "Imagine "},
            {"type": "transcript.text.delta", "delta": "the wildest"},
            {"type": "transcript.text.done", "text": "Imagine the wildest", "usage": TRANSCRIPT_USAGE},
            done=True,
        ),
        [{"input": 14, "input_audio": 100, "output": 31}],
        {"state": "final", "input_tokens": 114, "output_tokens": 31, "problems": ()},
        145,
    ),
    Sample(
        "generate",
        Api.GEMINI_GENERATE,
        JSON,
        text(piece('Say "}]"', GEMINI_USAGE, "STOP", **GROUNDING)),
        [GEMINI_COUNTS],
        GEMINI_COLUMNS,
        1_643,
    ),
    Sample(
        "generate stream of events",
        Api.GEMINI_STREAM,
        SSE,
        events(*GEMINI_PIECES, end=b"\r\n"),
        [GEMINI_COUNTS],
        GEMINI_COLUMNS,
        1_643,
    ),
    Sample(
        "generate stream as an array",
        Api.GEMINI_STREAM,
        JSON,
        b"[" + b",\r\n".join(text(p) for p in GEMINI_PIECES) + b"]\n",
        [GEMINI_COUNTS],
        GEMINI_COLUMNS,
        1_643,
    ),
    Sample(
        "embed with a count",
        Api.GEMINI_EMBED,
        JSON,
        text(
            {
                "embedding": {"values": [0.01, -0.02]},
                "usageMetadata": {"promptTokenCount": 6, "totalTokenCount": 6},
            }
        ),
        [{"input": 6}],
        {"state": "final", "input_tokens": 6, "output_tokens": 0, "problems": ()},
        6,
    ),
]
