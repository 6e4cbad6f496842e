"""``majordomo-companion exec``: through a real gateway, and without one."""

import re

from companion_process import Home, asking
from gateway_fixture import Gateway

from majordomo.demo.provider_process import ProviderProcess


def test_a_command_runs_through_the_gateway_and_its_requests_are_of_one_session(home: Home, gateway: Gateway) -> None:
    tag = gateway.tag()
    ran = home.run(
        *("exec", "--gateway", gateway.base_url, "--metadata", f"Test-Case={tag}", "--session-name", "first try", "--"),
        *asking({}, {"body": {"stream": True}}),
        env={"MAJORDOMO_API_KEY": gateway.key},
    )
    rows = gateway.rows(tag, 2)
    assert ran.code == 0, ran
    assert [reply["status"] for reply in ran.replies] == [200, 200]
    assert [reply["headers"]["X-Majordomo-Request-Id"] for reply in ran.replies] == [str(row["id"]) for row in rows]
    assert {row["client"] for row in rows} == {"claude-code"}
    (session,) = {str(row["claude_session_id"]) for row in rows}
    cost = sum(row["total_cost"] for row in rows)
    assert f"2 requests, {sum(row['prompt_tokens'] for row in rows)} tokens in" in ran.err
    assert f"${cost.normalize():f}" in ran.err
    assert f"session {session} {gateway.base_url}/claude-sessions/{session}" in ran.err
    assert len(ran.err.splitlines()) == 1
    assert home.journals() == []  # the gateway has recorded them


def test_without_a_gateway_requests_go_where_they_would_have_gone_and_are_recorded_here(
    home: Home, provider: ProviderProcess
) -> None:
    ran = home.run(
        "exec", "--standalone", "--", *asking({}), env={"ANTHROPIC_BASE_URL": f"{provider.url}/some/prefix/"}
    )
    (received,) = provider.requests()
    assert received.target == "/some/prefix/v1/messages?beta=true"
    assert received.header("x-api-key") == "sk-ant-dummy"
    assert not [name for name, _ in received.headers if name.lower().startswith("x-majordomo")]
    assert ran.code == 0
    assert ran.replies[0]["status"] == 200
    assert len(home.journals()) == 1
    assert re.search(r"1 request, \d+ tokens in, \d+ out, \$0\.\d+", ran.err)
