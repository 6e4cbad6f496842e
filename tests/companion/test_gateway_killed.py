"""A real gateway is killed in mid-session and started again: the work goes on, and each request is recorded once."""

import os
import signal
import socket
import time
from typing import Any

import msgspec
import pytest
from companion_process import PATIENCE, Conversation, Home
from gateway_fixture import Gateway, running_gateway

from majordomo.demo.gateway_process import GatewayProcess
from majordomo.record.frames import Opening
from majordomo.record.framing import OPENING
from majordomo.record.postgres_server import PostgresServer
from majordomo.record.tail import Tail


def recorded_here(home: Home) -> set[str]:
    """The ids of requests in local journals."""
    ids = set()
    for folder in home.journals():
        for frame in Tail(folder, 0, 0, pytest.fail).read(ended=True):
            if frame.kind == OPENING:
                ids.add(msgspec.msgpack.decode(frame.payload, type=Opening).id.hex())
    return ids


def kill(gateway: Gateway) -> None:
    """Kill the service, and wait until nobody listens any more."""
    os.kill(gateway.process.pid, signal.SIGKILL)
    port = int(gateway.base_url.rpartition(":")[2])
    deadline = time.monotonic() + PATIENCE
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return
        assert time.monotonic() < deadline, "it still listens"
        time.sleep(0.05)


def request_ids(replies: list[dict[str, Any]]) -> list[str]:
    assert {reply["status"] for reply in replies} == {200}
    return [reply["headers"]["X-Majordomo-Request-Id"].replace("-", "") for reply in replies]


def test_nothing_is_lost_and_nothing_runs_twice(home: Home, postgres_server: PostgresServer) -> None:
    with running_gateway(postgres_server, "companion_killed") as gateway:
        talk = Conversation(
            home,
            *("exec", "--gateway", gateway.base_url),
            env={"MAJORDOMO_API_KEY": gateway.key, "ANTHROPIC_BASE_URL": f"{gateway.provider.url}/anthropic"},
        )
        replies = [talk.ask() for _ in range(3)]
        kill(gateway)
        replies += [talk.ask() for _ in range(3)]
        port = int(gateway.base_url.rpartition(":")[2])
        with GatewayProcess(gateway.provider.url, gateway.process.data_dir, port=port, database_url=gateway.dsn):
            deadline = time.monotonic() + PATIENCE
            while gateway.sql("SELECT count(*) FROM llm_requests")[0][0] < 4:
                assert time.monotonic() < deadline, "it never went back to the gateway"
                replies.append(talk.ask())
                time.sleep(0.2)
            ran = talk.end()
            there = {row["id"].hex for row in gateway.sql("SELECT id FROM llm_requests")}
            here = recorded_here(home)
            ids = request_ids(replies)
            assert len(here) >= 3
            assert sorted(ids) == sorted(there | here)
            assert not there & here
            assert len(gateway.provider.requests()) == len(ids)
            assert ran.err.startswith(f"majordomo-companion: {len(ids)} requests, ")
            (session,) = gateway.sql("SELECT ended_by FROM claude_sessions")
            assert session["ended_by"] == "owner"
