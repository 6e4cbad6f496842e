"""What the tests of this room share: requests to journal, and a look at what PostgreSQL made of them."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest

from majordomo.ids import IdMaker
from majordomo.meter.reading import Bucket, Part, UsageState
from majordomo.price.bill import Bill
from majordomo.record.frames import Close, Opening, Outcome
from majordomo.record.journal import Journal
from majordomo.record.writer import Writer

NOON_US = 1_763_726_400_000_000  # 2025-11-21 12:00 UTC
KEY = bytes.fromhex("0199c0de000070008000000000000001")


class Made:
    """Makes openings and closes that differ in nothing but what a test names."""

    key = KEY
    noon_us = NOON_US

    def __init__(self) -> None:
        self._ids = IdMaker()

    def opening(self, **given: Any) -> Opening:
        at = given.pop("requested_at", NOON_US)
        opening = Opening(
            id=self._ids.make(at),
            requested_at=at,
            api_key_id=KEY,
            org_id=None,
            provider="openai",
            api="openai.chat",
            method="POST",
            path="/v1/chat/completions",
            provider_key_hash="ab" * 32,
            provider_key_alias=None,
            metadata={"Feature": "chat", "Team": "legal"},
        )
        return msgspec.structs.replace(opening, **given)

    def close(self, opening: Opening, **given: Any) -> Close:
        close = Close(
            id=opening.id,
            outcome=Outcome.COMPLETED,
            status_code=200,
            responded_at=opening.requested_at + 750_000,
            response_time_ms=750,
            time_to_first_byte_ms=300,
            streamed=True,
            requested_model="gpt-5-mini",
            model="gpt-5-mini-2025-08-07",
            usage_state=UsageState.FINAL,
            usage=b'{"prompt_tokens":120,"completion_tokens":30}',
            input_tokens=120,
            output_tokens=30,
            cached_tokens=20,
            cache_creation_tokens=None,
            cache_creation_5m_tokens=None,
            cache_creation_1h_tokens=None,
            reasoning_tokens=10,
            prompt_tokens=120,
            service_tier="default",
            parts=(Part("gpt-5-mini-2025-08-07", {Bucket.INPUT: 100, Bucket.CACHE_READ: 20, Bucket.OUTPUT: 30}),),
            speed=None,
            geo=None,
            batch=False,
            bill=Bill(
                input_cost=25_000_000_000,
                output_cost=60_000_000_000,
                cache_read_cost=37_500_000,
                cache_creation_cost=0,
                tool_cost=0,
                total_cost=85_037_500_000,
                price_version="2026-01-01",
                model_found=True,
            ),
            error_type=None,
            error_message=None,
        )
        return msgspec.structs.replace(close, **given)


@pytest.fixture
def made() -> Made:
    """A maker of openings and closes."""
    return Made()


@pytest.fixture
def journal_dir(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def dead_letter_dir(tmp_path: Path) -> Path:
    return tmp_path / "dead letters"


@pytest.fixture
def new_journal(journal_dir: Path) -> Callable[..., Journal]:
    """Opens a journal of small segments in the test's directory."""

    def make(segment_bytes: int = 64 * 1024) -> Journal:
        return Journal.create(journal_dir, segment_bytes=segment_bytes, now_us=NOON_US)

    return make


@pytest.fixture
def drained(postgres_dsn: str, journal_dir: Path, dead_letter_dir: Path) -> Callable[[], Writer]:
    """Runs a writer until nothing is left to move; returns it, closed."""

    def run() -> Writer:
        async def moving() -> Writer:
            writer = Writer(postgres_dsn, journal_dir, dead_letter_dir)
            try:
                await writer.drain()
            finally:
                await writer.close()
            return writer

        return asyncio.run(moving())

    return run


@pytest.fixture
def sql(postgres_dsn: str) -> Callable[..., list[Any]]:
    """Asks the test's database."""

    def ask(query: str, *args: Any) -> list[Any]:
        async def asking() -> list[Any]:
            connection = await asyncpg.connect(postgres_dsn)
            try:
                return await connection.fetch(query, *args)
            finally:
                await connection.close()

        return asyncio.run(asking())

    return ask


#: The rollups' sums, as the rows give them; and the tables that must agree.
SUMS = """
    count(*)::numeric AS requests,
    count(*) FILTER (WHERE status_code >= 400
        OR outcome IN ('provider_broke', 'refused', 'gateway_stopped', 'lost')) AS errors,
    count(*) FILTER (WHERE total_cost IS NULL AND usage_state <> 'none') AS unpriced,
    count(response_time_ms) AS timed_requests,
    coalesce(sum(response_time_ms), 0) AS response_time_ms,
    coalesce(sum(input_tokens), 0) AS input_tokens,
    coalesce(sum(output_tokens), 0) AS output_tokens,
    coalesce(sum(cached_tokens), 0) AS cached_tokens,
    coalesce(sum(cache_creation_tokens), 0) AS cache_creation_tokens,
    coalesce(sum(reasoning_tokens), 0) AS reasoning_tokens,
    coalesce(sum(prompt_tokens), 0) AS prompt_tokens,
    coalesce(sum(input_cost), 0) AS input_cost,
    coalesce(sum(output_cost), 0) AS output_cost,
    coalesce(sum(cache_read_cost), 0) AS cache_read_cost,
    coalesce(sum(cache_creation_cost), 0) AS cache_creation_cost,
    coalesce(sum(tool_cost), 0) AS tool_cost,
    coalesce(sum(total_cost), 0) AS total_cost
"""


@pytest.fixture
def sums_of_rows() -> str:
    """The amounts of a cell in SQL, as sums over rows."""
    return SUMS


@pytest.fixture
def assert_rollups_match(sql: Callable[..., list[Any]]) -> Callable[[], None]:
    """Every cell of every rollup equals the sum over the rows it stands for."""

    def cells(rows: list[Any]) -> dict[tuple[Any, ...], tuple[Any, ...]]:
        return {tuple(row)[:5]: tuple(Decimal(value) for value in tuple(row)[5:]) for row in rows}

    def check() -> None:
        for unit, suffix in (("hour", "hourly"), ("day", "daily")):
            bucket = f"date_trunc('{unit}', requested_at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'"
            expected = sql(
                f"SELECT {bucket}, org_id, majordomo_api_key_id, provider, coalesce(model, ''), {SUMS} "
                "FROM llm_requests GROUP BY 1, 2, 3, 4, 5"
            )
            assert cells(sql(f"SELECT * FROM usage_by_model_{suffix}")) == cells(expected)
            expected = sql(
                f"SELECT {bucket}, org_id, majordomo_api_key_id, key_name, key_value, {SUMS} "
                "FROM llm_requests, jsonb_each_text(indexed_metadata) AS pair (key_name, key_value) "
                "GROUP BY 1, 2, 3, 4, 5"
            )
            assert cells(sql(f"SELECT * FROM usage_by_metadata_{suffix}")) == cells(expected)

    return check


@pytest.fixture
def api_key(sql: Callable[..., list[Any]]) -> UUID:
    """The API key that ``made`` requests belong to, in the database."""
    sql("INSERT INTO api_keys (id, name, key_hash) VALUES ($1, 'made', 'hash')", UUID(bytes=KEY))
    return UUID(bytes=KEY)
