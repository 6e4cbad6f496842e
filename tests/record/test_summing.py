"""Sums by two dimensions: every cell equals the rows, and hours that change are never told from old sums."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from recorded_rows import exchange, record, varied

from majordomo.record import pairs, summing
from majordomo.record.database import Connection, connect
from majordomo.record.migrate import migrations
from majordomo.record.summing import Period, Summing
from majordomo.report.questions import metadata_keys

START_US = 1_764_000_000_000_000
HOUR_US = 3_600_000_000
SPAN_US = 60 * HOUR_US
_VALUES = {
    "model": "nullif(r.model, '')",
    "key": "r.majordomo_api_key_id::text",
    "client": "r.client",
    "query_class": "d.query_class",
}

Ask = Callable[[Callable[[Connection], Awaitable[Any]]], Any]


@pytest.fixture
def ask(postgres_dsn: str) -> Ask:
    """Do something with a connection."""

    def run(part: Callable[[Connection], Awaitable[Any]]) -> Any:
        async def inner() -> Any:
            connection = await connect(postgres_dsn, purpose="tests")
            try:
                return await part(connection)
            finally:
                await connection.close()

        return asyncio.run(inner())

    return run


async def sum_all(connection: Connection) -> int:
    return await Summing(busy_share=1).look(connection)


def value(dimension: str) -> str:
    return _VALUES.get(dimension) or f"r.raw_metadata ->> '{dimension.removeprefix('metadata.')}'"


def cells(rows: list[Any]) -> dict[tuple[Any, ...], tuple[Decimal, ...]]:
    return {tuple(row)[:5]: tuple(Decimal(amount) for amount in tuple(row)[5:]) for row in rows}


@pytest.fixture
def assert_equal_to_rows(sql: Any, sums_of_rows: str) -> Callable[[Sequence[str]], None]:
    """Every cell of every pair of these dimensions, hour by hour and day by day."""
    names = ", ".join(name for name in pairs.COLUMNS if name not in (*pairs.HISTOGRAMS, "estimated", "lost"))

    def check(dimensions: Sequence[str]) -> None:
        for tier, unit in (("hourly", "hour"), ("daily", "day")):
            table = f"usage_by_pair_{tier}"
            told = {tuple(row) for row in sql(f"SELECT DISTINCT first_dimension, second_dimension FROM {table}")}
            assert told == set(pairs.pairs(dimensions))
            for first, second in told:
                provider = "r.provider" if first == "model" else "''"
                expected = sql(
                    f"SELECT r.org_id, date_trunc('{unit}', r.requested_at, 'UTC'), {value(first)}, {value(second)},"
                    f" {provider}, {sums_of_rows}, count(*) FILTER (WHERE usage_state = 'estimated'),"
                    " count(*) FILTER (WHERE outcome = 'lost')"
                    " FROM llm_requests r LEFT JOIN claude_request_details d ON d.llm_request_id = r.id"
                    " GROUP BY 1, 2, 3, 4, 5"
                )
                found = sql(
                    f"SELECT org_id, bucket_start, first_value, second_value, provider, {names}, estimated, lost"
                    f" FROM {table} WHERE first_dimension = $1 AND second_dimension = $2",
                    first,
                    second,
                )
                assert cells(found) == cells(expected)

    return check


def state(sql: Any) -> tuple[int, int]:
    """How many hours and days are current, and how many are not."""
    (row,) = sql("SELECT count(*) FILTER (WHERE is_current) AS current, count(*) AS periods FROM pair_periods")
    return row["current"], row["periods"] - row["current"]


def rest_is_over(sql: Any) -> None:
    sql("UPDATE pair_periods SET rest_until = '-infinity'")


def test_every_cell_equals_the_rows_and_late_rows_are_summed_anew(
    ask: Ask, sql: Any, assert_equal_to_rows: Any, postgres_dsn: str, tmp_path: Path
) -> None:
    record(postgres_dsn, tmp_path / "1", varied(300, START_US, SPAN_US))
    ask(lambda connection: metadata_keys.activate(connection, "Feature"))
    assert state(sql)[0] == 0
    ask(sum_all)
    assert state(sql)[1] == 0
    assert_equal_to_rows((*pairs.BUILT_IN, "metadata.Feature"))
    record(postgres_dsn, tmp_path / "2", varied(20, START_US, SPAN_US, seed=8))
    assert state(sql)[1] > 10
    rest_is_over(sql)
    ask(sum_all)
    assert state(sql)[1] == 0
    assert_equal_to_rows((*pairs.BUILT_IN, "metadata.Feature"))


def test_histograms_are_those_that_the_writer_has_summed(ask: Ask, sql: Any, postgres_dsn: str, tmp_path: Path) -> None:
    record(postgres_dsn, tmp_path / "1", varied(300, START_US, SPAN_US))
    ask(sum_all)
    for tier in ("hourly", "daily"):
        found = sql(
            "SELECT org_id, bucket_start, second_value, sum(response_times), sum(first_byte_times)"
            f" FROM usage_by_pair_{tier} WHERE first_dimension = 'model' AND second_dimension = 'key' GROUP BY 1, 2, 3"
        )
        written = sql(
            "SELECT org_id, bucket_start, value, response_times, first_byte_times"
            f" FROM latency_{tier} WHERE dimension = 'key'"
        )
        assert {tuple(row) for row in found} == {tuple(row) for row in written}


def test_a_key_that_becomes_active_is_summed_and_the_old_sums_serve_meanwhile(
    ask: Ask, sql: Any, assert_equal_to_rows: Any, postgres_dsn: str, tmp_path: Path
) -> None:
    record(postgres_dsn, tmp_path / "1", varied(200, START_US, SPAN_US))
    ask(sum_all)
    rest_is_over(sql)
    ask(lambda connection: metadata_keys.activate(connection, "User-Id"))
    assert state(sql)[1] == 0
    ask(sum_all)
    assert_equal_to_rows((*pairs.BUILT_IN, "metadata.User-Id"))


def test_second_halves_of_the_wanted_hours_are_summed_too(
    ask: Ask, sql: Any, postgres_dsn: str, tmp_path: Path
) -> None:
    """Those of before that somebody wanted them, as soon as it is known; and none of other hours."""
    told = (
        "SELECT org_id, bucket_start, second_value, sum(requests)::bigint, sum(total_cost) FROM usage_by_pair_half"
        " WHERE first_dimension = 'model' AND second_dimension = 'key' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    )
    rows = (
        "SELECT org_id, date_trunc('hour', requested_at, 'UTC') + interval '30 minutes', majordomo_api_key_id::text,"
        " count(*), coalesce(sum(total_cost), 0) FROM llm_requests"
        " WHERE extract(hour FROM requested_at AT TIME ZONE 'UTC') = 18"
        " AND extract(minute FROM requested_at) >= 30 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    )
    record(postgres_dsn, tmp_path / "1", varied(300, START_US, SPAN_US))
    ask(sum_all)
    assert sql(told) == []
    sql("INSERT INTO pair_halves_wanted SELECT DISTINCT org_id, 18 FROM pair_periods")
    for more in (0, 200):
        record(postgres_dsn, tmp_path / f"more {more}", varied(more, START_US, SPAN_US, seed=9))
        rest_is_over(sql)
        ask(sum_all)
        assert sql(told) == sql(rows) != []


def test_an_hour_with_a_giant_value_is_summed_without_its_key(
    ask: Ask, sql: Any, postgres_dsn: str, tmp_path: Path
) -> None:
    """Two of them would not fit into an entry of the index; the hours beside it have all."""
    giant = exchange(START_US, metadata={"Feature": "ü" * 4000})
    plain = exchange(START_US + 2 * HOUR_US, metadata={"Feature": "chat"})
    record(postgres_dsn, tmp_path / "1", [giant, plain])
    ask(lambda connection: metadata_keys.activate(connection, "Feature"))
    ask(sum_all)
    assert state(sql)[1] == 0
    by_hour = sql("SELECT dimensions FROM pair_periods WHERE tier = 'hourly' ORDER BY bucket_start")
    assert [("metadata.Feature" in row["dimensions"]) for row in by_hour] == [False, True]
    by_day = sql("SELECT dimensions FROM pair_periods WHERE tier = 'daily'")
    assert ["metadata.Feature" in row["dimensions"] for row in by_day] == [False]


def test_the_hour_that_is_not_over_is_left_alone(ask: Ask, sql: Any, postgres_dsn: str, tmp_path: Path) -> None:
    now_us = sql("SELECT (extract(epoch FROM now()) * 1000000)::bigint AS us")[0]["us"]
    record(postgres_dsn, tmp_path / "1", [exchange(now_us)])
    assert ask(sum_all) == 0
    assert state(sql) == (0, 2)


def test_a_row_that_comes_while_its_hour_is_summed_is_not_lost(
    ask: Ask, sql: Any, assert_equal_to_rows: Any, postgres_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the writer commits before the sums are made, after them, or holds its mark all the while."""
    record(postgres_dsn, tmp_path / "0", varied(30, START_US, HOUR_US // 2))
    turns = itertools.count(1)
    whole = Summing._replace

    async def before(self: Summing, connection: Connection, period: Period) -> list[str]:
        await asyncio.to_thread(record, postgres_dsn, tmp_path / f"b{next(turns)}", [exchange(START_US + 1)])
        return await whole(self, connection, period)

    async def after(self: Summing, connection: Connection, period: Period) -> list[str]:
        dimensions = await whole(self, connection, period)
        await asyncio.to_thread(record, postgres_dsn, tmp_path / f"a{next(turns)}", [exchange(START_US + 2)])
        return dimensions

    for between in (before, after):
        sql("UPDATE pair_periods SET is_current = false, is_due = true, rest_until = '-infinity'")
        with monkeypatch.context() as patched:
            patched.setattr(Summing, "_replace", between)
            ask(sum_all)
        assert state(sql) == (0, 2), "what was summed is not all: it must not be told"
    rest_is_over(sql)
    ask(sum_all)
    assert state(sql) == (2, 0)
    assert_equal_to_rows(pairs.BUILT_IN)


def test_an_open_batch_keeps_its_hour_from_being_told(
    ask: Ask, sql: Any, assert_equal_to_rows: Any, postgres_dsn: str, tmp_path: Path
) -> None:
    """The writer has marked the hour and not yet committed: the sums wait for it, and are made with its rows."""
    record(postgres_dsn, tmp_path / "1", varied(30, START_US, HOUR_US // 2))

    async def race() -> None:
        writer = await asyncpg.connect(postgres_dsn)
        summing = await connect(postgres_dsn, purpose="tests")
        try:
            transaction = writer.transaction()
            await transaction.start()
            await writer.execute("UPDATE pair_periods SET is_current = false WHERE tier = 'hourly'")
            await writer.execute("UPDATE llm_requests SET client = 'changed'")
            task = asyncio.create_task(sum_all(summing))
            await asyncio.sleep(0.3)
            assert not task.done()
            await transaction.commit()
            await task
        finally:
            await writer.close()
            await summing.close()

    asyncio.run(race())
    assert_equal_to_rows(pairs.BUILT_IN)


def test_sums_outlive_the_rows_that_retention_drops(ask: Ask, sql: Any, postgres_dsn: str, tmp_path: Path) -> None:
    record(postgres_dsn, tmp_path / "1", varied(100, START_US, HOUR_US))
    ask(sum_all)
    before = sql("SELECT sum(requests) AS n FROM usage_by_pair_hourly")[0]["n"]
    sql("DELETE FROM llm_requests")
    record(postgres_dsn, tmp_path / "2", [exchange(START_US + 1)])
    rest_is_over(sql)
    ask(sum_all)
    assert sql("SELECT sum(requests) AS n FROM usage_by_pair_hourly")[0]["n"] == before
    assert state(sql)[1] == 2, "the rows are not all there: these sums are not told as current"


def test_two_processes_never_sum_at_once(ask: Ask, postgres_dsn: str, tmp_path: Path) -> None:
    record(postgres_dsn, tmp_path / "1", varied(30, START_US, HOUR_US))

    async def both(connection: Connection) -> int:
        async with summing._alone(connection):
            return int(await asyncio.to_thread(ask, sum_all))

    assert ask(both) == 0


def test_the_migration_finds_all_hours_and_days_of_before(
    ask: Ask, sql: Any, postgres_dsn: str, tmp_path: Path
) -> None:
    record(postgres_dsn, tmp_path / "1", varied(100, START_US, SPAN_US))
    (migration,) = [one for one in migrations() if one.name == "pairs"]
    query = "SELECT org_id, tier, bucket_start, is_current, is_due FROM pair_periods ORDER BY 1, 2, 3"
    written = sql(query)
    assert len(written) > 40
    sql("DROP TABLE pair_periods, usage_by_pair_hourly, usage_by_pair_daily")

    async def run(connection: Connection) -> None:
        async with connection.transaction():
            await connection.execute(migration.sql)

    ask(run)
    assert sql(query) == written
