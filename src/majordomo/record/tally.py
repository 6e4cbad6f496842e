"""What else is counted from rows, by rooms that this one does not know: kept exact by being counted with them."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from majordomo.price.bill import Bill
from majordomo.record.database import Connection
from majordomo.record.rows import Finished


class Tally(Protocol):
    """Called within the transaction that changes the rows; what it counts comes and goes with them."""

    async def add(self, connection: Connection, rows: Sequence[Finished]) -> None:
        """Count rows that are new."""

    async def correct(self, connection: Connection, priced: Sequence[tuple[Finished, Bill]]) -> None:
        """Rows that had no price, as they were counted, have one now."""

    async def ended(self, connection: Connection, journal_id: UUID) -> None:
        """All that a journal held is counted: its front desk is gone."""
