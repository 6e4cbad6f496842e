"""A provider's reply head: what goes on to the caller, and what the meter needs to know.

Providers send 20 to 60 lines of which a handful matter here. The block, which the parser has found well-formed, is
searched for those in one pass instead of being taken apart: at 25 lines 3.5 µs instead of 6.
"""

import re
from functools import lru_cache

#: The lines that matter, in a block of small letters. The last is ours: a gateway behind this one has its own.
_LINES = re.compile(
    rb"\r\n(connection|content-(?:length|type|encoding)|transfer-encoding"
    rb"|keep-alive|proxy-(?:authenticate|connection)|te|trailer|upgrade|x-majordomo-request-id):([^\r]*)"
)

_REQUEST_ID = re.compile(rb"\r\nx-majordomo-request-id:[ \t]*([0-9a-f-]{36})[ \t]*(?=\r|\Z)", re.IGNORECASE)

_PASSED_ON = frozenset({b"content-length", b"content-type", b"content-encoding"})

#: What ``Connection`` may not take away: the framing.
_KEPT_WHATEVER_NAMED = frozenset({b"close", b"keep-alive", b"", b"content-length"})


class ReplyHead:
    """``block`` is the status line and the headers for the caller, without a line end at its end."""

    __slots__ = ("block", "content_encoding", "content_type", "has_length")

    def __init__(self, block: bytes, content_type: str, content_encoding: str, *, has_length: bool) -> None:
        self.block = block
        self.content_type = content_type
        self.content_encoding = content_encoding
        self.has_length = has_length

    @property
    def is_plain_event_stream(self) -> bool:
        """True for server-sent events that are not compressed."""
        return self.content_type.startswith("text/event-stream") and self.content_encoding in ("", "identity")

    def drop_length(self) -> None:
        """The body that follows is going to have another length."""
        if self.has_length:
            self.block = _without_lines(self.block, {b"content-length"})
            self.has_length = False


def read_reply_head(raw: bytes) -> ReplyHead:
    """Read a reply's head, a block without its closing empty line; what belongs to the hop stays behind."""
    low = raw.lower()
    found = _LINES.findall(low)
    told = dict(found)
    if len(told) != len(found):
        told = _joined(found)
    block = raw
    for name in told:
        if name not in _PASSED_ON:
            block, low = _cut(block, low, b"\r\n%b:" % name)
    if not block.startswith(b"HTTP/1.1"):
        block = b"HTTP/1.1" + block[8:]
    named = told.get(b"connection")
    if named is not None and named.strip() not in _KEPT_WHATEVER_NAMED:
        names = {part.strip() for part in named.split(b",")}
        block = _without_lines(block, names - _KEPT_WHATEVER_NAMED)
    return ReplyHead(
        block,
        _text(told.get(b"content-type", b"")),
        _text(told.get(b"content-encoding", b"")),
        has_length=b"content-length" in told,
    )


def request_id_of(raw: bytes) -> bytes | None:
    """The request id that a gateway behind this one gave; None if the reply is not from a gateway."""
    found = _REQUEST_ID.search(raw)
    return found[1] if found else None


def _joined(found: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """The values of each name, where one came more than once, as the list they are."""
    told: dict[bytes, bytes] = {}
    for name, value in found:
        told[name] = told[name] + b"," + value if name in told else value
    return told


def _cut(block: bytes, low: bytes, start: bytes) -> tuple[bytes, bytes]:
    """The block, and the same in small letters, without the lines that begin so."""
    while (at := low.find(start)) >= 0:
        end = low.find(b"\r", at + 2)
        if end < 0:
            return block[:at], low[:at]
        block, low = block[:at] + block[end:], low[:at] + low[end:]
    return block, low


@lru_cache(maxsize=256)
def _text(value: bytes) -> str:
    return value.strip().decode("latin-1")


def _without_lines(block: bytes, names: set[bytes]) -> bytes:
    return b"\r\n".join(line for line in block.split(b"\r\n") if line.partition(b":")[0].lower() not in names)
