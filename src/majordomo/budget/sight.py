"""What budgets did and are about to do: whom they refused, which thresholds were reached, who is near a limit."""

import ast
import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from uuid import UUID

import msgspec

from majordomo.admit.refusal import BUDGET_CODES
from majordomo.budget.model import Budget
from majordomo.budget.standing import Count, standing
from majordomo.budget.statements import statement
from majordomo.record.database import Connection

#: How far back refusals are looked for, and how many alerts are shown.
REFUSALS_SINCE = dt.timedelta(days=7)
MOST_ALERTS = 100
#: From what share of a limit on a count is near it, unless something else is asked for (per cent).
NEAR = 80
#: Counts of one budget that are looked at, the fullest first.
MOST_NEAR = 200

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


class Near(msgspec.Struct, frozen=True):
    """A count that is near its limit, or over it."""

    budget: Budget
    count: Count


class BudgetRefused(msgspec.Struct, frozen=True):
    """What one budget refused of one gateway key, for one value and reason."""

    budget: str
    value: str
    code: str
    who: str  # the key's name
    api_key_id: UUID
    requests: int
    since: dt.datetime
    latest: dt.datetime


async def near(connection: Connection, budgets: Iterable[Budget], now: int, percent: int = NEAR) -> list[Near]:
    """The counts of which so much of the limit is spent at ``now`` (microseconds since the epoch), fullest first.

    With how fast they go, and when they will be gone at that rate.
    """
    found = []
    for budget in budgets:
        full = await standing(connection, budget, now, most=1)
        if not any(count.percent >= percent for count in full.counts):
            continue
        stands = await standing(connection, budget, now, most=MOST_NEAR, rate=True)
        found += [Near(budget, count) for count in stands.counts if count.percent >= percent]
    return sorted(found, key=lambda one: (-one.count.percent, one.budget.name, one.count.value))


async def all_refusals(
    connection: Connection, org_id: bytes | None = None, since: dt.timedelta = REFUSALS_SINCE
) -> list[BudgetRefused]:
    """What all budgets refused of late, most first; ``org_id``: those of this organisation."""
    rows = await connection.fetch(
        statement("all_refusals"),
        dt.datetime.now(dt.UTC) - since,
        CODES,
        None if org_id is None else UUID(bytes=org_id),
    )
    return [
        BudgetRefused(
            _unquoted(row["name"]),
            _unquoted(row["value"] or ""),
            *(row[name] for name in ("code", "who", "api_key_id", "requests", "since", "latest")),
        )
        for row in rows
    ]


def _unquoted(text: str) -> str:
    """What stands in Python's quotes; a text that is cut or otherwise no such thing as it is."""
    try:
        return str(ast.literal_eval(text))
    except (ValueError, SyntaxError):
        return text


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
