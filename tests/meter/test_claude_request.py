"""What is read out of a request of Claude Code: recorded ones, and what nobody records."""

import json
from hashlib import sha256

import pytest
from claude_requests import SESSION, asked, head, recorded

from majordomo.meter.claude_plan_mode import SESSIONS_MAX, SessionModes
from majordomo.meter.claude_request import claude_head, read_claude_request

INTERACTIVE = "interactive_explain_counttokens_fallback_modelcheck"
#: Every recorded request that is not the main loop's.
CLASSES = {
    "background_auto_mode_classifier/2": "auto_mode",
    "background_auto_mode_classifier/3": "auto_mode",
    "background_prompt_hook/1": "hook",
    "background_prompt_hook/3": "hook",
    "background_prompt_hook/5": "hook",
    "background_webfetch/2": "web_fetch",
    "background_websearch/2": "web_search",
    "subagent_explore/2": "subagent",
    "subagent_nested/2": "subagent",
    "subagent_nested/3": "subagent",
    "subagent_nested/4": "subagent",
    **{f"plan_mode_enter_exit_interactive/{number}": "title" for number in (1, 3, 6, 9)},
    f"{INTERACTIVE}/3": "permission_explainer",
    f"{INTERACTIVE}/5": "prompt_suggestion",
    f"{INTERACTIVE}/34": "model_check",
    **{f"{INTERACTIVE}/{number}": "count_tokens_fallback" for number in (*range(18, 30), 31, 33)},
}
NOT_COUNTED = {"auto_mode", "permission_explainer", "model_check", "count_tokens_fallback"}
PLANNING = {
    "plan_mode_enter_exit_interactive/7",
    "plan_mode_enter_exit_interactive/8",
    "plan_mode_opus48/1",
    "plan_mode_sonnet45_system_reminder/1",
}

IDENTITY = {"type": "text", "text": "You are Claude Code, Anthropic's official CLI for Claude."}
ACTIVE = "Plan mode is active. The user indicated that they do not want you to execute yet"
STILL = "Plan mode still active (see full instructions earlier in conversation)."
EXITED = "## Exited Plan Mode\n\nYou have exited plan mode."
REENTERED = "## Re-entering Plan Mode\n\nYou are returning to plan mode."


def body(*messages, **more):
    return {"model": "claude-opus-4-8", "messages": list(messages), "system": [IDENTITY], **more}


def user(*texts):
    return {"role": "user", "content": [{"type": "text", "text": text} for text in texts]}


def notice(text):
    return {"role": "system", "content": text}


def reminder(text):
    return f"<system-reminder>\n{text}\n</system-reminder>"


