"""Which hours of the UTC day are asked about in halves: those that time zones half an hour off cut in two.

They are noted for good, so that ``record/summing.py`` sums their halves, and later questions need not read their rows.
"""

import datetime as dt
from collections.abc import Sequence
from uuid import UUID

from majordomo.report.connections import Connections


class Halves:
    """What has been noted by this process is not noted again."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._noted: set[tuple[UUID, int]] = set()

    async def note(self, org_id: UUID | None, splits: Sequence[dt.datetime]) -> None:
        """An organisation has asked about hours cut at these moments (aware); for None, which is all, nothing is kept.

        Raises:
            ApiError: 503, the database is away.
        """
        if org_id is None:
            return
        new = {(org_id, moment.astimezone(dt.UTC).hour) for moment in splits} - self._noted
        if not new:
            return
        async with self._connections.acquire() as connection:
            await connection.executemany(
                "INSERT INTO pair_halves_wanted (org_id, utc_hour) VALUES ($1, $2) ON CONFLICT DO NOTHING", sorted(new)
            )
        self._noted |= new
