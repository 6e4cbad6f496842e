"""Three ledgers side by side: the provider's, the rows in PostgreSQL, and what Claude Code shows in ``/usage``."""

import itertools
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from gateway_fixture import Gateway

from claude_cli.provider import Served

#: The query class that the gateway should tell for each kind of request.
CLASSES = {
    "main": "main",
    "agent": "subagent",
    "web search": "web_search",
    "classifier": "auto_mode",
    "title": "title",
}

#: What ``/usage`` leaves out, whatever it cost.
UNCOUNTED = ("auto_mode", "quota_probe", "permission_explainer", "model_check", "count_tokens_fallback", "side_query")

#: Doubles carry some sixteen digits: where both ledgers count the same, they are that close (USD).
ROUNDING = Decimal("1e-12")

#: Most requests side by side whose order of booking is tried in every way: each more doubles the work.
_MOST_SIDE_BY_SIDE = 14

_ROWS = """
    SELECT r.*, d.id IS NOT NULL AS has_details, d.usage_cost, d.query_class, d.is_plan_mode, d.has_thinking,
           d.tool_names, d.tool_use_count, d.stop_reason, d.agent_id AS details_agent_id, d.client_session_id
    FROM llm_requests r LEFT JOIN claude_request_details d ON d.llm_request_id = r.id
    WHERE r.id = ANY($1) ORDER BY r.responded_at, r.requested_at
"""


def rows_of(gateway: Gateway, tag: str, count: int) -> list[Any]:
    """The rows of a tag with their details, in the order in which they ended."""
    return gateway.sql(_ROWS, [row["id"] for row in gateway.rows(tag, count)])


def pairs(served: Sequence[Served], rows: Sequence[Any]) -> Iterator[tuple[Served, Any]]:
    """Each answer with its row. Those that told a usage have input tokens of their own, the rest are alike."""
    by_input = {row["input_tokens"]: row for row in rows if row["usage"] is not None}
    told = [one for one in served if one.billed_input is not None]
    assert len({one.billed_input for one in told}) == len(told), "a play told one input count twice"
    for one in told:
        assert one.billed_input in by_input, f"{one} has no row with its usage: {one.script}"
        yield one, by_input.pop(one.billed_input)
    assert not by_input, f"rows with a usage that nobody told: {list(by_input)}"
    silent = [row for row in rows if row["usage"] is None]
    mute = [one for one in served if one.billed_input is None]
    assert sorted(_status(one) for one in mute) == sorted(row["status_code"] or 0 for row in silent)


def _status(one: Served) -> int:
    cut = one.script.break_after
    return one.script.status if cut is None or cut >= 0 else 502


def check_details(one: Served, row: Any) -> None:
    """Plan mode, thinking, tools, class and agent are as the provider's script knows them."""
    expected = {
        "query_class": CLASSES[one.kind],
        "is_plan_mode": one.truth["planning"],
        "has_thinking": one.thinks,
        "tool_names": sorted(set(one.tools)),
        "tool_use_count": len(one.tools),
        "details_agent_id": one.agent or None,
        "client_session_id": one.session,
    }
    found = {name: str(row[name]) if name == "client_session_id" else row[name] for name in expected}
    assert row["has_details"], f"no details of {one}"
    wrong = {name: (found[name], value) for name, value in expected.items() if found[name] != value}
    assert not wrong, f"{one}: found and expected of each: {wrong}; {one.script}"


def unexplained(row: Any) -> str | None:
    """Why a row's share in the difference of the two ledgers has no reason; None if it has, or there is none."""
    billed = row["total_cost"] or Decimal(0)
    if not row["has_details"]:
        return None if not billed else f"{billed} USD were billed for a request without details"
    booked = Decimal(row["usage_cost"])
    if abs(billed - booked) < ROUNDING:
        return None
    if row["query_class"] in UNCOUNTED:
        return None if not booked else f"{row['query_class']} is never counted, and {booked} USD were"
    broken = row["outcome"] != "completed" or row["error_type"] is not None
    if broken and (booked == 0 or (row["usage_state"] == "estimated" and booked < billed)):
        return None  # the tool booked nothing, or the one token of output that the start of the reply told
    return f"{row['query_class']}, {row['outcome']}: billed {billed}, booked {booked}"


def told(rows: Sequence[Any]) -> str:
    """What was billed, booked, and why the two differ, for whoever reads along."""
    billed = sum((row["total_cost"] or Decimal(0) for row in rows), Decimal(0))
    uncounted: dict[str, Decimal] = {}
    for row in rows:
        share = (row["total_cost"] or Decimal(0)) - Decimal(row["usage_cost"] or 0)
        if share > ROUNDING:
            why = row["query_class"] if row["query_class"] in UNCOUNTED else row["error_type"] or row["outcome"]
            uncounted[why] = uncounted.get(why, Decimal(0)) + share
    parts = ", ".join(f"{why} {share:.6f}" for why, share in sorted(uncounted.items()))
    return f"billed {billed:f}" + (f", of which not counted: {parts}" if parts else "")


def sums(rows: Sequence[Any]) -> set[float]:
    """What the bookings may come to: in the order in which the replies ended, and, for those that ran side by side, in
    any order of them."""
    booked = [row for row in rows if row["usage_cost"]]
    reached = {0.0}
    for group in _side_by_side(booked):
        assert len(group) <= _MOST_SIDE_BY_SIDE, f"{len(group)} requests side by side"
        reached = _in_any_order(reached, group)
    return reached


def _in_any_order(starts: set[float], costs: Sequence[float]) -> set[float]:
    """All that sums of floats can be, whichever is added last: of some of them it is one less, and then that one."""
    reached: dict[frozenset[int], set[float]] = {frozenset(): starts}
    for size in range(1, len(costs) + 1):
        for some in map(frozenset, itertools.combinations(range(len(costs)), size)):
            reached[some] = {start + costs[last] for last in some for start in reached[some - {last}]}
    return reached[frozenset(range(len(costs)))]


def _side_by_side(rows: Sequence[Any]) -> Iterator[list[float]]:
    """Costs in the order of their requests; those whose times overlap come together."""
    group: list[float] = []
    until: Any = None
    for row in sorted(rows, key=lambda row: row["requested_at"]):
        if group and row["requested_at"] >= until:
            yield group
            group = []
        until = max(until, row["responded_at"]) if group else row["responded_at"]
        group.append(row["usage_cost"])
    if group:
        yield group
