"""One journal on its way into PostgreSQL: read, paired, and removed once nothing of it is needed."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import msgspec

from majordomo.record.database import Connection
from majordomo.record.frames import Close, Opening
from majordomo.record.framing import CLOSE, OPENING, Found
from majordomo.record.open_requests import Changes, OpenRequests
from majordomo.record.rows import Finished, lost, normalised
from majordomo.record.segments import remove_journal, remove_segment, segment_numbers, try_lock
from majordomo.record.tail import CHUNK_BYTES, Damage, Tail

ID_BYTES = 16
READ_BYTES = 256 * 1024  # some 400 requests: how finely a batch can be cut

_open = msgspec.msgpack.Decoder(Opening).decode
_close = msgspec.msgpack.Decoder(Close).decode


class Unreadable(NamedTuple):
    """A frame from which no row can be made."""

    reason: str
    close: Close | None
    frame: bytes | None


class Mark(NamedTuple):
    """How far a batch goes in one journal."""

    segment: int
    offset: int
    ending: bool  # nothing comes after it
    openings: Changes


class Moved(Exception):  # noqa: N818 - not a fault: somebody else was quicker
    """Another writer has moved this journal's position: what we hold of it is out of date."""


class Drain:
    """A journal, from its committed position on. After any failure: a new one, and ``load``."""

    def __init__(self, journal_id: UUID, folder: Path, on_damage: Callable[[Damage], None]) -> None:
        self.journal_id = journal_id
        self.folder = folder
        self.newest_us = 0  # when the last request that was read ended
        self._on_damage = on_damage
        self._open = OpenRequests(journal_id)
        self._tail = Tail(folder, 0, 0, on_damage)
        self._committed = (0, 0)
        self._marked_segment = 0
        self._marked_end = False
        self._lock: int | None = None  # held once the journal's process is gone
        self._ending = False
        self.finished = False

    async def load(self, connection: Connection) -> None:
        """Go to the committed position, knowing the requests that are open there."""
        await connection.execute(
            "INSERT INTO journal_positions (journal_id) VALUES ($1) ON CONFLICT DO NOTHING", self.journal_id
        )
        row = await connection.fetchrow(
            "SELECT segment, byte_offset, finished_at IS NOT NULL AS finished FROM journal_positions "
            "WHERE journal_id = $1",
            self.journal_id,
        )
        assert row is not None
        if row["finished"]:
            self.finished = True
            return
        await self._open.load(connection)
        self._rescan(row["segment"], row["byte_offset"])
        self._committed = (row["segment"], row["byte_offset"])
        self._marked_segment = row["segment"]
        self._tail = Tail(self.folder, row["segment"], row["byte_offset"], self._on_damage)

    def _rescan(self, segment: int, until: int) -> None:
        """Find what is open of the segment that the position stands in; the closes before it are counted already."""
        tail = Tail(self.folder, segment, 0, lambda damage: None)
        while tail.segment == segment and tail.offset < until:
            frames = tail.read(ended=True, limit=min(CHUNK_BYTES, until - tail.offset))
            if not frames or tail.segment != segment:
                break
            self._take_all((frame for frame in frames if frame.end <= until), [], [])
        tail.close()

    def take(self, rows: list[Finished], unreadable: list[Unreadable]) -> bool:
        """Read on a little; False if there is nothing new."""
        segment = self._tail.segment
        frames = self._tail.read(ended=self._lock is not None, limit=READ_BYTES)
        if self._tail.segment != segment:
            self._open.segment_left()
        if frames:
            self._take_all(frames, rows, unreadable)
            return True
        if self._lock is None:
            self._lock = try_lock(self.folder)
            return self._lock is not None  # if so, read again: it may have written until a moment ago
        if self._ending or not self._tail.finished():
            return False
        self._ending = True
        for opening in self._open.all_lost():
            rows.append(normalised(opening, lost(opening).close, self.journal_id.bytes))
        return True

    def _take_all(self, frames: Iterable[Found], rows: list[Finished], unreadable: list[Unreadable]) -> None:
        begin, end = self._open.begin, self._open.end
        for kind, payload, _ in frames:
            try:
                if kind == OPENING:
                    opened = _open(payload)
                    if len(opened.id) != ID_BYTES:
                        raise ValueError(f"an id of {len(opened.id)} bytes")
                    begin(opened)
                elif kind == CLOSE:
                    close = _close(payload)
                    opening = end(close.id)
                    if opening is None:
                        unreadable.append(Unreadable("close without an opening", close, None))
                    else:
                        rows.append(normalised(opening, close, self.journal_id.bytes))
                        if close.responded_at > self.newest_us:
                            self.newest_us = close.responded_at
                else:
                    unreadable.append(Unreadable(f"unknown kind of frame {kind}", None, bytes(payload)))
            except (ValueError, TypeError) as wrong:  # msgspec's errors are ValueErrors
                unreadable.append(Unreadable(f"frame not understood: {wrong}", None, bytes(payload)))

    @property
    def unmarked(self) -> bool:
        """Whether there is something about this journal that the database should know even without rows."""
        return (self._ending and not self._marked_end) or self._tail.segment != self._marked_segment

    def mark(self) -> Mark:
        """The end of a batch: it covers what was taken so far. Batches are committed in the order of their marks."""
        self._marked_segment = self._tail.segment
        self._marked_end = self._ending
        return Mark(self._tail.segment, self._tail.offset, self._ending, self._open.changes())

    async def commit(self, connection: Connection, mark: Mark) -> None:
        """Move the position, in the transaction that stores the batch; follow with ``committed``.

        Raises:
            Moved: it was not where we left it.
        """
        moved = await connection.execute(
            "UPDATE journal_positions SET segment = $2, byte_offset = $3, updated_at = now(), "
            "finished_at = CASE WHEN $6 THEN now() END "
            "WHERE journal_id = $1 AND segment = $4 AND byte_offset = $5 AND finished_at IS NULL",
            self.journal_id,
            mark.segment,
            mark.offset,
            *self._committed,
            mark.ending,
        )
        if moved != "UPDATE 1":
            raise Moved(str(self.journal_id))
        await mark.openings.write(connection)

    def committed(self, mark: Mark) -> None:
        """The transaction was committed: what it made superfluous goes."""
        self._committed = (mark.segment, mark.offset)
        for number in segment_numbers(self.folder):
            if number < mark.segment:
                remove_segment(self.folder, number)
        self.finished = mark.ending

    def remove(self) -> None:
        """Delete a finished journal."""
        remove_journal(self.folder)
        self.close()

    def lag(self) -> int:
        """Bytes not yet read."""
        return self._tail.lag()

    def close(self) -> None:
        """Give open files and the lock back."""
        self._tail.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
