"""From the journal to PostgreSQL: every request exactly one row, and everything counted from it in step."""

import asyncio
import datetime as dt
import json
from decimal import Decimal
from uuid import UUID

import asyncpg
import msgspec
import pytest

from majordomo.meter.reading import UsageState
from majordomo.price.bill import Bill
from majordomo.record.dead_letter import dead_letters
from majordomo.record.frames import Outcome
from majordomo.record.hyperloglog import HyperLogLog
from majordomo.record.registry import MAX_NAMES
from majordomo.record.segments import journal_folders, segment_numbers
from majordomo.record.writer import Writer

OTHER_KEY = bytes.fromhex("0199c0de000070008000000000000002")


def _journal(journal, made, count, **given):
    openings = [made.opening(**given) for _ in range(count)]
    for opening in openings:
        journal.append_opening(opening)
        journal.append_close(made.close(opening))
    return openings


def test_a_request_becomes_one_row_with_every_column(new_journal, made, drained, sql):
    """What the journal says of a request stands in the column of its name, exactly."""
    journal = new_journal()
    opening = made.opening(
        metadata={"Feature": 'naïve \\ "quoted"\ttab\nline', "Team": "法務"},
        provider_key_alias="prod",
        client="claude-code",
        claude_session="0199c0de-0000-7000-8000-0000000000aa",
        agent_id="a1",
        parent_agent_id="a0",
        trace_id="t",
        span_path="plan/search",
        span_name="search",
    )
    close = made.close(opening, problems=("cut", 'odd"\\code'))
    journal.append_opening(opening)
    journal.append_close(close)
    drained()
    [row] = sql("SELECT * FROM llm_requests")
    assert row["id"].bytes == opening.id
    assert row["majordomo_api_key_id"].bytes == opening.api_key_id
    assert row["org_id"] == UUID(int=0)
    assert row["provider_api_key_hash"] == "ab" * 32
    assert row["provider_api_key_alias"] == "prod"
    assert (row["provider"], row["api"], row["request_method"]) == ("openai", "openai.chat", "POST")
    assert (row["model"], row["requested_model"]) == ("gpt-5-mini-2025-08-07", "gpt-5-mini")
    assert row["request_path"] == "/v1/chat/completions"
    assert row["requested_at"] == dt.datetime(2025, 11, 21, 12, tzinfo=dt.UTC)
    assert row["responded_at"] - row["requested_at"] == dt.timedelta(milliseconds=750)
    assert (row["response_time_ms"], row["time_to_first_byte_ms"], row["status_code"]) == (750, 300, 200)
    assert (row["outcome"], row["streamed"], row["usage_state"]) == ("completed", True, "final")
    assert (row["input_tokens"], row["output_tokens"], row["cached_tokens"]) == (120, 30, 20)
    assert (row["reasoning_tokens"], row["prompt_tokens"], row["cache_creation_tokens"]) == (10, 120, None)
    assert json.loads(row["usage"]) == {"prompt_tokens": 120, "completion_tokens": 30}
    assert row["input_cost"] == Decimal("0.000025")
    assert row["output_cost"] == Decimal("0.00006")
    assert row["cache_read_cost"] == Decimal("0.0000000375")
    assert (row["cache_creation_cost"], row["tool_cost"]) == (0, 0)
    assert row["total_cost"] == Decimal("0.0000850375")
    assert (row["price_version"], row["model_alias_found"], row["service_tier"]) == ("2026-01-01", True, "default")
    assert json.loads(row["billed"]) == {
        "parts": [
            {
                "model": "gpt-5-mini-2025-08-07",
                "counts": {"input": 100, "cache_read": 20, "output": 30},
                "context": None,
            }
        ]
    }
    assert row["problems"] == ["cut", 'odd"\\code']
    assert json.loads(row["raw_metadata"]) == opening.metadata
    assert json.loads(row["indexed_metadata"]) == {}
    assert (row["client"], row["claude_session_id"]) == ("claude-code", UUID(opening.claude_session))
    assert (row["agent_id"], row["parent_agent_id"]) == ("a1", "a0")
    assert (row["trace_id"], row["span_path"], row["span_name"]) == ("t", "plan/search", "search")
    assert row["synced_to_butler"] is False
    assert (row["error_type"], row["error_message"], row["body_s3_key"]) == (None, None, None)
    journal.close()


