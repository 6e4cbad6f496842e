"""Leases: how a front desk takes a part of what is left of a limit, to spend it without asking.

What is spent and what is leased is never more than the limit, whoever takes at the same time: takers of one count take
turns. A row lowers its front desk's lease by what it adds to the spent amount, in one transaction (``ledger.py``). So a
holder may count on its lease less what it has used since, until the lease runs out by the holder's own clock, counted
from before it asked.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from majordomo.budget.matching import BudgetIndex, Cell
from majordomo.budget.model import Budget, from_unit, in_unit
from majordomo.budget.statements import statement
from majordomo.budget.windows import moment_of, stamp_us
from majordomo.record.database import Connection

#: A front desk that finds nothing left asks the others on this channel to give back what they do not need. The payload
#: is the budget's id.
WANTED_CHANNEL = "majordomo_leases_wanted"

_TAKE = (
    "SELECT granted, spent, leased, limit_now, held, settled FROM"
    " majordomo_lease($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
)


class Lease(NamedTuple):
    """What was granted, and how the count stands; in the budget's unit."""

    granted: int  # 0: there is not so much left
    spent: int  # by the rows that are written
    leased: int  # by all front desks, what was granted now included
    limit: int  # with what it is raised by
    held: int  # by this front desk, what was granted now included
    settled: int  # what its rows have used of the lease since it was taken


class Held(NamedTuple):
    """What is still held of one count, in the budget's unit."""

    amount: int
    settled: int


async def take(
    connection: Connection, budget: Budget, cell: Cell, at: int, holder: bytes, least: int, want: int,
    *, step: int = 0, seconds: float,
) -> Lease | None:  # fmt: skip
    """Take a lease for ``seconds``, or add to the one that is held; None: there is no such budget any more.

    At least ``least`` or nothing; up to ``want``, as far as that is no more than a quarter of what is left; and where
    ``step`` is not 0, only whole steps beyond ``least``. A ``least`` of 0 takes nothing and only looks. ``at``: the
    request's time, in microseconds since the epoch.
    """
    unit = budget.unit
    row = await connection.fetchrow(
        _TAKE,
        UUID(bytes=cell.budget_id),
        cell.value,
        moment_of(budget.window.lease_start(cell.start)),
        moment_of(budget.window.counted_from(at)),
        moment_of(cell.start),
        UUID(bytes=holder),
        in_unit(unit, least),
        in_unit(unit, want),
        in_unit(unit, step),
        seconds,
    )
    if row is None or row["limit_now"] is None:
        return None
    return Lease(*(from_unit(unit, amount) for amount in row))


async def renew(
    connection: Connection, index: BudgetIndex, holder: bytes, at_risk: Mapping[Cell, int], *, seconds: float
) -> dict[Cell, Held]:
    """Hold everything for ``seconds`` more. Returns what is still held, by count; of a rolling window the start is 0.

    What is missing was taken by others after it had run out, or its budget is gone. ``at_risk``: what running requests
    may use at worst beyond what is reserved for them.
    """
    told = [(cell, index.by_id[cell.budget_id].unit) for cell in at_risk if cell.budget_id in index.by_id]
    rows = await connection.fetch(
        statement("renew_leases"),
        UUID(bytes=holder),
        seconds,
        *_columns(cell for cell, _ in told),
        [in_unit(unit, at_risk[cell]) for cell, unit in told],
    )
    held = {}
    for row in rows:
        budget = index.by_id.get(row["budget_id"].bytes)
        if budget is not None:
            cell = Cell(budget.id, row["each_value"], stamp_us(row["window_start"]))
            held[cell] = Held(from_unit(budget.unit, row["amount"]), from_unit(budget.unit, row["settled"]))
    return held


async def give_back(connection: Connection, index: BudgetIndex, holder: bytes, amounts: Mapping[Cell, int]) -> None:
    """Let others have what is not needed of leases."""
    told = [(cell, index.by_id[cell.budget_id].unit) for cell in amounts if cell.budget_id in index.by_id]
    await connection.execute(
        statement("give_back"),
        UUID(bytes=holder),
        *_columns(cell for cell, _ in told),
        [in_unit(unit, amounts[cell]) for cell, unit in told],
    )


async def drop(connection: Connection, holder: bytes, cells: Iterable[Cell]) -> None:
    """Be done with leases of windows that are over."""
    await connection.execute(statement("drop_leases"), UUID(bytes=holder), *_columns(cells))


def _columns(cells: Iterable[Cell]) -> tuple[list[UUID], list[str], list[datetime]]:
    """The keys of leases, column by column. Of a rolling window the start is 0."""
    listed = list(cells)
    return (
        [UUID(bytes=cell.budget_id) for cell in listed],
        [cell.value for cell in listed],
        [moment_of(cell.start) for cell in listed],
    )
