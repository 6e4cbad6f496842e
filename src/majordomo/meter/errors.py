"""Replies that say no: status 400 and above, of any provider.

Shapes: Anthropic ``{"type":"error","error":{"type","message"}}``; OpenAI ``{"error":{"message","type","code"}}`` or,
of its kin, ``{"error":"text"}``, ``{"message","type"|"code"}``, ``{"detail":...}``; Gemini
``{"error":{"code","message","status"}}``, streamed as the only element of an array. Whatever is none of these gives
its text. Nothing was used.
"""

from typing import Any, Final

import msgspec

from majordomo.meter.body import ReaderBase
from majordomo.meter.decoding import any_value
from majordomo.meter.reading import Reading, RequestFacts
from majordomo.meter.sse import Events
from majordomo.meter.text import message, name

#: Most of an error body that is kept. Real ones have under 2 KB; pages of a proxy in between may have more.
ERROR_BODY_LIMIT: Final = 64 << 10


class ErrorReader(ReaderBase):
    """The body of a refusal."""

    __slots__ = ("_body",)

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._body = bytearray()

    def _take(self, data: bytes) -> None:
        self._body += data[: ERROR_BODY_LIMIT - len(self._body)]

    def _conclude(self, facts: RequestFacts, complete: bool) -> Reading:
        body = bytes(self._body)
        self._body.clear()
        reading = Reading()
        reading.error_type, reading.error_message = read_error(body)
        return reading


def read_error(body: bytes) -> tuple[str | None, str | None]:
    """Type and message of an error, as a whole body or as the ``error`` member of one; safe for a row."""
    value = any_value(body)
    if value is None and body.lstrip().startswith((b"data:", b"event:")):
        events = Events(ERROR_BODY_LIMIT)
        data = [*events.feed(body), events.rest() or b""]
        value = any_value(data[0])
    if value.__class__ is list and value:
        value = value[0]
    if value.__class__ is dict:
        kind, text = _of_table(value)
        if kind is not None or text is not None:
            return kind, text
    elif value.__class__ is str:
        return None, message(value)
    text = body.decode("utf-8", "replace").strip()
    return None, message(text) if text else None


def member_error(raw: msgspec.Raw) -> tuple[str | None, str | None] | None:
    """Type and message of an ``error`` member; None if there is none."""
    text = bytes(raw)
    return read_error(text) if text and text != b"null" else None


def _of_table(value: dict[str, Any]) -> tuple[str | None, str | None]:
    error = value.get("error")
    if error.__class__ is dict:
        assert isinstance(error, dict)
        return _of_table(error)
    kinds = (name(value.get(key)) for key in ("status", "type", "code"))
    kind = next((kind for kind in kinds if kind is not None and kind != "error"), None)
    text = next((value[key] for key in ("message", "detail", "error") if value.get(key).__class__ is str), None)
    return kind, message(text) if text is not None else None
