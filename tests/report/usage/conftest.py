"""Requests of all kinds, and a member of their organisation who asks about them."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from recorded_rows import record, varied
from usage_book import SPAN_US, START, START_US, Book, labelled, rows_of

from majordomo.record import users
from majordomo.record.database import Connection
from majordomo.record.summing import Summing
from majordomo.report.questions import metadata_keys


@pytest.fixture
def book(member: Any, postgres_dsn: str, tmp_path: Path, request: pytest.FixtureRequest) -> Book:
    """Nine days of requests; the metadata key Feature became active on the fourth of them.

    ``SUMMED`` asks for two books: one as it was recorded, and one with sums by two dimensions.
    """
    made = labelled(varied(500, START_US, SPAN_US))
    record(postgres_dsn, tmp_path / "1", made[:250])

    async def activate(connection: Connection) -> None:
        await metadata_keys.activate(connection, "Feature")
        await connection.execute("UPDATE llm_requests_metadata_keys SET activated_at = '2026-10-26' WHERE is_active")
        await connection.execute("DELETE FROM llm_requests WHERE requested_at >= '2026-10-26'")
        await connection.execute("DELETE FROM usage_by_model_hourly WHERE bucket_start >= '2026-10-26'")
        await connection.execute("DELETE FROM usage_by_model_daily WHERE bucket_start >= '2026-10-26'")
        await connection.execute("DELETE FROM latency_hourly WHERE bucket_start >= '2026-10-26'")
        await connection.execute("DELETE FROM latency_daily WHERE bucket_start >= '2026-10-26'")

    member.database(activate)
    record(postgres_dsn, tmp_path / "2", made[250:])
    if getattr(request, "param", None) == "pairs":
        member.database(_sum_pairs)
    rows = rows_of(member, users.DEFAULT_ORG)
    assert len(rows) > 300
    return Book(member, rows)


#: The hours that have changed since they were summed by two dimensions, counted from the book's first.
_CHANGED = (30, 31, 77, 150)


async def _sum_pairs(connection: Connection) -> None:
    await connection.execute("INSERT INTO pair_halves_wanted SELECT $1, generate_series(0, 23)", users.DEFAULT_ORG)
    assert await Summing(busy_share=1).look(connection) > 200
    changed = [START + dt.timedelta(hours=at, minutes=20) for at in _CHANGED]
    await connection.execute(
        "UPDATE pair_periods SET is_current = false WHERE bucket_start = ANY ($1) AND tier = 'hourly'"
        " OR bucket_start = '2026-10-26 00:00Z' AND tier = 'daily'",
        changed,
    )
