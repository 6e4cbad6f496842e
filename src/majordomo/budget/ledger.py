"""Keeps what budgets have spent equal to the sum over their rows: added to in the transaction that writes the rows."""

from collections.abc import Iterable, Sequence
from uuid import UUID

import msgspec

from majordomo.budget.amounts import amount, is_unpriced, went_out
from majordomo.budget.matching import BudgetIndex, Cell, head_of
from majordomo.budget.model import Budget, Unit
from majordomo.budget.store import load_index
from majordomo.budget.sums import Sums, Used
from majordomo.price.bill import Bill
from majordomo.record.database import Connection
from majordomo.record.rows import Finished


class Ledger:
    """A ``record.tally.Tally``. Knows all budgets, and looks with every batch whether it still does."""

    def __init__(self) -> None:
        self._index = BudgetIndex()

    async def add(self, connection: Connection, rows: Sequence[Finished]) -> None:
        """Count rows that are new, and lower the leases of the front desks that served them."""
        index = await self._refresh(connection)
        if not len(index):
            return
        sums = Sums()
        for row in rows:
            for budget, cell in _counts(index, row):
                sums.add(cell, budget, _used(budget, row), row.journal_id)
        await sums.write(connection)

    async def correct(self, connection: Connection, priced: Sequence[tuple[Finished, Bill]]) -> None:
        """Put the price that rows have now in the place of what they were counted at without one."""
        index = await self._refresh(connection)
        if not len(index):
            return
        sums = Sums()
        for row, bill in priced:
            now = row._replace(close=msgspec.structs.replace(row.close, bill=bill))
            for budget, cell in _counts(index, row):
                if budget.unit is Unit.USD:
                    change = amount(budget, now.opening, now.close) - amount(budget, row.opening, row.close)
                    sums.add(cell, budget, Used(change, 0, -1), None)
        await sums.write(connection)

    async def ended(self, connection: Connection, journal_id: UUID) -> None:
        """All that the front desk ever did is known: what it held and did not use is free again."""
        await connection.execute("DELETE FROM budget_leases WHERE holder = $1", journal_id)

    async def _refresh(self, connection: Connection) -> BudgetIndex:
        """The budgets as they are for this transaction: until it ends nobody changes what is counted."""
        revision = await connection.fetchval("SELECT majordomo_budget_revision()")
        if revision != self._index.revision:
            self._index = await load_index(connection)
        return self._index


def _counts(index: BudgetIndex, row: Finished) -> Iterable[tuple[Budget, Cell]]:
    opening, close, _ = row
    governing = index.governing(head_of(opening))
    if governing:
        for cell in index.cells(governing, opening.requested_at, close.requested_model, close.model):
            yield index.by_id[cell.budget_id], cell


def _used(budget: Budget, row: Finished) -> Used:
    opening, close, _ = row
    return Used(
        amount(budget, opening, close),
        1 if went_out(opening, close) else 0,
        1 if budget.unit is Unit.USD and is_unpriced(close) else 0,
    )
