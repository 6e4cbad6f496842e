"""Sessions of Claude Code's as their callers meet them: through a front desk, with two keys and real requests."""

import http.client
import json
import time
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import pytest
from gateway_fixture import Gateway

from majordomo.report.bodies import MOST_BODY_BYTES

SESSIONS = "/api/v1/claude-sessions"
FOREIGN = "session ignored, it belongs to another gateway key"
PATIENCE = 20.0  # seconds


def ask(
    gateway: Gateway, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers of a reply."""
    connection = http.client.HTTPConnection(urlsplit(gateway.base_url).netloc, timeout=30)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        reply = connection.getresponse()
        return reply.status, reply.read(), dict(reply.headers)
    finally:
        connection.close()


def turn(gateway: Gateway, key: str, session: str, tag: str, **script: Any) -> str | None:
    """One request of Claude Code's in a session; the warning on its reply."""
    body = {"model": "claude-haiku-4-5", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 100}
    status, answered, headers = ask(
        gateway,
        "POST",
        "/v1/messages",
        json.dumps(body).encode(),
        X_Majordomo_Key=key,
        X_Majordomo_Client="claude-code",
        X_Majordomo_Test_Case=tag,
        X_Claude_Code_Session_Id=session,
        User_Agent="claude-cli/2.1.197 (external, cli)",
        x_script=json.dumps({"usage": {"input_tokens": 1000, "output_tokens": 200}, **script}),
    )
    assert status == 200, answered
    return headers.get("X-Majordomo-Warning")


def test_a_session_begins_with_its_first_request_and_is_told_over_http(gateway: Gateway) -> None:
    """Registered by nobody, owned by the key, summed up, ended by a POST without a body, shown on its page."""
    key, session, tag = gateway.create_key("alice")["key"], str(uuid4()), gateway.tag()
    assert turn(gateway, key, session, tag) is None
    assert turn(gateway, key, session, tag, tools=[{"name": "Bash"}]) is None
    gateway.rows(tag, 2)
    status, body, _ = ask(gateway, "GET", f"{SESSIONS}/{session}", X_Majordomo_Key=key)
    told = json.loads(body)
    assert (status, told["source"], told["totalRequests"], told["totalInputTokens"]) == (200, "client", 2, 2000)
    assert (told["totalCost"], told["usageCost"]) == ("0.004", "0.004")  # 1000 x 1 + 200 x 5 millionths, twice
    requests = json.loads(ask(gateway, "GET", f"{SESSIONS}/{session}/requests", X_Majordomo_Key=key)[1])
    assert [each["toolNames"] for each in requests["requests"]] == [[], ["Bash"]]
    assert requests["numRecords"] == 2
    page = f"/claude-sessions/{session}"
    form = urlencode({"key": key}).encode()
    status, shown, _ = ask(gateway, "POST", page, form, Content_Type="application/x-www-form-urlencoded")
    assert (status, b"$0.004" in shown, b"Bash" in shown) == (200, True, True)
    assert ask(gateway, "GET", page)[0] == 200
    assert ask(gateway, "POST", f"{SESSIONS}/{session}/end", X_Majordomo_Key=key)[0] == 200
    assert ask(gateway, "POST", f"{SESSIONS}/{session}/end", X_Majordomo_Key=key)[0] == 409
    assert ask(gateway, "GET", f"{SESSIONS}/{session}")[0] == 401


def test_another_keys_session_is_served_recorded_and_warned_of(gateway: Gateway) -> None:
    """The desk learns of it within a moment; the row has no session, and the owner's sums do not change."""
    owner, other = gateway.create_key("owner")["key"], gateway.create_key("other")["key"]
    status, body, _ = ask(gateway, "POST", SESSIONS, X_Majordomo_Key=owner)
    session = json.loads(body)["id"]
    assert status == 201
    tag, deadline, sent = gateway.tag(), time.monotonic() + PATIENCE, 1
    while turn(gateway, other, session, tag, delay_ms=50) != FOREIGN:
        assert time.monotonic() < deadline
        sent += 1
    rows = gateway.rows(tag, sent)
    assert [(row["claude_session_id"], row["problems"]) for row in rows] == [(None, ["foreign_session"])] * sent
    details = "SELECT count(*) FROM claude_request_details WHERE llm_request_id = ANY ($1) AND session_id IS NULL"
    assert gateway.sql(details, [row["id"] for row in rows])[0][0] == sent
    told = json.loads(ask(gateway, "GET", f"{SESSIONS}/{session}", X_Majordomo_Key=owner)[1])
    assert told["totalRequests"] == 0
    assert ask(gateway, "GET", f"{SESSIONS}/{session}", X_Majordomo_Key=other)[0] == 404


def test_what_is_no_uuid_is_served_recorded_and_warned_of(gateway: Gateway) -> None:
    tag = gateway.tag()
    assert turn(gateway, gateway.key, "mine", tag) == "session ignored, X-Claude-Code-Session-Id is not a UUID"
    assert gateway.row(tag)["problems"] == ["bad_session"]


@pytest.mark.parametrize("length", [MOST_BODY_BYTES + 1, 16 * MOST_BODY_BYTES])
def test_a_body_that_is_too_long_is_told_so_while_it_is_still_being_sent(gateway: Gateway, length: int) -> None:
    """413 in the one shape, through a front desk that would take 64 MB for a provider."""
    key = gateway.create_key("long-winded")["key"]
    status, body, _ = ask(gateway, "POST", SESSIONS, b" " * length, X_Majordomo_Key=key)
    assert (status, json.loads(body)["error"]["code"]) == (413, "too_large")