def test_unknown_prices_are_null_never_zero(new_journal, made, drained, sql, assert_rollups_match):
    """A request whose price nobody knows has NULL costs and is counted as unpriced."""
    journal = new_journal()
    opening = made.opening()
    journal.append_opening(opening)
    journal.append_close(made.close(opening, bill=Bill(price_version="v", problems=("unknown_model",))))
    writer = drained()
    [row] = sql("SELECT * FROM llm_requests")
    assert [row[name] for name in dict(row) if name.endswith("_cost")] == [None] * 6
    assert row["model_alias_found"] is False
    assert row["problems"] == ["unknown_model"]
    assert sql("SELECT sum(unpriced) AS n FROM usage_by_model_hourly")[0]["n"] == 1
    assert writer.stats.unpriced == 1
    assert_rollups_match()
    journal.close()


def test_hostile_text_never_costs_a_row(new_journal, made, drained, sql, dead_letter_dir):
    """NUL, endless names, numbers out of range and broken JSON are made safe; nothing is refused."""
    journal = new_journal(1024 * 1024)
    opening = made.opening(
        metadata={"N\x00ul": "v\x00", "Long": "x" * 9000, "Control\x01": "\x02\r\n\\N"},
        provider="p" * 500,
        provider_key_alias="é" * 500,
        provider_key_hash="h" * 80,
        path="/\x00" + "p" * 30_000,
        claude_session="not a uuid",
        trace_id="\x00" * 5000,
    )
    close = made.close(
        opening,
        model="m\x00" * 300,
        requested_model="\\." * 90,
        input_tokens=2**40,
        output_tokens=-(2**40),
        response_time_ms=2**50,
        responded_at=2**62,
        usage=b'{"a":"\\u0000","b":1e999999,"c":"\\ud800"',
        error_message="\x00\\N\t",
        problems=("\x00",),
        service_tier="t" * 3000,
    )
    journal.append_opening(opening)
    journal.append_close(close)
    for usage in (b"\xff\xfe", b"[" * 5000 + b"]" * 5000, b'"\\ud800"', b'{"n":1e400}', b"NaN", b'"\\u0000"', b"\x00"):
        other = made.opening(requested_at=-1)
        journal.append_opening(other)
        journal.append_close(made.close(other, usage=usage))
    drained()
    assert sql("SELECT count(*) AS n FROM llm_requests")[0]["n"] == 8
    assert list(dead_letters(dead_letter_dir)) == []
    [row] = sql("SELECT * FROM llm_requests WHERE id = $1", UUID(bytes=opening.id))
    assert row["input_tokens"] == 2**31 - 1
    assert len(row["provider"]) == len(row["model"]) == 100
    assert json.loads(row["raw_metadata"])["N\ufffdul"] == "v\ufffd"
    assert row["claude_session_id"] is None
    journal.close()


