"""Histograms of latency are numbers whose sums are the histograms of all requests together."""

import asyncio
from collections import Counter
from pathlib import Path

import asyncpg
from hypothesis import given
from hypothesis import strategies as some
from recorded_rows import record, varied
from usage_book import SPAN_US, START_US

from majordomo.record.latency import from_number, step_of, to_number
from majordomo.record.migrate import migrations

_STEPS = some.lists(some.integers(0, 340), max_size=60)

_EACH = "dimension, value, bucket_start, org_id"


def _plain(number: str) -> int:
    digits, _, zeros = number.partition("e")
    return int(digits) * 10 ** int(zeros or 0)


@given(_STEPS, _STEPS)
def test_the_sum_of_two_numbers_is_the_histogram_of_both(one: list[int], other: list[int]) -> None:
    together = _plain(to_number(one)) + _plain(to_number(other))
    assert from_number(str(together)) == Counter(one) + Counter(other)


def test_a_step_is_five_per_cent_wide() -> None:
    assert [step_of(ms) for ms in (0, 1, 2, 100, 105, 106)] == [0, 0, 15, 95, 96, 96]


def test_the_migration_sums_old_rows_as_the_writer_sums_new_ones(postgres_dsn: str, tmp_path: Path) -> None:
    """Hour by hour and day by day, every histogram of every dimension, to the last request."""
    record(postgres_dsn, tmp_path / "journal", varied(300, START_US, SPAN_US))
    (migration,) = [one for one in migrations() if one.name == "latency"]

    async def both() -> tuple[list[list[asyncpg.Record]], list[list[asyncpg.Record]]]:
        connection = await asyncpg.connect(postgres_dsn)
        try:
            tables = [f"SELECT * FROM latency_{tier} ORDER BY {_EACH}" for tier in ("hourly", "daily")]
            written = [await connection.fetch(table) for table in tables]
            await connection.execute("DROP TABLE latency_hourly, latency_daily")
            async with connection.transaction():
                await connection.execute(migration.sql)
            return written, [await connection.fetch(table) for table in tables]
        finally:
            await connection.close()

    written, migrated = asyncio.run(both())
    assert written == migrated
    assert len(written[0]) > 200
