"""What Claude Code was used for: modes, tools and sessions, equal to the rows, and never another organisation's."""

from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest
from recorded_rows import exchange, in_session, record
from usage_book import START_US, money

from majordomo.meter.claude_code import ClaudeDetails
from majordomo.record import api_keys
from majordomo.record.database import Connection
from majordomo.record.users import DEFAULT_ORG

SESSIONS = tuple(UUID(int=number) for number in (0x51, 0x52, 0x53))
WHOLE = {"from": "2026-10-01", "to": "2026-12-01"}
MINUTE_US = 60_000_000

#: Session, agent, class, tools, thinking, plan mode, billed in femto-USD, booked in USD, team.
ASKED = (
    (0, None, "main", ("Bash", "Read"), True, False, 300_000_000_000, 0.0003, "legal"),
    (0, None, "main", (), False, True, 500_000_000_000, 0.0005, "legal"),
    (0, "a1", "subagent", ("Read",), True, True, 700_000_000_000, 0.0007, "legal"),
    (0, None, "title", (), False, False, 20_000_000_000, 0.0, "legal"),
    (1, None, "main", ("Bash",), False, False, 1_100_000_000_000, 0.0011, "sales"),
    (2, None, "main", (), False, False, None, 0.25, None),
)


@pytest.fixture
def asked(member: Any, postgres_dsn: str, tmp_path: Path) -> Any:
    """A member whose organisation asked ``ASKED``, and a plain request that Claude Code had no part in."""

    async def key(connection: Connection) -> UUID:
        return (await api_keys.create(connection, "builders")).key.id

    key_id = member.database(key)
    made = [exchange(START_US, key=key_id)]
    for number, (session, agent, kind, tools, thinks, plans, billed, booked, team) in enumerate(ASKED):
        details = ClaudeDetails(
            query_class=kind,
            tool_names=tools,
            tool_use_count=len(tools),
            has_thinking=thinks,
            is_plan_mode=plans,
            usage_cost=booked,
        )
        plain = exchange(
            START_US + number * MINUTE_US,
            key=key_id,
            metadata={"Team": team} if team else {},
            costs=None if billed is None else (billed, 0, 0, 0, 0),
        )
        made.append(in_session(plain, SESSIONS[session], details, agent_id=agent))
    record(postgres_dsn, tmp_path, made)
    return member


def get(api: Any, path: str = "", **parameters: Any) -> Any:
    given = parameters if path.startswith("/sessions/") else {**WHOLE, **parameters}
    reply = api("GET", f"/usage/claude-code{path}?{urlencode(given)}")
    assert reply.status == 200, reply.body
    return reply.json


def cost(*rows: int) -> str:
    return money(sum((Decimal(ASKED[row][6] or 0) / 10**15 for row in rows), Decimal(0)))


def test_modes_and_agents_and_tools_are_those_of_the_rows(asked: Any) -> None:
    told = get(asked)
    assert told["work"] == {
        "requests": 6,
        "sessions": 3,
        "thinking_requests": 2,
        "thinking_cost": cost(0, 2),
        "plan_mode_requests": 2,
        "plan_mode_cost": cost(1, 2),
        "subagent_requests": 1,
        "subagent_cost": cost(2),
        "tool_uses": 4,
        "total_cost": cost(0, 1, 2, 3, 4),
        "usage_cost": "0.2526",
    }
    assert [(one["tool"], one["requests"], one["total_cost"]) for one in told["tools"]] == [
        ("Bash", 2, cost(0, 4)),
        ("Read", 2, cost(0, 2)),
        (None, 3, cost(1, 3)),
    ]
    assert get(asked, filter="Team:legal")["work"]["sessions"] == 1
    assert get(asked, filter="query_class:title")["work"]["total_cost"] == cost(3)
    empty = get(asked, filter="model:none-such")
    assert (empty["work"]["requests"], empty["work"]["usage_cost"], empty["tools"]) == (0, "0", [])


def test_sessions_are_listed_last_asked_in_first_page_by_page(asked: Any) -> None:
    whole = get(asked, "/sessions")["sessions"]
    assert [one["id"] for one in whole] == [str(one) for one in reversed(SESSIONS)]
    assert [(one["requests"], one["total_cost"], one["key_name"]) for one in whole] == [
        (1, "0", "builders"),
        (1, cost(4), "builders"),
        (4, cost(0, 1, 2, 3), "builders"),
    ]
    paged, cursor = [], None
    while True:
        page = get(asked, "/sessions", limit=1, **({"cursor": cursor} if cursor else {}))
        paged += page["sessions"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert paged == whole
    assert [one["id"] for one in get(asked, "/sessions", filter="Team:sales")["sessions"]] == [str(SESSIONS[1])]
    reply = asked("GET", "/usage/claude-code/sessions?cursor=nonsense")
    assert (reply.status, reply.json["error"]["code"]) == (422, "invalid")


def test_a_session_is_told_request_by_request_with_views_that_add_up(asked: Any) -> None:
    told = get(asked, f"/sessions/{SESSIONS[0]}")
    assert [one["query_class"] for one in told["requests"]] == ["main", "main", "subagent", "title"]
    assert told["session"]["total_cost"] == cost(0, 1, 2, 3)
    for view in ("by_model", "by_class", "by_agent"):
        assert money(sum((Decimal(part["total_cost"]) for part in told[view]), Decimal(0))) == cost(0, 1, 2, 3)
    (gap,) = told["gaps"]
    assert (gap["query_class"], gap["difference"], gap["why"]) == ("title", cost(3), "not counted")
    assert "not counted by /usage" in gap["reason"]


def test_another_organisation_sees_none_of_it(asked: Any) -> None:
    other = UUID(int=9)
    asked.database(lambda connection: connection.execute("INSERT INTO orgs (id, name) VALUES ($1, 'other')", other))
    asked.sign_in(other, "stranger@example.com")
    assert get(asked)["work"]["requests"] == 0
    assert get(asked, "/sessions")["sessions"] == []
    reply = asked("GET", f"/usage/claude-code/sessions/{SESSIONS[0]}")
    assert (reply.status, reply.json["error"]["code"]) == (404, "session_not_found")
    asked.sign_in(DEFAULT_ORG, "back@example.com")
    assert get(asked)["work"]["requests"] == 6
