"""The back office as a process: started with an order, fed by journals, asked over its socket, stopped and killed."""

import asyncio
import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from databases import drop_database
from recorded_rows import exchange

from majordomo.clock import wall_us
from majordomo.launch import Launch, reveal
from majordomo.places import Places
from majordomo.record.api_keys import hash_of
from majordomo.record.journal import Journal
from majordomo.record.migrate import migrate
from majordomo.settings import Settings

PATIENCE = 60.0  # seconds; a busy machine is no failure


class Office:
    """Starts back-office processes on one data directory and one database."""

    def __init__(self, data_dir: Path, dsn: str) -> None:
        self.dsn = dsn
        self.places = Places(data_dir).make()
        self.settings = Settings(data_dir=data_dir, price_feed=False, log_format="json")
        self.process: subprocess.Popen[bytes] | None = None
        self.log = data_dir / "log"

    def start(self, dsn: str | None = None) -> None:
        order = Launch(0, "127.0.0.1", 7680, dsn or self.dsn, reveal(self.settings)).encode()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "majordomo.back_office"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self.process.stdin
        self.process.stdin.write(order)
        self.process.stdin.close()

    def ready(self) -> dict[str, Any]:
        assert self.process and self.process.stdout
        line = self.process.stdout.readline()
        assert line, self.log.read_text()
        return json.loads(line)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        assert self.process and self.process.stdout
        self.process.send_signal(how)
        code = self.process.wait(PATIENCE)
        self.process.stdout.close()
        self.process = None
        return code

    def get(self, path: str) -> tuple[int, http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection("back-office", timeout=PATIENCE)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(PATIENCE)
        connection.sock.connect(str(self.places.back_office_socket))
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response.status, response, body

    def query(self, sql: str, *arguments: Any) -> Any:
        async def ask() -> Any:
            connection = await asyncpg.connect(self.dsn)
            try:
                return await connection.fetchval(sql, *arguments)
            finally:
                await connection.close()

        return asyncio.run(ask())

    def journal(self) -> Journal:
        return Journal.create(self.places.journal_dir, segment_bytes=1 << 20, now_us=wall_us())


@pytest.fixture
def office(short_tmp: Path, empty_dsn: str) -> Iterator[Office]:
    made = Office(short_tmp / "data", empty_dsn)
    yield made
    if made.process:
        made.stop(signal.SIGKILL)


def eventually(true: Callable[[], bool], *, within: float = PATIENCE) -> None:
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def answers(office: Office) -> bool:
    try:
        office.get("/readyz")
    except OSError:
        return False
    return True


def append(journal: Journal, count: int, **fields: Any) -> None:
    for _ in range(count):
        opening, close = exchange(wall_us(), **fields)
        journal.append_opening(opening)
        assert close is not None
        journal.append_close(close)


def test_the_first_start_migrates_and_tells_the_first_key_once_and_never_logs_it(office: Office) -> None:
    """On an empty database the ready line carries a key that works; a second start tells none; no log line holds it."""
    office.start()
    first = office.ready()
    assert first["ready"] is True
    assert first["firsts"]["key"].startswith("mdm_sk_")
    assert len(first["firsts"]["key"]) == len("mdm_sk_") + 43
    assert office.query("SELECT name FROM api_keys WHERE key_hash = $1", hash_of(first["firsts"]["key"])) == "first key"
    assert len(first["firsts"]["link"]) == 43
    assert office.query("SELECT role FROM users u JOIN sign_in_links l ON l.user_id = u.id") == "admin"
    assert office.stop() == 0
    office.start()
    assert office.ready() == {"ready": True, "firsts": {"key": None, "link": None}}
    assert office.query("SELECT count(*) FROM api_keys") == 1
    assert office.stop() == 0
    assert first["firsts"]["key"] not in office.log.read_text()
    assert first["firsts"]["link"] not in office.log.read_text()


def test_what_a_journal_holds_becomes_rows_while_it_is_written(office: Office) -> None:
    """Frames of a journal that is still open turn into rows, and the metrics count them."""
    office.start()
    office.ready()
    journal = office.journal()
    append(journal, 5)
    eventually(lambda: office.query("SELECT count(*) FROM llm_requests") == 5)
    _, _, metrics = office.get("/metrics")
    assert b'majordomo_requests_total{outcome="completed",provider="openai",status="200"} 5.0' in metrics
    journal.close()


def test_sigterm_drains_everything_before_it_ends(office: Office) -> None:
    """What was in a journal when SIGTERM came is in the database when the process has ended, with exit code 0."""
    office.start()
    office.ready()
    journal = office.journal()
    append(journal, 3000)
    assert office.stop() == 0
    assert office.query("SELECT count(*) FROM llm_requests") == 3000
    journal.close()


def test_kill_9_loses_and_doubles_nothing(office: Office) -> None:
    """Killed amid writing and started again, every request is one row and the sums agree."""
    office.start()
    office.ready()
    journal = office.journal()
    for _ in range(3):
        append(journal, 700)
        office.stop(signal.SIGKILL)
        office.start()
        office.ready()
    append(journal, 700)
    journal.close()
    eventually(lambda: office.query("SELECT count(*) FROM llm_requests") == 2800)
    assert office.stop() == 0
    assert office.query("SELECT count(DISTINCT id) FROM llm_requests") == 2800
    assert office.query("SELECT sum(requests)::int FROM usage_by_model_daily") == 2800
    assert not list(office.places.journal_dir.iterdir())


def test_a_database_that_is_away_at_start_is_waited_for_and_readyz_says_so(office: Office, short_tmp: Path) -> None:
    """Without a database the process answers 503 with the part's name; when it comes, everything is brought in."""
    away = office.dsn.replace("/test_", "/not_there_")
    office.start(away)
    eventually(lambda: answers(office))
    status, response, body = office.get("/readyz")
    assert status == 503
    assert response.headers["content-type"] == "application/json"
    parts = json.loads(body)["parts"]
    assert parts["database"]["state"] == "down"
    assert "postgresql" not in body.decode()
    journal = office.journal()
    append(journal, 20)
    journal.close()
    name = away.rpartition("/")[2].partition("?")[0]
    office.query(f'CREATE DATABASE "{name}"')
    try:
        assert office.ready()["firsts"]["key"]
        eventually(lambda: office.get("/readyz")[0] == 200)
        assert office.stop() == 0
        assert not list(office.places.journal_dir.iterdir())
    finally:
        drop_database(office.dsn, name)


def test_sigterm_ends_it_while_the_database_is_away(office: Office) -> None:
    """A start without a database can be stopped; what is in the journals stays there."""
    office.start(office.dsn.replace("/test_", "/not_there_"))
    eventually(lambda: answers(office))
    journal = office.journal()
    append(journal, 3)
    journal.close()
    assert office.stop() == 0
    assert list(office.places.journal_dir.iterdir())


def test_the_socket_is_private(office: Office) -> None:
    """Only this user can speak to the back office."""
    office.start()
    office.ready()
    eventually(lambda: answers(office))
    assert office.places.back_office_socket.stat().st_mode & 0o777 == 0o600


def test_it_rests_in_little_memory(office: Office) -> None:
    """At rest, after an answer of each kind, its proportional memory is under 80 MB."""
    office.start()
    office.ready()
    eventually(lambda: answers(office))
    for path in ("/readyz", "/metrics", "/", "/api/v1/openapi.json"):
        assert office.get(path)[0] == 200
    assert office.process
    rollup = Path(f"/proc/{office.process.pid}/smaps_rollup").read_text()
    pss_kb = next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    assert pss_kb < 80 * 1024


def test_what_had_no_price_is_priced_at_the_next_start(office: Office) -> None:
    """Rows that were recorded without a price get one once the prices know their model; sums follow."""
    office.start()
    office.ready()
    journal = office.journal()
    append(journal, 4, costs=None)
    append(journal, 1, costs=None, model="nobody-knows")
    journal.close()
    eventually(lambda: office.query("SELECT count(*) FROM llm_requests WHERE total_cost IS NULL") == 5)
    assert office.stop() == 0
    office.start()
    office.ready()
    eventually(lambda: office.query("SELECT count(*) FROM llm_requests WHERE total_cost IS NULL") == 1)
    assert office.query("SELECT sum(unpriced)::int FROM usage_by_model_hourly") == 1
    priced = office.query("SELECT sum(total_cost) FROM llm_requests")
    assert priced > 0
    assert office.query("SELECT sum(total_cost) FROM usage_by_model_daily") == priced


def test_idle_sessions_end_by_themselves_and_open_ones_are_counted(office: Office) -> None:
    """At every start and each minute; the metrics tell how many are open, and how often a session was ignored."""
    office.settings.claude_session_idle_seconds = 1800
    asyncio.run(migrate(office.dsn))
    for minutes in (60, 5):
        office.query(
            "INSERT INTO claude_sessions (id, majordomo_api_key_id, started_at)"
            " VALUES (gen_random_uuid(), gen_random_uuid(), now() - make_interval(mins => $1))",
            minutes,
        )
    office.start()
    office.ready()
    eventually(lambda: office.query("SELECT count(*) FROM claude_sessions WHERE ended_by = 'idle'") == 1)
    eventually(lambda: b"majordomo_claude_sessions_open 1.0" in office.get("/metrics")[2])
    journal = office.journal()
    opening, close = exchange(wall_us())
    opening.claude_session = "no uuid"
    journal.append_opening(opening)
    journal.append_close(close)
    ignored = b'majordomo_claude_sessions_ignored_total{reason="bad_session"} 1.0'
    eventually(lambda: ignored in office.get("/metrics")[2])
    journal.close()
