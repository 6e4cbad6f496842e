"""Requests of all kinds, and a member of their organisation who asks about them."""

from pathlib import Path
from typing import Any

import pytest
from recorded_rows import record, varied
from usage_book import SPAN_US, START_US, Book, labelled, rows_of

from majordomo.record import users
from majordomo.record.database import Connection
from majordomo.report.questions import metadata_keys


@pytest.fixture
def book(member: Any, postgres_dsn: str, tmp_path: Path) -> Book:
    """Nine days of requests; the metadata key Feature became active on the fourth of them."""
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
    rows = rows_of(member, users.DEFAULT_ORG)
    assert len(rows) > 300
    return Book(member, rows)
