"""Prices rows again whose price was unknown when they were written, and corrects everything that was summed from them.

Each batch is one transaction: rows, rollups and session totals change together or not at all. A run that is stopped
loses nothing; the next one goes on, as priced rows are no longer looked at. A row keeps the price of its own day.
"""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import asyncpg
import msgspec

from majordomo.meter.reading import UsageState
from majordomo.price.bill import Bill, usd
from majordomo.price.pricer import Pricer
from majordomo.price.reprice import reprice
from majordomo.record.claude_sessions import SessionKey, SessionTotals
from majordomo.record.database import Connection
from majordomo.record.frames import Opening, Outcome
from majordomo.record.registry import Registry
from majordomo.record.rollup import Rollup
from majordomo.record.rows import Billed, Finished, lost
from majordomo.record.statements import statement
from majordomo.record.tally import Tally

#: Rows priced and locked at a time: some 50 ms, so that the writer hardly waits.
BATCH_ROWS = 500

#: What pricing says of a row that it cannot price; taken off once it can.
_PRICING_PROBLEMS = (
    "unknown_model",
    "unknown_tier:",
    "unknown_speed:",
    "unknown_geo:",
    "unknown_combination:",
    "no_rate:",
    "inexact_rate:",
    "pricing_failed",
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Repriced(msgspec.Struct):
    """What a run, or a part of it, came to."""

    rows: Counter[tuple[str, str]] = msgspec.field(default_factory=Counter)  # (provider, model): rows now priced
    usd: dict[tuple[str, str], Decimal] = {}  # the same: what they cost
    unpriced: Counter[tuple[str, str, str]] = msgspec.field(default_factory=Counter)  # (.., .., why): still without
    seen: int = 0

    def add(self, other: "Repriced") -> None:
        """Take another part's numbers in."""
        self.rows.update(other.rows)
        self.unpriced.update(other.unpriced)
        self.seen += other.seen
        for cell, cost in other.usd.items():
            self.usd[cell] = self.usd.get(cell, Decimal(0)) + cost


async def count_unpriced(connection: Connection) -> int:
    """How many rows a run would look at."""
    return int(
        await connection.fetchval(
            "SELECT count(*) FROM llm_requests"
            " WHERE total_cost IS NULL AND usage_state <> 'none' AND billed IS NOT NULL"
        )
    )


async def reprice_unpriced(
    connection: Connection, pricer: Pricer, *, tally: Tally | None = None, batch_rows: int = BATCH_ROWS
) -> AsyncIterator[Repriced]:
    """Price every row without a known price, oldest first; yields what each committed batch changed.

    Raises:
        asyncpg.PostgresError: the database failed; batches before are committed.
    """
    registry = Registry()
    after: tuple[datetime, UUID] = (_EPOCH - timedelta(days=1), UUID(int=0))
    while True:
        async with connection.transaction():
            rows = await connection.fetch(statement("reprice_candidates"), *after, batch_rows)
            await registry.refresh(connection)  # behind the locks: no row of these becomes indexed any more
            changed = await _reprice_batch(connection, pricer, registry, tally, rows)
        if rows:
            yield changed
        if len(rows) < batch_rows:
            return
        after = (rows[-1]["requested_at"], rows[-1]["id"])


async def _reprice_batch(
    connection: Connection, pricer: Pricer, registry: Registry, tally: Tally | None, rows: list[asyncpg.Record]
) -> Repriced:
    changed = Repriced(seen=len(rows))
    rollup = Rollup()
    sessions = SessionTotals()
    updates = []
    repriced = []
    for row in rows:
        bill = _bill(pricer, row)
        cell = (row["provider"], row["model"] or "")
        if bill.total_cost is None:
            changed.unpriced[(*cell, bill.problems[0] if bill.problems else "unknown")] += 1
            continue
        changed.rows[cell] += 1
        changed.usd[cell] = changed.usd.get(cell, Decimal(0)) + usd(bill.total_cost)
        updates.append(_update(row, bill))
        finished = _finished(row)
        repriced.append((finished, bill))
        _add_to_rollup(rollup, registry, row, finished, bill)
        if row["claude_session_id"]:
            sessions.add_cost(SessionKey(row["claude_session_id"], row["org_id"]), bill.total_cost)
    await connection.executemany(statement("reprice_row"), updates)
    await rollup.write(connection)
    await sessions.write(connection)
    if tally is not None and repriced:
        await tally.correct(connection, repriced)
    return changed


def _bill(pricer: Pricer, row: asyncpg.Record) -> Bill:
    try:
        billed = msgspec.json.decode(row["billed"], type=Billed)
    except msgspec.DecodeError:
        return Bill(problems=("unreadable_row",))
    return reprice(
        pricer,
        provider=row["provider"],
        api=row["api"],
        model=row["model"],
        parts=billed.parts,
        service_tier=row["service_tier"],
        speed=billed.speed,
        geo=billed.geo,
        batch=billed.batch,
        requested_at_us=_us(row["requested_at"]),
    )


def _update(row: asyncpg.Record, bill: Bill) -> tuple[object, ...]:
    costs = (
        bill.input_cost,
        bill.output_cost,
        bill.cache_read_cost,
        bill.cache_creation_cost,
        bill.tool_cost,
        bill.total_cost,
    )
    kept = [problem for problem in row["problems"] if not problem.startswith(_PRICING_PROBLEMS)]
    in_usd = [_plain(usd(cost or 0)) for cost in costs]
    return (row["id"], row["requested_at"], row["org_id"], *in_usd, bill.price_version, kept)


def _plain(cost: Decimal) -> Decimal:
    """Without trailing zeros and exponent, as the writer writes it."""
    return Decimal(format(cost.normalize(), "f"))


def _finished(row: asyncpg.Record) -> Finished:
    """The row as it was written, as far as sums depend on it."""
    finished = lost(
        Opening(
            id=row["id"].bytes,
            requested_at=_us(row["requested_at"]),
            api_key_id=row["majordomo_api_key_id"].bytes,
            org_id=row["org_id"].bytes,
            provider=row["provider"],
            api=row["api"],
            method=row["request_method"],
            path=row["request_path"],
            provider_key_hash=None,
            provider_key_alias=None,
            metadata=msgspec.json.decode(row["raw_metadata"], type=dict[str, str]),
            claude_session=str(row["claude_session_id"]) if row["claude_session_id"] else None,
        )
    )
    close = finished.close
    close.model = row["model"]
    close.requested_model = row["requested_model"]
    close.outcome = Outcome(row["outcome"])
    close.status_code = row["status_code"]
    close.usage_state = UsageState(row["usage_state"])
    close.input_tokens = row["input_tokens"]
    close.output_tokens = row["output_tokens"]
    close.prompt_tokens = row["prompt_tokens"]
    return finished


def _add_to_rollup(rollup: Rollup, registry: Registry, row: asyncpg.Record, finished: Finished, bill: Bill) -> None:
    """The costs, and one unpriced request fewer; nothing else of the cells that the row was counted in."""
    indexed = msgspec.json.decode(row["indexed_metadata"], type=dict[str, str])
    opening = msgspec.structs.replace(finished.opening, metadata=indexed)
    amount = (0, 0, -1, *[0] * 8, *_costs(bill))
    rollup.add(finished._replace(opening=opening), registry.summed(opening.api_key_id), amount)


def _costs(bill: Bill) -> tuple[int, ...]:
    return (
        bill.input_cost or 0,
        bill.output_cost or 0,
        bill.cache_read_cost or 0,
        bill.cache_creation_cost or 0,
        bill.tool_cost or 0,
        bill.total_cost or 0,
    )


def _us(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
