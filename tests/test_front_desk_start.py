"""A front desk that starts takes no request before it has its keys and budgets."""

import asyncio
import http.client
import json
import os
import signal
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from gateway_fixture import Gateway, running_gateway

from majordomo.budget.definition import Draft
from majordomo.budget.store import create
from majordomo.record.database import connect
from majordomo.record.postgres_server import PostgresServer

#: Seconds for a front desk to fall and be started again.
PATIENCE = 30.0


@pytest.fixture(scope="module")
def own(postgres_server: PostgresServer) -> Iterator[Gateway]:
    """A gateway whose front desk may be killed."""
    with running_gateway(postgres_server, "front_desk_start") as gateway:
        yield gateway


def restarted(gateway: Gateway) -> None:
    """Kill the front desk, and take away its copy of the keys."""
    run = gateway.process.data_dir / "run"
    (status,) = run.glob("front-desk-*.json")
    pid = json.loads(status.read_text())["pid"]
    (run / "keys.copy").unlink()
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE
    while True:  # until it is gone for good
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        assert time.monotonic() < deadline


def first_answer(gateway: Gateway, tag: str) -> tuple[int, bytes]:
    """Status and body of the first request that anybody takes."""
    body = json.dumps({"model": "gpt-5-mini", "messages": []}).encode()
    deadline = time.monotonic() + PATIENCE
    while True:
        connection = http.client.HTTPConnection(urlsplit(gateway.base_url).netloc, timeout=PATIENCE)
        try:
            connection.request("POST", "/v1/chat/completions", body, gateway.headers(tag))
            reply = connection.getresponse()
            return reply.status, reply.read()
        except (ConnectionError, http.client.RemoteDisconnected):
            assert time.monotonic() < deadline
        finally:
            connection.close()


def test_the_first_request_after_a_start_finds_its_key(own: Gateway) -> None:
    for _ in range(2):
        restarted(own)
        status, body = first_answer(own, own.tag())
        assert status == 200, body


def test_the_first_request_after_a_start_finds_its_budget(own: Gateway) -> None:
    async def limit(tag: str) -> None:
        connection = await connect(own.dsn, purpose="tests")
        try:
            draft = Draft(name=tag, limit="1", window="lifetime", unit="requests", metadata={"Test-Case": tag})
            await create(connection, draft, "a test")
        finally:
            await connection.close()

    tag = own.tag()
    asyncio.run(limit(tag))
    restarted(own)
    assert first_answer(own, tag)[0] == 200
    own.rows(tag, 1)
    for _ in range(2):
        restarted(own)
        status, body = first_answer(own, tag)
        assert status == 429, body
