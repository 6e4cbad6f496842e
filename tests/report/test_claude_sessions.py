"""The control API of Claude Code's sessions: five routes, each key its own sessions, bad requests clear answers."""

import json
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from recorded_rows import exchange, in_session, record

from majordomo.meter.claude_code import ClaudeDetails
from majordomo.report.bodies import MOST_BODY_BYTES

SESSIONS = "/api/v1/claude-sessions"
NOON_US = 1_763_726_400_000_000  # 2025-11-21 12:00 UTC

#: What the contract names.
FIELDS = {"id", "majordomoApiKeyId", "sessionName", "startedAt", "endedAt", "totalRequests", "totalInputTokens"}
FIELDS |= {"totalOutputTokens", "totalCost", "createdAt"}


def asked_in(key_id: UUID, session: UUID, minute: int, claude: ClaudeDetails | None = None, **given: Any) -> Any:
    """A request of a session, some minutes after noon."""
    made = exchange(NOON_US + minute * 60_000_000, key=key_id, provider="anthropic", **given)
    return in_session(made, session, claude, agent_id="a1")


def error(answer: tuple[int, Any]) -> tuple[int, str]:
    """Status and code, from the one shape of errors."""
    status, body = answer
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"code", "message", "details"}
    assert body["error"]["message"]
    return status, body["error"]["code"]


def test_a_session_is_started_shown_listed_and_ended(ask: Any) -> None:
    """The whole life of a session that nothing was asked in, with a POST that has no body."""
    status, started = ask("POST", SESSIONS)
    assert status == 201
    assert started.keys() >= FIELDS
    assert started["majordomoApiKeyId"] == str(ask.key_id)
    assert UUID(started["id"]).version == 7
    assert (started["totalRequests"], started["totalCost"], started["usageCost"]) == (0, "0", "0")
    assert (started["sessionName"], started["endedAt"], started["source"]) == (None, None, "companion")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", started["startedAt"])
    assert ask("GET", f"{SESSIONS}/{started['id']}") == (200, started)
    assert ask("GET", SESSIONS) == (200, {"sessions": [started], "numRecords": 1})
    assert ask("GET", f"{SESSIONS}/{started['id']}/requests") == (200, {"requests": [], "numRecords": 0})
    status, ended = ask("POST", f"{SESSIONS}/{started['id']}/end")
    assert (status, ended["endedBy"]) == (200, "owner")
    assert ended["endedAt"] >= ended["startedAt"]
    assert error(ask("POST", f"{SESSIONS}/{started['id']}/end")) == (409, "session_ended")
    assert ask("GET", f"{SESSIONS}/{started['id']}") == (200, ended)


def test_a_session_takes_a_name_and_an_id_of_the_clients_own(ask: Any) -> None:
    """Asked for again it is the same one; another key cannot have it."""
    session = str(uuid4())
    status, started = ask("POST", SESSIONS, json.dumps({"id": session.upper(), "sessionName": "naïve ☃"}).encode())
    assert (status, started["id"], started["sessionName"]) == (201, session, "naïve ☃")
    assert ask("POST", SESSIONS, json.dumps({"id": session}).encode()) == (201, started)
    other, _ = ask.new_key("other")
    taken = ask("POST", SESSIONS, json.dumps({"id": session, "sessionName": "mine"}).encode(), key=other)
    assert error(taken) == (409, "session_id_taken")
    assert ask("GET", SESSIONS) == (200, {"sessions": [started], "numRecords": 1})


def test_a_name_comes_later_where_there_was_none_and_null_is_none(ask: Any) -> None:
    """A session that requests began before the companion registered it gets its name then."""
    session = str(uuid4())
    assert ask("POST", SESSIONS, json.dumps({"id": session, "sessionName": None}).encode())[1]["sessionName"] is None
    for name in ("first", "second"):
        _, told = ask("POST", SESSIONS, json.dumps({"id": session, "sessionName": name}).encode())
        assert told["sessionName"] == "first"


def test_nobody_sees_or_ends_another_keys_session(ask: Any) -> None:
    """To other keys it does not exist, just like what is no session at all."""
    session = ask("POST", SESSIONS)[1]["id"]
    other, _ = ask.new_key("other")
    for wanted, key in ((session, other), (str(uuid4()), None), ("no-uuid", None), ("0" * 31, None)):
        assert error(ask("GET", f"{SESSIONS}/{wanted}", key=key)) == (404, "session_not_found")
        assert error(ask("POST", f"{SESSIONS}/{wanted}/end", key=key)) == (404, "session_not_found")
        assert error(ask("GET", f"{SESSIONS}/{wanted}/requests", key=key)) == (404, "session_not_found")
    assert ask("GET", SESSIONS, key=other) == (200, {"sessions": [], "numRecords": 0})
    assert ask("GET", f"{SESSIONS}/{session}")[1]["endedAt"] is None


