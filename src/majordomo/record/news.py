"""Tells whoever listens, on any machine, that new rows are there: whose, how many, and the ids of the latest.

Sent behind the commit, outside its transaction: a commit that notifies takes a lock of the whole database server. What
is told is for looking on; a notice that is lost loses no row.
"""

import contextlib
from collections.abc import Iterable
from typing import Final
from uuid import UUID

import asyncpg
import msgspec

from majordomo.record.database import Connection
from majordomo.record.rows import NIL_ORG, Finished

CHANNEL: Final = "majordomo_requests"
#: Ids in one notice: more than anybody can read in the time of a batch, and within PostgreSQL's 8,000 bytes.
MOST_IDS: Final = 100

_TELL: Final = f"SELECT pg_notify('{CHANNEL}', told) FROM unnest($1::text[]) AS told"  # noqa: S608 - a name of ours


class Notice(msgspec.Struct, frozen=True):
    """New rows of one organisation: ``requests`` in all, of which ``ids`` are the latest."""

    org_id: UUID
    requests: int
    ids: list[UUID]


class News:
    """What a batch has to tell."""

    def __init__(self) -> None:
        self._ids: dict[bytes, list[bytes]] = {}

    def add(self, rows: Iterable[Finished]) -> None:
        """Rows that were stored."""
        for row in rows:
            opening = row.opening
            self._ids.setdefault(opening.org_id or NIL_ORG, []).append(opening.id)

    def notices(self) -> list[Notice]:
        """One for each organisation."""
        return [
            Notice(UUID(bytes=org), len(ids), [UUID(bytes=one) for one in ids[-MOST_IDS:]])
            for org, ids in self._ids.items()
        ]

    async def tell(self, connection: Connection) -> None:
        """Send it. That it cannot be sent now is no reason to store anything again."""
        payloads = [msgspec.json.encode(notice).decode() for notice in self.notices()]
        if payloads:
            with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError):
                await connection.execute(_TELL, payloads)


def read_notice(payload: str) -> Notice | None:
    """What was told; None for what is no notice of ours."""
    try:
        return msgspec.json.decode(payload, type=Notice)
    except msgspec.DecodeError:
        return None