def result(content):
    return {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": content}]}


def said(text):
    return {"role": "assistant", "content": [{"type": "text", "text": text}]}


def test_every_recorded_request_has_its_class_and_mode():
    """Class, whether /usage counts it, plan mode and counts, of each request that was recorded."""
    modes = SessionModes()
    requests = recorded()
    assert len(requests) > 60 and set(CLASSES) | PLANNING <= {request.name for request in requests}
    for request in requests:
        facts, told = read_claude_request(request.body, request.head, modes, b"key")
        roles = [message["role"] for message in request.said["messages"]]
        assert told.query_class == CLASSES.get(request.name, "main"), request.name
        assert told.counted is (told.query_class not in NOT_COUNTED), request.name
        assert (told.planning is True) is (request.name in PLANNING), request.name
        assert told.message_count == len(roles)
        assert (told.user_message_count, told.assistant_message_count) == (
            roles.count("user"),
            roles.count("assistant"),
        )
        assert told.effort == (request.said.get("output_config") or {}).get("effort")
        assert told.context_window == (1_000_000 if request.head.long_context else 200_000)
        assert (facts.model, facts.problems) == (request.said["model"], ())


def test_the_same_prompt_has_the_same_hash_in_every_conversation():
    """The attribution block and the cache marks do not count; a string hashes as its text."""
    text = "Instructions."
    marked = {"type": "text", "text": text, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    first = {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.197.0df; cc_entrypoint=cli;"}
    other = {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.197.c40; cc_entrypoint=cli;"}
    hashes = {
        asked(body(user("hi"), system=system)).system_prompt_hash
        for system in ([first, marked], [other, {"type": "text", "text": text}], text, f"{first['text']}\n{text}")
    }
    assert hashes == {sha256(text.encode()).hexdigest()}
    assert asked(body(user("hi"), system=[first, marked, marked])).system_prompt_hash not in hashes
    assert asked(body(user("hi"), system=[first])).system_prompt_hash is None
    assert asked({"model": "m", "messages": []}).system_prompt_hash is None


@pytest.mark.parametrize(
    ("planning", "messages"),
    [
        (True, [user("hi"), notice(ACTIVE)]),
        (True, [user("hi"), notice(f"Agents: many.\n\n{ACTIVE}")]),
        (True, [user(reminder(ACTIVE), "hi")]),
        (True, [user(ACTIVE)]),
        (True, [user("hi"), said("ok"), result(f"1\tfile\n\n{reminder(ACTIVE)}")]),
        (True, [user("hi"), said("ok"), result([{"type": "text", "text": "done"}, {"type": "text", "text": ACTIVE}])]),
        (True, [user("hi"), notice(ACTIVE), said("ok"), user("more"), notice(STILL), said("ok"), user("and")]),
        (True, [user("hi"), notice(EXITED), said("ok"), user("plan"), notice(f"{REENTERED}\n\n{ACTIVE}")]),
        (True, [user("hi"), notice(EXITED), said("ok"), user("plan"), notice(REENTERED)]),
        (False, [user("hi"), notice(ACTIVE), said("ok"), user("go"), notice(EXITED), said("ok"), user("more")]),
        (False, [user(reminder(ACTIVE), "hi"), said("ok"), user(reminder(EXITED), "go")]),
        (False, [user(f"{reminder(ACTIVE)}\n{reminder(EXITED)}")]),
        (None, [user("hi")]),
        (None, [user(f"What does this mean: {ACTIVE}")]),
        (None, [user(f"A quotation:\n\n{ACTIVE}")]),
        (None, [user("hi"), notice(f"A skill about the words {ACTIVE}")]),
        (None, [user("hi"), said(ACTIVE), user("go on")]),
        (None, [user("hi"), said("ok"), result(f"1\t{ACTIVE}")]),
        (False, [user("hi"), notice(EXITED), said(reminder(ACTIVE)), user(f"why {ACTIVE}")]),
    ],
)
def test_the_last_marker_that_the_cli_itself_has_set_decides(planning, messages):
    """Old markers stay in the history; quotations are none."""
    assert asked(body(*messages)).planning is planning


@pytest.mark.parametrize(
    ("version", "tools", "planning"),
    [
        ("1.0.44", ["Read", "Grep", "Glob"], True),
        (None, ["Read", "LS", "exit_plan_mode"], True),
        ("1.0.44", ["Read", "Edit"], False),
        ("1.0.44", [], False),
        ("2.1.197", ["Read", "Grep", "Glob"], None),
    ],
)
def test_only_clients_from_before_the_markers_are_judged_by_their_tools(version, tools, planning):
    """Tools that only read mean plan mode to an old client, and nothing to a new one."""
    request = body(user("hi"), tools=[{"name": name, "input_schema": {}} for name in tools])
    assert asked(request, head(version)).planning is planning


def test_a_sub_agent_is_in_the_mode_of_its_session():
    """Its own conversation begins without a marker, and what it quotes does not count; other keys' sessions neither."""
    modes = SessionModes()
    agent = head(agent="a0123456789abcdef")
    assert asked(body(user("find it")), agent, modes).planning is None
    asked(body(user("hi"), notice(ACTIVE)), modes=modes)
    assert asked(body(user("find it")), agent, modes).planning is True
    assert asked(body(user(reminder(EXITED))), agent, modes).planning is True
    search = body(user("Perform a web search for the query: x"), tool_choice={"type": "tool", "name": "web_search"})
    assert asked(search, modes=modes).planning is True
    check = body(user("<transcript>"), system="You are a security monitor for autonomous AI coding agents.")
    assert asked(check, modes=modes).planning is True
    assert read_claude_request(json.dumps(body(user("hi"))).encode(), agent, modes, b"another key")[1].planning is None
    assert asked(body(user("hi")), head(agent="a1", session="another session"), modes).planning is None
    asked(body(user("hi"), notice(EXITED)), modes=modes)
    assert asked(body(user("find it"), notice(ACTIVE)), agent, modes).planning is False
    assert asked(body(result(f"x\n{reminder(ACTIVE)}")), agent).planning is True


def test_as_many_sessions_are_remembered_as_is_said():
    """The session that was heard of least lately goes first."""
    modes = SessionModes()
    for number in range(SESSIONS_MAX):
        modes.learn(number, planning=True)
    modes.learn(0, planning=True)
    modes.learn("one more", planning=True)
    assert (modes.of(0), modes.of(1), modes.of(2)) == (True, None, True)


@pytest.mark.parametrize(
    ("found", "request_body"),
    [
        ("quota_probe", {"model": "opus[1m]", "max_tokens": 1, "messages": [{"role": "user", "content": "quota"}]}),
        (
            "compaction",
            body(user("hi"), said("ok"), user("CRITICAL: Respond with TEXT ONLY. Do NOT call any tools.\n")),
        ),
        (
            "compaction",
            body(user("hi"), system="You are a helpful AI assistant tasked with summarizing conversations."),
        ),
        ("recap", body(user("hi"), said("ok"), user("The user stepped away and is coming back. Recap in under 40"))),
        ("btw", body(user("hi"), user("<system-reminder>This is a side question from the user. You must"))),
        ("rename", body(user("<conversation>"), output_config={"format": {"schema": {"properties": {"name": {}}}}})),
        ("rename", body(user("hi"), said("ok"), user("Generate a short kebab-case name (2-4 words)"))),
        (
            "tool_summary",
            body(
                user("Tools completed:"),
                system="Write a short summary label describing what these tool calls accomplished.",
            ),
        ),
        (
            "hook",
            body(
                user("check"),
                system=[IDENTITY, {"type": "text", "text": "You are evaluating a Stop hook in Claude Code."}],
            ),
        ),
        ("memory", body(user("hi"), said("ok"), user("You are now acting as the memory extraction subagent."))),
        ("side_query", {"model": "m", "max_tokens": 512, "messages": [user("new in a later release")]}),
        ("background", body(user("new in a later release"), thinking={"type": "disabled"})),
    ],
)
def test_what_was_not_recorded_is_told_by_its_texts(found, request_body):
    """The texts are those in the CLI's package."""
    assert asked(request_body).query_class == found


def test_the_header_tells_what_the_body_does_not():
    """Login, long window, sub-agent."""
    told = claude_head("2.1.197", SESSION, "a1", "claude-code-20250219,context-1m-2025-08-07,oauth-2025-04-20")
    assert told == ("2.1.197", SESSION, True, True, True, True)
    assert claude_head(None, None, None, "")[2:] == (False, False, False, False)
    assert asked(body(user("hi"), model="claude-opus-4-8[1m]")).context_window == 1_000_000


def test_a_body_cut_anywhere_tells_what_could_be_read():
    """Nothing raises, a problem says so, and what is told is right."""
    whole = json.dumps(body(user("hi"), said("ok"), notice(ACTIVE), stream=True, max_tokens=9)).encode()
    for length in range(len(whole)):
        facts, told = read_claude_request(whole[:length], head(), SessionModes(), b"key")
        assert "claude_request_unread" in facts.problems or told.message_count == 3
        assert "request_reader_failed" not in facts.problems
        assert facts.input_bytes == length
        assert facts.model in (None, "claude-opus-4-8")
    facts, told = read_claude_request(whole, head(), SessionModes(), b"key")
    assert (facts.problems, told.message_count, told.planning) == ((), 3, True)


@pytest.mark.parametrize(
    "hostile",
    [
        b"[]",
        b"null",
        b'"x"',
        b"\xff\xfe",
        b"{" * 100_000,
        b'{"messages":' + b"[" * 100_000,
        b'{"model":1,"messages":{"a":1},"system":7,"tools":"x"}',
        b'{"messages":[1,2,"x",null]}',
        b'{"messages":[{"role":5,"content":{"a":"Plan mode"}}]}',
        b'{"messages":[{"role":"user","content":[{"type":"text","text":"\\ud800 Plan mode is active."}]}]}',
        b'{"messages":[{"role":"user","content":[1,[],{"text":5},{"type":"tool_result","content":[["Plan mode"]]}]}]}',
        b'{"messages":[],"system":[{"text":"\\ud800"}],"output_config":{"effort":"' + b"x" * 5_000 + b'"}}',
        b'{"messages":[],"tool_choice":{"name":["a"]},"thinking":3,"output_config":{"format":{"schema":[]}}}',
    ],
)
def test_hostile_bodies_are_survived(hostile):
    """Whatever comes, a request is read without a fault, and its texts fit a row."""
    facts, told = read_claude_request(hostile, head(), SessionModes(), b"key")
    assert "request_reader_failed" not in facts.problems
    assert told.effort is None or len(told.effort) <= 255
    json.dumps(told)
