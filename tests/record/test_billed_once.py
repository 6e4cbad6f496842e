"""What several requests are told the usage of costs once, whoever is told, however often, and whatever crashes."""

import asyncio
import json
from collections import Counter
from decimal import Decimal
from uuid import UUID

import asyncpg
import pytest

from majordomo.meter.reading import UsageState
from majordomo.price.bill import Bill
from majordomo.price.pricer import Pricer
from majordomo.record.billed_once import BILLED_BEFORE
from majordomo.record.database import connect
from majordomo.record.dead_letter import dead_letters
from majordomo.record.journal import Journal
from majordomo.record.reprice import reprice_unpriced
from majordomo.record.writer import Writer

COST = Decimal("0.0000850375")
SESSION = UUID("0199c0de-0000-7000-8000-00000000000a")


def _journal(journal, made, *marks, bill=None, **given):
    """One request for each mark; None for a request without one."""
    openings = [made.opening(**given) for _ in marks]
    for opening, mark in zip(openings, marks, strict=True):
        journal.append_opening(opening)
        more = {} if bill is None else {"bill": bill}
        journal.append_close(made.close(opening, billed_once=mark, **more))
    return openings


def _costs(sql):
    return Counter(row["total_cost"] for row in sql("SELECT total_cost FROM llm_requests"))


def test_the_first_row_keeps_its_cost_and_the_later_ones_keep_the_usage_alone(
    new_journal, made, drained, sql, assert_rollups_match
):
    """A later row costs 0, counts no tokens, bills nothing and says why; rollups and totals are made from that."""
    sql("INSERT INTO claude_sessions (id, majordomo_api_key_id) VALUES ($1, $2)", SESSION, UUID(bytes=made.key))
    journal = new_journal()
    [first] = _journal(journal, made, "batch:b1", claude_session=str(SESSION))
    writer = drained()
    later = _journal(journal, made, "batch:b1", "batch:b1", claude_session=str(SESSION))
    _journal(journal, made, "batch:b2", None, None, claude_session=str(SESSION))
    other = drained()
    rows = {row["id"].bytes: row for row in sql("SELECT * FROM llm_requests")}
    assert (rows[first.id]["total_cost"], rows[first.id]["problems"]) == (COST, [])
    for opening in later:
        row = rows[opening.id]
        costs = ("input", "output", "cache_read", "cache_creation", "tool", "total")
        assert [row[f"{cost}_cost"] for cost in costs] == [0] * 6
        counts = ("input", "output", "cached", "cache_creation", "reasoning", "prompt")
        assert [row[f"{count}_tokens"] for count in counts] == [None] * 6
        assert (row["usage_state"], row["billed"], row["problems"]) == ("none", None, [BILLED_BEFORE])
        assert json.loads(row["usage"]) == {"prompt_tokens": 120, "completion_tokens": 30}
        assert (row["model"], row["outcome"], row["price_version"]) == (
            "gpt-5-mini-2025-08-07", "completed", "2026-01-01",
        )  # fmt: skip
    assert _costs(sql) == {COST: 4, Decimal(0): 2}
    claims = sql("SELECT * FROM billed_once ORDER BY what")
    assert [(claim["what"], claim["provider"]) for claim in claims] == [("batch:b1", "openai"), ("batch:b2", "openai")]
    assert (claims[0]["llm_request_id"].bytes, claims[0]["requested_at"]) == (
        first.id, rows[first.id]["requested_at"],
    )  # fmt: skip
    assert_rollups_match()
    [session] = sql("SELECT total_requests, total_input_tokens, total_cost FROM claude_sessions")
    assert tuple(session) == (6, 4 * 120, 4 * COST)
    assert writer.stats.cost_femto["openai"] + other.stats.cost_femto["openai"] == 4 * 85_037_500_000
    journal.close()


def test_what_one_batch_of_rows_tells_twice_is_billed_once(new_journal, made, drained, sql, assert_rollups_match):
    """The rows need not come apart."""
    journal = new_journal()
    _journal(journal, made, "response:r", "response:r", None, "response:r")
    drained()
    assert _costs(sql) == {COST: 2, Decimal(0): 2}
    assert_rollups_match()
    journal.close()


def test_the_same_name_elsewhere_is_something_else(new_journal, made, drained, sql):
    """Providers and organisations each have their own ids."""
    journal = new_journal()
    _journal(journal, made, "batch:b")
    _journal(journal, made, "batch:b", provider="anthropic")
    _journal(journal, made, "batch:b", org_id=b"\x07" * 16)
    _journal(journal, made, "response:b")
    drained()
    assert _costs(sql) == {COST: 4}
    journal.close()


def test_hostile_marks_cost_no_row(new_journal, made, drained, sql, dead_letter_dir):
    """NUL and endless text are claimed as what is left of them."""
    journal = new_journal(1 << 20)
    hostile = ["batch:\x00", "batch:\ud800".encode("utf-8", "replace").decode(), "batch:" + "x" * 100_000, ""]
    _journal(journal, made, *hostile, *hostile)
    drained()
    assert _costs(sql) == {COST: 4, Decimal(0): 4}
    assert list(dead_letters(dead_letter_dir)) == []
    journal.close()


