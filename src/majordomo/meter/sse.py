"""Server-sent events, cut into the text of their ``data``.

Plan: bytes come in, whole lines are taken, ``data:`` lines gather until a blank line ends the event. Everything else
(``event:``, ``id:``, ``retry:``, comments) is passed over: every provider says in the data what the event is. Lines end
in CRLF, LF or CR; a byte order mark may stand in front; the space after the colon is optional and is left in place,
since JSON does not mind it. A line or an event longer than ``limit`` bytes is dropped and counted, not kept.
"""

from typing import Final

_BOM: Final = b"\xef\xbb\xbf"


class Lines:
    """Cuts bytes into lines, however they arrive. Keeps at most ``limit`` bytes of a line that has not ended."""

    __slots__ = ("_after_cr", "_at_start", "_limit", "_pieces", "_size", "_too_long", "between", "dropped")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pieces: list[bytes] = []  # of the line that has not ended
        self._size = 0
        self._too_long = False
        self._after_cr = False  # the last byte was CR: a LF that follows belongs to it
        self._at_start = True
        self.between = False  # all that came so far ended with a line feed: nothing hangs over
        self.dropped = 0  # bytes of lines that were too long

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that ended within ``data``, without their ends."""
        if self._after_cr and data:
            self._after_cr = False
            if data[0] == 10:
                data = data[1:]
        if not data:
            return []
        lines = data.splitlines()
        last = data[-1]
        tail = b""
        if last == 13:
            self._after_cr = True
        elif last != 10:
            tail = lines.pop()
        if lines and (self._pieces or self._too_long):
            lines[0] = self._ended(lines[0])
        if lines and self._at_start:
            self._at_start = False
            if lines[0].startswith(_BOM):
                lines[0] = lines[0][3:]
        if tail:
            self._keep(tail)
        self.between = last == 10
        return lines

    def rest(self) -> bytes:
        """The last line, which no line end closed."""
        line = self._ended(b"")
        if self._at_start and line.startswith(_BOM):
            line = line[3:]
        return line

    def _keep(self, tail: bytes) -> None:
        self._size += len(tail)
        if self._too_long or self._size > self._limit:
            self._too_long = True
            self._pieces.clear()
        else:
            self._pieces.append(tail)

    def _ended(self, tail: bytes) -> bytes:
        self._keep(tail)
        line = b"" if self._too_long else b"".join(self._pieces)
        if self._too_long:
            self.dropped += self._size
        self._pieces.clear()
        self._size = 0
        self._too_long = False
        return line


class Events:
    """Cuts bytes into events. Keeps at most ``limit`` bytes of an event that has not ended, and as much of a line."""

    __slots__ = ("_data", "_limit", "_lines", "_more", "_size", "_too_long", "dropped")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lines = Lines(limit)
        self._data: bytes | None = None  # the first data line of the event that has not ended
        self._more: list[bytes] = []  # its further data lines
        self._size = 0
        self._too_long = False
        self.dropped = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The data of every event that ended within ``data``."""
        if self._lines.between and data.endswith(b"\n\n") and b"\r" not in data:
            # whole lines, as most servers send them: no need to go through the state of a line
            if self._data is None:
                line_end, end = data.find(b"\n"), len(data) - 2
                if data.startswith(b"data:"):
                    if line_end == end:
                        return [data[5:end]]
                elif data.startswith(b"data:", line_end + 1) and data.find(b"\n", line_end + 1) == end:
                    return [data[line_end + 6 : end]]
            lines = data.split(b"\n")
            lines.pop()
        else:
            lines = self._lines.feed(data)
        events = []
        first = self._data
        for line in lines:
            if line.startswith(b"data:"):
                if first is None:
                    first = line[5:]
                else:
                    self._further(line[5:])
            elif not line and first is not None:
                if self._more or self._too_long:
                    first = self._joined(first)
                if first is not None:
                    events.append(first)
                    first = None
        self._data = first
        return events

    def rest(self) -> bytes | None:
        """The data of the last event, which no blank line closed; it may be cut anywhere."""
        line = self._lines.rest()
        self.dropped += self._lines.dropped
        if line.startswith(b"data:"):
            if self._data is None:
                self._data = line[5:]
            else:
                self._further(line[5:])
        first, self._data = self._data, None
        return self._joined(first) if first is not None else None

    def _further(self, line: bytes) -> None:
        self._size += len(line) + 1
        if self._too_long or self._size > self._limit:
            self._too_long = True
            self._more.clear()
        else:
            self._more.append(line)

    def _joined(self, first: bytes) -> bytes | None:
        joined = None if self._too_long else b"\n".join((first, *self._more))
        if self._too_long:
            self.dropped += self._size
        self._more.clear()
        self._size = 0
        self._too_long = False
        return joined
