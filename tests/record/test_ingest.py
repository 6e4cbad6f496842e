"""Deliveries become rows once each, with everything that is counted from rows, whoever writes at the same time."""

import asyncio
import uuid
from decimal import Decimal

import asyncpg
import msgspec
import pytest

from majordomo.admit.metadata import MetadataLimits
from majordomo.budget import store as budget_store
from majordomo.budget.definition import Draft
from majordomo.budget.ledger import Ledger
from majordomo.price.pricer import Pricer
from majordomo.record import ingest
from majordomo.record.database import connect
from majordomo.record.delivery import MOST_REQUESTS, delivered
from majordomo.record.ingest import (
    ForeignJournalError,
    MalformedError,
    PositionMovedError,
    UnfitRequestsError,
    position,
    read_delivery,
    take,
)
from majordomo.record.intake import Terms
from majordomo.record.rows import NIL_ORG
from majordomo.record.writer import Writer

ORG = uuid.UUID(bytes=NIL_ORG)
JOURNAL = uuid.UUID("0199c0de-0000-7000-8000-000000000123")
OTHER_KEY = uuid.UUID("0199c0de-0000-7000-8000-000000000099")
SESSION = "0199c0de-0000-7000-8000-0000000000bb"


@pytest.fixture(scope="module")
def pricer():
    return Pricer.load(None, None)


@pytest.fixture
def terms(pricer, made, api_key):
    return Terms(api_key, ORG, made.noon_us + 86_400_000_000, pricer, MetadataLimits(64, 255, 8192))


def _delivery(requests, at=0):
    wire = [msgspec.json.decode(msgspec.json.encode(one)) if one is not None else None for one in requests]
    return read_delivery(msgspec.json.encode({"version": 1, "position": at, "requests": wire}))


def _requests(made, count, **opening):
    openings = [made.opening(**opening) for _ in range(count)]
    return [delivered(one, made.close(one)) for one in openings]


def _run(dsn, ask):
    async def running():
        connection = await connect(dsn, purpose="test")
        try:
            return await ask(connection)
        finally:
            await connection.close()

    return asyncio.run(running())


@pytest.fixture
def deliver(postgres_dsn, terms):
    """Takes a delivery; options change the terms or the journal."""

    def taking(delivery, journal=JOURNAL, tally=None, **changed):
        return _run(postgres_dsn, lambda c: take(c, journal, delivery, terms._replace(**changed), tally))

    return taking


def _figures(taken):
    return taken.position, taken.stored, taken.duplicates, taken.refused


def test_a_delivery_becomes_rows_and_all_that_is_counted_from_them(
    deliver, made, sql, api_key, postgres_dsn, assert_rollups_match
):
    """Rows with their mark, rollups, key counts, metadata registry, sessions and the position, all at once."""
    sql(
        "INSERT INTO llm_requests_metadata_keys (majordomo_api_key_id, key_name, is_active) VALUES ($1, 'Team', true)",
        api_key,
    )
    taken = deliver(_delivery(_requests(made, 5, claude_session=SESSION, claude_session_name="night")))
    assert _figures(taken) == (5, 5, 0, 0)
    assert taken.counts.rows == 5
    rows = sql("SELECT * FROM llm_requests")
    assert {row["delivered_from"] for row in rows} == {JOURNAL}
    assert {row["majordomo_api_key_id"] for row in rows} == {api_key}
    assert {row["indexed_metadata"] for row in rows} == {'{"Team": "legal"}'}
    assert all(row["total_cost"] > 0 for row in rows)
    assert_rollups_match()
    assert sql("SELECT request_count FROM api_keys WHERE id = $1", api_key)[0][0] == 5
    assert sql("SELECT max(request_count) FROM llm_requests_metadata_keys")[0][0] == 5
    [session] = sql("SELECT * FROM claude_sessions")
    assert (str(session["id"]), session["session_name"], session["total_requests"]) == (SESSION, "night", 5)
    assert session["total_cost"] == sum(row["total_cost"] for row in rows)
    assert _run(postgres_dsn, lambda c: position(c, JOURNAL, api_key, ORG)) == 5


def test_a_repeated_delivery_changes_nothing(deliver, made, sql):
    """Whoever did not hear the answer is told the position, and nothing is counted again."""
    first = _delivery(_requests(made, 3))
    deliver(first)
    before = sql("SELECT sum(requests) AS n, sum(total_cost) AS cost FROM usage_by_model_daily")
    with pytest.raises(PositionMovedError) as moved:
        deliver(first)
    assert moved.value.position == 3
    with pytest.raises(PositionMovedError):
        deliver(_delivery(_requests(made, 1), at=7))
    assert sql("SELECT sum(requests) AS n, sum(total_cost) AS cost FROM usage_by_model_daily") == before
    assert _figures(deliver(_delivery([], at=3))) == (3, 0, 0, 0)
    assert _figures(deliver(_delivery(_requests(made, 2), at=3))) == (5, 2, 0, 0)
    assert sql("SELECT count(*) FROM llm_requests")[0][0] == 5


