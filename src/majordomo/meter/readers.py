"""Which reader a reply gets: by API, status, content type and encoding."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Final

from majordomo.apis import Api
from majordomo.meter.anthropic import MessageReader, MessageStreamReader
from majordomo.meter.anthropic_batch import BatchResultsReader
from majordomo.meter.body import ReaderBase
from majordomo.meter.claude_reply import ClaudeMessageReader, ClaudeReply, ClaudeStreamReader
from majordomo.meter.errors import ErrorReader
from majordomo.meter.free import FreeReader
from majordomo.meter.gemini import EmbedReader, GenerateArrayReader, GenerateReader, GenerateStreamReader
from majordomo.meter.inflate import InflatingReader
from majordomo.meter.openai_audio import (
    SpeechReader,
    SpeechStreamReader,
    TranscriptionReader,
    TranscriptionStreamReader,
)
from majordomo.meter.openai_chat import ChatReader, ChatStreamReader
from majordomo.meter.openai_embeddings import EmbeddingsReader
from majordomo.meter.openai_images import ImagesReader, ImagesStreamReader
from majordomo.meter.openai_responses import (
    FetchedResponseReader,
    FetchedResponseStreamReader,
    ResponsesReader,
    ResponsesStreamReader,
)
from majordomo.meter.reading import Reader, Reading, RequestFacts

Make = Callable[[int], ReaderBase]

#: For each API that bills: the reader of one body, and the reader of events if it streams.
READERS: Final[dict[Api, tuple[Make, Make | None]]] = {
    Api.OPENAI_CHAT: (ChatReader, ChatStreamReader),
    Api.OPENAI_COMPLETIONS: (ChatReader, ChatStreamReader),
    Api.OPENAI_RESPONSES: (ResponsesReader, ResponsesStreamReader),
    Api.OPENAI_RESPONSE: (FetchedResponseReader, FetchedResponseStreamReader),
    Api.OPENAI_EMBEDDINGS: (EmbeddingsReader, None),
    Api.OPENAI_IMAGES: (ImagesReader, ImagesStreamReader),
    Api.OPENAI_SPEECH: (SpeechReader, SpeechStreamReader),
    Api.OPENAI_TRANSCRIPTION: (TranscriptionReader, TranscriptionStreamReader),
    Api.ANTHROPIC_MESSAGES: (MessageReader, MessageStreamReader),
    Api.ANTHROPIC_BATCH_RESULTS: (BatchResultsReader, None),
    Api.GEMINI_GENERATE: (GenerateReader, GenerateStreamReader),
    Api.GEMINI_STREAM: (GenerateArrayReader, GenerateStreamReader),
    Api.GEMINI_EMBED: (EmbedReader, None),
}

#: Longest content type that is looked at: choices are remembered by it.
_TYPE_LIMIT: Final = 128

_PARTIAL_CONTENT: Final = 206

#: Bodies of these begin with anything, or are never events.
_NOT_SNIFFED: Final = frozenset({Api.OPENAI_SPEECH})


def reader_for(
    api: Api,
    *,
    status: int,
    content_type: str,
    content_encoding: str,
    limit: int,
    claude: ClaudeReply | None = None,
) -> Reader:
    """A reader for one reply.

    ``content_type`` and ``content_encoding`` are the reply's headers, empty where missing. ``limit``: most bytes of a
    body, or of one event of a stream, that are kept. A status of 400 and above gets a reader of errors. ``claude``: is
    told of a message what Claude Code makes of it.
    """
    kind = content_type if len(content_type) <= _TYPE_LIMIT else ""
    make: Make | None
    if status >= 400:
        make = ErrorReader
    elif claude is not None and api is Api.ANTHROPIC_MESSAGES:
        make = _by_type(api, kind, partial(ClaudeMessageReader, claude), partial(ClaudeStreamReader, claude))
    else:
        make = _makers(api, kind)
    if make is None or status in (204, 304):
        return FreeReader()
    behind = make(limit)
    coded = content_encoding and content_encoding.strip().lower() != "identity"
    reader = InflatingReader(behind, content_encoding) if coded else behind
    return RangeReader(reader) if status == _PARTIAL_CONTENT else reader


@lru_cache(maxsize=256)
def _makers(api: Api, content_type: str) -> Make | None:
    """What makes the reader of a reply that is no refusal; None if it is free."""
    if api not in READERS:
        return None
    return _by_type(api, content_type, *READERS[api])


def _by_type(api: Api, content_type: str, body: Make, events: Make | None) -> Make:
    kind = content_type.partition(";")[0].strip().lower()
    if events is None or kind.endswith("json") or (api in _NOT_SNIFFED and kind != "text/event-stream"):
        return body
    if kind == "text/event-stream":
        return events
    return partial(SniffingReader, body, events)


class RangeReader:
    """Stands before the reader of a range of bytes: whatever it is fed is no whole reply."""

    __slots__ = ("_behind", "feed")

    def __init__(self, behind: Reader) -> None:
        self._behind = behind
        self.feed = behind.feed

    def finish(self, facts: RequestFacts, *, complete: bool) -> Reading:
        """What the reader behind has read of a reply that was cut."""
        return self._behind.finish(facts, complete=False)


class SniffingReader(ReaderBase):
    """For replies that do not say whether they are events: their first significant byte does."""

    __slots__ = ("_body", "_chosen", "_events")

    def __init__(self, body: Make, events: Make, limit: int) -> None:
        super().__init__(limit)
        self._body = body
        self._events = events
        self._chosen: ReaderBase | None = None

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        if self._chosen is None:
            head = data.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
            if not head:
                return  # white space says nothing, and neither kind needs it
            self._chosen = (self._events if head in b"deir:" else self._body)(self._limit)
        self._chosen.feed(data)

    def unread(self, size: int, problem: str) -> None:
        """So many bytes could not be read at all."""
        if self._chosen is None:
            self._chosen = self._body(self._limit)
        self._chosen.unread(size, problem)

    def finish(self, facts: RequestFacts, *, complete: bool) -> Reading:
        """What was read."""
        if self._chosen is None:
            self._chosen = self._body(self._limit)
        return self._chosen.finish(facts, complete=complete)