def test_a_session_that_was_idle_can_be_ended_by_its_owner(ask: Any) -> None:
    session = ask("POST", SESSIONS)[1]["id"]
    ask.sql("UPDATE claude_sessions SET ended_at = started_at, ended_by = 'idle'")
    status, ended = ask("POST", f"{SESSIONS}/{session}/end")
    assert (status, ended["endedBy"]) == (200, "owner")
    assert error(ask("POST", f"{SESSIONS}/{session}/end")) == (409, "session_ended")


def test_requests_carry_their_row_and_their_details(ask: Any, postgres_dsn: str, tmp_path: Path) -> None:
    """In order, money as text with every digit; details are null where there are none."""
    session = uuid4()
    details = ClaudeDetails(
        message_count=3, tool_names=("Bash", "Read"), tool_use_count=2, has_thinking=True, is_plan_mode=True,
        stop_reason="tool_use", query_class="main", effort="high", usage_cost=0.1 + 0.2, context_window=200_000,
    )  # fmt: skip
    small = ClaudeDetails(usage_cost=1e-7)
    record(
        postgres_dsn,
        tmp_path,
        [
            asked_in(ask.key_id, session, 2, small, costs=None),
            asked_in(ask.key_id, session, 1, details, model="claude-x", costs=(1, 2, 3, 4, 5)),
            asked_in(ask.key_id, session, 3, None, status=529),
        ],
    )
    status, told = ask("GET", f"{SESSIONS}/{session}/requests")
    assert (status, told["numRecords"]) == (200, 3)
    first, second, third = told["requests"]
    assert (first["model"], first["provider"], first["outcome"]) == ("claude-x", "anthropic", "completed")
    assert (first["totalCost"], first["usageCost"]) == ("0.000000000000015", "0.30000000000000004")
    assert (first["toolNames"], first["toolUseCount"]) == (["Bash", "Read"], 2)
    assert (first["hasThinking"], first["isPlanMode"], first["stopReason"]) == (True, True, "tool_use")
    assert (first["queryClass"], first["effort"], first["contextWindow"]) == ("main", "high", 200_000)
    assert (first["inputTokens"], first["outputTokens"], first["messageCount"], first["agentId"]) == (100, 10, 3, "a1")
    assert first["requestedAt"] == "2025-11-21T12:01:00Z"
    assert (second["totalCost"], second["usageCost"], second["toolNames"]) == (None, "0.0000001", [])
    assert (third["statusCode"], third["errorType"]) == (529, "overloaded")
    assert {third[name] for name in ("messageCount", "toolNames", "hasThinking", "usageCost", "queryClass")} == {None}
    _, shown = ask("GET", f"{SESSIONS}/{session}")
    assert (shown["totalRequests"], shown["totalInputTokens"], shown["totalOutputTokens"]) == (3, 300, 30)
    assert Decimal(shown["totalCost"]) == Decimal("0.000000000000243")
    assert float(shown["usageCost"]) == (0.1 + 0.2) + 1e-7
    assert shown["lastRequestAt"] == "2025-11-21T12:03:00Z"
    _, page = ask("GET", f"{SESSIONS}/{session}/requests?limit=1&offset=1")
    assert page == {"requests": [second], "numRecords": 3}


def test_a_session_of_the_same_id_in_another_organisation_is_another_session(
    ask: Any, postgres_dsn: str, tmp_path: Path
) -> None:
    """Each key sees its own, with its own requests alone."""
    session, other_org = uuid4(), uuid4()
    key, key_id = ask.new_key("of another organisation")
    ours = asked_in(ask.key_id, session, 1, model="ours")
    opening, close = asked_in(key_id, session, 2, model="theirs")
    opening.org_id = other_org.bytes
    ask.sql("INSERT INTO orgs (id, name) VALUES ($1, 'other')", other_org)
    ask.sql("UPDATE api_keys SET org_id = $2 WHERE id = $1", key_id, other_org)
    record(postgres_dsn, tmp_path, [ours, (opening, close)])
    for asking, model in ((None, "ours"), (key, "theirs")):
        _, told = ask("GET", f"{SESSIONS}/{session}/requests", key=asking)
        assert (told["numRecords"], [each["model"] for each in told["requests"]]) == (1, [model])
        assert ask("GET", f"{SESSIONS}/{session}", key=asking)[1]["totalRequests"] == 1


def test_lists_are_cut_in_pages_and_say_how_much_there_is(ask: Any) -> None:
    """50 unless asked, 200 at most; newest first."""
    ask.sql(
        "INSERT INTO claude_sessions (id, majordomo_api_key_id, started_at)"
        " SELECT gen_random_uuid(), $1, now() - make_interval(mins => n) FROM generate_series(1, 260) AS n",
        ask.key_id,
    )
    everything = [ask("GET", f"{SESSIONS}?limit=200&offset={offset}")[1] for offset in (0, 200)]
    assert [page["numRecords"] for page in everything] == [260, 260]
    starts = [session["startedAt"] for page in everything for session in page["sessions"]]
    assert len(starts) == 260
    assert starts == sorted(starts, reverse=True)
    assert [session["startedAt"] for session in ask("GET", SESSIONS)[1]["sessions"]] == starts[:50]


