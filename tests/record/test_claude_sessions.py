"""Claude Code's details and sessions: written with the rows, each session its own key's, every sum exact."""

import asyncio
import datetime as dt
import math
import random
from collections.abc import Iterable
from decimal import Decimal
from functools import reduce
from operator import add
from uuid import UUID, uuid4

import asyncpg
import pytest

from majordomo.meter.claude_code import ClaudeDetails
from majordomo.record.claude_rows import MOST_USAGE_COST
from majordomo.record.claude_sessions import BAD_SESSION, FOREIGN_SESSION, close_idle_sessions, count_open_sessions
from majordomo.record.dead_letter import dead_letters
from majordomo.record.journal import Journal
from majordomo.record.writer import Writer

MINE = UUID("0199c0de-0000-7000-8000-0000000000bb")
OTHER_KEY = bytes.fromhex("0199c0de000070008000000000000002")
MINUTE_US = 60_000_000
DETAILS = ClaudeDetails(
    message_count=5,
    user_message_count=3,
    assistant_message_count=2,
    is_plan_mode=True,
    system_prompt_hash="cd" * 32,
    query_class="main",
    effort="high",
    context_window=1_000_000,
    tool_names=("Bash", 'odd "tool"\\'),
    tool_use_count=3,
    has_thinking=True,
    stop_reason="tool_use",
    usage_cost=0.1 + 0.2,
)


def _write(journal, made, claude=None, **given):
    """One finished request; its opening."""
    opening = made.opening(**given)
    journal.append_opening(opening)
    journal.append_close(made.close(opening, claude=claude))
    return opening


def _from_the_cli(session, **given):
    return {"claude_session": str(session), "client_session": str(session), "client": "claude-code", **given}


def test_a_request_with_details_has_a_row_of_them_beside_its_own(new_journal, made, drained, sql):
    """Every column as the journal says, under the request's own id and time; requests without details have none."""
    journal = new_journal()
    given = _from_the_cli(MINE, agent_id="a1", parent_agent_id="a0", client_version="2.1.197")
    opening = _write(journal, made, DETAILS, **given)
    _write(journal, made)
    drained()
    [row] = sql("SELECT * FROM claude_request_details")
    assert row["id"].bytes == row["llm_request_id"].bytes == opening.id
    assert row["created_at"] == sql("SELECT requested_at FROM llm_requests WHERE id = $1", row["id"])[0][0]
    assert (row["session_id"], row["client_session_id"]) == (MINE, MINE)
    assert (row["message_count"], row["user_message_count"], row["assistant_message_count"]) == (5, 3, 2)
    assert (row["tool_names"], row["tool_use_count"]) == (["Bash", 'odd "tool"\\'], 3)
    assert (row["has_thinking"], row["is_plan_mode"], row["stop_reason"]) == (True, True, "tool_use")
    assert (row["system_prompt_hash"], row["query_class"]) == ("cd" * 32, "main")
    assert (row["usage_cost"], row["effort"], row["context_window"]) == (0.30000000000000004, "high", 1_000_000)
    assert (row["agent_id"], row["parent_agent_id"], row["client_version"]) == ("a1", "a0", "2.1.197")
    journal.close()


@pytest.mark.parametrize(
    ("cost", "stored"), [(math.nan, 0.0), (math.inf, 0.0), (-1.0, 0.0), (MOST_USAGE_COST * 2, 0.0)]
)
def test_what_no_cost_can_be_is_booked_as_nothing_and_costs_no_row(
    new_journal, made, drained, sql, dead_letter_dir, cost, stored
):
    """Replies may claim any number of tokens; texts and counts that fit no column are made to fit."""
    journal = new_journal()
    hostile = ClaudeDetails(
        usage_cost=cost, message_count=2**40, context_window=-5, stop_reason="x" * 999 + "\0", tool_names=("a\0b",)
    )
    _write(journal, made, hostile, **_from_the_cli(MINE))
    _write(journal, made, ClaudeDetails(usage_cost=0.5), **_from_the_cli(MINE))
    drained()
    rows = sql("SELECT usage_cost, message_count, tool_names FROM claude_request_details ORDER BY id")
    assert [row["usage_cost"] for row in rows] == [stored, 0.5]
    assert (rows[0]["message_count"], rows[0]["tool_names"]) == (2**31 - 1, ["a\ufffdb"])
    assert sql("SELECT usage_cost FROM claude_sessions")[0][0] == stored + 0.5
    assert list(dead_letters(dead_letter_dir)) == []
    journal.close()


