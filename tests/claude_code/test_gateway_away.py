"""The gateway falls in the middle of a session: the agent goes on and nothing is lost, or it stops and says why."""

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest
from campaign.sizes import tell
from claude_cli import ledgers
from claude_cli.cli import ClaudeCode
from claude_cli.provider import ScriptedProvider, usage
from claude_cli.sizes import AWAY_SECONDS
from companion_process import PATIENCE
from gateway_fixture import Gateway, running_gateway

from majordomo.demo.gateway_process import GatewayProcess
from majordomo.demo.script import Script, ToolCall
from majordomo.meter import claude_display
from majordomo.record.postgres_server import PostgresServer

ClaudeAt = Callable[..., ClaudeCode]

ROWS = "SELECT 1 FROM llm_requests WHERE raw_metadata->>'Test-Case' = $1"
ECHO = ToolCall("Bash", {"command": "echo a"})


@pytest.fixture
def own_gateway(postgres_server: PostgresServer, claude_provider: ScriptedProvider) -> Iterator[Gateway]:
    """A gateway that may be killed."""
    with running_gateway(postgres_server, "claude_away", claude_provider) as gateway:
        yield gateway


def kill(gateway: Gateway) -> None:
    """The whole gateway, at once; the kernel ends what it leaves."""
    os.kill(gateway.process.pid, signal.SIGKILL)
    gateway.process.close()


def again(gateway: Gateway, provider: ScriptedProvider) -> GatewayProcess:
    """The same gateway, started again on its port."""
    port = int(gateway.base_url.rpartition(":")[2])
    return GatewayProcess(provider.url, gateway.process.data_dir, port=port, database_url=gateway.dsn)


def turn(number: int) -> list[Script]:
    """A tool and an answer."""
    told = [usage(1_000 * number + 1, 10, short=300), usage(1_000 * number + 2, 20, read=300)]
    return [Script(tools=(ECHO,), usage=told[0]), Script(text=f"Answer {number}.", usage=told[1])]


def test_the_agent_goes_on_without_the_gateway_and_every_request_becomes_a_row(
    own_gateway: Gateway, claude_at: ClaudeAt, claude_provider: ScriptedProvider
) -> None:
    claude, tag = claude_at(claude_provider.url + "/anthropic"), own_gateway.tag()
    claude.go_behind_companion(own_gateway, tag)
    with claude.conversation("--allowedTools", "Bash(echo:*)") as conversation:
        claude_provider.queue(*turn(1))
        assert conversation.say("First.").text == "Answer 1."
        kill(own_gateway)
        fallen, number = time.monotonic(), 1
        while number < 3 or time.monotonic() - fallen < AWAY_SECONDS:
            number += 1
            claude_provider.queue(*turn(number))
            assert conversation.say("Go on.").text == f"Answer {number}."
        with again(own_gateway, claude_provider):
            deadline = time.monotonic() + PATIENCE
            while len(own_gateway.sql(ROWS, tag)) == 2:
                assert time.monotonic() < deadline, "it never goes back to the gateway"
                number += 1
                claude_provider.queue(*turn(number))
                result = conversation.say("Go on.")
            conversation.end()
            served = claude_provider.messages()
            rows = ledgers.rows_of(own_gateway, tag, len(served))
    said = "".join(conversation.last_words)
    tell(f"CLAUDE_AWAY_SECONDS={AWAY_SECONDS:g}: {len(served)} requests, {result.cost} USD")
    here = sum(row["delivered_from"] is not None for row in rows)
    assert here >= 4
    assert f"{len(served)} requests, " in said
    assert f"/usage shows {claude_display.money(result.cost)};" in said
    assert f"; {here} of them delivered to the gateway afterwards" in said
    assert result.cost in ledgers.sums(rows)
    assert len({row["claude_session_id"] for row in rows}) == 1
    assert [one.script.status for one in served] == [200] * len(served)


def test_an_agent_that_must_not_go_on_stops_with_a_clear_message(
    own_gateway: Gateway, claude_at: ClaudeAt, claude_provider: ScriptedProvider
) -> None:
    claude, tag = claude_at(claude_provider.url + "/anthropic", CLAUDE_CODE_MAX_RETRIES="1"), own_gateway.tag()
    claude.go_behind_companion(own_gateway, tag, "--fail-closed")
    with claude.conversation("--allowedTools", "Bash(echo:*)") as conversation:
        claude_provider.queue(*turn(1))
        assert conversation.say("First.").text == "Answer 1."
        kill(own_gateway)
        refused = conversation.say("Go on.")
        kept_waiting = len(claude_provider.messages())
        with again(own_gateway, claude_provider):
            claude_provider.queue(*turn(2))
            after = conversation.say("Go on.")
            conversation.end()
            rows = ledgers.rows_of(own_gateway, tag, 4)
    assert refused.told["is_error"]
    assert refused.text.startswith(
        f"API Error: 503 The Majordomo gateway at {own_gateway.base_url} cannot be reached, and this companion was "
        "started with --fail-closed."
    )
    assert kept_waiting == 2  # none that the gateway did not see
    assert after.text == "Answer 2."
    assert after.cost in ledgers.sums(rows)
