"""Claude Code sessions: made when a request first names one, owned by that request's key, summed up with the rows.

Whose a session is gets decided in the transaction that stores the rows, before anything is counted from them, so that
rows, details and sums agree. A key only ever adds to its own sessions.
"""

from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

import msgspec

from majordomo.ids import read_uuid
from majordomo.record.claude_rows import booked
from majordomo.record.database import Connection
from majordomo.record.frames import Opening
from majordomo.record.rows import NIL_ORG, Finished, usd_text
from majordomo.record.safe_text import safe
from majordomo.record.statements import statement

#: Problem codes of rows whose session is ignored: it is another key's, or no UUID.
FOREIGN_SESSION = "foreign_session"
BAD_SESSION = "bad_session"

#: Characters of a session's name; more is no name, and every list shows it.
SESSION_NAME_LIMIT = 255

#: Sessions closed in one statement, so that their locks are held for a moment only.
CLOSED_AT_ONCE = 500


class SessionKey(NamedTuple):
    """A session as the table knows it."""

    id: UUID
    org_id: UUID


async def admit_sessions(connection: Connection, rows: list[Finished]) -> tuple[list[Finished], Counter[str]]:
    """The same rows, each naming a session of its own key or none; and how many are made to name none, by problem.

    Sessions that do not exist yet are made. ``rows`` themselves stay as they are. Asks the database only if some row
    names a session.
    """
    first: dict[SessionKey, Opening] = {}  # the earliest request that names it
    for row in rows:
        opening = row.opening
        if opening.claude_session is not None:
            key = _session_key(opening)
            if key is not None and (key not in first or opening.requested_at < first[key].requested_at):
                first[key] = opening
    ignored: Counter[str] = Counter()
    if not first and all(row.opening.claude_session is None for row in rows):
        return rows, ignored
    owners = await _owners(connection, list(first))
    missing = sorted(first.keys() - owners.keys())  # in one order for all writers
    if missing:
        await _create(connection, missing, first)
        owners |= await _owners(connection, missing)
    admitted = []
    for row in rows:
        problem = _problem(row.opening, owners)
        if problem is not None:
            ignored[problem] += 1
            opening = msgspec.structs.replace(row.opening, claude_session=None)
            row = row._replace(
                opening=opening, close=msgspec.structs.replace(row.close, problems=(*row.close.problems, problem))
            )
        admitted.append(row)
    return admitted, ignored


def _session_key(opening: Opening) -> SessionKey | None:
    session = read_uuid(opening.claude_session) if opening.claude_session else None
    return None if session is None else SessionKey(session, _org(opening.org_id or NIL_ORG))


@lru_cache(maxsize=1024)
def _org(org_id: bytes) -> UUID:
    return UUID(bytes=org_id)


def _problem(opening: Opening, owners: dict[SessionKey, bytes]) -> str | None:
    if opening.claude_session is None:
        return None
    key = _session_key(opening)
    if key is None:
        return BAD_SESSION
    return None if owners.get(key) == opening.api_key_id else FOREIGN_SESSION


async def _owners(connection: Connection, keys: list[SessionKey]) -> dict[SessionKey, bytes]:
    found = await connection.fetch(
        statement("find_claude_sessions"), [key.id for key in keys], [key.org_id for key in keys]
    )
    return {SessionKey(row["id"], row["org_id"]): row["majordomo_api_key_id"].bytes for row in found}


async def _create(connection: Connection, keys: list[SessionKey], first: dict[SessionKey, Opening]) -> None:
    """Make sessions. Another transaction that makes the same is waited for, and wins."""
    openings = [first[key] for key in keys]
    await connection.execute(
        statement("create_claude_sessions"),
        [key.id for key in keys],
        [key.org_id for key in keys],
        [UUID(bytes=opening.api_key_id) for opening in openings],
        [_name(opening) for opening in openings],
        [opening.requested_at for opening in openings],
        ["client" if opening.claude_session == opening.client_session else "companion" for opening in openings],
    )


def _name(opening: Opening) -> str | None:
    name = opening.claude_session_name
    return safe(name, SESSION_NAME_LIMIT) if name else None


@dataclass(slots=True)
class SessionSums:
    """What a batch adds to one session."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: int = 0  # femto-USD
    first_us: int | None = None  # requested_at of the earliest and the latest request
    last_us: int | None = None
    booked: list[tuple[int, bytes, float]] = field(default_factory=list)  # responded_at, request, what /usage books


class SessionTotals:
    """What a batch adds to sessions. The sessions are known to exist and to be their keys' own."""

    def __init__(self) -> None:
        self._sums: dict[SessionKey, SessionSums] = {}

    def add(self, finished: Finished) -> None:
        """Count one request that names a session."""
        opening, close, _ = finished
        key = _session_key(opening)
        if key is None:
            return
        sums = self._of(key)
        at = opening.requested_at
        sums.requests += 1
        sums.input_tokens += close.input_tokens or 0
        sums.output_tokens += close.output_tokens or 0
        sums.cost += close.bill.total_cost or 0
        sums.first_us = at if sums.first_us is None else min(sums.first_us, at)
        sums.last_us = at if sums.last_us is None else max(sums.last_us, at)
        if close.claude is not None and (cost := booked(close.claude)):
            sums.booked.append((close.responded_at, opening.id, cost))

    def add_cost(self, key: SessionKey, cost: int) -> None:
        """Count what a request that was counted before turned out to cost, in femto-USD."""
        self._of(key).cost += cost

    def _of(self, key: SessionKey) -> SessionSums:
        sums = self._sums.get(key)
        if sums is None:
            sums = self._sums[key] = SessionSums()
        return sums

    async def write(self, connection: Connection) -> None:
        """Add everything, in the caller's transaction."""
        if not self._sums:
            return
        sums = list(self._sums.values())
        await connection.execute(
            statement("count_claude_sessions"),
            [key.id for key in self._sums],
            [key.org_id for key in self._sums],
            [each.requests for each in sums],
            [each.input_tokens for each in sums],
            [each.output_tokens for each in sums],
            [usd_text(each.cost) for each in sums],
            [each.first_us for each in sums],
            [each.last_us for each in sums],
            [_in_order_of_booking(each) for each in sums],
        )


def _in_order_of_booking(sums: SessionSums) -> str:
    """An array literal. A reply is booked when its usage comes, just before its end."""
    return "{" + ",".join(repr(cost) for _, _, cost in sorted(sums.booked)) + "}"


async def close_idle_sessions(connection: Connection, idle_seconds: float) -> int:
    """Close sessions of which nothing came for so long, as of their last request; returns how many.

    Replicas may do so at once; a session that is being written to is left for the next time.
    """
    closed = 0
    while True:
        count = int(await connection.fetchval(statement("close_idle_claude_sessions"), idle_seconds, CLOSED_AT_ONCE))
        closed += count
        if count < CLOSED_AT_ONCE:
            return closed


async def count_open_sessions(connection: Connection) -> int:
    """How many sessions have no end yet."""
    return int(await connection.fetchval("SELECT count(*) FROM claude_sessions WHERE ended_at IS NULL"))
