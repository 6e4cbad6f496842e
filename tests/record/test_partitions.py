"""Months are made ahead and dropped whole."""

import asyncio
import datetime as dt

import asyncpg
import pytest

from majordomo.record.partitions import add_partitions, drop_old_partitions, rows_outside_months

TODAY = dt.date(2031, 11, 30)


def _with_connection(dsn, work):
    async def run():
        connection = await asyncpg.connect(dsn)
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(run())


_ROW = """
INSERT INTO llm_requests (id, majordomo_api_key_id, provider, api, request_path, request_method, requested_at, outcome,
    usage_state) VALUES (gen_random_uuid(), gen_random_uuid(), 'p', 'a', '/', 'POST', $1, 'completed', 'none')
"""


def _at(year, month, day=15):
    return dt.datetime(year, month, day, tzinfo=dt.UTC)


def test_this_month_and_three_ahead_are_made_once(postgres_dsn):
    """The first call makes four months of each table, over a change of year; the second finds nothing to do."""

    async def work(connection):
        made = await add_partitions(connection, today=TODAY)
        assert made[:4] == [f"llm_requests_y{month}" for month in ("2031m11", "2031m12", "2032m01", "2032m02")]
        assert len(made) == 8
        assert await add_partitions(connection, today=TODAY) == []
        await connection.execute(_ROW, _at(2032, 2, 29))
        where = await connection.fetchval("SELECT tableoid::regclass::text FROM llm_requests")
        assert where == "llm_requests_y2032m02"

    _with_connection(postgres_dsn, work)


def test_replicas_may_make_them_at_once(postgres_dsn):
    """Two maintenance runs at the same moment both end well, and every month exists once."""

    async def race():
        connections = [await asyncpg.connect(postgres_dsn) for _ in range(3)]
        made = await asyncio.gather(*(add_partitions(connection, today=TODAY) for connection in connections))
        count = await connections[0].fetchval(
            "SELECT count(*) FROM pg_class WHERE relname ~ '^llm_requests_y203' AND relkind = 'r'"
        )
        for connection in connections:
            await connection.close()
        return made, count

    made, count = asyncio.run(race())
    assert count == 4
    assert sum(map(len, made)) == 8


def test_rows_of_no_month_are_taken_by_the_default_partition(postgres_dsn):
    """A clock that is off by decades costs no row, and such rows can be counted."""

    async def work(connection):
        await connection.execute(_ROW, _at(1970, 1))
        await connection.execute(_ROW, _at(2099, 1))
        assert await rows_outside_months(connection) == 2
        assert await connection.fetchval("SELECT count(*) FROM llm_requests") == 2

    _with_connection(postgres_dsn, work)


def test_a_month_with_rows_in_the_default_partition_is_left_there(postgres_dsn):
    """Such a month is not made, its rows are not moved, and the other months are made all the same."""

    async def work(connection):
        await connection.execute(_ROW, _at(2031, 12))
        made = await add_partitions(connection, today=TODAY)
        assert "llm_requests_y2031m12" not in made
        assert "llm_requests_y2032m01" in made
        assert await connection.fetchval("SELECT count(*) FROM llm_requests") == 1

    _with_connection(postgres_dsn, work)


def test_retention_drops_months_and_keeps_rollups(postgres_dsn):
    """Months older than asked for go whole, younger ones stay, rollups stay."""

    async def work(connection):
        for month in (8, 9, 10, 11):
            await add_partitions(connection, today=dt.date(2031, month, 1), months_ahead=0)
            await connection.execute(_ROW, _at(2031, month))
        await connection.execute(
            "INSERT INTO usage_by_model_daily SELECT '2031-08-15', gen_random_uuid(), gen_random_uuid(), 'p', 'm',"
            " 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0"
        )
        dropped = await drop_old_partitions(connection, keep_months=2, today=TODAY)
        assert [name for name in dropped if name.startswith("llm_requests_y2031")] == ["llm_requests_y2031m08"]
        months = await connection.fetch(
            "SELECT extract(month FROM requested_at)::int AS m FROM llm_requests ORDER BY 1"
        )
        assert [row["m"] for row in months] == [9, 10, 11]
        assert await connection.fetchval("SELECT count(*) FROM usage_by_model_daily") == 1

    _with_connection(postgres_dsn, work)


def test_retention_never_drops_the_month_being_written(postgres_dsn):
    """Keeping less than a month is refused."""

    async def work(connection):
        with pytest.raises(ValueError, match="at least one month"):
            await drop_old_partitions(connection, keep_months=0)

    _with_connection(postgres_dsn, work)


def test_a_month_in_use_is_left_for_the_next_time(postgres_dsn, monkeypatch):
    """A long-running reader delays retention; it does not stop everybody else behind a waiting lock."""
    monkeypatch.setattr("majordomo.record.partitions.LOCK_TIMEOUT_MS", 50)

    async def work(connection):
        await add_partitions(connection, today=dt.date(2031, 1, 1), months_ahead=0)
        reader = await asyncpg.connect(postgres_dsn)
        async with reader.transaction():
            await reader.execute("SELECT count(*) FROM llm_requests")
            dropped = await drop_old_partitions(connection, keep_months=1, today=TODAY)
            assert "claude_request_details_y2031m01" in dropped
            assert not any(name.startswith("llm_requests") for name in dropped)
        await reader.close()
        assert "llm_requests_y2031m01" in await drop_old_partitions(connection, keep_months=1, today=TODAY)

    _with_connection(postgres_dsn, work)
