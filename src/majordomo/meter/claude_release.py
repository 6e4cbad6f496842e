"""What is known of Claude Code 2.1.197: the texts that tell its requests apart, and the prices that it books.

All of it belongs to that one release and is read off its package and its requests; where a later one differs, change it
here. Nothing else in the code spells any of these texts or numbers.
"""

import re
from typing import Final, NamedTuple

#: The release that all of this was taken from.
RELEASE: Final = "2.1.197"

# -- system prompt ----------------------------------------------------------------------------------------------------

#: Begins the block that differs from conversation to conversation.
ATTRIBUTION: Final = "x-anthropic-billing-header"
#: Stands in the attribution of a sub-agent's requests.
SUBAGENT_MARK: Final = "cc_is_subagent=true"
#: Begin the block that says who the model is; instructions of a purpose stand after it.
IDENTITIES: Final = (
    "You are Claude Code, Anthropic's official CLI for Claude",
    "You are a Claude agent, built on Anthropic's Claude Agent SDK",
)

# -- plan mode --------------------------------------------------------------------------------------------------------

PLAN_ON: Final = ("Plan mode is active.", "Plan mode still active", "## Re-entering Plan Mode")
PLAN_OFF: Final = "## Exited Plan Mode"
#: Every marker has one of these in it. Searching bytes for them from the end is fast: long, or of rare letters.
PLAN_TRACES: Final = (b"Plan mode is active.", b"Plan mode still active", b" Plan Mode")
#: Stands in front of a marker where it is not a message of its own.
REMINDER: Final = "<system-reminder>\n"
#: Releases before this one are believed to be in plan mode when all their tools only read.
PLAN_MARKERS_SINCE: Final = (2, 0)
#: Tools that change nothing, under the names that releases without markers gave them.
READ_ONLY_TOOLS: Final = frozenset(
    {"Read", "Glob", "Grep", "LS", "NotebookRead", "WebFetch", "WebSearch", "TodoRead", "TodoWrite"}
    | {"Task", "AskUserQuestion", "ExitPlanMode", "exit_plan_mode"}
)

# -- what a request is for --------------------------------------------------------------------------------------------

#: Requests that ``/usage`` leaves out name their token limit before their messages; all others the messages first.
SIDE_QUERY: Final = re.compile(rb'\s*\{\s*"model"\s*:\s*"(?:[^"\\]|\\.)*+"\s*,\s*"max_tokens"')

#: By the name of the tool that the model must call.
CLASS_BY_FORCED_TOOL: Final = {"web_search": "web_search", "explain_command": "permission_explainer"}

#: By the members of the JSON that is asked for.
CLASS_BY_ANSWER: Final = {
    frozenset({"title"}): "title",
    frozenset({"title", "branch"}): "title",
    frozenset({"name"}): "rename",
    frozenset({"ok", "reason", "impossible"}): "hook",
}

#: By how the instructions begin: the first block of the system prompt after attribution and identity.
CLASS_BY_INSTRUCTIONS: Final = (
    ("You are an assistant for performing a web search tool use", "web_search"),
    ("Generate a concise, sentence-case title", "title"),
    ("Generate a short kebab-case name", "rename"),
    ("You are a helpful AI assistant tasked with summarizing conversations", "compaction"),
    ("You are evaluating a ", "hook"),
    ("You are verifying a stop condition in Claude Code", "hook"),
    ("Write a short summary label describing what these tool calls", "tool_summary"),
    ("You are searching for past Claude Code conversation sessions", "session_search"),
    ("You are an elite AI agent architect", "agent_creation"),
    ("You are a security monitor for autonomous AI coding agents", "auto_mode"),
    ("You are an expert reviewer of auto mode classifier rules", "auto_mode_critique"),
    ("Analyze shell commands and explain what they do", "permission_explainer"),
    ("A user kicked off a Claude Code agent to do a coding task and walked away", "agent_state"),
    ("You are watching someone use Claude Code", "tip"),
    ("You evaluate whether a tip shown to a Claude Code user", "tip"),
)

#: By how the last text of the user's last message begins: what the CLI appends to a conversation to ask of it.
CLASS_BY_LAST_TEXT: Final = (
    ("CRITICAL: Respond with TEXT ONLY. Do NOT call any tools.", "compaction"),
    ("[SUGGESTION MODE:", "prompt_suggestion"),
    ("<system-reminder>This is a side question from the user.", "btw"),
    ("The user stepped away and is coming back. Recap", "recap"),
    ("Generate a short kebab-case name", "rename"),
    ("Describe your most recent action in 3-5 words", "agent_summary"),
    ("You are now acting as the memory extraction subagent", "memory"),
    ("# Dream: Memory Consolidation", "memory"),
    ("\nWeb page content:\n---\n", "web_fetch"),
    ("2-4 word lowercase label for this job.", "agent_name"),
    ("You are coming up with a succinct title and git branch name", "title"),
    ("Summarize this portion of a Claude Code session transcript", "insights"),
)

