"""A database with budgets, and requests that the writer brings into it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from recorded_rows import Exchange

from majordomo.budget.definition import Draft
from majordomo.budget.ledger import Ledger
from majordomo.budget.model import Budget, in_unit
from majordomo.budget.recount import recount
from majordomo.budget.store import create, load
from majordomo.record.database import Connection, connect
from majordomo.record.journal import Journal
from majordomo.record.writer import Writer

#: 2026-09-16 10:00 UTC, a Wednesday in the middle of a month.
NOW = 1_789_552_800_000_000

Counts = dict[tuple[str, str, int], tuple[Decimal, int, int]]  # budget, value, start: spent, requests, unpriced


class Books:
    """One database: budgets are made in it, rows recorded, and counts compared."""

    def __init__(self, dsn: str, folder: Path) -> None:
        self.dsn = dsn
        self.folder = folder

    def ask(self, question: Callable[[Connection], Awaitable[Any]]) -> Any:
        """Put a question to the database."""

        async def asking() -> Any:
            connection = await connect(self.dsn, purpose="tests")
            try:
                return await question(connection)
            finally:
                await connection.close()

        return asyncio.run(asking())

    def make(self, name: str = "b", limit: str = "5", at: int = NOW, **draft: Any) -> Budget:
        """Make a budget at a moment."""
        return self.ask(lambda c: create(c, Draft(name=name, limit=limit, **draft), "a test", lambda: at))

    def journal(self, exchanges: Iterable[Exchange]) -> UUID:
        """Write requests into a journal of their own; one without a close will be a lost one."""
        journal = Journal.create(self.folder / "journal", segment_bytes=1 << 20, now_us=NOW)
        for opening, close in exchanges:
            journal.append_opening(opening)
            if close is not None:
                journal.append_close(close)
        journal.close()
        return UUID(journal.folder.name)

    def record(self, exchanges: Iterable[Exchange]) -> UUID:
        """Bring requests into the database as the gateway does, with the budgets counted."""
        journal = self.journal(exchanges)
        asyncio.run(self.drain())
        return journal

    async def drain(self) -> None:
        """Move every journal."""
        writer = Writer(self.dsn, self.folder / "journal", self.folder / "dead_letters", tally=Ledger())
        try:
            await writer.drain()
            assert not writer.stats.dead_letters
        finally:
            await writer.close()

    def counts(self) -> Counts:
        """What stands in budget_cells."""
        return self.ask(counts)

    def sums(self) -> Counts:
        """What the rows come to."""
        return self.ask(sums)

    def sql(self, statement: str, *parameters: Any) -> list[Any]:
        """The rows of any statement."""
        return self.ask(lambda c: c.fetch(statement, *parameters))


async def counts(connection: Connection) -> Counts:
    """What stands in budget_cells."""
    rows = await connection.fetch(
        "SELECT b.name, c.*, extract(epoch FROM window_start)::bigint AS start"
        " FROM budget_cells c JOIN budgets b ON b.id = budget_id"
    )
    return {
        (row["name"], row["each_value"], row["start"] * 1_000_000): (row["spent"], row["requests"], row["unpriced"])
        for row in rows
    }


async def sums(connection: Connection) -> Counts:
    """What the rows come to, asked anew in SQL."""
    found = {}
    for budget in await load(connection):
        for cell, used in (await recount(connection, budget, budget.counts_from)).cells().items():
            spent = in_unit(budget.unit, used.spent)
            found[(budget.name, cell.value, cell.start)] = (spent, used.requests, used.unpriced)
    return found
