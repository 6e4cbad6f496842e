"""The gateway is away, or something before it answers in its place: requests go on, or are refused, as told."""

import hashlib
import json
import time
from collections.abc import Iterator

import msgspec
import pytest
from companion_process import PATIENCE, Conversation, Home
from gateway_stand_in import REQUEST_ID, GatewayStandIn

from majordomo.companion.planner import LOCAL_KEY
from majordomo.demo.provider_process import ProviderProcess
from majordomo.record.frames import Opening
from majordomo.record.framing import OPENING
from majordomo.record.tail import Tail

KEY = "mdm_sk_" + "k" * 43


@pytest.fixture
def stand_in() -> Iterator[GatewayStandIn]:
    """A gateway that serves."""
    with GatewayStandIn() as running:
        yield running


@pytest.fixture
def talk(home: Home, stand_in: GatewayStandIn, provider: ProviderProcess) -> Conversation:
    """A child behind a companion of that gateway, whose requests would go to the provider without it."""
    return conversation(home, stand_in, provider)


def conversation(home: Home, stand_in: GatewayStandIn, provider: ProviderProcess, *words: str) -> Conversation:
    env = {"MAJORDOMO_API_KEY": KEY, "ANTHROPIC_BASE_URL": provider.url}
    return Conversation(home, "exec", "--gateway", stand_in.url, "--metadata", "Team=blue", *words, env=env)


def until_through_gateway(talk: Conversation, stand_in: GatewayStandIn) -> None:
    """Ask until a request takes the gateway's way again."""
    before = len(stand_in.messages())
    deadline = time.monotonic() + PATIENCE
    while len(stand_in.messages()) == before:
        assert time.monotonic() < deadline, "it never went back to the gateway"
        time.sleep(0.1)
        talk.ask()


def test_headers_for_the_gateway_go_to_it_with_the_callers_own(talk: Conversation, stand_in: GatewayStandIn) -> None:
    talk.ask(headers={"X-Majordomo-Feature": "own", "x-majordomo-team": "red", "X-Other": "1"})
    (heard,) = stand_in.messages()
    low = {name.lower(): value for name, value in heard.headers.items()}
    assert low["x-majordomo-key"] == KEY
    assert low["x-majordomo-client"] == "claude-code"
    assert low["x-majordomo-feature"] == "own"
    assert low["x-majordomo-team"] == "red"  # what a request says of itself is more to the point
    assert low["x-other"] == "1"
    assert low["x-api-key"] == "sk-ant-dummy"
    (begun,) = stand_in.sessions()
    assert begun == ("/api/v1/claude-sessions", {"id": low["x-majordomo-claudecode-session-id"]})
    talk.end()
    assert stand_in.sessions()[-1][0] == f"/api/v1/claude-sessions/{begun[1]['id']}/end"


def test_a_gateway_that_is_away_from_the_start_is_done_without_and_the_session_registered_once_it_is_there(
    home: Home, stand_in: GatewayStandIn, provider: ProviderProcess
) -> None:
    stand_in.stop()
    talk = conversation(home, stand_in, provider, "--session-name", "named")
    assert talk.ask()["status"] == 200
    (received,) = provider.requests()
    assert not [name for name, _ in received.headers if name.lower().startswith("x-majordomo")]
    assert stand_in.heard == []
    stand_in.start()
    until_through_gateway(talk, stand_in)
    (begun,) = stand_in.sessions()
    direct = len(provider.requests())
    ran = talk.end()
    assert begun[1]["sessionName"] == "named"
    assert f"session {begun[1]['id']}" in ran.err
    # The stand-in takes no deliveries.
    assert f"; {direct} of them not yet at the gateway: majordomo-companion deliver --gateway {stand_in.url}" in ran.err
    (folder,) = home.journals()
    assert json.loads(folder.with_name(folder.name + ".about.json").read_text()) == {
        "version": 1,
        "gateway": stand_in.url,
        "key_hash": hashlib.sha256(KEY.encode()).hexdigest(),
        "session_id": begun[1]["id"],
        "session_name": "named",
    }
    frames = Tail(folder, 0, 0, pytest.fail).read(ended=True)
    openings = [msgspec.msgpack.decode(frame.payload, type=Opening) for frame in frames if frame.kind == OPENING]
    assert len(openings) == direct
    assert {opening.claude_session for opening in openings} == {begun[1]["id"]}
    assert {opening.metadata["Team"] for opening in openings} == {"blue"}
    everything = b"".join(path.read_bytes() for path in home.companion_dir.rglob("*") if path.is_file())
    assert KEY.encode() not in everything
    assert b"sk-ant-dummy" not in everything
    assert LOCAL_KEY.encode() not in everything


