"""What a batch of rows adds to API keys (requests, last use) and to Claude Code sessions."""

from uuid import UUID

from majordomo.record.claude_sessions import SessionTotals
from majordomo.record.database import Connection
from majordomo.record.rows import Finished
from majordomo.record.statements import statement


class Totals:
    """A batch's sums."""

    def __init__(self) -> None:
        self._keys: dict[bytes, list[int]] = {}  # requests, last use in microseconds
        self._sessions = SessionTotals()

    def add(self, finished: Finished) -> None:
        """Count one request."""
        opening = finished.opening
        key = self._keys.get(opening.api_key_id)
        if key is None:
            self._keys[opening.api_key_id] = [1, opening.requested_at]
        else:
            key[0] += 1
            if opening.requested_at > key[1]:
                key[1] = opening.requested_at
        if opening.claude_session is not None:
            self._sessions.add(finished)

    async def write(self, connection: Connection) -> None:
        """Add everything, in the caller's transaction."""
        if self._keys:
            await connection.execute(
                statement("count_api_keys"),
                [UUID(bytes=key_id) for key_id in self._keys],
                [requests for requests, _ in self._keys.values()],
                [last_used for _, last_used in self._keys.values()],
            )
        await self._sessions.write(connection)
