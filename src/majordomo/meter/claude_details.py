"""The details of one request of Claude Code's, put together from its two halves."""

from collections.abc import Mapping

from majordomo.meter.claude_code import ClaudeDetails
from majordomo.meter.claude_cost import NO_PRICES
from majordomo.meter.claude_release import Price
from majordomo.meter.claude_reply import ClaudeReply
from majordomo.meter.claude_request import ClaudeHead, ClaudeRequest
from majordomo.meter.reading import Reading


def details_of(
    request: ClaudeRequest,
    reply: ClaudeReply,
    reading: Reading,
    model: str | None,
    head: ClaudeHead,
    *,
    complete: bool,
    told: Mapping[str, Price] = NO_PRICES,
) -> ClaudeDetails:
    """What is kept of a request for ``model``. ``complete``: the reply came to its end; ``told``: see ``price_of``."""
    if not complete:
        reply.lost()
    counted = request.counted and model is not None
    return ClaudeDetails(
        message_count=request.message_count,
        user_message_count=request.user_message_count,
        assistant_message_count=request.assistant_message_count,
        is_plan_mode=request.planning is True,
        system_prompt_hash=request.system_prompt_hash,
        query_class=request.query_class,
        effort=request.effort,
        context_window=request.context_window,
        tool_names=tuple(sorted(reply.tools)),
        tool_use_count=reply.tool_use_count,
        has_thinking=reply.has_thinking,
        stop_reason=reading.stop_reason,
        usage_cost=reply.usage_cost(model or "", oauth=head.oauth, told=told) if counted else 0.0,
    )
