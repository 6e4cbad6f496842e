"""What is kept of a request that Claude Code made, besides its usage: one row of ``claude_request_details``."""

import msgspec


class ClaudeDetails(msgspec.Struct, array_like=True, frozen=True, gc=False, kw_only=True):
    """Made from the request's body, after it went out, and from the reply. None: it could not be read."""

    # from the request
    message_count: int | None = None
    user_message_count: int | None = None
    assistant_message_count: int | None = None
    is_plan_mode: bool = False
    system_prompt_hash: str | None = None  # SHA-256 in hex, without the attribution block and cache marks
    query_class: str | None = None  # what the CLI asked it for: main, subagent, title, compaction, ...
    effort: str | None = None
    context_window: int | None = None  # tokens
    # from the reply
    tool_names: tuple[str, ...] = ()  # distinct, sorted
    tool_use_count: int = 0
    has_thinking: bool = False
    stop_reason: str | None = None
    # from both
    usage_cost: float = 0.0  # USD as Claude Code's own /usage books it, by its own arithmetic: IEEE doubles
