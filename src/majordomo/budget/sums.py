"""What a batch of rows adds to the counts of budgets, and takes from leases."""

from typing import NamedTuple
from uuid import UUID

from majordomo.budget.matching import Cell
from majordomo.budget.model import Budget, in_unit
from majordomo.budget.statements import statement
from majordomo.budget.windows import moment_of
from majordomo.record.database import Connection


class Used(NamedTuple):
    """What one row, or several, add to a count."""

    spent: int
    requests: int
    unpriced: int


class Sums:
    """What is to be added to counts, and what is taken from leases."""

    def __init__(self) -> None:
        self._cells: dict[Cell, Used] = {}
        self._leases: dict[tuple[bytes, str, int, bytes], int] = {}  # budget, value, start, holder
        self._budgets: dict[bytes, Budget] = {}

    def add(self, cell: Cell, budget: Budget, used: Used, holder: bytes | None) -> None:
        """Add to one count; ``holder``: the journal of the front desk whose lease pays for it."""
        if used == (0, 0, 0):
            return
        self._budgets[cell.budget_id] = budget
        before = self._cells.get(cell)
        self._cells[cell] = used if before is None else Used(*map(sum, zip(before, used, strict=True)))
        if holder is not None and used.spent > 0:
            lease = (cell.budget_id, cell.value, budget.window.lease_start(cell.start), holder)
            self._leases[lease] = self._leases.get(lease, 0) + used.spent

    def cells(self) -> dict[Cell, Used]:
        """What is to be added, count by count."""
        return dict(self._cells)

    async def write(self, connection: Connection) -> None:
        """Add everything, in the caller's transaction."""
        if self._cells:
            cells = sorted(self._cells)
            used = [self._cells[cell] for cell in cells]
            await connection.execute(
                statement("add_to_cells"),
                [UUID(bytes=cell.budget_id) for cell in cells],
                [cell.value for cell in cells],
                [moment_of(cell.start) for cell in cells],
                [in_unit(self._budgets[cell.budget_id].unit, one.spent) for cell, one in zip(cells, used, strict=True)],
                [one.requests for one in used],
                [one.unpriced for one in used],
            )
        if self._leases:
            leases = sorted(self._leases)
            await connection.execute(
                statement("lower_leases"),
                [UUID(bytes=budget_id) for budget_id, _, _, _ in leases],
                [value for _, value, _, _ in leases],
                [moment_of(start) for _, _, start, _ in leases],
                [UUID(bytes=holder) for _, _, _, holder in leases],
                [in_unit(self._budgets[lease[0]].unit, self._leases[lease]) for lease in leases],
            )