@pytest.mark.parametrize("rounds", range(3))
def test_replicas_that_are_told_the_same_at_once_bill_it_once(
    rounds, postgres_dsn, made, tmp_path, sql, assert_rollups_match
):
    """Two writers race for the same forty marks, in opposite orders: each is billed to one row."""
    marks = [f"response:{number}" for number in range(40)]

    async def run():
        stop = asyncio.Event()
        writing = []
        for replica, order in enumerate((marks, marks[::-1])):
            folder = tmp_path / f"replica-{rounds}-{replica}"
            journal = Journal.create(folder, segment_bytes=1 << 20, now_us=made.noon_us)
            _journal(journal, made, *order)
            journal.close()
            writing.append(Writer(postgres_dsn, folder, tmp_path / "dead", poll_seconds=0.001))
        stop.set()
        await asyncio.gather(*(writer.run(stop) for writer in writing))
        assert [writer.stats.rows for writer in writing] == [40, 40]

    asyncio.run(run())
    assert _costs(sql) == {COST: 40, Decimal(0): 40}
    assert (
        len(sql("SELECT * FROM billed_once b JOIN llm_requests r ON r.id = b.llm_request_id AND total_cost > 0")) == 40
    )
    assert_rollups_match()


def test_a_claim_waits_for_the_other_replica_to_commit_or_not(
    postgres_dsn, new_journal, made, journal_dir, tmp_path, sql
):
    """A claim that is not committed decides nothing: rolled back, the cost is the next one's."""
    journal = new_journal()
    _journal(journal, made, "batch:lost", "batch:won")

    async def run():
        connection, watching = await asyncpg.connect(postgres_dsn), await asyncpg.connect(postgres_dsn)
        claim = (
            "INSERT INTO billed_once VALUES "
            "('00000000-0000-0000-0000-000000000000', 'openai', $1, gen_random_uuid(), now())"
        )
        writer = Writer(postgres_dsn, journal_dir, tmp_path / "dead")
        try:
            await connection.execute(claim, "batch:lost")
            other = connection.transaction()
            await other.start()
            await connection.execute(claim, "batch:won")
            moving = asyncio.create_task(writer.drain())
            waiting = (
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            while not await watching.fetchval(waiting):
                await asyncio.sleep(0.01)
            await other.rollback()
            await moving
        finally:
            await writer.close()
            await watching.close()
            await connection.close()

    asyncio.run(asyncio.wait_for(run(), 30))
    assert _costs(sql) == {COST: 1, Decimal(0): 1}
    journal.close()


def test_a_refused_row_leaves_its_claim_to_the_next(
    new_journal, made, drained, sql, dead_letter_dir, assert_rollups_match
):
    """What PostgreSQL refuses is billed nowhere, so another row that is told the same keeps its cost."""
    sql("ALTER TABLE llm_requests ADD CONSTRAINT picky CHECK (request_path <> '/refuse')")
    journal = new_journal()
    _journal(journal, made, "batch:b", path="/refuse")
    _journal(journal, made, None, "batch:b", "batch:b")
    drained()
    assert _costs(sql) == {COST: 2, Decimal(0): 1}
    assert len(list(dead_letters(dead_letter_dir))) == 1
    assert_rollups_match()
    journal.close()


def test_a_transaction_that_failed_is_decided_anew(
    postgres_dsn, new_journal, made, journal_dir, dead_letter_dir, sql, assert_rollups_match
):
    """A connection that dies before the commit leaves neither rows nor claims; the replay has each cost once."""
    journal = new_journal()
    _journal(journal, made, "batch:b", None, "batch:b")
    sql(
        "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$"
    )
    sql("CREATE TRIGGER die AFTER INSERT ON usage_by_model_hourly FOR EACH STATEMENT EXECUTE FUNCTION die()")

    async def run():
        writer = Writer(postgres_dsn, journal_dir, dead_letter_dir, poll_seconds=0.001)
        stop = asyncio.Event()
        moving = asyncio.create_task(writer.run(stop))
        connection = await asyncpg.connect(postgres_dsn)
        while not writer.stats.failures:
            await asyncio.sleep(0.01)
        assert await connection.fetchval("SELECT count(*) FROM billed_once") == 0
        await connection.execute("DROP TRIGGER die ON usage_by_model_hourly")
        await connection.close()
        while not writer.stats.rows:
            await asyncio.sleep(0.01)
        stop.set()
        await moving

    asyncio.run(asyncio.wait_for(run(), 30))
    assert _costs(sql) == {COST: 2, Decimal(0): 1}
    assert_rollups_match()
    journal.close()


def test_repricing_bills_the_first_row_and_never_the_later_ones(
    postgres_dsn, new_journal, made, drained, sql, assert_rollups_match, tmp_path
):
    """An unknown price is the first row's to learn: the later ones cost 0 whatever the price turns out to be."""
    journal = new_journal()
    unknown = Bill(price_version="v0", problems=("unknown_model",))
    [first, later] = _journal(journal, made, "batch:b", "batch:b", bill=unknown)
    journal.close()
    drained()
    assert _costs(sql) == {None: 1, Decimal(0): 1}
    assert_rollups_match()

    async def run():
        connection = await connect(postgres_dsn, purpose="tests")
        try:
            return [changed async for changed in reprice_unpriced(connection, Pricer.load(None, None))]
        finally:
            await connection.close()

    assert sum(changed.seen for changed in asyncio.run(run())) == 1
    rows = {row["id"].bytes: row for row in sql("SELECT * FROM llm_requests")}
    assert rows[first.id]["total_cost"] > 0
    assert (rows[later.id]["total_cost"], rows[later.id]["problems"]) == (0, [BILLED_BEFORE])
    assert rows[later.id]["usage_state"] == UsageState.NONE
    assert_rollups_match()


def test_rows_without_a_mark_ask_nothing_more_of_the_database(new_journal, made, drained, sql):
    """The claim is a statement of its own, and unmarked batches do without it."""
    sql("ALTER TABLE billed_once RENAME TO away")
    journal = new_journal()
    _journal(journal, made, None, None)
    drained()
    assert _costs(sql) == {COST: 2}
    journal.close()
