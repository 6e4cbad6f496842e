"""The sums of rows that were made in bulk: added up by the server, written by the product's own ``Rollup``."""

import datetime as dt
from collections.abc import Callable, Sequence

import asyncpg

from bench.processes import BenchmarkError
from bench.reports.sql import statement
from majordomo.record.database import connect
from majordomo.record.rollup import Rollup
from majordomo.record.statements import statement as record_statement
from majordomo.record.summing import Summing
from majordomo.report.questions.relations import AMOUNTS, COSTS, sums

_FEMTO = "1000000000000000"


async def build_sums(
    dsn: str, since: dt.datetime, days: int, names: Sequence[str], say: Callable[[str, int, int], None]
) -> None:
    """Write the sums of ``days`` from ``since`` on, for the metadata keys ``names``; a transaction a day."""
    connection = await connect(dsn, purpose="bench", statement_timeout_ms=0)
    try:
        for day in range(days):
            start = since + dt.timedelta(days=day)
            rollup = Rollup()
            for row in await connection.fetch(_summed("cells_by_model"), start):
                rollup.by_model[_cell(row)] = tuple(map(int, tuple(row)[5:]))
            for row in await connection.fetch(_summed("cells_by_metadata"), start, list(names)):
                rollup.by_metadata[_cell(row)] = tuple(map(int, tuple(row)[5:]))
            async with connection.transaction():
                await rollup.write(connection)
            say("sums", day + 1, days)
    finally:
        await connection.close()


async def build_pairs(dsn: str, say: Callable[[str, int, int], None]) -> None:
    """Sum all hours and days by two dimensions, and the histograms of latency from these."""
    connection = await connect(dsn, purpose="bench", statement_timeout_ms=0)
    try:
        periods = await connection.fetchval("SELECT count(*) FROM pair_periods")
        await Summing(busy_share=1).look(connection, lambda waiting: say("pairs", periods - waiting, periods))
        for tier in ("hourly", "daily"):
            await connection.execute(statement("latency").format(tier=tier))
    finally:
        await connection.close()


async def waiting(dsn: str, until: dt.datetime) -> int:
    """How many hours and days before ``until`` are not summed by two dimensions."""
    connection = await connect(dsn, purpose="bench")
    try:
        return int(
            await connection.fetchval("SELECT count(*) FROM pair_periods WHERE is_due AND bucket_start < $1", until)
        )
    finally:
        await connection.close()


async def check_sums(connection: "asyncpg.Connection[asyncpg.Record]", names: Sequence[str]) -> None:
    """Compare every amount with the rows.

    Raises:
        BenchmarkError: one differs.
    """
    rows = f"FROM llm_requests r CROSS JOIN LATERAL (SELECT {record_statement('amounts_of_rows')}) a"
    expected = await connection.fetchrow(f"SELECT {sums('a.')} {rows}")
    for tier in ("hourly", "daily"):
        by_model = f"usage_by_model_{tier}"
        by_pair = f"usage_by_pair_{tier} WHERE first_dimension = 'model' AND second_dimension = 'metadata.{names[0]}'"
        for table in (by_model, by_pair):
            if await connection.fetchrow(f"SELECT {sums()} FROM {table}") != expected:
                raise BenchmarkError(f"{table} does not equal the rows")
    for name in names:
        expected = await connection.fetchrow(f"SELECT {sums('a.')} {rows} WHERE r.raw_metadata ? $1", name)
        for tier in ("hourly", "daily"):
            found = await connection.fetchrow(
                f"SELECT {sums()} FROM usage_by_metadata_{tier} WHERE key_name = $1", name
            )
            if found != expected:
                raise BenchmarkError(f"usage_by_metadata_{tier} does not equal the rows for {name}")


def _summed(name: str) -> str:
    cells = record_statement("amounts_of_rows")
    added = ", ".join(
        f"(sum(a.{amount}) * {_FEMTO})::numeric(60, 0)" if amount in COSTS else f"sum(a.{amount})::bigint"
        for amount in AMOUNTS
    )
    text = statement(name).format(sums=added)
    return text.replace("WHERE r.requested_at", f"CROSS JOIN LATERAL (SELECT {cells}) a\nWHERE r.requested_at")


def _cell(row: asyncpg.Record) -> tuple[int, bytes, bytes, str, str]:
    return row[0], row[1].bytes, row[2].bytes, row[3], row[4]
