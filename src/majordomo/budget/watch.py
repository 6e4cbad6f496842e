"""Tells when a budget comes near its limit: a line in the log, a row, a metric, and a webhook. And clears away.

Looks every few seconds at the counts that changed. The row is what makes it once: several back offices may look at the
same count, and only the one that could write the row tells of it. A webhook that does not answer is tried again for a
day; it may be told twice, never by two at the same time.
"""

import asyncio
import datetime as dt
import urllib.request
from collections import Counter
from decimal import Decimal
from http.client import HTTPException
from typing import Any
from uuid import UUID

import msgspec

from majordomo.budget.matching import BudgetIndex
from majordomo.budget.model import Budget
from majordomo.budget.standing import Count, standing
from majordomo.budget.statements import statement
from majordomo.budget.store import SEAM_LOCK, load_index
from majordomo.budget.windows import Kind, moment_of, stamp_us
from majordomo.clock import WallClock, wall_us
from majordomo.logs import logger
from majordomo.record.database import Connection

LOOK_SECONDS = 5.0
#: Looked back further than the last look by this: rows are committed a little after they are stamped.
OVERLAP = dt.timedelta(seconds=60)
#: When it starts, and has not looked before.
FIRST_LOOK = dt.timedelta(days=1)
#: A limit that is reached is told of always, whatever else is asked for (per cent).
SPENT = 100
WEBHOOK_TIMEOUT = 10.0  # seconds
WEBHOOK_TRIES_FOR = dt.timedelta(days=1)
MOST_TOLD_AT_ONCE = 5  # each may take its time, and all that while they are locked
#: Counts of windows that come and go within a day are kept for so long after; the others for ever.
SHORT_COUNTS_KEPT = dt.timedelta(days=7)
SHORT = frozenset({Kind.MINUTE, Kind.HOUR, Kind.ROLLING})
CLEAR_EVERY = dt.timedelta(hours=1)

_log = logger("budgets")


class Watch:
    """One back office's look at all budgets."""

    def __init__(
        self, told: "Counter[tuple[str, int]]", webhook_url: str | None = None, clock: WallClock = wall_us
    ) -> None:
        self._told = told  # (budget, threshold): how often, for metrics
        self._webhook_url = webhook_url
        self._clock = clock
        self._index = BudgetIndex()
        self._looked_until: dt.datetime | None = None
        self._cleared_at: dt.datetime | None = None
        self._webhook_failed = False

    async def look(self, connection: Connection) -> None:
        """Look once, tell what is new, and clear away what is old."""
        now = moment_of(self._clock())
        self._index = await load_index(connection)
        until = await connection.fetchval("SELECT clock_timestamp()")
        since = until - FIRST_LOOK if self._looked_until is None else self._looked_until - OVERLAP
        for budget, value in await self._touched(connection, now, since):
            stands = await standing(connection, budget, stamp_us(now), value=value, most=1)
            for count in stands.counts:
                await self._alert(connection, budget, count, now)
        self._looked_until = until
        if self._webhook_url is not None:
            await self._tell(connection, self._webhook_url)
        if self._cleared_at is None or now - self._cleared_at >= CLEAR_EVERY:
            await clear_away(connection, self._index, now)
            self._cleared_at = now

    async def _touched(self, connection: Connection, now: dt.datetime, since: dt.datetime) -> list[tuple[Budget, str]]:
        budgets = list(self._index.by_id.values())
        rows = await connection.fetch(
            statement("touched_cells"),
            [UUID(bytes=budget.id) for budget in budgets],
            [moment_of(budget.window.counted_from(stamp_us(now))) for budget in budgets],
            since,
        )
        return [(self._index.by_id[row["budget_id"].bytes], row["each_value"]) for row in rows]

    async def _alert(self, connection: Connection, budget: Budget, count: Count, now: dt.datetime) -> None:
        at = stamp_us(now)
        for threshold in sorted({*budget.warn_at, SPENT}):
            if count.spent * 100 < count.limit * threshold:
                return
            new = await connection.fetchval(
                statement("alert"),
                UUID(bytes=budget.id),
                count.value,
                moment_of(budget.window.span(at).start),
                threshold,
                count.spent,
                count.limit,
                moment_of(budget.window.counted_from(at)),
            )
            if new is None:
                continue
            self._told[budget.name, threshold] += 1
            _log.warning(
                "budget spent" if threshold == SPENT else "budget near its limit",
                budget=budget.name,
                value=count.value or None,
                threshold=threshold,
                spent=_text(count.spent),
                limit=_text(count.limit),
                unit=budget.unit.value,
            )

    async def _tell(self, connection: Connection, url: str) -> None:
        """Pass alerts on; one that was not taken stays for the next look."""
        async with connection.transaction():
            rows = await connection.fetch(
                "SELECT a.*, b.name, b.unit, b.contact FROM budget_alerts a JOIN budgets b ON b.id = a.budget_id"
                " WHERE a.told_at IS NULL AND a.created_at > now() - $1::interval"
                " ORDER BY a.id LIMIT $2 FOR UPDATE OF a SKIP LOCKED",
                WEBHOOK_TRIES_FOR,
                MOST_TOLD_AT_ONCE,
            )
            for row in rows:
                try:
                    await asyncio.to_thread(_post, url, _message(row))
                except (OSError, HTTPException, ValueError) as failed:
                    if not self._webhook_failed:  # the URL may hold a secret, and so may what the error says of it
                        _log.warning("the budget webhook did not take an alert", reason=type(failed).__name__)
                    self._webhook_failed = True
                    return
                self._webhook_failed = False
                await connection.execute(
                    "UPDATE budget_alerts SET told_at = clock_timestamp() WHERE id = $1", row["id"]
                )


