"""What is sent where: headers of ours for the gateway, none for the provider, the caller's own for both."""

from typing import Any

import pytest

from majordomo.admit.metadata import MetadataLimits
from majordomo.companion.books import Tally
from majordomo.companion.claude_child import ANTHROPIC
from majordomo.companion.gateway import Gateway
from majordomo.companion.order import Order
from majordomo.companion.planner import CompanionPlanner
from majordomo.companion.upstreams import Upstreams
from majordomo.forward.plan import Plan
from majordomo.forward.request_head import read_head

SESSION = "4c516afb-5ea4-422a-a17d-ab11e88eb335"
GATEWAY = "http://gateway.example.com:7680/prefix"
KEY = "mdm_sk_" + "k" * 43

ORDER = Order(
    gateway=GATEWAY,
    api_key=KEY,
    session_id=SESSION,
    session_name="a näme",
    metadata={"Team": "blüe", "Project": "x"},
    port=0,
    fail_closed=False,
)


def plan(
    *headers: tuple[str, str], order: Order = ORDER, direct: str = ANTHROPIC, tally: Tally | None = None, **more: Any
) -> Plan:
    """The plan of a request with these headers besides Claude Code's usual ones."""
    gateway = Gateway(order.gateway, order.api_key) if order.gateway else None
    upstreams = Upstreams(gateway, True, direct, more.get("provider", "anthropic"), gateway is not None)
    planner = CompanionPlanner(order, upstreams=upstreams, limits=MetadataLimits(64, 255, 8192), tally=tally or Tally())
    sent = [("Host", more.get("host", "127.0.0.1:50000")), ("x-api-key", "sk-ant-1"), ("Content-Length", "3"), *headers]
    raw = [(name.encode(), value.encode()) for name, value in sent]
    target = more.get("target", b"/v1/messages?beta=true")
    return planner.plan(read_head(more.get("method", b"POST"), target, raw, http_11=True, keep_alive=True))


def lines(made: Plan) -> list[str]:
    """The head that goes out."""
    return made.upstream_head(3).decode().split("\r\n")[:-2]


def test_the_gateway_gets_the_callers_head_and_ours_behind_it() -> None:
    assert lines(plan(("X-Other", "1"), ("X-Majordomo-Feature", "f"))) == [
        "POST /prefix/v1/messages?beta=true HTTP/1.1",
        "Host: gateway.example.com:7680",
        "x-api-key: sk-ant-1",
        "Content-Length: 3",
        "X-Other: 1",
        f"X-Majordomo-Key: {KEY}",
        "X-Majordomo-Client: claude-code",
        f"X-Majordomo-ClaudeCode-Session-Id: {SESSION}",
        "X-Majordomo-ClaudeCode-Session-Name: a näme",
        "X-Majordomo-Feature: f",
        "X-Majordomo-Team: blüe",
        "X-Majordomo-Project: x",
    ]


def test_a_key_and_a_session_of_the_callers_give_way_to_ours_and_its_metadata_and_client_stay() -> None:
    sent = lines(
        plan(
            ("x-majordomo-key", "mdm_sk_other"),
            ("X-Majordomo-ClaudeCode-Session-Id", "other"),
            ("X-Majordomo-Client", "my-agent"),
            ("x-majordomo-TEAM", "red"),
        )
    )
    assert "mdm_sk_other" not in str(sent)
    assert "X-Majordomo-Client: my-agent" in sent
    assert f"X-Majordomo-ClaudeCode-Session-Id: {SESSION}" in sent
    assert [line for line in sent if "team" in line.lower()] == ["X-Majordomo-Team: red"]


def test_anthropic_itself_gets_no_header_for_a_gateway() -> None:
    detour = plan(("X-Other", "1"), ("X-Majordomo-Key", "mdm_sk_other")).detour
    assert detour is not None
    assert lines(detour) == [
        "POST /v1/messages?beta=true HTTP/1.1",
        "Host: api.anthropic.com",
        "x-api-key: sk-ant-1",
        "Content-Length: 3",
        "X-Other: 1",
    ]


def test_a_gateway_that_is_chained_to_gets_the_callers_own_headers_and_none_of_ours() -> None:
    order = ORDER._replace(gateway=None, api_key="")
    sent = lines(
        plan(("X-Majordomo-Key", "mdm_sk_own"), ("X-Majordomo-Team", "red"), order=order, direct="http://corp")
    )
    assert sent[4:] == ["X-Majordomo-Key: mdm_sk_own", "X-Majordomo-Team: red"]


def test_what_is_recorded_here_says_what_the_gateway_would_have_recorded() -> None:
    detour = plan(("X-Majordomo-Feature", "f")).detour
    assert detour is not None
    assert detour.metadata.values == {"Feature": "f", "Team": "blüe", "Project": "x"}
    assert detour.labels.claude_session == SESSION
    assert detour.labels.claude_session_name == "a näme"
    assert detour.labels.client == "claude-code"


def test_a_page_of_the_gateways_own_is_not_opened_with_our_key() -> None:
    made = plan(target=b"/api/v1/claude-sessions", method=b"GET")
    assert made.own_page
    assert KEY not in str(lines(made))


@pytest.mark.parametrize("target", [b"/v1/messages", b"/v1/models", b"/v1/whatever/comes/next", b"/"])
def test_every_path_goes_to_the_one_base_url_the_caller_knows(target: bytes) -> None:
    made = plan(order=ORDER._replace(gateway=None, api_key=""), target=target, method=b"GET")
    assert made.refusal is None
    assert made.provider is not None
    assert made.provider.authority == b"api.anthropic.com"


@pytest.mark.parametrize(
    "headers",
    [
        (("Authorization", "Bearer sk-ant-oat01-x"),),
        (("Authorization", "Bearer x"), ("anthropic-beta", "claude-code-20250219,oauth-2025-04-20")),
    ],
)
def test_a_subscriptions_token_makes_the_money_notional(headers: tuple[tuple[str, str], ...]) -> None:
    tally = Tally()
    plan(tally=tally)
    assert not tally.flat_rate
    plan(*headers, tally=tally)
    assert tally.flat_rate


@pytest.mark.parametrize(
    ("headers", "host"),
    [
        ((("Origin", "https://evil.example"),), "127.0.0.1:50000"),
        ((), "rebound.evil.example:50000"),
        ((), "127.0.0.1.evil.example:50000"),
    ],
)
def test_a_request_that_a_web_page_made_is_refused(headers: tuple[tuple[str, str], ...], host: str) -> None:
    refused = plan(*headers, host=host)
    assert refused.refusal is not None
    assert refused.refusal.status == 403
    assert plan(host="localhost:50000").refusal is None
