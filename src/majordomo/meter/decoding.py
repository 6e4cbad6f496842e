"""JSON from outside: fast when it is well formed, and as much as can be had when it is not.

Plan: one typed decode that looks only at the fields a reader wants. If that fails (cut short, a wrong type, a lone
surrogate, invalid UTF-8, a number out of range, nesting beyond the stack) the top level is scanned for the wanted
members, and each is decoded for itself, so that one bad field never takes the others along.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final, TypeVar

import msgspec

from majordomo.meter.counts import note

#: Longest text that is scanned member by member when it does not decode. Scanning costs about 20 ns a byte on the event
#: loop; the wanted members of larger texts are lost and the usage is estimated.
SCAN_LIMIT: Final = 1 << 20
#: Longest usage object that is read and kept. The largest real ones (dozens of iterations) have some 10 KB.
USAGE_LIMIT: Final = 64 << 10

#: The problem of a text that is not whole JSON.
NOT_WHOLE: Final = "not_json"

#: What ends an event stream of OpenAI's and its kin's, instead of JSON.
_DONE: Final = b"[DONE]"
_SHORT: Final = 32

#: A field that was not there.
ABSENT: Final = msgspec.Raw(b"")

#: What bad JSON can make msgspec raise.
MALFORMED: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError)

T = TypeVar("T")

_ANY: Final = msgspec.json.Decoder()
_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
# A string (closed or running into the end), or a bracket. Possessive, so that hostile text cannot make it backtrack.
_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.|\\\Z)*+(?:"|\Z)|[{}\[\]]', re.DOTALL)
_COLON: Final = re.compile(rb"\s*:\s*")
_SCALAR: Final = re.compile(rb"[^,}\]\s]+(?=\s*[,}])")
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


def decode(decoder: msgspec.json.Decoder[T], body: bytes | bytearray, problems: list[str]) -> T | None:
    """``body`` as the decoder's Struct, whose fields all have defaults; None if it is no JSON object.

    A field that cannot be decoded keeps its default and leaves ``bad_field:<name>``; a text that is not whole JSON
    leaves ``not_json``. ``[DONE]`` is no object either, and no problem.
    """
    try:
        return decoder.decode(body)
    except MALFORMED as error:
        if len(body) < _SHORT and body.strip() == _DONE:
            return None
        if not isinstance(error, msgspec.ValidationError):
            note(problems, NOT_WHOLE)
    struct: Any = decoder.type
    fields = _fields(struct)
    found = members(body, fields)
    if found is None:
        note(problems, "not_object")
        return None
    values: dict[str, Any] = {}
    for key, text in found.items():
        field, field_type = fields[key]
        try:
            values[field] = msgspec.Raw(text) if field_type is msgspec.Raw else _field_decoder(field_type).decode(text)
        except MALFORMED:
            note(problems, "bad_field:" + field)
    return struct(**values)  # type: ignore[no-any-return]


def any_value(text: bytes | bytearray | msgspec.Raw) -> Any:
    """``text`` as plain Python values; None if it is not JSON. Lone surrogates and invalid UTF-8 are repaired."""
    try:
        return _ANY.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if isinstance(error, msgspec.ValidationError):
            return None
    except MALFORMED:
        return None
    repaired = _SURROGATE.sub(rb"\\ufffd", bytes(text).decode("utf-8", "replace").encode())
    try:
        return _ANY.decode(repaired)
    except MALFORMED:
        return None


def usage_object(raw: msgspec.Raw, problems: list[str]) -> tuple[dict[str, Any], bytes] | None:
    """A usage object as a dict, and as JSON text that PostgreSQL accepts. None if it is absent, null or no object."""
    text = bytes(raw)
    if not text or text == b"null":
        return None
    if len(text) > USAGE_LIMIT:
        note(problems, "usage_too_large")
        return None
    try:
        value = _ANY.decode(text)
        if value.__class__ is dict and b"\\u" not in text:
            return value, text  # nothing in it that a row cannot hold
    except MALFORMED:
        value = any_value(text) or _decodable_members(text)
        note(problems, "bad_usage")
    if value.__class__ is not dict:
        note(problems, "bad_usage")
        return None
    kept = usage_text(value)
    return (value, kept) if kept is not None else None


def usage_text(usage: object) -> bytes | None:
    """``usage`` as JSON text that PostgreSQL accepts: ``jsonb`` refuses ``\\u0000``. None if it is too long to keep."""
    text = msgspec.json.encode(usage).replace(rb"\u0000", rb"\ufffd")
    return text if len(text) <= USAGE_LIMIT else None


def members(body: bytes | bytearray, wanted: Iterable[bytes]) -> dict[bytes, bytes] | None:
    """The wanted members of a JSON object that may be cut or malformed: quoted key to JSON text, complete ones only.

    Only the top level counts, so that a key inside content is never taken for the reply's own. None if it is no object.
    """
    head = bytes(body[:SCAN_LIMIT])
    if head.lstrip()[:1] != b"{":
        return None
    keys = frozenset(wanted)
    found: dict[bytes, bytes] = {}
    depth = 0
    key: bytes | None = None
    start = 0
    for token in _TOKEN.finditer(head):
        text = token[0]
        if text in b"{[":
            depth += 1
        elif text in b"}]":
            depth -= 1
            if depth == 1 and key is not None:
                found[key] = head[start : token.end()]
                key = None
            elif depth == 0:
                break
        elif depth == 1:
            if key is not None and token.start() == start:
                if text.endswith(b'"') and len(text) > 1:
                    found[key] = text
                key = None
            elif text in keys and (colon := _COLON.match(head, token.end())):
                key, start = text, colon.end()
                if head[start : start + 1] not in (b'"', b"{", b"["):
                    if scalar := _SCALAR.match(head, start):
                        found[key] = scalar[0]
                    key = None
    return found


def _decodable_members(text: bytes) -> dict[str, Any] | None:
    try:
        raws = _MEMBERS.decode(text)
    except MALFORMED:
        return None
    decoded = ((key, any_value(raw)) for key, raw in raws.items())
    return {key: value for key, value in decoded if value is not None}


@lru_cache(maxsize=64)
def _fields(struct: Any) -> dict[bytes, tuple[str, Any]]:
    return {b'"%s"' % field.encode_name.encode(): (field.name, field.type) for field in msgspec.structs.fields(struct)}


@lru_cache(maxsize=64)
def _field_decoder(field_type: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(field_type)