def test_asking_with_nothing_leaves_no_trace(deliver, sql):
    """An empty delivery tells the position and makes no journal known."""
    assert _figures(deliver(_delivery([]))) == (0, 0, 0, 0)
    assert sql("SELECT count(*) FROM delivered_journals")[0][0] == 0


def test_a_journal_belongs_to_the_key_that_began_it(deliver, made, sql, postgres_dsn):
    """Another key neither learns its position nor adds to it, and its requests stay where they are."""
    deliver(_delivery(_requests(made, 2)))
    sql("INSERT INTO api_keys (id, name, key_hash) VALUES ($1, 'other', 'h2')", OTHER_KEY)
    with pytest.raises(ForeignJournalError):
        deliver(_delivery(_requests(made, 1), at=2), key_id=OTHER_KEY)
    with pytest.raises(ForeignJournalError):
        _run(postgres_dsn, lambda c: position(c, JOURNAL, OTHER_KEY, ORG))
    assert sql("SELECT count(*) FROM llm_requests WHERE majordomo_api_key_id = $1", OTHER_KEY)[0][0] == 0


def test_a_request_that_has_a_row_is_not_stored_again(deliver, made, sql, new_journal, drained, assert_rollups_match):
    """One that the gateway recorded itself, one that came from another journal, one that stands twice in a delivery."""
    opening = made.opening()
    journal = new_journal()
    journal.append_opening(opening)
    journal.append_close(made.close(opening))
    journal.close()
    drained()
    known = delivered(opening, made.close(opening))
    later = msgspec.structs.replace(known, requested_at=known.requested_at.replace(year=2024))  # in another partition
    fresh = _requests(made, 2)
    assert _figures(deliver(_delivery([known, *fresh, later, fresh[0]]))) == (5, 2, 3, 0)
    assert _figures(deliver(_delivery(fresh), journal=uuid.uuid4())) == (2, 0, 2, 0)
    assert sql("SELECT count(*), count(delivered_from) FROM llm_requests")[0] == (3, 2)
    assert_rollups_match()


def test_one_unfit_request_keeps_the_whole_delivery_out_until_it_is_left_out(deliver, made, sql):
    """Nothing is taken that could not be taken again; null in its place says that the sender has let it go."""
    good = _requests(made, 3)
    wire = [msgspec.json.decode(msgspec.json.encode(one)) for one in good]
    wire[1]["status_code"] = 42
    body = {"version": 1, "position": 0, "requests": wire}
    with pytest.raises(UnfitRequestsError) as unfit:
        deliver(read_delivery(msgspec.json.encode(body)))
    assert list(unfit.value.problems) == [1]
    assert "status_code" in unfit.value.problems[1]
    assert sql("SELECT count(*) FROM delivered_journals")[0][0] == 0
    wire[1] = None
    assert _figures(deliver(read_delivery(msgspec.json.encode(body)))) == (3, 2, 0, 1)


def test_what_only_the_database_refuses_is_named_too_and_nothing_is_taken(deliver, made, sql):
    """Its place is told, and the others wait for it."""
    sql("ALTER TABLE llm_requests ADD CHECK (span_name <> 'cursed')")
    good = _requests(made, 3)
    good[1].span_name = "cursed"
    with pytest.raises(UnfitRequestsError) as unfit:
        deliver(_delivery(good))
    assert list(unfit.value.problems) == [1]
    assert sql("SELECT count(*) FROM llm_requests")[0][0] == 0
    assert sql("SELECT count(*) FROM delivered_journals")[0][0] == 0


def test_another_keys_session_is_not_added_to(deliver, made, sql):
    """As in any row: the request is stored, its session is not."""
    sql("INSERT INTO claude_sessions (id, majordomo_api_key_id) VALUES ($1, $2)", uuid.UUID(SESSION), OTHER_KEY)
    deliver(_delivery(_requests(made, 2, claude_session=SESSION)))
    assert sql("SELECT total_requests FROM claude_sessions")[0][0] == 0
    assert [row["claude_session_id"] for row in sql("SELECT * FROM llm_requests")] == [None, None]


