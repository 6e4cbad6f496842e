"""What a request of Claude Code says of itself: how long the conversation is, its mode, and what it is for.

Plan: one typed decode that steps over what is not wanted and leaves the contents of messages as they are. The user's
last message is opened to see what is asked; the others only if the words of plan mode occur at all. What the headers
say (``ClaudeHead``) is worked out once for all requests with the same head. Cut or malformed bodies go the way of
``decoding.decode``: what can be read is.
"""

from hashlib import sha256
from typing import NamedTuple

import msgspec

from majordomo.meter import claude_release as cli
from majordomo.meter.claude_body import ClaudeBody, texts
from majordomo.meter.claude_class import AUTO_MODE, MAIN, SUBAGENT, WEB_FETCH, WEB_SEARCH, query_class
from majordomo.meter.claude_plan_mode import SessionModes, plan_mode
from majordomo.meter.counts import note
from majordomo.meter.decoding import decode
from majordomo.meter.reading import RequestFacts
from majordomo.meter.request import facts_of
from majordomo.meter.text import name

_BODY = msgspec.json.Decoder(ClaudeBody)

#: Work that a turn does in its session's mode, in a conversation of its own.
_IN_THE_SESSIONS_MODE = frozenset({SUBAGENT, WEB_SEARCH, WEB_FETCH, AUTO_MODE})


class ClaudeHead(NamedTuple):
    """What a request's headers say, as far as the details need it."""

    version: str | None  # of the client
    session: str | None  # as the client counts it
    subagent: bool
    main_beta: bool  # sent by main loop and sub-agents, on all but small models
    long_context: bool
    oauth: bool  # logged in with a subscription


def claude_head(version: str | None, session: str | None, agent: str | None, beta: str) -> ClaudeHead:
    """``beta``: the value of ``anthropic-beta``."""
    return ClaudeHead(
        version,
        session,
        agent is not None,
        cli.MAIN_BETA in beta,
        cli.LONG_BETA in beta,
        cli.OAUTH_BETA in beta,
    )


class ClaudeRequest(NamedTuple):
    """What its body says. None: it could not be read, or it does not say."""

    message_count: int | None = None
    user_message_count: int | None = None
    assistant_message_count: int | None = None
    planning: bool | None = None
    system_prompt_hash: str | None = None
    query_class: str | None = None
    effort: str | None = None
    context_window: int | None = None
    counted: bool = False  # by the CLI's own /usage, if it is answered


def read_claude_request(
    body: bytes | bytearray, head: ClaudeHead, modes: SessionModes, owner: bytes
) -> tuple[RequestFacts, ClaudeRequest]:
    """The facts that every request has, and those of Claude Code's. Never raises, whatever the body.

    ``modes``: the modes of the sessions seen so far, of which this one may be another; ``owner``: the id of the key
    whose they are, so that nobody's session can be taken for another's.
    """
    try:
        facts, request = _read(body, head)
        if head.session is None:
            return facts, request
        if request.query_class == MAIN:
            modes.learn((owner, head.session), planning=request.planning is True)
        elif request.query_class in _IN_THE_SESSIONS_MODE:
            planning = modes.of((owner, head.session))
            if planning is not None:
                request = request._replace(planning=planning)
        return facts, request
    except Exception:  # promise 1: metering never fails a customer's call
        return RequestFacts(input_bytes=len(body), problems=("request_reader_failed",)), ClaudeRequest()


def _read(body: bytes | bytearray, head: ClaudeHead) -> tuple[RequestFacts, ClaudeRequest]:
    problems: list[str] = []
    said = decode(_BODY, body, problems) if body else None
    if said is None or said.messages is None:
        note(problems, "claude_request_unread")
    if said is None:
        return RequestFacts(input_bytes=len(body), problems=tuple(problems)), ClaudeRequest()
    subagent, instructions, prompt_hash = _system(said)
    side_query = cli.SIDE_QUERY.match(body) is not None
    roles = [message.role for message in said.conversation]
    known = said.messages is not None
    long_context = head.long_context or (said.model or "").endswith(cli.LONG_SUFFIX)
    request = ClaudeRequest(
        message_count=len(roles) if known else None,
        user_message_count=roles.count("user") if known else None,
        assistant_message_count=roles.count("assistant") if known else None,
        planning=plan_mode(said, body, head.version),
        system_prompt_hash=prompt_hash,
        query_class=query_class(
            said, instructions, side_query=side_query, subagent=subagent or head.subagent, main_beta=head.main_beta
        )
        if known
        else None,
        effort=name(said.output_config.effort) if said.output_config is not None else None,
        context_window=cli.LONG_CONTEXT_WINDOW if long_context else cli.CONTEXT_WINDOW,
        counted=not side_query,
    )
    return facts_of(said, body, problems, anthropic=True), request


def _system(body: ClaudeBody) -> tuple[bool, str, str | None]:
    """Whether the system prompt is a sub-agent's, the instructions in it, and its hash; no hash without a prompt."""
    found = texts(body.system)
    subagent = False
    if found and found[0].startswith(cli.ATTRIBUTION):
        line, _, rest = found[0].partition("\n")
        subagent = cli.SUBAGENT_MARK in line
        found = [rest, *found[1:]] if rest else found[1:]
    if not found:
        return subagent, "", None
    instructions = next((text for text in found if not text.startswith(cli.IDENTITIES)), "")
    return subagent, instructions, sha256("\n\n".join(found).encode("utf-8", "replace")).hexdigest()