def test_rollups_registry_and_keys_agree_with_the_rows(new_journal, made, drained, sql, api_key, assert_rollups_match):
    """Requests of many hours, keys, models and outcomes: all that is counted equals the sum over the rows."""
    sql(
        "INSERT INTO llm_requests_metadata_keys (majordomo_api_key_id, key_name, is_active) VALUES ($1, 'Team', true)",
        api_key,
    )
    journal = new_journal()
    hour = 3_600_000_000
    for number in range(120):
        opening = made.opening(
            requested_at=made.noon_us + number * hour // 3,
            api_key_id=made.key if number % 3 else OTHER_KEY,
            metadata={"Team": f"team-{number % 7}", "User-Id": f"user-{number % 50}"} if number % 5 else {},
        )
        journal.append_opening(opening)
        outcome = [Outcome.COMPLETED, Outcome.CLIENT_CLOSED, Outcome.PROVIDER_BROKE, Outcome.REFUSED][number % 4]
        close = made.close(
            opening,
            outcome=outcome,
            status_code=[200, 200, 502, None][number % 4],
            model=[None, "a", "b"][number % 3],
            requested_model=None,
        )
        if number % 11 == 0:
            close = msgspec.structs.replace(close, bill=Bill(), usage_state=UsageState.ESTIMATED)
        journal.append_close(close)
        if number % 40 == 39:
            drained()
    drained()
    assert sql("SELECT count(*) AS n FROM llm_requests")[0]["n"] == 120
    assert_rollups_match()
    [key] = sql("SELECT * FROM api_keys")
    [expected] = sql("SELECT count(*), max(requested_at) FROM llm_requests WHERE majordomo_api_key_id = $1", api_key)
    assert (key["request_count"], key["last_used_at"]) == tuple(expected)
    registry = sql("SELECT * FROM llm_requests_metadata_keys")
    assert {(row["majordomo_api_key_id"].bytes, row["key_name"]) for row in registry} == {
        (made.key, "Team"),
        (made.key, "User-Id"),
        (OTHER_KEY, "Team"),
        (OTHER_KEY, "User-Id"),
    }
    for row in registry:
        [seen] = sql(
            "SELECT count(*) AS requests, max(requested_at) AS last, count(DISTINCT raw_metadata->>$2) AS different "
            "FROM llm_requests WHERE majordomo_api_key_id = $1 AND raw_metadata ? $2",
            row["majordomo_api_key_id"],
            row["key_name"],
        )
        assert (row["request_count"], row["last_seen_at"]) == (seen["requests"], seen["last"])
        assert row["approx_cardinality"] == HyperLogLog.from_bytes(row["hll_state"]).estimate()
        assert abs(row["approx_cardinality"] - seen["different"]) <= 1
    [indexed] = sql('SELECT count(*) AS n FROM llm_requests WHERE indexed_metadata @> \'{"Team": "team-3"}\'')
    [raw] = sql(
        "SELECT count(*) AS n FROM llm_requests WHERE raw_metadata->>'Team' = 'team-3' AND majordomo_api_key_id = $1",
        api_key,
    )
    assert indexed["n"] == raw["n"] > 0
    journal.close()


def test_an_activation_reaches_a_running_writer(postgres_dsn, new_journal, made, journal_dir, dead_letter_dir, sql):
    """A metadata key that is activated is indexed in the requests that come after, without a restart."""
    journal = new_journal()

    async def run():
        writer = Writer(postgres_dsn, journal_dir, dead_letter_dir)
        _journal(journal, made, 1)
        await writer.drain()
        connection = await asyncpg.connect(postgres_dsn)
        await connection.execute("UPDATE llm_requests_metadata_keys SET is_active = true WHERE key_name = 'Team'")
        before = await connection.fetchval("SELECT count(*) FROM llm_requests WHERE indexed_metadata <> '{}'")
        for _ in range(100):
            _journal(journal, made, 1)
            await writer.drain()
            found = await connection.fetchval("SELECT count(*) FROM llm_requests WHERE indexed_metadata ? 'Team'")
            if found:
                break
            await asyncio.sleep(0.02)
        await connection.close()
        await writer.close()
        return before, found

    assert asyncio.run(run()) == (0, 1)
    journal.close()


def test_sketches_of_two_replicas_add_up(postgres_dsn, new_journal, made, journal_dir, dead_letter_dir, tmp_path, sql):
    """Two writers with journals of their own, taking turns: the registry's sketch knows the values of both."""
    from majordomo.record.journal import Journal

    mine = new_journal()
    theirs = Journal.create(tmp_path / "other", segment_bytes=65536, now_us=1)

    async def run():
        writers = [
            Writer(postgres_dsn, journal_dir, dead_letter_dir),
            Writer(postgres_dsn, tmp_path / "other", dead_letter_dir),
        ]
        for number in range(30):
            _journal(mine, made, 2, metadata={"User-Id": f"mine-{number}"})
            _journal(theirs, made, 2, metadata={"User-Id": f"theirs-{number}"})
            await asyncio.gather(*(writer.drain() for writer in writers))
        for writer in writers:
            await writer.close()

    asyncio.run(run())
    expected = HyperLogLog()
    for number in range(30):
        expected.add(f"mine-{number}")
        expected.add(f"theirs-{number}")
    [row] = sql("SELECT request_count, hll_state FROM llm_requests_metadata_keys")
    assert row["request_count"] == 120
    assert row["hll_state"] == expected.to_bytes()
    mine.close()
    theirs.close()


