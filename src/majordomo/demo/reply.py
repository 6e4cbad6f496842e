"""A rendered reply of the scripted provider, and the small vocabulary that all API families share."""

import hashlib
import zlib
from collections.abc import Iterable

import brotli
import msgspec
import zstandard

from majordomo.demo.script import Encoding, Json, Script, texts

#: What the provider says when a script does not say otherwise.
DEFAULT_TEXT = "Certainly. Here is a short and friendly answer."

#: A common rule of thumb: so many characters make one token.
CHARACTERS_PER_TOKEN = 4

#: Replies carry a fixed time, so that the same request always gets the same bytes. 2026-11-01 00:00:00 UTC.
CREATED = 1_793_491_200

JSON = "application/json"
SSE = "text/event-stream; charset=utf-8"

encode = msgspec.json.encode


class Ask(msgspec.Struct, frozen=True):
    """One request as the API families see it."""

    method: str
    path: str  # without the query
    query: str
    headers: tuple[tuple[str, str], ...]  # names in lower case
    body: bytes
    json: Json  # None where the body is not JSON
    script: Script

    def header(self, name: str) -> str:
        """The first value of a header, or an empty string."""
        return next((value for key, value in self.headers if key == name), "")

    @property
    def wants_stream(self) -> bool:
        """Whether the body asks for a stream in the OpenAI and Anthropic way."""
        return isinstance(self.json, dict) and self.json.get("stream") is True

    @property
    def model(self) -> str:
        """The model that the reply names."""
        asked = self.json.get("model") if isinstance(self.json, dict) else None
        return self.script.model or (asked if isinstance(asked, str) else "scripted-1")

    @property
    def text(self) -> str:
        """What the reply says."""
        return DEFAULT_TEXT if self.script.text is None else self.script.text

    @property
    def text_pieces(self) -> list[str]:
        """The reply's text, cut for a stream."""
        return cut(self.text, self.script.events)

    @property
    def input_tokens(self) -> int:
        """A plausible count for what was sent."""
        return tokens("".join(texts(self.json)))

    @property
    def output_tokens(self) -> int:
        """A plausible count for what is replied."""
        called = sum(tokens(encode(tool.input).decode()) for tool in self.script.tools)
        return tokens(self.text) + tokens(self.script.thinking or "") + called

    def id(self, prefix: str) -> str:
        """An id that depends on the request alone."""
        return prefix + hashlib.sha256(self.path.encode() + self.body).hexdigest()[:24]


class Reply(msgspec.Struct, frozen=True):
    """One reply, ready to be sent. A stream's pieces are its events."""

    status: int
    headers: tuple[tuple[str, str], ...]
    pieces: tuple[bytes, ...]
    streamed: bool = False


def json_reply(value: Json, *, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> Reply:
    """A reply of one JSON value."""
    return Reply(status, (("content-type", JSON), *headers), (encode(value),))


def sse_reply(events: Iterable[bytes]) -> Reply:
    """A reply of server-sent events."""
    return Reply(200, (("content-type", SSE), ("cache-control", "no-cache")), tuple(events), streamed=True)


def data_event(value: Json) -> bytes:
    """An event without a name, as OpenAI chat and Gemini send them."""
    return b"data: " + encode(value) + b"\n\n"


def named_event(value: dict[str, Json]) -> bytes:
    """An event named after its ``type``, as Anthropic and the Responses API send them."""
    return b"event: " + str(value["type"]).encode() + b"\ndata: " + encode(value) + b"\n\n"


def tokens(text: str) -> int:
    """A plausible number of tokens, at least 1 for any text."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def cut(text: str, pieces: int) -> list[str]:
    """The text in at most ``pieces`` parts of nearly equal length."""
    if not text:
        return []
    size = max(1, -(-len(text) // max(1, pieces)))
    return [text[at : at + size] for at in range(0, len(text), size)]


def recut(pieces: tuple[bytes, ...], size: int) -> tuple[bytes, ...]:
    """The same bytes in pieces of ``size`` bytes, so that events and characters are split anywhere."""
    whole = b"".join(pieces)
    return tuple(whole[at : at + size] for at in range(0, len(whole), size))


def compress(pieces: tuple[bytes, ...], encoding: Encoding) -> tuple[bytes, ...]:
    """Compress piece by piece with a flush after each, so that a stream stays a stream."""
    if encoding in ("gzip", "deflate"):
        deflater = zlib.compressobj(wbits=31 if encoding == "gzip" else 15)
        packed = [deflater.compress(piece) + deflater.flush(zlib.Z_SYNC_FLUSH) for piece in pieces]
        return (*packed, deflater.flush())
    if encoding == "br":
        squeezer = brotli.Compressor(quality=4)
        packed = [squeezer.process(piece) + squeezer.flush() for piece in pieces]
        return (*packed, squeezer.finish())
    writer = zstandard.ZstdCompressor().compressobj()
    packed = [writer.compress(piece) + writer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK) for piece in pieces]
    return (*packed, writer.flush())
