"""What this process may still spend in one cell: its share of a budget for one window and one value.

A purse is given amounts by whoever holds the budget (the database by way of ``leases``, or nobody but this process),
takes a reservation for each request that leaves, and turns it into what the request really used when it ends. All
amounts are in the budget's own unit: femto-dollars or a count.
"""

from majordomo.budget.matching import Cell
from majordomo.budget.model import Budget
from majordomo.budget.windows import SECOND_US, Kind


class Purse:
    """The room in one cell. Changed only by the event loop it belongs to."""

    __slots__ = (
        "at_risk",
        "base",
        "budget",
        "cell",
        "ends_us",
        "enforced",
        "granted",
        "limit",
        "overshoot",
        "reserved",
        "rolls_us",
        "used",
    )

    def __init__(self, budget: Budget, cell: Cell) -> None:
        self.cell = cell
        self.serve(budget, budget.limit)
        self.ends_us: int | None = None  # when the window, or the step of one that rolls, is over
        self.granted = 0  # in all, what was given back taken off
        self.used = 0  # by requests of this process that have ended
        self.reserved = 0  # for those that are under way
        self.at_risk = 0  # what those may use at worst beyond what is reserved for them
        self.overshoot = 0  # the most that was ever used beyond what was granted
        self.base = 0  # used in the cell by all others

    def serve(self, budget: Budget, limit: int) -> None:
        """The budget as it stands now; ``limit``: with what it is raised by at present."""
        self.budget = budget
        self.limit = limit
        self.enforced = budget.enforced
        rolling = budget.window.kind is Kind.ROLLING
        self.rolls_us = budget.window.length * SECOND_US if rolling else 0  # the length of a window that rolls

    def __repr__(self) -> str:
        return f"<Purse {self.budget.name} {self.cell.value!r} room={self.room} of granted={self.granted}>"

    @property
    def room(self) -> int:
        """What a new request may still reserve here; below zero after an overshoot."""
        return self.granted - self.used - self.reserved

    @property
    def spent(self) -> int:
        """What is known to be used of the limit, by this process and all others."""
        return self.base + self.used

    @property
    def remaining(self) -> int:
        """What is left of the limit, as far as is known; never below zero."""
        left = self.limit - self.base - self.used
        return left if left > 0 else 0

    @property
    def full_again_us(self) -> int | None:
        """When all that is used at present has come back; None: never by itself."""
        return None if self.ends_us is None else self.ends_us + self.rolls_us  # the present step is the last to leave

    @property
    def share_left(self) -> float:
        """The same as a share of the limit: the smallest is the tightest budget."""
        return self.remaining / self.limit if self.limit else 0.0

    def reserve(self, amount: int, at_risk: int) -> None:
        """Set an amount apart for a request that is about to leave."""
        self.reserved += amount
        self.at_risk += at_risk

    def settle(self, reserved: int, at_risk: int, used: int) -> None:
        """A request has ended: what it used takes the place of what was set apart."""
        self.reserved -= reserved
        self.at_risk -= at_risk
        self.used += used
        over = self.used - self.granted
        if over > self.overshoot:
            self.overshoot = over