def test_a_key_with_too_many_values_leaves_the_rollups(new_journal, made, drained, sql, api_key, monkeypatch):
    """An active key that turns out to be nearly unique stops growing the rollups, and says since when."""
    monkeypatch.setattr("majordomo.record.registry.MAX_ROLLUP_VALUES", 20)
    sql(
        "INSERT INTO llm_requests_metadata_keys (majordomo_api_key_id, key_name, is_active) VALUES ($1, 'User', true)",
        api_key,
    )
    journal = new_journal()
    for turn in range(3):
        for number in range(40):
            _journal(journal, made, 1, metadata={"User": f"{turn}-{number}"})
        drained()
    assert sql("SELECT count(*) AS n FROM usage_by_metadata_daily")[0]["n"] == 40
    assert sql("SELECT rollup_stopped_at FROM llm_requests_metadata_keys")[0]["rollup_stopped_at"] is not None
    assert sql("SELECT count(*) AS n FROM llm_requests WHERE indexed_metadata ? 'User'")[0]["n"] == 120
    journal.close()


def test_a_caller_cannot_grow_the_registry_for_ever(new_journal, made, drained, sql):
    """Invented names end at a limit an API key; the rows keep them all."""
    journal = new_journal(4 * 1024 * 1024)
    for number in range(0, MAX_NAMES + 300, 50):
        _journal(journal, made, 1, metadata={f"Name-{number + index}": "x" for index in range(50)})
    drained()
    assert sql("SELECT count(*) AS n FROM llm_requests_metadata_keys")[0]["n"] == MAX_NAMES
    [row] = sql("SELECT count(*) AS n FROM llm_requests, jsonb_object_keys(raw_metadata)")
    assert row["n"] == MAX_NAMES + 300
    journal.close()


def test_openings_without_a_close_are_lost_once_their_process_is_gone(
    new_journal, made, drained, sql, journal_dir, assert_rollups_match
):
    """While their process lives they run; afterwards each becomes one row that says lost, and the journal goes."""
    journal = new_journal()
    running = made.opening()
    journal.append_opening(running)
    _journal(journal, made, 2)
    drained()
    assert [row["outcome"] for row in sql("SELECT outcome FROM llm_requests")] == ["completed"] * 2
    journal.close()
    drained()
    [row] = sql("SELECT * FROM llm_requests WHERE outcome = 'lost'")
    assert row["id"].bytes == running.id
    assert (row["usage_state"], row["status_code"], row["responded_at"], row["total_cost"]) == (
        "none",
        None,
        None,
        None,
    )
    assert (row["streamed"], row["response_time_ms"], row["model"]) == (None, None, None)
    assert list(journal_folders(journal_dir)) == []
    assert sql("SELECT count(*) AS n FROM journal_openings")[0]["n"] == 0
    drained()
    assert sql("SELECT count(*) AS n FROM llm_requests")[0]["n"] == 3
    assert_rollups_match()


def test_a_long_request_does_not_keep_segments(new_journal, made, drained, sql):
    """Segments go once the position has left them, also while a request that began in them still runs."""
    journal = new_journal(4096)
    long_running = [made.opening() for _ in range(3)]
    for opening in long_running:
        journal.append_opening(opening)
    for _ in range(4):
        _journal(journal, made, 20)
        drained()
    assert len(segment_numbers(journal.folder)) == 1
    assert sql("SELECT count(*) AS n FROM journal_openings")[0]["n"] == 3
    journal.append_close(made.close(long_running[0]))
    drained()
    assert sql("SELECT count(*) AS n FROM llm_requests WHERE id = $1", UUID(bytes=long_running[0].id))[0]["n"] == 1
    assert sql("SELECT count(*) AS n FROM journal_openings")[0]["n"] == 2
    journal.close()
    drained()
    outcomes = sql("SELECT outcome, count(*) AS n FROM llm_requests GROUP BY 1 ORDER BY 1")
    assert [tuple(row) for row in outcomes] == [("completed", 81), ("lost", 2)]


