"""Budgets as tests put them in force in a desk of their own, without a database."""

from typing import Any

from running_desk import RunningDesk

from majordomo.budget.matching import BudgetIndex
from majordomo.budget.model import Budget, Scope, Unit
from majordomo.budget.windows import Kind, Window
from majordomo.price.bill import FEMTO_PER_USD
from majordomo.record.rows import NIL_ORG


def limit(desk: RunningDesk, *budgets: Budget) -> None:
    """Put budgets in force; all of their limits are this desk's own."""
    desk.call(lambda: setattr(desk.gate, "budgets", BudgetIndex(budgets)))


def budget(unit: Unit, most: int, window: Kind = Kind.LIFETIME, **terms: Any) -> Budget:
    """A budget that governs everything; ``most`` is a count, or femto-dollars."""
    name = terms.setdefault("name", "team")
    terms.setdefault("scope", Scope())
    identity = name.encode().ljust(16, b"-")
    return Budget(id=identity, org_id=NIL_ORG, unit=unit, limit=most, window=Window(kind=window), **terms)


def dollars(amount: float, **terms: Any) -> Budget:
    """One in USD."""
    return budget(Unit.USD, int(amount * FEMTO_PER_USD), **terms)


def requests(most: int, **terms: Any) -> Budget:
    """One in requests."""
    return budget(Unit.REQUESTS, most, **terms)