def test_budgets_count_what_was_delivered(deliver, made, sql, postgres_dsn):
    """What went past the gateway was spent all the same."""
    draft = Draft(name="five", limit="5", unit="requests", window="lifetime")
    _run(postgres_dsn, lambda c: budget_store.create(c, draft, "a test", lambda: made.noon_us - 1))
    assert _figures(deliver(_delivery(_requests(made, 2)), tally=Ledger())) == (2, 2, 0, 0)
    assert sql("SELECT sum(spent) FROM budget_cells")[0][0] == 2


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'{"version":1,"position":-1,"requests":[]}',
        b'{"version":1,"position":9007199254740992,"requests":[]}',
        b'{"version":1,"position":0}',
        b'{"version":2,"position":0,"requests":[]}',
        b'{"version":1,"position":0,"requests":{}}',
        b'{"version":1,"position":0,"requests":[' + b",".join([b"null"] * (MOST_REQUESTS + 1)) + b"]}",
        b'{"version":1,"position":0,"requests":[' + b"[" * 100_000 + b"]" * 100_000 + b"]}",
        b"\xff",
    ],
    ids=lambda body: body[:24].decode("utf-8", "replace"),
)
def test_what_is_no_delivery_is_refused(body):
    """Other versions, too many requests, anything that is no delivery."""
    with pytest.raises(MalformedError):
        read_delivery(body)


def test_two_that_deliver_the_same_at_once_store_it_once(postgres_dsn, terms, made, sql, assert_rollups_match):
    """Ten at once, half of them under another journal id: one row a request, one journal that moved, no deadlock."""
    requests = _requests(made, 50)

    async def racing():
        connections = [await connect(postgres_dsn, purpose="test") for _ in range(10)]
        try:
            journals = (JOURNAL, uuid.uuid4())
            return await asyncio.gather(
                *(take(c, journals[n % 2], _delivery(requests), terms) for n, c in enumerate(connections)),
                return_exceptions=True,
            )
        finally:
            for connection in connections:
                await connection.close()

    results = asyncio.run(racing())
    taken = [result for result in results if isinstance(result, ingest.Taken)]
    assert sorted((one.stored, one.duplicates) for one in taken) == [(0, 50), (50, 0)]
    assert {type(one) for one in results} == {ingest.Taken, PositionMovedError}
    assert sql("SELECT count(*) FROM llm_requests")[0][0] == 50
    assert_rollups_match()


def test_the_writer_and_deliveries_write_the_same_sums_at_once(
    postgres_dsn, terms, made, sql, new_journal, journal_dir, dead_letter_dir, assert_rollups_match
):
    """Both lock the same rollups, keys, sessions and metadata: they take turns, and every request counts once."""
    journal = new_journal()
    for number in range(600):
        opening = made.opening(claude_session=SESSION, metadata={"Team": f"t{number % 7}"})
        journal.append_opening(opening)
        journal.append_close(made.close(opening))
    journal.close()
    batches = [_requests(made, 20, claude_session=SESSION, metadata={"Team": f"t{n % 5}"}) for n in range(30)]

    async def writing():
        writer = Writer(postgres_dsn, journal_dir, dead_letter_dir, tally=Ledger())
        try:
            await writer.drain()
        finally:
            await writer.close()

    async def delivering(journal_id, part):
        connection = await connect(postgres_dsn, purpose="test")
        try:
            at = 0
            for requests in part:
                at = (await take(connection, journal_id, _delivery(requests, at), terms, Ledger())).position
        finally:
            await connection.close()

    async def both():
        async with asyncio.timeout(60):
            await asyncio.gather(writing(), *(delivering(uuid.uuid4(), batches[n::3]) for n in range(3)))

    asyncio.run(both())
    assert sql("SELECT count(*) FROM llm_requests")[0][0] == 1200
    assert sql("SELECT total_requests FROM claude_sessions")[0][0] == 1200
    [sums] = sql(
        "SELECT sum(total_cost) AS rows, (SELECT total_cost FROM claude_sessions) AS session FROM llm_requests"
    )
    assert Decimal(sums["rows"]) == Decimal(sums["session"])
    assert_rollups_match()


def test_a_deadlock_is_tried_again_and_then_told(postgres_dsn, terms, made, sql, monkeypatch):
    """PostgreSQL ends one of two that wait for each other; the delivery is none the worse for it."""
    real, ended = ingest.Store.put, []

    async def deadlocked(self, connection, rows, stored):
        ended.append(1)
        if len(ended) <= allowed:
            raise asyncpg.DeadlockDetectedError("deadlock detected")
        await real(self, connection, rows, stored)

    monkeypatch.setattr(ingest.Store, "put", deadlocked)
    allowed = 2
    delivery = _delivery(_requests(made, 2))
    assert _run(postgres_dsn, lambda c: take(c, JOURNAL, delivery, terms)).stored == 2
    allowed = 100
    with pytest.raises(asyncpg.DeadlockDetectedError):
        _run(postgres_dsn, lambda c: take(c, JOURNAL, _delivery(_requests(made, 1), at=2), terms))
    assert sql("SELECT count(*) FROM llm_requests")[0][0] == 2
