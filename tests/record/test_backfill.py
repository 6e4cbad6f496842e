"""Older rows come into the index and the sums of a key that becomes active: each once, whatever cuts the work short."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from recorded_rows import KEYS, exchange, record, varied

from majordomo.record import backfill
from majordomo.record.database import Connection, connect
from majordomo.report.questions import metadata_keys

START_US = 1_764_000_000_000_000
HOURS_US = 30 * 3_600_000_000

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


async def fill(connection: Connection, batch_rows: int = 70) -> int:
    """Whatever is due, without waiting for writers; how many transactions it took."""
    steps: list[backfill.Step] = []
    for job in await backfill.due(connection):
        assert await backfill.run(connection, job, batch_rows=batch_rows, heard_seconds=0, on_step=steps.append)
    return len(steps)


async def activate(connection: Connection, name: str = "Feature") -> list[UUID]:
    return await metadata_keys.activate(connection, name)


def lacking(sql: Any, name: str = "Feature") -> int:
    query = "SELECT count(*) AS n FROM llm_requests WHERE raw_metadata ? $1 AND NOT indexed_metadata ? $1"
    return int(sql(query, name)[0]["n"])


def test_all_rows_are_indexed_and_summed_once(
    ask: Ask, sql: Any, postgres_dsn: str, tmp_path: Path, assert_rollups_match: Callable[[], None]
) -> None:
    """Rows from before, from between activation and filling in, and from after."""
    record(postgres_dsn, tmp_path / "1", varied(400, START_US, HOURS_US))
    ask(activate)
    record(postgres_dsn, tmp_path / "2", varied(100, START_US, HOURS_US, seed=8))
    assert lacking(sql) > 200
    assert ask(fill) > 4
    assert lacking(sql) == 0
    record(postgres_dsn, tmp_path / "3", varied(100, START_US, HOURS_US, seed=9))
    assert lacking(sql) == 0
    assert_rollups_match()
    assert sql("SELECT count(*) AS n FROM llm_requests WHERE indexed_metadata ? 'User-Id'")[0]["n"] == 0
    progress = sql(
        "SELECT sum(rows_seen) AS seen, sum(rows_total) AS total, sum(rows_filled) AS filled,"
        " bool_and(finished_at IS NOT NULL) AS finished FROM metadata_backfills"
    )[0]
    assert (progress["seen"], progress["total"], progress["finished"]) == (500, 500, True)
    assert 200 < progress["filled"] < 400
    assert ask(backfill.due) == []


def test_a_key_that_was_inactive_for_a_while_is_filled_in_and_nothing_is_counted_twice(
    ask: Ask, sql: Any, postgres_dsn: str, tmp_path: Path, assert_rollups_match: Callable[[], None]
) -> None:
    for turn in range(3):
        record(postgres_dsn, tmp_path / f"{turn}a", varied(60, START_US, HOURS_US, seed=turn))
        ask(activate)
        ask(fill)
        record(postgres_dsn, tmp_path / f"{turn}b", varied(60, START_US, HOURS_US, seed=turn + 10))
        ask(lambda connection: metadata_keys.deactivate(connection, "Feature"))
    record(postgres_dsn, tmp_path / "last", varied(60, START_US, HOURS_US, seed=20))
    assert lacking(sql) > 0
    ask(activate)
    ask(fill)
    assert lacking(sql) == 0
    assert_rollups_match()


WORKER = """
import asyncio, sys
from majordomo.record import backfill
from majordomo.record.database import connect

async def work():
    connection = await connect(sys.argv[1], purpose="tests")
    for job in await backfill.due(connection):
        await backfill.run(connection, job, batch_rows=5, heard_seconds=0)

