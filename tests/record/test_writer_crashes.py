"""The writer killed, PostgreSQL restarted: requests in the journal = rows, totals equal, no duplicates."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import asyncpg

import majordomo
from majordomo.meter.claude_code import ClaudeDetails
from majordomo.record.dead_letter import dead_letters
from majordomo.record.segments import journal_folders
from majordomo.record.writer import Writer

_SOURCE = str(Path(majordomo.__file__).parents[1])

_WRITER = textwrap.dedent("""
    import asyncio, sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    from majordomo.record import drain, writer
    drain.READ_BYTES = 4096  # many small batches: many moments to be killed at
    writer.BATCH_ROWS = 7
    writing = writer.Writer(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]), poll_seconds=0.001)
    asyncio.run(writing.run(asyncio.Event()))
""")


def _start(dsn, journal_dir, dead_letter_dir):
    arguments = [_SOURCE, dsn, str(journal_dir), str(dead_letter_dir)]
    return subprocess.Popen([sys.executable, "-c", _WRITER, *arguments], stdout=subprocess.DEVNULL)


def test_a_writer_killed_at_random_moments_stores_everything_once(
    postgres_dsn, new_journal, made, journal_dir, dead_letter_dir, drained, sql, api_key, assert_rollups_match
):
    """kill -9, again and again, while requests come in and segments come and go: one row each, all sums equal.

    Every two of them are told the usage of one response, which is billed to one of them.
    """
    sql(
        "INSERT INTO llm_requests_metadata_keys (majordomo_api_key_id, key_name, is_active) VALUES ($1, 'Team', true)",
        api_key,
    )
    dice = random.Random(11)
    journal = new_journal(8192)
    running = [made.opening() for _ in range(5)]
    for opening in running:
        journal.append_opening(opening)
    count = cost = 0
    for _ in range(6):
        writer = _start(postgres_dsn, journal_dir, dead_letter_dir)
        before = sql("SELECT count(*) AS n FROM llm_requests")[0]["n"]
        deadline = time.monotonic() + 30
        while sql("SELECT count(*) AS n FROM llm_requests")[0]["n"] == before and time.monotonic() < deadline:
            for _ in range(60):
                opening = made.opening(metadata={"Team": f"team-{count % 3}"}, claude_session=f"{count % 5:032x}")
                details = ClaudeDetails(usage_cost=0.5) if count % 3 else None
                close = made.close(opening, billed_once=f"response:{count // 2}", claude=details)
                journal.append_opening(opening)
                journal.append_close(close)
                cost += close.bill.total_cost if count % 2 else 0
                count += 1
            time.sleep(0.02)
        time.sleep(dice.random() * 0.15)
        writer.kill()
        writer.wait()
    for opening in running[:3]:
        journal.append_close(made.close(opening))
        count += 1
        cost += made.close(opening).bill.total_cost
    journal.close()
    drained()
    [row] = sql(
        "SELECT count(*) AS rows, count(DISTINCT id) AS ids, sum(total_cost) * 1e15 AS cost, "
        "count(*) FILTER (WHERE outcome = 'lost') AS lost FROM llm_requests"
    )
    assert tuple(row) == (count + 2, count + 2, cost, 2)
    assert sql("SELECT request_count FROM api_keys")[0]["request_count"] == count + 2
    assert sql("SELECT request_count FROM llm_requests_metadata_keys WHERE key_name = 'Team'")[0][0] == count + 2
    [sessions] = sql("SELECT count(*) AS n, sum(total_requests), sum(total_cost), sum(usage_cost) FROM claude_sessions")
    [rows] = sql(
        "SELECT count(*), sum(total_cost), sum(usage_cost) FROM llm_requests r"
        " LEFT JOIN claude_request_details d ON d.llm_request_id = r.id WHERE claude_session_id IS NOT NULL"
    )
    assert tuple(sessions) == (5, *rows)
    [details] = sql("SELECT count(*) AS rows, count(DISTINCT llm_request_id) AS requests FROM claude_request_details")
    assert details["rows"] == details["requests"] > 0
    assert list(dead_letters(dead_letter_dir)) == []
    assert list(journal_folders(journal_dir)) == []
    assert sql("SELECT count(*) AS n FROM journal_openings")[0]["n"] == 0
    assert_rollups_match()


async def _backend(dsn):
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval("SELECT pid FROM pg_stat_activity WHERE application_name = 'majordomo writer'")
    finally:
        await connection.close()


def test_a_crash_of_postgresql_costs_nothing(
    postgres_dsn, new_journal, made, journal_dir, dead_letter_dir, sql, assert_rollups_match
):
    """All backends die at once while rows are written, and the server recovers: each request is there, once."""
    journal = new_journal(16384)

    async def run():
        writer = Writer(postgres_dsn, journal_dir, dead_letter_dir, poll_seconds=0.002)
        stop = asyncio.Event()
        task = asyncio.create_task(writer.run(stop))
        for turn in range(30):
            for _ in range(20):
                opening = made.opening()
                journal.append_opening(opening)
                journal.append_close(made.close(opening))
            await asyncio.sleep(0.01)
            if turn == 12:
                os.kill(await _backend(postgres_dsn), signal.SIGKILL)  # the server drops everybody, and recovers
        journal.close()
        while list(journal_folders(journal_dir)):
            await asyncio.sleep(0.05)
        stop.set()
        await task
        return writer.stats.failures

    assert asyncio.run(asyncio.wait_for(run(), 60)) > 0
    assert sql("SELECT count(*) AS n FROM llm_requests")[0]["n"] == 600
    assert_rollups_match()
