"""Openings that wait for their close, journal by journal.

A journal's segment must be free to go once the position has left it, however long one of its requests runs. So at
that moment the openings it leaves behind move to the table ``journal_openings``, in the transaction that moves the
position. After a restart the open requests are those in the table and those in the segment of the position.
"""

from typing import NamedTuple
from uuid import UUID

import msgspec

from majordomo.record.database import Connection
from majordomo.record.frames import Opening

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Opening).decode


class OpenRequests:
    """The requests of one journal that have begun and not ended, as far as it has been read."""

    def __init__(self, journal_id: UUID) -> None:
        self._journal_id = journal_id
        self._open: dict[bytes, Opening] = {}
        self._here: set[bytes] = set()  # opened in the segment being read
        self._leaving: set[bytes] = set()  # opened in an earlier one, not in the table yet
        self._in_table: set[bytes] = set()
        self._ended_in_table: list[bytes] = []

    def __len__(self) -> int:
        return len(self._open)

    async def load(self, connection: Connection) -> None:
        """Begin with what the table holds."""
        rows = await connection.fetch("SELECT frame FROM journal_openings WHERE journal_id = $1", self._journal_id)
        for row in rows:
            opening = _decode(row["frame"])
            self._open[opening.id] = opening
            self._in_table.add(opening.id)

    def begin(self, opening: Opening) -> None:
        """A request was announced."""
        self._open[opening.id] = opening
        self._here.add(opening.id)

    def end(self, request_id: bytes) -> Opening | None:
        """A request has ended: its opening, or None if there is none."""
        opening = self._open.pop(request_id, None)
        if opening is None:
            return None
        if request_id in self._in_table:
            self._in_table.discard(request_id)
            self._ended_in_table.append(request_id)
        else:
            self._here.discard(request_id)
            self._leaving.discard(request_id)
        return opening

    def segment_left(self) -> None:
        """The reader has gone on to the next segment."""
        self._leaving |= self._here
        self._here = set()

    def all_lost(self) -> list[Opening]:
        """The journal has ended: every request that is still open, taken out."""
        return [opening for request_id in list(self._open) if (opening := self.end(request_id)) is not None]

    def changes(self) -> "Changes":
        """What the table has to follow since the last call. It is taken to follow: if it fails to, begin anew."""
        ended, self._ended_in_table = self._ended_in_table, []
        left = {request_id: _encode(self._open[request_id]) for request_id in self._leaving}
        self._in_table |= self._leaving
        self._leaving = set()
        return Changes(self._journal_id, ended, left)


class Changes(NamedTuple):
    """How ``journal_openings`` changes with one batch."""

    journal_id: UUID
    ended: list[bytes]  # ids of requests that the table held
    left: dict[bytes, bytes]  # id: frame of requests that still run, of segments that the position has left

    async def write(self, connection: Connection) -> None:
        """Bring the table up to date, in the transaction that moves the position."""
        if self.ended:
            await connection.execute(
                "DELETE FROM journal_openings WHERE journal_id = $1 AND request_id = ANY($2)",
                self.journal_id,
                [UUID(bytes=request_id) for request_id in self.ended],
            )
        if self.left:
            await connection.executemany(
                "INSERT INTO journal_openings (journal_id, request_id, frame) VALUES ($1, $2, $3) "
                "ON CONFLICT DO NOTHING",
                [(self.journal_id, UUID(bytes=request_id), frame) for request_id, frame in self.left.items()],
            )