def test_a_row_that_postgresql_refuses_becomes_a_dead_letter(
    new_journal, made, drained, sql, dead_letter_dir, assert_rollups_match
):
    """The refused row is kept whole with the reason; the rows before and behind it are stored and counted."""
    sql("ALTER TABLE llm_requests ADD CONSTRAINT picky CHECK (request_path <> '/refuse')")
    journal = new_journal()
    openings = _journal(journal, made, 7)
    refused = _journal(journal, made, 2, path="/refuse")
    openings += _journal(journal, made, 8)
    writer = drained()
    stored = {row["id"].bytes for row in sql("SELECT id FROM llm_requests")}
    assert stored == {opening.id for opening in openings}
    letters = list(dead_letters(dead_letter_dir))
    assert [letter.opening["id"] for letter in letters] == [str(UUID(bytes=opening.id)) for opening in refused]
    assert all("picky" in letter.reason for letter in letters)
    assert letters[0].close["input_tokens"] == 120
    assert letters[0].close["bill"]["total_cost"] == 85_037_500_000
    assert next(dead_letter_dir.iterdir()).stat().st_mode & 0o777 == 0o600
    assert (writer.stats.rows, writer.stats.dead_letters) == (15, 2)
    assert_rollups_match()
    journal.close()


def test_a_close_without_an_opening_is_a_dead_letter(new_journal, made, drained, sql, dead_letter_dir):
    """What cannot be a row, because nobody knows its key, is kept and passed over."""
    journal = new_journal()
    orphan = made.close(made.opening())
    journal.append_close(orphan)
    _journal(journal, made, 1)
    drained()
    assert sql("SELECT count(*) AS n FROM llm_requests")[0]["n"] == 1
    [letter] = dead_letters(dead_letter_dir)
    assert letter.reason == "close without an opening"
    assert letter.request_id == str(UUID(bytes=orphan.id))
    journal.close()


def test_draining_again_changes_nothing(new_journal, made, drained, sql, assert_rollups_match):
    """However often writers come and go, a request is one row, counted once."""
    journal = new_journal(4096)
    _journal(journal, made, 30)
    for _ in range(4):
        drained()
    assert sql("SELECT count(*) AS n FROM llm_requests")[0]["n"] == 30
    assert sql("SELECT sum(request_count) AS n FROM llm_requests_metadata_keys")[0]["n"] == 60
    assert_rollups_match()
    journal.close()


def test_two_writers_on_one_journal_store_everything_once(
    postgres_dsn, new_journal, made, journal_dir, dead_letter_dir, sql, assert_rollups_match
):
    """A writer that is started twice by mistake does no harm."""
    journal = new_journal(8192)

    async def run():
        writers = [Writer(postgres_dsn, journal_dir, dead_letter_dir, poll_seconds=0.002) for _ in range(2)]
        stop = asyncio.Event()
        tasks = [asyncio.create_task(writer.run(stop)) for writer in writers]
        for _ in range(60):
            _journal(journal, made, 5)
            await asyncio.sleep(0.005)
        journal.close()
        stop.set()
        await asyncio.gather(*tasks)

    asyncio.run(run())
    assert sql("SELECT count(*) AS n FROM llm_requests")[0]["n"] == 300
    assert list(dead_letters(dead_letter_dir)) == []
    assert list(journal_folders(journal_dir)) == []
    assert_rollups_match()


