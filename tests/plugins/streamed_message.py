"""A small streamed message of Anthropic's, in the pieces that a provider sends."""

import json
from typing import Any

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def event(kind: str, **fields: Any) -> bytes:
    """One event as Anthropic sends it."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def chunk(*events: bytes) -> bytes:
    """Events as one chunk of a body."""
    data = b"".join(events)
    return b"%x\r\n%b\r\n" % (len(data), data)


START = chunk(
    event(
        "message_start",
        message={
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-sonnet-4-5-20250929",
            "content": [],
            "usage": {"input_tokens": 25, "output_tokens": 1},
        },
    )
)
TEXT = chunk(event("content_block_delta", index=0, delta={"type": "text_delta", "text": "Once upon a time"}))
END = chunk(
    event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 15}), event("message_stop")
)
EVENTS = [HEAD, START, TEXT, TEXT, END + b"0\r\n\r\n"]