async def clear_away(connection: Connection, index: BudgetIndex, now: dt.datetime) -> None:
    """Drop leases that ran out, and counts of short windows that are long over.

    What is dropped is no longer counted either: a request that is recorded that late adds to no count.
    """
    await connection.execute("DELETE FROM budget_leases WHERE expires_at < now() - interval '1 hour'")
    for budget in index.by_id.values():
        if budget.window.kind not in SHORT:
            continue
        horizon = budget.window.counted_from(stamp_us(now - SHORT_COUNTS_KEPT))
        if horizon <= budget.counts_from:
            continue
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", SEAM_LOCK)
            dropped = await connection.fetchval(
                "WITH gone AS (DELETE FROM budget_cells WHERE budget_id = $1 AND window_start < $2 RETURNING 1)"
                " SELECT count(*) FROM gone",
                UUID(bytes=budget.id),
                moment_of(horizon),
            )
            if dropped:
                await connection.execute(
                    "UPDATE budgets SET counts_from = greatest(counts_from, $2) WHERE id = $1",
                    UUID(bytes=budget.id),
                    moment_of(horizon),
                )


def _message(row: Any) -> bytes:
    return msgspec.json.encode(
        {
            "budget": row["name"],
            "budget_id": str(row["budget_id"]),
            "value": row["each_value"],
            "threshold_percent": row["threshold"],
            "spent": _text(row["spent"]),
            "limit": _text(row["limit_amount"]),
            "unit": row["unit"],
            "contact": row["contact"],
            "window_start": row["window_start"].isoformat(),
            "reached_at": row["created_at"].isoformat(),
        }
    )


def _post(url: str, body: bytes) -> None:
    headers = {"Content-Type": "application/json", "User-Agent": "majordomo"}
    request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310 - the setting allows http(s) only
    with urllib.request.build_opener(_NoRedirects).open(request, timeout=WEBHOOK_TIMEOUT) as answer:
        answer.read(1024)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The owner named one address, and alerts go nowhere else."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Never."""


def _text(amount: Decimal) -> str:
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