asyncio.run(work())
"""


def test_work_that_is_killed_goes_on_where_it_was(
    ask: Ask, sql: Any, postgres_dsn: str, tmp_path: Path, assert_rollups_match: Callable[[], None]
) -> None:
    """kill -9, three times, each in the middle of the rows."""
    record(postgres_dsn, tmp_path / "1", varied(1500, START_US, HOURS_US))
    ask(activate)
    seen = 0
    for _ in range(3):
        worker = subprocess.Popen([sys.executable, "-c", WORKER, postgres_dsn])
        deadline = time.monotonic() + 30
        before = seen
        while seen < before + 50:
            assert time.monotonic() < deadline
            seen = int(sql("SELECT coalesce(sum(rows_seen), 0) AS n FROM metadata_backfills")[0]["n"])
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
        assert_rollups_match()
    assert lacking(sql) > 0
    while not ask(
        lambda connection: connection.fetchval(
            "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database()"
        )
    ):
        time.sleep(0.05)  # the killed one's session holds its lock until the server notices
    ask(fill)
    assert lacking(sql) == 0
    assert_rollups_match()
    assert sql("SELECT sum(rows_seen) AS n FROM metadata_backfills")[0]["n"] == 1500


def test_rows_whose_writer_did_not_know_yet_are_waited_for(
    ask: Ask, sql: Any, postgres_dsn: str, tmp_path: Path
) -> None:
    """A batch that was under way when the key became active is committed only later."""
    record(postgres_dsn, tmp_path / "1", [exchange(START_US, metadata={"Feature": "chat"})])

    async def work(connection: Connection) -> int:
        writer = await asyncpg.connect(postgres_dsn)
        try:
            under_way = writer.transaction()
            await under_way.start()
            await writer.execute(
                "INSERT INTO llm_requests (id, majordomo_api_key_id, provider, api, request_path, request_method,"
                " requested_at, outcome, usage_state, raw_metadata) SELECT gen_random_uuid(), majordomo_api_key_id,"
                " provider, api, request_path, request_method, requested_at, outcome, usage_state, raw_metadata"
                " FROM llm_requests"
            )
            await activate(connection)
            filling = asyncio.create_task(fill(connection))
            done, _ = await asyncio.wait([filling], timeout=1.0)
            assert not done
            await under_way.commit()
            return await filling
        finally:
            await writer.close()

    assert ask(work) == 1
    assert (lacking(sql), sql("SELECT count(*) AS n FROM llm_requests")[0]["n"]) == (0, 2)


def test_two_processes_never_work_at_one_key(ask: Ask, postgres_dsn: str, tmp_path: Path) -> None:
    record(postgres_dsn, tmp_path / "1", varied(200, START_US, HOURS_US))

    async def both(connection: Connection) -> bool:
        await activate(connection)
        other = await connect(postgres_dsn, purpose="tests")
        job = (await backfill.due(connection))[0]
        answers: list[bool] = []

        async def ask_too() -> None:
            answers.append(await backfill.run(other, job, heard_seconds=0))

        tasks = []

        def step(_: backfill.Step) -> None:
            if not tasks:
                tasks.append(asyncio.create_task(ask_too()))

        try:
            assert await backfill.run(connection, job, batch_rows=3, heard_seconds=0, on_step=step)
            await tasks[0]
        finally:
            await other.close()
        return answers[0]

    assert ask(both) is False


def test_deactivation_ends_the_work(ask: Ask, sql: Any, postgres_dsn: str, tmp_path: Path) -> None:
    record(postgres_dsn, tmp_path / "1", varied(200, START_US, HOURS_US))

    async def work(connection: Connection) -> Any:
        await activate(connection)
        job = (await backfill.due(connection))[0]
        await backfill.take_step(connection, job)
        other = await connect(postgres_dsn, purpose="tests")
        try:
            await metadata_keys.deactivate(other, "Feature")
        finally:
            await other.close()
        return await backfill.take_step(connection, job)

    assert ask(work) is None
    assert lacking(sql) > 0


def test_a_key_with_many_values_is_indexed_and_not_summed(
    ask: Ask, sql: Any, postgres_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("majordomo.report.questions.metadata_keys.MAX_ROLLUP_VALUES", 20)
    monkeypatch.setattr("majordomo.record.registry.MAX_ROLLUP_VALUES", 20)
    record(postgres_dsn, tmp_path / "1", varied(200, START_US, HOURS_US))
    ask(lambda connection: activate(connection, "User-Id"))
    ask(fill)
    assert lacking(sql, "User-Id") == 0
    record(postgres_dsn, tmp_path / "2", varied(20, START_US, HOURS_US, seed=3))
    assert sql("SELECT count(*) AS n FROM usage_by_metadata_hourly")[0]["n"] == 0


def test_a_gateway_key_that_begins_to_send_an_active_key_has_it_active(
    ask: Ask, sql: Any, postgres_dsn: str, tmp_path: Path, assert_rollups_match: Callable[[], None]
) -> None:
    """Where it was activated for all; its very first batch is filled in."""
    record(postgres_dsn, tmp_path / "1", [exchange(START_US, key=KEYS[0], metadata={"Feature": "a", "Team": "x"})])
    ask(activate)
    ask(lambda connection: metadata_keys.activate(connection, "Team", KEYS[:1]))
    ask(fill)
    late = [exchange(START_US + n, key=KEYS[1], metadata={"Feature": "b", "Team": "y"}) for n in range(3)]
    record(postgres_dsn, tmp_path / "2", late)
    ask(fill)
    assert (lacking(sql, "Feature"), lacking(sql, "Team")) == (0, 3)
    assert_rollups_match()
    ask(lambda connection: metadata_keys.deactivate(connection, "Feature"))
    record(postgres_dsn, tmp_path / "3", [exchange(START_US, key=UUID(int=0x33), metadata={"Feature": "c"})])
    assert (ask(backfill.due), lacking(sql, "Feature")) == ([], 1)
