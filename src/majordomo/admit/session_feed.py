"""Keeps what a front desk knows of sessions near the ``claude_sessions`` table, on the key feed's connection.

The sessions that are open are loaded when it connects; new ones are told by NOTIFY, and others looked up when a request
names them.
"""

from typing import Any
from uuid import UUID

import asyncpg

from majordomo.admit.sessions import MOST_SESSIONS, SessionOwners
from majordomo.logs import logger

CHANNEL = "majordomo_sessions"

#: Oldest first, so that those asked in last are the last to be let go.
_OPEN = """
SELECT id, majordomo_api_key_id FROM (
    SELECT id, majordomo_api_key_id, coalesce(last_request_at, started_at) AS at FROM claude_sessions
    WHERE ended_at IS NULL ORDER BY at DESC LIMIT $1
) AS newest ORDER BY at
"""
_BY_ID = "SELECT id, majordomo_api_key_id FROM claude_sessions WHERE id = ANY ($1::uuid[])"

_log = logger("keys")


class SessionFeed:
    """Whoever holds the connection calls it; it makes none of its own. What fails here costs warnings, no more."""

    def __init__(self, owners: SessionOwners) -> None:
        self.owners = owners

    async def follow(self, connection: "asyncpg.Connection[Any]") -> None:
        """Load what is open, and hear of what is new from now on."""
        await connection.add_listener(CHANNEL, self._heard)
        for session, key_id in (await _fetched(connection, _OPEN, MOST_SESSIONS)).items():
            self.owners.put(session, key_id)

    async def look_up(self, connection: "asyncpg.Connection[Any]") -> None:
        """Learn the owners of the sessions that requests have named meanwhile."""
        wanted = self.owners.take_wanted()
        if not wanted:
            return
        found = await _fetched(connection, _BY_ID, [UUID(bytes=session) for session in wanted])
        for session, key_id in found.items():
            self.owners.put(session, key_id)
        self.owners.missed([session for session in wanted if session not in found])

    def _heard(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        session, _, key_id = str(payload).partition(" ")
        try:
            self.owners.put(UUID(session).bytes, UUID(key_id).bytes)
        except ValueError:
            return  # not one of our notices


async def _fetched(connection: "asyncpg.Connection[Any]", query: str, *arguments: object) -> dict[bytes, bytes]:
    try:
        rows = await connection.fetch(query, *arguments)
    except (asyncpg.PostgresError, TimeoutError) as failed:
        _log.warning("the owners of sessions are not known just now", reason=type(failed).__name__)
        return {}
    return {row["id"].bytes: row["majordomo_api_key_id"].bytes for row in rows}