def test_a_session_is_made_by_the_first_request_that_names_it(new_journal, made, drained, sql):
    """Owned by its key, begun with its request; from the companion or the client's own header, and named if it is."""
    companion, client = uuid4(), uuid4()
    journal = new_journal()
    for minutes in (3, 1, 2):
        at = made.noon_us + minutes * MINUTE_US
        named = {"claude_session": str(companion), "claude_session_name": "fix\0 it", "client_session": str(client)}
        _write(journal, made, requested_at=at, **named)
        _write(journal, made, requested_at=at, **_from_the_cli(str(client).upper().replace("-", "")))
    drained()
    rows = {row["id"]: row for row in sql("SELECT * FROM claude_sessions")}
    assert rows.keys() == {companion, client}
    noon = dt.datetime(2025, 11, 21, 12, tzinfo=dt.UTC)
    for row in rows.values():
        assert row["majordomo_api_key_id"].bytes == made.key
        assert (row["started_at"], row["last_request_at"]) == (
            noon + dt.timedelta(minutes=1),
            noon + dt.timedelta(minutes=3),
        )
        assert (row["ended_at"], row["ended_by"]) == (None, None)
        assert (row["total_requests"], row["total_input_tokens"], row["total_output_tokens"]) == (3, 360, 90)
        assert row["total_cost"] == 3 * Decimal("0.0000850375")
    assert (rows[companion]["source"], rows[companion]["session_name"]) == ("companion", "fix\ufffd it")
    assert (rows[client]["source"], rows[client]["session_name"]) == ("client", None)
    journal.close()


def test_a_key_only_ever_adds_to_its_own_sessions(new_journal, made, drained, sql):
    """Another key's session, and what is no UUID, are ignored: the rows say so, and nobody's sums change."""
    journal = new_journal()
    _write(journal, made, DETAILS, claude_session=str(MINE))
    drained()
    foreign = _write(journal, made, DETAILS, claude_session=str(MINE), api_key_id=OTHER_KEY)
    bad = [
        _write(journal, made, DETAILS, claude_session=text)
        for text in (
            "no uuid",
            "{0199c0de-0000-7000-8000-0000000000bb}",
            "0199c0de_0000_7000_8000_0000000000bb",
            "é" * 32,
        )
    ]
    writer = drained()
    rows = {row["id"].bytes: row for row in sql("SELECT id, claude_session_id, problems FROM llm_requests")}
    details = {row["llm_request_id"].bytes: row["session_id"] for row in sql("SELECT * FROM claude_request_details")}
    for opening, problem in ((foreign, FOREIGN_SESSION), *((opening, BAD_SESSION) for opening in bad)):
        assert (rows[opening.id]["claude_session_id"], rows[opening.id]["problems"]) == (None, [problem])
        assert details[opening.id] is None
    [session] = sql("SELECT * FROM claude_sessions")
    assert (session["majordomo_api_key_id"].bytes, session["total_requests"]) == (made.key, 1)
    assert session["usage_cost"] == DETAILS.usage_cost
    assert writer.stats.ignored_sessions == {FOREIGN_SESSION: 1, BAD_SESSION: 4}
    journal.close()


def test_usage_cost_repeats_the_clis_running_total_to_the_last_bit(new_journal, made, drained, sql):
    """Batch by batch the same additions, in the order in which replies ended, whatever order they came in."""
    dice = random.Random(3)
    costs = [dice.random() * 10 ** dice.randrange(-6, 1) for _ in range(300)]
    journal = new_journal()
    for start in range(0, 300, 30):
        batch = list(enumerate(costs[start : start + 30], start))
        dice.shuffle(batch)
        for number, cost in batch:
            opening = made.opening(requested_at=made.noon_us + number * MINUTE_US, **_from_the_cli(MINE))
            journal.append_opening(opening)
            journal.append_close(made.close(opening, claude=ClaudeDetails(usage_cost=cost)))
        drained()
    assert math.fsum(costs) != reduce(add, costs), "these costs do not tell one order of addition from another"
    assert sql("SELECT usage_cost FROM claude_sessions")[0][0] == reduce(add, costs)
    in_sql = "SELECT sum(d.usage_cost ORDER BY r.responded_at, r.id) FROM claude_request_details d JOIN llm_requests r"
    assert sql(f"{in_sql} ON r.id = d.llm_request_id")[0][0] == reduce(add, costs)
    journal.close()


def test_replicas_that_write_at_once_make_each_session_once_and_lose_no_digit(
    postgres_dsn, made, dead_letter_dir, tmp_path, sql
):
    """Four writers, two keys, the same new sessions at the same time: no writer fails, all sums equal the rows'."""
    dice = random.Random(5)
    sessions = [uuid4() for _ in range(40)]
    journals = [Journal.create(tmp_path / f"j{n}", segment_bytes=1 << 20, now_us=n + 1) for n in range(4)]

    async def run() -> list[Writer]:
        writers = [Writer(postgres_dsn, tmp_path / f"j{n}", dead_letter_dir) for n in range(4)]
        for _ in range(6):
            for number, journal in enumerate(journals):
                dice.shuffle(sessions)
                for session in sessions:
                    key = made.key if number % 2 else OTHER_KEY
                    details = ClaudeDetails(usage_cost=0.125) if dice.random() < 0.5 else None
                    _write(journal, made, details, claude_session=str(session), api_key_id=key)
            sessions.extend(uuid4() for _ in range(10))
            await asyncio.gather(*(writer.drain() for writer in writers))
        for writer in writers:
            await writer.close()
        return writers

    writers = asyncio.run(run())
    for journal in journals:
        journal.close()
    assert [writer.stats.failures for writer in writers] == [0] * 4
    [stored] = sql("SELECT count(*), count(*) FILTER (WHERE claude_session_id IS NULL) FROM llm_requests")
    assert stored[0] == 4 * sum(range(40, 100, 10))
    assert stored[1] == sum(writer.stats.ignored_sessions[FOREIGN_SESSION] for writer in writers) > 0
    wrong = sql("""
        SELECT s.id FROM claude_sessions s JOIN (
            SELECT r.claude_session_id AS id, count(*) AS requests, sum(input_tokens) AS input, sum(total_cost) AS cost,
                coalesce(sum(usage_cost), 0) AS usage, min(majordomo_api_key_id::text) AS first_key,
                max(majordomo_api_key_id::text) AS last_key
            FROM llm_requests r LEFT JOIN claude_request_details d ON d.llm_request_id = r.id
            WHERE claude_session_id IS NOT NULL GROUP BY 1
        ) r USING (id)
        WHERE (total_requests, total_input_tokens, total_cost, usage_cost) <> (requests, input, cost, usage)
            OR first_key <> last_key OR first_key <> majordomo_api_key_id::text""")
    assert wrong == []
    assert sql("SELECT count(*) FROM claude_sessions")[0][0] == 90
    assert sql("SELECT count(*) FROM claude_sessions WHERE total_requests = 0")[0][0] == 0


