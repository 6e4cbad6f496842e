"""An export as a caller gets it: through a front desk, whole or visibly cut, and no query outlives who asked."""

import asyncio
import csv
import http.client
import io
import time
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from gateway_fixture import Gateway, running_gateway
from recorded_rows import KEYS

from majordomo.record.database import connect
from majordomo.record.postgres_server import PostgresServer

ROWS = 40_000  # some 20 MB, more than the sockets on the way hold
PATH = "/api/v1/usage/export?period=7d"

_ROWS = """
INSERT INTO llm_requests (id, majordomo_api_key_id, provider, model, api, request_path, request_method, requested_at,
    outcome, usage_state, total_cost, raw_metadata)
SELECT gen_random_uuid(), $2, 'openai', 'gpt-5', 'openai.chat', '/v1/chat/completions', 'POST',
    now() - n * interval '10 seconds', 'completed', 'final', n * 0.000000000000001,
    jsonb_build_object('Text', repeat(md5(n::text), 10))
FROM generate_series(1, $1) n
"""
_QUESTIONS = """
SELECT pid FROM pg_stat_activity
WHERE application_name = 'majordomo report' AND datname = current_database() AND xact_start IS NOT NULL
"""


@pytest.fixture(scope="module")
def full(postgres_server: PostgresServer) -> Iterator[Gateway]:
    """A gateway of its own with many requests."""
    with running_gateway(postgres_server, "export_gateway") as running:
        running.sql(_ROWS, ROWS, KEYS[0])
        yield running


@pytest.fixture(scope="module")
def token(full: Gateway) -> str:
    """A member's token."""
    return full.token("member")


def begun(gateway: Gateway, token: str) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    """An export of which nothing but the beginning was read."""
    place = urlsplit(gateway.base_url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)
    connection.request("GET", PATH, headers={"Authorization": f"Bearer {token}"})
    reply = connection.getresponse()
    assert reply.status == 200
    assert reply.read(10) == b"id,org_id,"
    return connection, reply


def wait_for_questions(gateway: Gateway, count: int) -> list[Any]:
    """Until so many questions are under way in the database."""
    deadline = time.monotonic() + 30
    while len(found := gateway.sql(_QUESTIONS)) != count:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


def test_it_is_whole(full: Gateway, token: str) -> None:
    request = urllib.request.Request(full.base_url + PATH, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=120) as reply:
        lines = list(csv.DictReader(io.TextIOWrapper(reply, "utf-8", newline="")))
    assert len({line["id"] for line in lines}) == len(lines) == ROWS


def test_a_caller_who_hangs_up_ends_the_query(full: Gateway, token: str) -> None:
    """The query waits for a lock that is never let go of meanwhile; only cancelling ends it."""
    with asyncio.Runner() as runner:
        blocker = runner.run(connect(full.dsn, purpose="tests"))
        lock = blocker.transaction()
        runner.run(lock.start())
        runner.run(blocker.execute("LOCK TABLE llm_requests IN ACCESS EXCLUSIVE MODE"))
        connection, _ = begun(full, token)
        wait_for_questions(full, 1)
        connection.close()
        wait_for_questions(full, 0)
        runner.run(lock.rollback())
        runner.run(blocker.close())


def test_a_file_that_broke_off_is_told_from_a_whole_one(full: Gateway, token: str) -> None:
    """The database ends half-way: the reply has no end, so no client takes it for all there is."""
    connection, reply = begun(full, token)
    [question] = wait_for_questions(full, 1)
    full.sql("SELECT pg_terminate_backend($1)", question["pid"])
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        while reply.read(1 << 20):
            pass
    connection.close()
    wait_for_questions(full, 0)