#: The single message of a probe for the limits of a subscription, and of a check that a model exists.
QUOTA_TEXT: Final = "quota"
MODEL_CHECK_TEXT: Final = "Hi"

# -- headers ----------------------------------------------------------------------------------------------------------

#: In ``anthropic-beta``: the main loop and what goes with it; a window of a million tokens; a subscription's login.
MAIN_BETA: Final = "claude-code-20250219"
LONG_BETA: Final = "context-1m-"
OAUTH_BETA: Final = "oauth-2025-04-20"

#: Ends a model's name where the caller asked for the long window.
LONG_SUFFIX: Final = "[1m]"
CONTEXT_WINDOW: Final = 200_000  # tokens
LONG_CONTEXT_WINDOW: Final = 1_000_000

# -- prices -----------------------------------------------------------------------------------------------------------


class Price(NamedTuple):
    """USD for a million tokens of each class, and for one web search."""

    input: float
    output: float
    cache_read: float
    write_5m: float
    write_1h: float
    web_search: float = 0.01


_OPUS: Final = Price(5, 25, 0.5, 6.25, 10)
_OPUS_FAST_OLD: Final = Price(30, 150, 3, 37.5, 60)
_OPUS_OLD: Final = Price(15, 75, 1.5, 18.75, 30)
_SONNET: Final = Price(3, 15, 0.3, 3.75, 6)
_TEN_FIFTY: Final = Price(10, 50, 1, 12.5, 20)

PRICES: Final = {
    "claude-opus-4-8": _OPUS,
    "claude-opus-4-7": _OPUS,
    "claude-opus-4-6": _OPUS,
    "claude-opus-4-5": _OPUS,
    "claude-opus-4-1": _OPUS_OLD,
    "claude-opus-4-0": _OPUS_OLD,
    "claude-sonnet-5": _SONNET,
    "claude-sonnet-4-6": _SONNET,
    "claude-sonnet-4-5": _SONNET,
    "claude-sonnet-4-0": _SONNET,
    "claude-3-7-sonnet": _SONNET,
    "claude-3-5-sonnet": _SONNET,
    "claude-haiku-4-5": Price(1, 5, 0.1, 1.25, 2),
    "claude-3-5-haiku": Price(0.8, 4, 0.08, 1, 1.6),
    "claude-fable-5": _TEN_FIFTY,
    "claude-mythos-5": _TEN_FIFTY,
}

#: Where the reply says ``speed: fast``; other models have no such tier.
FAST_PRICES: Final = {
    "claude-opus-4-8": _TEN_FIFTY,
    "claude-opus-4-7": _OPUS_FAST_OLD,
    "claude-opus-4-6": _OPUS_FAST_OLD,
}

#: The default models, at whose price the CLI books what is not in its table: with a key or token, and logged in with
#: a subscription. (With a Max plan it is the former; no request tells the plan.)
DEFAULT_MODEL: Final = "claude-opus-4-8"
DEFAULT_MODEL_OAUTH: Final = "claude-sonnet-5"

#: A model's canonical name: the first of these found in its lower-cased id, or else the id without its date.
CANONICAL: Final = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        ("claude-fable-5", "claude-fable-5"),
        ("claude-mythos-5", "claude-mythos-5"),
        ("claude-opus-4-8", "claude-opus-4-8"),
        ("claude-opus-4-7", "claude-opus-4-7"),
        ("claude-opus-4-6", "claude-opus-4-6"),
        ("claude-opus-4-5", "claude-opus-4-5"),
        ("claude-opus-4-1", "claude-opus-4-1"),
        (r"claude-opus-4(?!-[0-9](?![0-9]))", "claude-opus-4-0"),
        ("claude-sonnet-5", "claude-sonnet-5"),
        ("claude-sonnet-4-6", "claude-sonnet-4-6"),
        ("claude-sonnet-4-5", "claude-sonnet-4-5"),
        (r"claude-sonnet-4(?!-[0-9](?![0-9]))", "claude-sonnet-4-0"),
        ("claude-haiku-4-5", "claude-haiku-4-5"),
        ("claude-3-7-sonnet", "claude-3-7-sonnet"),
        ("claude-3-5-sonnet", "claude-3-5-sonnet"),
        ("claude-3-5-haiku", "claude-3-5-haiku"),
        ("claude-3-opus", "claude-3-opus"),
        ("claude-3-sonnet", "claude-3-sonnet"),
        ("claude-3-haiku", "claude-3-haiku"),
    )
)
MODEL_DATE: Final = re.compile(r"-[0-9]{8}\Z")
