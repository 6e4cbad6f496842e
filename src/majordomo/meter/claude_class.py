"""What Claude Code asked a request for. Its purpose stands in no field: it shows in the body's shape and its texts.

Order of the signs, the surest first: the tool that must be called, the members of the JSON that is asked for, how the
instructions begin, how the last text of the user begins (the CLI appends its own questions to the conversation). What
none of them tells is a sub-agent's or the main loop's, or a side query by the order of its members.
"""

from majordomo.meter import claude_release as cli
from majordomo.meter.claude_body import ClaudeBody, texts

MAIN = "main"
SUBAGENT = "subagent"
WEB_SEARCH = "web_search"
WEB_FETCH = "web_fetch"
AUTO_MODE = "auto_mode"
BACKGROUND = "background"
SIDE_QUERY = "side_query"


def query_class(body: ClaudeBody, instructions: str, *, side_query: bool, subagent: bool, main_beta: bool) -> str:
    """The class of a request.

    ``instructions``: the first block of the system prompt after attribution and identity. ``side_query``: its token
    limit stands before its messages. ``main_beta``: it has the beta header of main loop and sub-agents.
    """
    told = _told(body, instructions)
    if told is not None:
        return told
    if side_query:
        return _probe(body)
    if subagent:
        return SUBAGENT
    thoughtless = body.thinking is not None and body.thinking.type == "disabled"
    return BACKGROUND if thoughtless and not main_beta and not body.has_tools else MAIN


def _told(body: ClaudeBody, instructions: str) -> str | None:
    if body.tool_choice is not None and (found := cli.CLASS_BY_FORCED_TOOL.get(body.tool_choice.name or "")):
        return found
    answer = body.output_config.format if body.output_config is not None else None
    if answer is not None and answer.schema is not None:
        found = cli.CLASS_BY_ANSWER.get(frozenset(answer.schema.properties or ()))
        if found is not None:
            return found
    return _by_beginning(instructions, cli.CLASS_BY_INSTRUCTIONS) or _by_beginning(
        last_text(body), cli.CLASS_BY_LAST_TEXT
    )


def _by_beginning(text: str, table: tuple[tuple[str, str], ...]) -> str | None:
    return next((found for beginning, found in table if text.startswith(beginning)), None)


def _probe(body: ClaudeBody) -> str:
    if body.max_tokens != 1:
        return SIDE_QUERY
    only = last_text(body) if len(body.conversation) == 1 else ""
    if only == cli.QUOTA_TEXT and not body.system:
        return "quota_probe"
    return "model_check" if only == cli.MODEL_CHECK_TEXT and body.system else "count_tokens_fallback"


def last_text(body: ClaudeBody) -> str:
    """The last text of the user's last message; empty if there is none."""
    for message in reversed(body.conversation):
        if message.role == "user":
            found = texts(message.content)
            return found[-1] if found else ""
    return ""
