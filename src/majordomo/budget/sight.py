"""What budgets did: whom they refused, and which thresholds were reached."""

import datetime as dt
from decimal import Decimal
from uuid import UUID

import msgspec

from majordomo.admit.refusal import BUDGET_CODES
from majordomo.budget.model import Budget
from majordomo.budget.statements import statement
from majordomo.record.database import Connection

#: How far back refusals are looked for, and how many alerts are shown.
REFUSALS_SINCE = dt.timedelta(days=7)
MOST_ALERTS = 100

#: Refusals of budgets, rate limits among them.
CODES = [*sorted(BUDGET_CODES), "budget_undecided", "rate_limited"]


class Refused(msgspec.Struct, frozen=True):
    """The requests of one gateway key that a budget refused."""

    who: str  # the key's name
    api_key_id: UUID
    requests: int
    since: dt.datetime
    latest: dt.datetime


class Alert(msgspec.Struct, frozen=True):
    """A threshold that was reached."""

    value: str
    window_start: dt.datetime
    threshold: int  # per cent
    spent: Decimal
    limit: Decimal
    created_at: dt.datetime


async def refusals(connection: Connection, budget: Budget, since: dt.timedelta = REFUSALS_SINCE) -> list[Refused]:
    """Whom the budget refused of late, most refused first. Found by its name: what it had before is not."""
    rows = await connection.fetch(
        statement("refusals"),
        dt.datetime.now(dt.UTC) - since,
        CODES,
        f"budget {budget.name!r}",
        f"rate limit {budget.name!r}",
        UUID(bytes=budget.org_id),
    )
    return [Refused(**row) for row in rows]


async def alerts(connection: Connection, budget: Budget) -> list[Alert]:
    """The thresholds that were reached, newest first."""
    rows = await connection.fetch(
        "SELECT each_value, window_start, threshold, spent, limit_amount, created_at FROM budget_alerts"
        " WHERE budget_id = $1 ORDER BY id DESC LIMIT $2",
        UUID(bytes=budget.id),
        MOST_ALERTS,
    )
    return [Alert(*row) for row in rows]
