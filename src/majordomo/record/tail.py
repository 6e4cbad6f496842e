"""Reads one journal while it is written, and to its end when its process is gone.

A frame that is short or fails its checksum is waited for while it may still be in the making. Otherwise it is
damage: the reader goes on at the next whole frame, in this segment or the next, and says what it passed over.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from majordomo.record.framing import MAX_FRAME_BYTES, Found, frames_in, next_frame_after
from majordomo.record.segments import segment_numbers, segment_path

CHUNK_BYTES = 1024 * 1024
_WHOLE_FRAME = MAX_FRAME_BYTES + 8


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of a journal that hold no readable frame."""

    segment: int
    offset: int
    length: int  # bytes
    reason: str  # "torn": the unfinished end of a segment; "corrupt": before frames that are whole; "missing": no file


class Tail:
    """A place in one journal. ``segment`` and ``offset`` say where the next frame will be read."""

    def __init__(self, folder: Path, segment: int, offset: int, on_damage: Callable[[Damage], None]) -> None:
        self.segment = segment
        self.offset = offset
        self._folder = folder
        self._on_damage = on_damage
        self._descriptor = -1
        self._open_segment = -1

    def read(self, *, ended: bool, limit: int = CHUNK_BYTES) -> list[Found]:
        """The next frames, all of one segment, some ``limit`` bytes of them; none if there are none yet.

        ``ended``: the journal's process is gone, so what is not whole never will be.
        """
        while True:
            follower = self._follower(ended)  # looked up first: then this segment is complete when we read it
            final = ended or follower is not None
            data = self._data(limit)
            if data is None:
                if follower is None:
                    return []
                self._on_damage(Damage(self.segment, self.offset, 0, "missing"))
            else:
                found, run = frames_in(data, 0, limit)
                if found:
                    base = self.offset
                    self.offset += run
                    return [Found(kind, payload, base + end) for kind, payload, end in found]
                if data and self._pass_damage(final):
                    continue
                if not final:
                    return []
            if follower is None:
                return []
            self._enter(follower)

    def finished(self) -> bool:
        """Whether an ended journal has nothing left: call it when ``read(ended=True)`` gave nothing."""
        return self._follower(True) is None and self.offset >= self.size()

    def size(self) -> int:
        """Length of the present segment in bytes; 0 if it does not exist."""
        return _size(segment_path(self._folder, self.segment))

    def lag(self) -> int:
        """Bytes of this journal not yet read."""
        later = (number for number in segment_numbers(self._folder) if number > self.segment)
        return max(0, self.size() - self.offset) + sum(_size(segment_path(self._folder, number)) for number in later)

    def close(self) -> None:
        """Give the open file back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = self._open_segment = -1

    def _enter(self, segment: int) -> None:
        self.close()
        self.segment = segment
        self.offset = 0

    def _follower(self, ended: bool) -> int | None:
        """The next segment that exists. Only where something is missing does that take a look at the whole folder."""
        if segment_path(self._folder, self.segment + 1).exists():
            return self.segment + 1
        if not ended and segment_path(self._folder, self.segment).exists():
            return None
        return next((number for number in segment_numbers(self._folder) if number > self.segment), None)

    def _data(self, size: int) -> bytes | None:
        """Up to ``size`` bytes at the present place, more if the first frame is longer; None if there is no file."""
        if self._open_segment != self.segment:
            self.close()
            try:
                self._descriptor = os.open(segment_path(self._folder, self.segment), os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return None
            self._open_segment = self.segment
        data = os.pread(self._descriptor, size, self.offset)
        if len(data) == size and size < _WHOLE_FRAME and 8 + int.from_bytes(data[:4], "little") > size:
            data = os.pread(self._descriptor, _WHOLE_FRAME, self.offset)
        return data

    def _pass_damage(self, final: bool) -> bool:
        """Step over what is no frame here, if it certainly never will be one. True if the reader has moved."""
        rest = os.pread(self._descriptor, max(self.size() - self.offset, 0), self.offset)
        if frames_in(rest, 0, 1)[0]:
            return True  # it was being written, or written anew, while we looked
        again = next_frame_after(rest, 0)
        if again is not None:
            # A whole frame behind it proves that this place will not be written again: the journal only grows. What
            # we saw of a frame being taken back and written anew has changed by now.
            if not final and os.pread(self._descriptor, again, self.offset) != rest[:again]:
                return True
            self._on_damage(Damage(self.segment, self.offset, again, "corrupt"))
            self.offset += again
            return True
        if final and rest:
            self._on_damage(Damage(self.segment, self.offset, len(rest), "torn"))
            self.offset += len(rest)
            return True
        return False


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
