"""What a batch of rows adds to API keys (requests, last use) and to Claude Code sessions (requests, tokens, cost)."""

from uuid import UUID

from majordomo.record.database import Connection
from majordomo.record.rows import Finished, session_id, usd_text
from majordomo.record.statements import statement


class Totals:
    """A batch's sums."""

    def __init__(self) -> None:
        self._keys: dict[bytes, list[int]] = {}  # requests, last use in microseconds
        self._sessions: dict[tuple[UUID, bytes], list[int]] = {}  # requests, input, output tokens, femto-USD

    def add(self, finished: Finished) -> None:
        """Count one request."""
        opening, close = finished
        key = self._keys.get(opening.api_key_id)
        if key is None:
            self._keys[opening.api_key_id] = [1, opening.requested_at]
        else:
            key[0] += 1
            if opening.requested_at > key[1]:
                key[1] = opening.requested_at
        if opening.claude_session is not None:
            session = session_id(opening.claude_session)
            if session is not None:
                sums = self._sessions.setdefault((session, opening.api_key_id), [0, 0, 0, 0])
                sums[0] += 1
                sums[1] += close.input_tokens or 0
                sums[2] += close.output_tokens or 0
                sums[3] += close.bill.total_cost or 0

    async def write(self, connection: Connection) -> None:
        """Add everything, in the caller's transaction."""
        if self._keys:
            await connection.execute(
                statement("count_api_keys"),
                [UUID(bytes=key_id) for key_id in self._keys],
                [requests for requests, _ in self._keys.values()],
                [last_used for _, last_used in self._keys.values()],
            )
        if self._sessions:
            requests, inputs, outputs, costs = zip(*self._sessions.values(), strict=True)
            await connection.execute(
                statement("count_claude_sessions"),
                [session for session, _ in self._sessions],
                [UUID(bytes=key_id) for _, key_id in self._sessions],
                list(requests),
                list(inputs),
                list(outputs),
                [usd_text(cost) for cost in costs],
            )
