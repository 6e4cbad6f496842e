"""The SDK's own client drives every tool over standard input and output: answers are the API's, to the last digit."""

import asyncio
import json
import subprocess
from decimal import Decimal
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp_questions import QUESTIONS, question, told

from majordomo.report.mcp.server import NAMES


def call(asked: Any, calls: list[tuple[str, dict[str, Any]]], **environment: str) -> tuple[list[Any], list[Any]]:
    """The tools that a server of its own lists, and the results of these calls, one after the other."""
    command, *arguments = asked.command
    server = StdioServerParameters(command=command, args=arguments, env=asked.environment(**environment))

    async def talk() -> tuple[list[Any], list[Any]]:
        async with Client(server) as client:
            listed = (await client.list_tools()).tools
            return listed, [await client.call_tool(name, given) for name, given in calls]

    return asyncio.run(talk())


@pytest.fixture(scope="module")
def request_id(asked: Any) -> str:
    """A request that is there."""
    return str(asked.gateway.sql("SELECT id FROM llm_requests ORDER BY total_cost DESC NULLS LAST LIMIT 1")[0]["id"])


@pytest.fixture(scope="module")
def talked(asked: Any, request_id: str) -> tuple[list[Any], dict[str, Any]]:
    """Every tool, called in one session."""
    listed, results = call(asked, [(name, question(name, request_id)[0]) for name in QUESTIONS])
    return listed, dict(zip(QUESTIONS, results, strict=True))


def test_every_tool_is_listed_says_what_it_does_and_only_looks(talked: Any) -> None:
    listed, _ = talked
    assert [tool.name for tool in listed] == list(NAMES) == list(QUESTIONS)
    for tool in listed:
        assert tool.description and tool.annotations.read_only_hint
        for name, parameter in tool.input_schema["properties"].items():
            assert (
                parameter.get("description")
                or name in ("granularity", "limit", "run", "request_id")
                or (name.startswith(("only_", "last_", "session_")))
            ), (tool.name, name)


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_tool_answers_what_the_api_answers(name: str, talked: Any, asked: Any, request_id: str) -> None:
    result = talked[1][name]
    assert not result.is_error, result.content
    [content] = result.content
    _, path, parameters = question(name, request_id)
    answer = json.loads(content.text)
    assert told(answer) == told(asked.get(path, **parameters))
    assert answer


def test_figures_are_those_of_sql(talked: Any, asked: Any) -> None:
    """The cost of a week as the summary and the breakdown tell it."""
    [sql] = asked.gateway.sql("SELECT sum(total_cost) AS cost, count(*) AS requests FROM llm_requests")
    by_feature = json.loads(talked[1]["spend_by"].content[0].text)
    assert Decimal(by_feature["total"]["total_cost"]) == sql["cost"]
    assert by_feature["total"]["requests"] == sql["requests"] > 150
    [without] = asked.gateway.sql(
        "SELECT sum(total_cost) AS cost FROM llm_requests WHERE model IS DISTINCT FROM 'chat'"
    )
    summary = json.loads(talked[1]["spend_summary"].content[0].text)
    assert Decimal(summary["usage"]["total_cost"]) == without["cost"]


def test_a_session_is_told_by_its_last_requests(asked: Any) -> None:
    session = QUESTIONS["show_session"][0]["session_id"]
    whole = asked.get(f"/usage/claude-code/sessions/{session}")
    assert len(whole["requests"]) > 10
    for last in (3, 0):
        _, [result] = call(asked, [("show_session", {"session_id": session, "last_requests": last})])
        found = json.loads(result.content[0].text)
        assert found["requests"] == whole["requests"][len(whole["requests"]) - last :]
        assert found["session"] == whole["session"]


def test_another_organisations_member_sees_nothing(asked: Any, request_id: str) -> None:
    token = asked.gateway.token("member", asked.new_org("Acme"))
    calls = [("spend_summary", {"period": "this_year"}), ("show_request", {"request_id": request_id})]
    _, [summary, request] = call(asked, calls, MAJORDOMO_TOKEN=token)
    assert json.loads(summary.content[0].text)["usage"]["requests"] == 0
    assert request.is_error and "no request of this id" in request.content[0].text


@pytest.mark.parametrize(
    ("name", "arguments", "word"),
    [
        ("spend_by", {"dimension": "Nonsense"}, "User-Id"),
        ("spend_summary", {"period": "ever"}, "last_month"),
        ("spend_summary", {"filters": ["status:' OR 1=1"]}, "status:429"),
        ("show_run", {"run": "../../keys"}, "no run"),
        ("show_session", {"session_id": "nonsense"}, "session_id"),
        ("list_requests", {"limit": 10**9}, "200"),
        ("what_if", {}, "model"),
    ],
)
def test_a_wrong_question_is_an_error_that_says_what_there_is(
    asked: Any, name: str, arguments: dict[str, Any], word: str
) -> None:
    _, [result] = call(asked, [(name, arguments)])
    assert result.is_error and word in result.content[0].text


def test_a_token_that_is_nobodys_or_a_gateway_that_is_away_is_said_and_no_secret_is(asked: Any) -> None:
    secret = "mdm_ut_" + "x" * 43
    for more, word in (
        ({"MAJORDOMO_TOKEN": secret}, "users token"),
        ({"MAJORDOMO_TOKEN": secret, "MAJORDOMO_URL": "http://127.0.0.1:1"}, "majordomo serve"),
        ({"MAJORDOMO_TOKEN": secret, "MAJORDOMO_URL": asked.gateway.provider.url}, "is this its address"),
    ):
        _, [result] = call(asked, [("spend_summary", {})], **more)
        assert result.is_error and word in result.content[0].text
        assert secret not in result.content[0].text


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"MAJORDOMO_TOKEN": ""}, "users token"),
        ({"MAJORDOMO_TOKEN": "a\nb"}, "no token"),
        ({"MAJORDOMO_URL": "file:///etc/passwd"}, "http://127.0.0.1:7680"),
    ],
)
def test_it_does_not_start_without_what_it_needs_and_says_what_that_is(
    asked: Any, more: dict[str, str], word: str
) -> None:
    done = subprocess.run(
        asked.command,
        env=asked.environment(**more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert word in done.stderr and "Traceback" not in done.stderr


def test_without_the_package_it_says_how_to_install_it(asked: Any) -> None:
    """``-S`` with the source alone would lack everything; one name hidden is what a plain install lacks."""
    hide = "import sys; sys.modules['mcp'] = None; import importlib.util as u; f = u.find_spec; "
    hide += "u.find_spec = lambda name, *a: None if name == 'mcp' else f(name, *a); "
    program = hide + "from majordomo.cli.app import run; run(['mcp'])"
    command = [asked.command[0], "-P", "-c", program]
    done = subprocess.run(command, env=asked.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 1
    assert "pip install 'majordomo-gateway[mcp]'" in done.stderr