def test_a_refused_row_takes_its_details_and_session_along_and_nobody_elses(
    new_journal, made, drained, sql, dead_letter_dir
):
    """The dead letter is whole, the session as the request named it; the rows beside it are stored and counted."""
    sql("ALTER TABLE claude_request_details ADD CONSTRAINT picky CHECK (query_class <> 'refuse')")
    journal = new_journal()
    lonely = uuid4()
    for number in range(9):
        details = ClaudeDetails(query_class="refuse" if number == 4 else "main", usage_cost=1.0)
        _write(journal, made, details, claude_session=str(lonely if number == 4 else MINE))
    drained()
    [letter] = dead_letters(dead_letter_dir)
    assert letter.opening["claude_session"] == str(lonely)
    assert [tuple(row) for row in sql("SELECT id, total_requests, usage_cost FROM claude_sessions")] == [(MINE, 8, 8.0)]
    assert sql("SELECT count(*) FROM claude_request_details")[0][0] == 8
    journal.close()


def _close_idle(dsn: str, idle_seconds: float) -> tuple[int, int]:
    async def run() -> tuple[int, int]:
        connection = await asyncpg.connect(dsn)
        try:
            return await close_idle_sessions(connection, idle_seconds), await count_open_sessions(connection)
        finally:
            await connection.close()

    return asyncio.run(run())


def _now_us(sql) -> int:
    return int(sql("SELECT extract(epoch FROM now()) * 1e6")[0][0])


def _ends(sql) -> Iterable[tuple[object, ...]]:
    return [
        tuple(row) for row in sql("SELECT ended_by, ended_at = last_request_at, total_requests FROM claude_sessions")
    ]


def test_an_idle_session_ends_with_its_last_request_and_goes_on_with_the_next(
    postgres_dsn, new_journal, made, drained, sql
):
    """Not before its time, once; a row that comes late does not open it, a new request does."""
    journal = new_journal()
    now = _now_us(sql)
    _write(journal, made, requested_at=now - 10 * MINUTE_US, **_from_the_cli(MINE))
    drained()
    assert _close_idle(postgres_dsn, 660) == (0, 1)
    assert _close_idle(postgres_dsn, 540) == (1, 0)
    assert _close_idle(postgres_dsn, 540) == (0, 0)
    assert _ends(sql) == [("idle", True, 1)]
    _write(journal, made, requested_at=now - 20 * MINUTE_US, **_from_the_cli(MINE))
    drained()
    assert _ends(sql) == [("idle", True, 2)]
    _write(journal, made, requested_at=now, **_from_the_cli(MINE))
    drained()
    assert _ends(sql) == [(None, None, 3)]
    assert _close_idle(postgres_dsn, 540) == (0, 1)
    journal.close()


def test_a_session_that_its_owner_ended_keeps_its_end_and_still_counts(new_journal, made, drained, sql):
    journal = new_journal()
    _write(journal, made, **_from_the_cli(MINE))
    drained()
    sql("UPDATE claude_sessions SET ended_at = last_request_at, ended_by = 'owner'")
    _write(journal, made, requested_at=made.noon_us + MINUTE_US, **_from_the_cli(MINE))
    drained()
    assert _ends(sql) == [("owner", False, 2)]
    journal.close()


def test_a_session_that_was_never_asked_in_is_idle_from_its_start(postgres_dsn, sql, made):
    """And more of them than one statement closes all end in one call."""
    sql(
        "INSERT INTO claude_sessions (id, majordomo_api_key_id, started_at)"
        " SELECT gen_random_uuid(), $1, now() - interval '1 hour' FROM generate_series(1, 1200)",
        UUID(bytes=made.key),
    )
    assert _close_idle(postgres_dsn, 60) == (1200, 0)
    assert sql("SELECT count(*) FROM claude_sessions WHERE ended_at = started_at AND ended_by = 'idle'")[0][0] == 1200
