"""A budget's refusal said as a model's reply: for clients that show nothing else. ``budget_refusal = "reply"``.

Anthropic's messages only. The reply has no usage, so nobody counts or bills it. Clients keep it in the conversation.
"""

from typing import Any

import msgspec

JSON, STREAM = "application/json", "text/event-stream; charset=utf-8"


def reply(text: str, model: str, request_id: str, *, stream: bool) -> tuple[str, bytes]:
    """Content type and body of an assistant's turn that says ``text`` and ends."""
    usage = {"input_tokens": 0, "output_tokens": 0}
    message: dict[str, Any] = {
        "id": f"msg_{request_id}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    ended = {"stop_reason": "end_turn", "stop_sequence": None}
    if not stream:
        return JSON, msgspec.json.encode(message | ended | {"content": [{"type": "text", "text": text}]})
    events = (
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": ended, "usage": usage},
        {"type": "message_stop"},
    )
    return STREAM, b"".join(
        b"event: %b\ndata: %b\n\n" % (str(event["type"]).encode(), msgspec.json.encode(event)) for event in events
    )
