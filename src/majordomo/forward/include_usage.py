"""OpenAI streams tell their usage only when asked: ask where the caller did not, and keep the extra chunk from it.

This is the only change that the gateway ever makes to a body. A setting turns it off.
"""

import msgspec

from majordomo.apis import Api
from majordomo.meter.reading import RequestFacts

_KEY = b'"stream_options"'
_ASK = b'{"include_usage":true}'

#: An event longer than this is passed on unseen: the usage chunk has a few hundred bytes.
_LONGEST_HELD = 64 * 1024

_APIS = frozenset({Api.OPENAI_CHAT, Api.OPENAI_COMPLETIONS})


class _Options(msgspec.Struct):
    stream_options: msgspec.Raw = msgspec.Raw(b"")  # empty: not there. A union with Raw takes null alone


class _Asked(msgspec.Struct):
    include_usage: bool = False


class _AskedBody(msgspec.Struct):
    stream_options: _Asked | None = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[msgspec.Raw] | None = None
    usage: msgspec.Raw = msgspec.Raw(b"null")


_options = msgspec.json.Decoder(_Options)
_asked = msgspec.json.Decoder(_AskedBody)
_chunk = msgspec.json.Decoder(_Chunk)


def may_inject(api: Api) -> bool:
    """True for the APIs that know ``stream_options``: their requests are held until the whole body is here."""
    return api in _APIS


def ask_for_usage(body: bytes | bytearray, facts: RequestFacts) -> list[bytes | memoryview] | None:
    """The body in pieces with ``stream_options.include_usage`` set to true; None where it must go as it is."""
    if not facts.stream or facts.include_usage or facts.problems:
        return None
    view = memoryview(body)
    return _replace_options(body, view) if _KEY in body else _add_options(body, view)


def _add_options(body: bytes | bytearray, view: memoryview) -> list[bytes | memoryview] | None:
    end = body.rfind(b"}")
    if end < 0 or body[end + 1 :].strip():
        return None
    empty = body[:end].rstrip().endswith(b"{")
    return [view[:end], (b"" if empty else b",") + _KEY + b":" + _ASK, view[end:]]


def _replace_options(body: bytes | bytearray, view: memoryview) -> list[bytes | memoryview] | None:
    try:
        old = bytes(_options.decode(body).stream_options)
        if not old:
            return _add_options(body, view)  # the words stand inside a prompt alone
        options = msgspec.json.decode(old)
        if options is not None and not isinstance(options, dict):
            return None
        new = msgspec.json.encode({**(options or {}), "include_usage": True})
    except msgspec.DecodeError:
        return None
    # The same words may stand inside a prompt: only a change that reads back as asked is the right one.
    at = body.find(_KEY)
    while at >= 0:
        start = body.find(old, at + len(_KEY))
        if start >= 0 and not body[at + len(_KEY) : start].strip(b" \t\r\n:"):
            pieces: list[bytes | memoryview] = [view[:start], new, view[start + len(old) :]]
            if _reads_as_asked(b"".join(pieces)):
                return pieces
        at = body.find(_KEY, at + 1)
    return None


def _reads_as_asked(body: bytes) -> bool:
    try:
        asked = _asked.decode(body).stream_options
    except msgspec.DecodeError:
        return False
    return asked is not None and asked.include_usage


class UsageWithheld:
    """Passes an event stream on, but for the event that holds nothing but usage. Fed at any cut."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """The bytes that may go to the caller now; an unfinished event waits for its end."""
        if self._held:
            data = self._held + data
            self._held = b""
        passed: list[bytes] = []
        start = 0
        while True:
            end = _event_end(data, start)
            if end < 0:
                break
            event = data[start:end]
            if not _only_usage(event):
                passed.append(event)
            start = end
        rest = data[start:] if start else data
        if len(rest) > _LONGEST_HELD:
            passed.append(rest)
        else:
            self._held = rest
        return passed[0] if len(passed) == 1 else b"".join(passed)

    def finish(self) -> bytes:
        """What is left when the stream has ended without an empty line."""
        rest, self._held = self._held, b""
        return b"" if _only_usage(rest) else rest


def _event_end(data: bytes, start: int) -> int:
    """Index behind the empty line that ends the event at ``start``, or -1."""
    plain = data.find(b"\n\n", start)
    mixed = data.find(b"\n\r\n", start, plain if plain >= 0 else len(data))
    if mixed >= 0:
        return mixed + 3
    return plain + 2 if plain >= 0 else -1


def _only_usage(event: bytes) -> bool:
    if b'"usage"' not in event:
        return False
    text = event.strip()
    if not text.startswith(b"data:"):
        return False
    try:
        chunk = _chunk.decode(text[5:])
    except msgspec.DecodeError:
        return False
    return chunk.choices == [] and bytes(chunk.usage) != b"null"