def test_a_lost_connection_costs_nothing(
    postgres_dsn, new_journal, made, journal_dir, dead_letter_dir, sql, assert_rollups_match
):
    """Connections cut at random moments, commits of unknown outcome among them: every request is one row."""
    journal = new_journal(8192)

    async def run():
        writer = Writer(postgres_dsn, journal_dir, dead_letter_dir, poll_seconds=0.002)
        stop = asyncio.Event()
        task = asyncio.create_task(writer.run(stop))
        killer = await asyncpg.connect(postgres_dsn)
        for number in range(40):
            _journal(journal, made, 20)
            await asyncio.sleep(0.003 * (number % 5))
            await killer.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'majordomo writer'"
            )
        await killer.close()
        journal.close()
        for _ in range(500):
            if not list(journal_folders(journal_dir)):
                break
            await asyncio.sleep(0.02)
        stop.set()
        await task
        return writer.stats.failures

    assert asyncio.run(run()) > 0
    assert sql("SELECT count(*) AS n FROM llm_requests")[0]["n"] == 800
    assert list(dead_letters(dead_letter_dir)) == []
    assert_rollups_match()


def test_an_unreachable_database_is_waited_for(made, new_journal, journal_dir, dead_letter_dir):
    """Without a database the writer says so, keeps the journal, and stops when it is told to."""
    journal = new_journal()
    _journal(journal, made, 3)

    async def run():
        writer = Writer("postgresql://nobody:secret@127.0.0.1:1/none", journal_dir, dead_letter_dir)
        stop = asyncio.Event()
        task = asyncio.create_task(writer.run(stop))
        while writer.stats.failures < 2:
            await asyncio.sleep(0.01)
        stop.set()
        await task
        return writer.stats

    stats = asyncio.run(run())
    assert "secret" not in stats.last_error
    assert stats.lag_bytes > 0
    assert stats.connected is False
    assert len(segment_numbers(journal.folder)) == 1
    journal.close()


def test_damage_is_counted_and_the_rest_is_stored(new_journal, made, drained, sql):
    """A journal damaged in the middle loses the damaged request's close; it becomes lost, the others are stored."""
    journal = new_journal(1024 * 1024)
    openings = _journal(journal, made, 20)
    journal.close()
    path = journal.folder / "00000000.journal"
    content = bytearray(path.read_bytes())
    position = content.rfind(openings[10].id)
    content[position + 30] ^= 0xFF
    path.write_bytes(content)
    writer = drained()
    outcomes = sql("SELECT outcome, count(*) AS n FROM llm_requests GROUP BY 1 ORDER BY 1")
    assert [tuple(row) for row in outcomes] == [("completed", 19), ("lost", 1)]
    assert writer.stats.damages == 1
    assert writer.stats.damaged_bytes > 0


@pytest.mark.parametrize("count", [0, 1])
def test_a_finished_journal_that_could_not_be_removed_is_removed_later(
    new_journal, made, drained, sql, journal_dir, count
):
    """A crash between the last commit and the removal of the files leaves nothing to be counted twice."""
    import shutil

    journal = new_journal()
    _journal(journal, made, count)
    journal.close()
    shutil.copytree(journal.folder, journal_dir.parent / "kept")
    drained()
    shutil.copytree(journal_dir.parent / "kept", journal.folder)
    drained()
    assert list(journal_folders(journal_dir)) == []
    assert sql("SELECT count(*) AS n FROM llm_requests")[0]["n"] == count


def test_a_busy_journal_does_not_keep_the_others_waiting(
    postgres_dsn, new_journal, made, journal_dir, dead_letter_dir, sql, monkeypatch
):
    """With one journal far behind, what another one says is stored in the next batches all the same."""
    monkeypatch.setattr("majordomo.record.writer.BATCH_ROWS", 10)
    monkeypatch.setattr("majordomo.record.drain.READ_BYTES", 2048)
    journals = [new_journal() for _ in range(3)]
    for journal in journals[:2]:
        _journal(journal, made, 400)
    _journal(journals[2], made, 1, path="/quick")

    async def run():
        writer = Writer(postgres_dsn, journal_dir, dead_letter_dir)
        for _ in range(6):
            await writer.round()
        await writer.close()

    asyncio.run(run())
    assert sql("SELECT count(*) AS n FROM llm_requests WHERE request_path = '/quick'")[0]["n"] == 1
    assert sql("SELECT count(*) AS n FROM llm_requests")[0]["n"] < 800
    for journal in journals:
        journal.close()