def test_a_limit_that_is_none_is_named(ask: Any) -> None:
    """422, and the finding says which parameter."""
    for path in (SESSIONS, f"{SESSIONS}/{uuid4()}/requests"):
        for query in ("limit=0", "limit=201", "limit=-1", "limit=x", "limit=", "offset=-1", "offset=1e3"):
            answer = ask("GET", f"{path}?{query}")
            assert error(answer) == (422, "invalid"), query
            named = [found["where"] for found in answer[1]["error"]["details"]]
            assert named == ["query." + query.partition("=")[0]]


BAD_BODIES: tuple[tuple[Any, int, str], ...] = (
    (b"{", 400, "bad_json"),
    (b"[]", 400, "bad_json"),
    (b'"x"', 400, "bad_json"),
    (b"\xff\xfe", 400, "bad_json"),
    (b"[" * 60_000, 400, "bad_json"),
    (b'{"id": 7}', 422, "invalid"),
    (b'{"id": "no uuid"}', 422, "invalid"),
    (b'{"id": ""}', 422, "invalid"),
    (b'{"name": "x"}', 422, "invalid"),
    (b'{"sessionName": 7}', 422, "invalid"),
    (b'{"sessionName": "a\\u0000b"}', 422, "invalid"),
    (b'{"sessionName": "%b"}' % (b"x" * 256), 422, "invalid"),
    ([b'{"sessionName": "', *[b"x" * (MOST_BODY_BYTES // 4)] * 4, b'"}'], 413, "too_large"),
)


def test_a_bad_body_starts_no_session(ask: Any) -> None:
    """A clear 4xx in the one shape."""
    for body, status, code in BAD_BODIES:
        assert error(ask("POST", SESSIONS, body)) == (status, code), body[:80]
    assert ask("GET", SESSIONS)[1]["numRecords"] == 0


def test_every_route_wants_a_good_key_and_says_what_is_wrong_with_another(ask: Any) -> None:
    """401 in the front desk's own words, and the key is not repeated."""
    revoked, revoked_id = ask.new_key("revoked")
    ask.sql("UPDATE api_keys SET is_active = false, revoked_at = now() WHERE id = $1", revoked_id)
    cases = [({}, "gateway_key_missing")]
    cases += [({"X-Majordomo-Key": "mdm_sk_" + "U" * 43}, "gateway_key_unknown")]
    cases += [({"X-Majordomo-Key": "x" * 5000}, "gateway_key_unknown")]
    cases += [({"X-Majordomo-Key": revoked}, "gateway_key_revoked")]
    routes = [("POST", SESSIONS), ("GET", SESSIONS), ("GET", f"{SESSIONS}/{uuid4()}")]
    routes += [("POST", f"{SESSIONS}/{uuid4()}/end"), ("GET", f"{SESSIONS}/{uuid4()}/requests")]
    for method, path in routes:
        for headers, code in cases:
            reply = ask.send(path, method, headers=headers)
            assert error((reply.status, json.loads(reply.body))) == (401, code)
            assert b"mdm_sk_U" not in reply.body


def test_a_database_that_is_away_is_a_503_and_never_a_401(call: Callable[..., Any]) -> None:
    """A key cannot be called unknown by whoever cannot look."""
    reply = call(SESSIONS, headers={"X-Majordomo-Key": "mdm_sk_" + "U" * 43})
    assert error((reply.status, json.loads(reply.body))) == (503, "database_unavailable")


def test_openapi_tells_the_five_routes_and_what_they_take(call: Callable[..., Any]) -> None:
    """Bodies, keys, camelCase fields and limits, as the routes behave."""
    document = json.loads(call("/api/v1/openapi.json").body)
    routes = {(path, method) for path, methods in document["paths"].items() for method in methods if SESSIONS in path}
    one = SESSIONS + "/{session_id}"
    assert routes == {
        (SESSIONS, "post"), (SESSIONS, "get"), (one, "get"), (one + "/end", "post"), (one + "/requests", "get"),
    }  # fmt: skip
    post = document["paths"][SESSIONS]["post"]
    assert post["requestBody"]["required"] is False
    assert post["requestBody"]["content"]["application/json"]["schema"]["properties"].keys() == {"id", "sessionName"}
    assert {"201", "409", "default"} <= post["responses"].keys()
    for path, method in routes:
        assert document["paths"][path][method]["security"]
    schemas = document["components"]["schemas"]
    assert schemas["Session"]["properties"].keys() >= FIELDS
    assert schemas["Session"]["properties"]["totalCost"]["type"] == "string"
    limit = next(each for each in document["paths"][SESSIONS]["get"]["parameters"] if each["name"] == "limit")
    assert (limit["schema"]["minimum"], limit["schema"]["maximum"], limit["schema"]["default"]) == (1, 200, 50)


def test_a_body_that_is_no_utf_8_is_refused(ask: Any) -> None:
    status, told = ask("POST", "/api/v1/claude-sessions", b'{"sessionName":"\xff\xfe"}')
    assert (status, told["error"]["code"]) == (400, "bad_json")
