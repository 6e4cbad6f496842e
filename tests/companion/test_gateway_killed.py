"""A real gateway is killed in mid-session and started again: the work goes on, and each request is recorded once."""

import os
import signal
import socket
import time
from typing import Any

from companion_process import PATIENCE, Conversation, Home
from gateway_fixture import Gateway, running_gateway

from majordomo.demo.gateway_process import GatewayProcess
from majordomo.record.postgres_server import PostgresServer

DELIVERED = "SELECT id FROM llm_requests WHERE delivered_from IS NOT NULL"


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
            ids = request_ids(replies)
            gateway.wait_for_rows(len(ids))
            there = {row["id"].hex for row in gateway.sql("SELECT id FROM llm_requests")}
            delivered = {row["id"].hex for row in gateway.sql(DELIVERED)}
            assert sorted(ids) == sorted(there)
            assert len(delivered) >= 3
            assert f"; {len(delivered)} of them delivered to the gateway afterwards" in ran.err
            assert home.journals() == []
            assert len(gateway.provider.requests()) == len(ids)
            assert ran.err.startswith(f"majordomo-companion: {len(ids)} requests, ")
            (session,) = gateway.sql("SELECT ended_by FROM claude_sessions")
            assert session["ended_by"] == "owner"


def test_a_session_that_ended_without_the_gateway_is_delivered_by_the_next_one_with_the_same_key(
    home: Home, postgres_server: PostgresServer
) -> None:
    with running_gateway(postgres_server, "companion_later") as gateway:
        words = ("exec", "--gateway", gateway.base_url)
        env = {"MAJORDOMO_API_KEY": gateway.key, "ANTHROPIC_BASE_URL": f"{gateway.provider.url}/anthropic"}
        talk = Conversation(home, *words, env=env)
        talk.ask()
        kill(gateway)
        talk.ask()
        talk.ask()
        said = f"; 2 of them not yet at the gateway: majordomo-companion deliver --gateway {gateway.base_url}"
        assert said in talk.end().err
        other = env | {"MAJORDOMO_API_KEY": gateway.create_key("another")["key"]}
        port = int(gateway.base_url.rpartition(":")[2])
        with GatewayProcess(gateway.provider.url, gateway.process.data_dir, port=port, database_url=gateway.dsn):
            ran = home.run(*words, "--fail-closed", "--", "true", env=other)
            assert (ran.code, "delivered" in ran.err) == (0, False)
            ran = home.run(*words, "--fail-closed", "--", "true", env=env)
            assert ran.err.rstrip().endswith("; 2 of earlier sessions delivered")
            assert home.journals() == []
            gateway.wait_for_rows(3)
            assert len(gateway.sql(DELIVERED)) == 2
            sums = gateway.sql("SELECT total_requests FROM claude_sessions WHERE total_requests > 0")
            assert [row["total_requests"] for row in sums] == [3]
