"""What is kept of a Claude Code request besides its row: one line of COPY for ``claude_request_details``.

Its id is the request's own: there is one for each, and a replay can make no second.
"""

import math

from majordomo.meter.claude_code import ClaudeDetails
from majordomo.record.frames import Opening
from majordomo.record.rows import HASH_LIMIT, INT4_MAX, NAME_LIMIT, NIL_ORG, TEXT_LIMIT, Finished, stamp, uuid_cell
from majordomo.record.safe_text import NULL, array_cell, cell

#: The columns of a line, in its order.
DETAIL_COLUMNS = [
    "id",
    "org_id",
    "llm_request_id",
    "session_id",
    "message_count",
    "user_message_count",
    "assistant_message_count",
    "tool_names",
    "tool_use_count",
    "has_thinking",
    "is_plan_mode",
    "stop_reason",
    "system_prompt_hash",
    "created_at",
    "usage_cost",
    "query_class",
    "agent_id",
    "parent_agent_id",
    "client_session_id",
    "client_version",
    "effort",
    "context_window",
]

#: USD. A reply may claim any number of tokens; beyond this it is no cost, and sums of doubles must stay finite.
MOST_USAGE_COST = 1e12

_LINE = "\t".join(["%s"] * len(DETAIL_COLUMNS))


def detail_line(finished: Finished, details: ClaudeDetails) -> str:
    """The line of COPY, without its newline."""
    opening: Opening = finished.opening
    request_id = opening.id.hex()
    return _LINE % (
        request_id,
        (opening.org_id or NIL_ORG).hex(),
        request_id,
        uuid_cell(opening.claude_session),
        _count(details.message_count),
        _count(details.user_message_count),
        _count(details.assistant_message_count),
        array_cell(details.tool_names, TEXT_LIMIT) if details.tool_names else "{}",
        _count(details.tool_use_count),
        "t" if details.has_thinking else "f",
        "t" if details.is_plan_mode else "f",
        cell(details.stop_reason, NAME_LIMIT),
        cell(details.system_prompt_hash, HASH_LIMIT),
        stamp(opening.requested_at),
        repr(booked(details)),
        cell(details.query_class, NAME_LIMIT),
        cell(opening.agent_id, TEXT_LIMIT),
        cell(opening.parent_agent_id, TEXT_LIMIT),
        uuid_cell(opening.client_session),
        cell(opening.client_version, NAME_LIMIT),
        cell(details.effort, NAME_LIMIT),
        _count(details.context_window),
    )


def booked(details: ClaudeDetails) -> float:
    """What ``/usage`` books for the request, USD, as the double it is; 0 for what no cost can be."""
    cost = float(details.usage_cost)
    return cost if math.isfinite(cost) and 0 <= cost <= MOST_USAGE_COST else 0.0


def _count(value: int | None) -> int | str:
    return NULL if value is None else max(0, min(INT4_MAX, value))
