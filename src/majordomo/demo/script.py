"""What the scripted provider is told to answer: the noun ``Script``.

A request chooses its script in one of four ways; the first that applies wins:

1. the header ``x-script: {"status": 529}``,
2. the queue filled by ``POST /__script`` (see ``connection.py``),
3. ``[[script {"status": 529}]]`` in any text of the request, for callers that cannot set a header for each call,
4. a model named ``status-529``.

A request that chooses nothing gets a plain, successful reply.
"""

import re
from typing import Any, Literal

import msgspec

Encoding = Literal["gzip", "deflate", "br", "zstd"]
Json = Any  # a decoded JSON value

_IN_TEXT = b"[[script "
_TEXT_END = "]]"
_STATUS_MODEL = re.compile(r"^status-([1-5]\d\d)$")


class ScriptError(Exception):
    """A script cannot be read. The message says which part and what is allowed."""


class ToolCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tool that the reply calls."""

    name: str
    input: dict[str, Json] = {}


class Script(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one request is answered. Every field has a default that gives a plain, complete, successful reply."""

    # what is said
    status: int = 200
    text: str | None = None  # the reply's text; None: a short sentence
    model: str | None = None  # the response's own model; None: the request's
    usage: dict[str, Json] | None = None  # the provider's usage object, verbatim; None: made from the texts
    start_usage: dict[str, Json] | None = None  # Anthropic: message_start's usage, verbatim; None: made from ``usage``
    stream_usage: dict[str, Json] | None = None  # Anthropic: message_delta's usage, verbatim; None: made from ``usage``
    extra: dict[str, Json] = {}  # merged into the top level of the reply (service_tier, ...)
    tools: tuple[ToolCall, ...] = ()
    thinking: str | None = None
    redacted_thinking: bool = False  # Anthropic: a block of thinking that only the provider can read
    web_searches: int = 0  # server-side searches: blocks, output items or grounding queries
    stop_reason: str | None = None  # the API's own word; None: the natural one
    events: int = 4  # pieces that the text is streamed in
    # how it fails
    error_type: str | None = None
    error_message: str | None = None
    error_after: int | None = None  # Anthropic: a stream ends with an ``error`` event after this many others
    retry_after: str | None = None
    headers: dict[str, str] = {}
    body: str | None = None  # the whole reply body, verbatim; replaces everything above but status and headers
    content_type: str | None = None
    # how it is sent
    delay_ms: float = 0  # before the reply's head
    event_delay_ms: float = 0  # between two pieces of the body
    break_after: int | None = None  # the connection is cut after this many pieces of the body
    break_with: Literal["close", "reset"] = "close"
    encoding: Encoding | Literal["accepted"] | None = None  # "accepted": the first that the caller names, if any
    framing: Literal["auto", "length", "chunked", "close"] = "auto"
    piece_bytes: int | None = None  # the body is cut into pieces of this many bytes, whatever they contain
    # which requests of the queue it is for
    times: int = 1
    path: str = ""  # only requests whose path contains this


_one = msgspec.json.Decoder(Script)
_many = msgspec.json.Decoder(list[Script])


def read_script(data: bytes | str) -> Script:
    """One script from JSON.

    Raises:
        ScriptError: not JSON, an unknown field, a wrong type.
    """
    try:
        return _one.decode(data)
    except msgspec.MsgspecError as wrong:
        raise ScriptError(
            f"this script cannot be read: {wrong}; the fields are those of majordomo.demo.script"
        ) from None


def read_scripts(data: bytes) -> list[Script]:
    """A queue of scripts from a JSON array.

    Raises:
        ScriptError: not an array of scripts.
    """
    try:
        return _many.decode(data)
    except msgspec.MsgspecError as wrong:
        raise ScriptError(f"a queue is a JSON array of scripts, and this is not: {wrong}") from None


def script_in_body(body: bytes, request: Json) -> Script | None:
    """The script that a request carries in its model's name or in one of its texts, or None."""
    if isinstance(request, dict) and isinstance(request.get("model"), str):
        named = _STATUS_MODEL.match(request["model"])
        if named:
            return Script(status=int(named[1]))
    if _IN_TEXT not in body:
        return None
    found: str | None = None
    for text in texts(request):
        start = text.rfind(_IN_TEXT.decode())
        end = text.find(_TEXT_END, start)
        if start >= 0 and end > start:
            found = text[start + len(_IN_TEXT) : end]
    return read_script(found) if found is not None else None


def texts(value: Json) -> list[str]:
    """Every string inside a JSON value, in order."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for item in value.values() for text in texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in texts(item)]
    return []