def test_a_gateway_that_goes_in_mid_session_is_done_without_until_it_is_back(
    talk: Conversation, stand_in: GatewayStandIn, provider: ProviderProcess
) -> None:
    assert talk.ask()["headers"]["X-Majordomo-Request-Id"] == REQUEST_ID
    stand_in.stop()
    assert [talk.ask()["status"] for _ in range(3)] == [200] * 3
    assert len(provider.requests()) == 3
    stand_in.start()
    until_through_gateway(talk, stand_in)
    assert len(stand_in.sessions()) == 1  # registered once
    assert "requests" in talk.end().err


def test_a_gateway_that_serves_but_cannot_register_yet_is_asked_again_and_requests_go_through_it(
    home: Home, stand_in: GatewayStandIn, provider: ProviderProcess
) -> None:
    stand_in.sessions_status = 503  # its database is starting
    talk = conversation(home, stand_in, provider)
    assert [talk.ask()["status"] for _ in range(2)] == [200, 200]
    assert len(stand_in.messages()) == 2
    stand_in.sessions_status = 201
    deadline = time.monotonic() + PATIENCE
    tried = len(stand_in.sessions())
    while len(stand_in.sessions()) == tried:
        assert time.monotonic() < deadline, "it never registered"
        time.sleep(0.05)
    talk.end()
    assert stand_in.sessions()[-1][0].endswith("/end")
    assert len({body["id"] for path, body in stand_in.sessions() if path.endswith("claude-sessions")}) == 1


def test_a_long_body_takes_the_detour_whole_and_once(
    talk: Conversation, stand_in: GatewayStandIn, provider: ProviderProcess
) -> None:
    stand_in.stop()
    messages = [{"role": "user", "content": "x" * 3_000_000}]
    assert talk.ask(body={"messages": messages})["status"] == 200
    (received,) = provider.requests()
    assert received.json["messages"] == messages
    ran = talk.end()
    assert ran.err.startswith("majordomo-companion: 1 request, ")
    stand_in.start()


@pytest.mark.parametrize("status", [502, 503, 504])
def test_an_answer_in_the_gateways_place_is_passed_on_and_not_repeated_and_then_it_counts_as_away(
    talk: Conversation, stand_in: GatewayStandIn, provider: ProviderProcess, status: int
) -> None:
    stand_in.next_status, stand_in.request_id, stand_in.healthy = status, None, False
    assert talk.ask()["status"] == status
    assert provider.requests() == []
    assert talk.ask()["status"] == 200
    assert len(provider.requests()) == 1


def test_a_providers_own_503_through_the_gateway_is_no_sign_of_its_absence(
    talk: Conversation, stand_in: GatewayStandIn, provider: ProviderProcess
) -> None:
    stand_in.next_status = 503
    assert [talk.ask()["status"] for _ in range(2)] == [503, 503]
    assert len(stand_in.messages()) == 2
    assert provider.requests() == []


def test_a_request_that_the_gateway_has_had_is_not_sent_a_second_time(
    talk: Conversation, stand_in: GatewayStandIn, provider: ProviderProcess
) -> None:
    stand_in.breaks_off = True
    assert talk.ask()["status"] == 502
    assert len(stand_in.messages()) == 1
    assert provider.requests() == []


def test_with_fail_closed_nothing_is_started_while_the_gateway_is_away(
    home: Home, stand_in: GatewayStandIn, provider: ProviderProcess
) -> None:
    stand_in.stop()
    ran = home.run(
        *("exec", "--gateway", stand_in.url, "--fail-closed", "--", "touch", "started"), env={"MAJORDOMO_API_KEY": KEY}
    )
    stand_in.start()
    assert ran.code == 1
    assert "cannot be reached" in ran.err
    assert len(ran.err.splitlines()) == 1
    assert list(home.work.iterdir()) == []


def test_with_fail_closed_requests_are_refused_at_once_while_the_gateway_is_away_and_taken_when_it_is_back(
    home: Home, stand_in: GatewayStandIn, provider: ProviderProcess
) -> None:
    talk = conversation(home, stand_in, provider, "--fail-closed")
    stand_in.stop()
    refused = talk.ask()
    assert refused["status"] == 503
    assert refused["headers"]["x-should-retry"] == "false"
    error = json.loads(refused["body"])
    assert error["type"] == "error"
    assert "--fail-closed" in error["error"]["message"]
    stand_in.start()
    assert talk.ask()["status"] == 200
    assert provider.requests() == []
    ran = talk.end()
    assert ran.err.startswith("majordomo-companion: 1 request,")
    assert home.journals() == []


def test_a_key_that_turns_out_to_be_refused_ends_the_child(
    home: Home, stand_in: GatewayStandIn, provider: ProviderProcess
) -> None:
    stand_in.refuses_key = True
    stand_in.slow.clear()
    talk = conversation(home, stand_in, provider)
    stand_in.slow.set()
    assert talk.process.wait(PATIENCE) == 1
    ran = talk.end()
    assert "refuses the key: No such key here." in ran.err
    assert len(ran.err.splitlines()) == 1
