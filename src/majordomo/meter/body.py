"""The two ways a reply comes: one body, or events. What all readers share.

Plan: ``feed`` never raises and keeps a bounded amount; ``finish`` makes the reading once and returns the same one
thereafter. A reader of one API says in ``_read`` what the gathered body means, or in ``_event`` what one event does and
in ``_close`` what all of them came to.
"""

from typing import Any

from majordomo.meter.counts import MAX_COUNT, note
from majordomo.meter.decoding import any_value
from majordomo.meter.estimate import complete_reading, spoken_bytes
from majordomo.meter.reading import Reading, RequestFacts, UsageState
from majordomo.meter.sse import Events

_NONE = UsageState.NONE
#: Longest body that is decoded whole to see how much of it is text; of a longer one, all of it is taken for text.
_WRITTEN_LIMIT = 4 << 20

_COLUMNS = (
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cache_creation_tokens",
    "cache_creation_5m_tokens",
    "cache_creation_1h_tokens",
    "reasoning_tokens",
    "prompt_tokens",
)


class ReaderBase:
    """State and manners of every reader."""

    __slots__ = ("_limit", "_problems", "_reading", "_text")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._problems: list[str] = []
        self._reading: Reading | None = None
        self._text = 0  # bytes of output that passed, as far as the provider has not accounted for them

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        try:
            self._take(data)
        except Exception:  # promise 1: metering never fails a customer's call
            note(self._problems, "reader_failed")
            self._text += len(data)

    def finish(self, facts: RequestFacts, *, complete: bool) -> Reading:
        """What was read; the same object each time."""
        if self._reading is None:
            if not complete:
                note(self._problems, "cut")
            try:
                reading = self._conclude(facts, complete)
            except Exception:
                note(self._problems, "reader_failed")
                reading = Reading()
                complete_reading(reading, facts, self._text, self._problems)
            self._reading = self._sealed(reading)
        return self._reading

    def unread(self, size: int, problem: str) -> None:
        """So many bytes of the reply could not be read at all: they count as output produced."""
        note(self._problems, problem)
        self._text += size

    def _take(self, data: bytes) -> None:
        raise NotImplementedError

    def _conclude(self, facts: RequestFacts, complete: bool) -> Reading:
        raise NotImplementedError

    def _sealed(self, reading: Reading) -> Reading:
        # the sums of single counts can exceed a column where no count does
        if (reading.prompt_tokens or 0) + (reading.output_tokens or 0) > MAX_COUNT:
            for column in _COLUMNS:
                value = getattr(reading, column)
                if value is not None and value > MAX_COUNT:
                    setattr(reading, column, MAX_COUNT)
                    note(self._problems, "column_overflow")
        if self._problems:
            reading.problems = tuple(self._problems)
        return reading


class BodyReader(ReaderBase):
    """A reply in one piece: gathered up to ``limit`` bytes, decoded once when it has ended."""

    __slots__ = ("_chunks", "_size")

    def __init__(self, limit: int) -> None:
        # as in ReaderBase, but at once: this stands on the way of every request
        self._limit = limit
        self._problems = []
        self._reading = None
        self._text = 0
        self._chunks: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        size = self._size = self._size + len(data)
        if size <= self._limit:
            self._chunks.append(data)
        else:
            self._chunks.clear()

    def _conclude(self, facts: RequestFacts, complete: bool) -> Reading:
        chunks = self._chunks
        self._chunks = []
        if self._size > self._limit:
            self.unread(self._size, "too_long")
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        reading = self._read(body, facts)
        if reading.state is _NONE and not reading.error_type and not self._free(reading):
            self._estimate(reading, body, facts)
        return reading

    def _read(self, body: bytes, facts: RequestFacts) -> Reading:
        """What ``body`` says. A state of NONE means that it did not tell its usage."""
        raise NotImplementedError

    def _free(self, reading: Reading) -> bool:
        """Whether a reply without usage was rightly without."""
        return False

    def _estimate(self, reading: Reading, body: bytes, facts: RequestFacts) -> None:
        complete_reading(reading, facts, self._text + written_bytes(body), self._problems)


class EventReader(ReaderBase):
    """A reply in events. No text is kept, only what was last said of the usage and how much text went by."""

    __slots__ = ("_events",)

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._events = Events(limit)

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        try:
            for event in self._events.feed(data):
                self._event(event)
        except Exception:  # as in ReaderBase
            note(self._problems, "reader_failed")
            self._text += len(data)

    def _conclude(self, facts: RequestFacts, complete: bool) -> Reading:
        rest = self._events.rest()
        if rest is not None:
            self._event(rest)
        if self._events.dropped:
            self.unread(self._events.dropped, "too_long")
        return self._close(facts, complete)

    def _event(self, data: bytes) -> None:
        """Take one event's data. It may be anything."""
        raise NotImplementedError

    def _close(self, facts: RequestFacts, complete: bool) -> Reading:
        raise NotImplementedError


def written_bytes(body: bytes) -> int:
    """Bytes of what the model wrote in a reply, cut or whole."""
    value: Any = any_value(body) if len(body) <= _WRITTEN_LIMIT else None
    return len(body) if value is None else spoken_bytes(value)
