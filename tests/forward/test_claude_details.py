"""Details of Claude Code's requests, on their way through a desk: for which requests, and what is in them."""

import json
import threading

import pytest
from claude_requests import SESSION, recorded
from running_desk import RunningDesk, ask, ok
from streamed_message import END, EVENTS, HEAD, START, TEXT, chunk, event
from wire import Peer, Providers, eventually

from majordomo.record.frames import Close, Outcome

PATH = "/v1/messages?beta=true"
CLIENT = "X-Majordomo-Client: claude-code"
BODY = json.dumps(
    {"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": "Hi."}], "stream": True}
).encode()
REPLY = ok(b'{"model":"claude-sonnet-4-5","content":[],"usage":{"input_tokens":1000000,"output_tokens":0}}')
BLOCK = chunk(event("content_block_stop", index=0))


def detached(desk: RunningDesk) -> int:
    return int(desk.call(lambda: len(desk.desk.detached)))


def begun(desk: RunningDesk, providers: Providers, *pieces: bytes) -> tuple[Peer, Peer]:
    """A caller that has seen these pieces of a streamed reply, and its provider."""
    caller = desk.dial()
    caller.send(ask(PATH, CLIENT, body=BODY))
    provider = providers.accept()
    provider.request()
    provider.send(HEAD)
    caller.head()
    for piece in pieces:
        provider.send(piece)
        caller.expect(piece)
    return caller, provider


def served(desk: RunningDesk, providers: Providers, request: bytes, *replies: bytes) -> Close:
    """The close of one request that got these pieces of a reply."""
    caller = desk.dial()
    caller.send(request)
    provider = providers.accept()
    provider.request()
    provider.send(*replies)
    return desk.closed_row()


@pytest.mark.parametrize(
    ("detailed", "target", "lines"),
    [
        (True, PATH, [CLIENT]),
        (True, PATH, [f"X-Majordomo-ClaudeCode-Session-Id: {SESSION}"]),
        (False, PATH, []),
        (False, PATH, ["X-Majordomo-Client: another"]),
        (False, "/v1/messages/count_tokens", [CLIENT]),
        (False, "/v1/chat/completions", [CLIENT]),
    ],
)
def test_details_are_made_for_the_requests_that_ask_for_them(
    desk: RunningDesk, providers: Providers, detailed: bool, target: str, lines: list[str]
) -> None:
    """Claude Code's own requests for messages, by either header; nobody else's."""
    close = served(desk, providers, ask(target, *lines, body=BODY), REPLY)
    assert (close.claude is not None) is detailed
    if close.claude is not None:
        assert (close.claude.message_count, close.claude.query_class, close.claude.usage_cost) == (1, "main", 3.0)


@pytest.mark.parametrize("status", ["400 Bad Request", "529 Overloaded"])
def test_a_refused_request_has_none(desk: RunningDesk, providers: Providers, status: str) -> None:
    """The guide's third condition: a status below 400."""
    reply = ok(b'{"type":"error","error":{"type":"x","message":"y"}}').replace(b"200 OK", status.encode())
    assert served(desk, providers, ask(PATH, CLIENT, body=BODY), reply).claude is None


def test_a_body_that_is_no_json_has_a_row_that_says_so(desk: RunningDesk, providers: Providers) -> None:
    """Details say what could be read: of the request nothing, of the reply all."""
    close = served(desk, providers, ask(PATH, CLIENT, body=BODY[:-30]), HEAD, START, END, b"0\r\n\r\n")
    assert close.claude is not None
    assert (close.claude.message_count, close.claude.stop_reason) == (None, "end_turn")
    assert {"not_json", "claude_request_unread"} <= set(close.problems)


def test_a_sub_agent_is_in_the_mode_of_its_session(desk: RunningDesk, providers: Providers) -> None:
    """Known from the main loop's request, on whatever connection; recorded bodies of 80 KB."""
    main = next(request for request in recorded() if request.name == "plan_mode_opus48/1")
    agent = next(request for request in recorded() if request.name == "subagent_explore/2")
    session = f"X-Claude-Code-Session-Id: {SESSION}"
    lines = [[CLIENT, session], [CLIENT, session, "x-claude-code-agent-id: a9b7e8ace41e26113"]]
    provider = None
    for number, (body, extra) in enumerate(zip((main.body, agent.body), lines, strict=True)):
        caller = desk.dial()
        caller.send(ask(PATH, "User-Agent: claude-cli/2.1.197 (external, cli)", *extra, body=body))
        provider = provider or providers.accept()  # the connection is kept
        provider.request()
        provider.send(REPLY)
        desk.rows(closed=number + 1)
    closes = [row.close for row in desk.rows(closed=2)]
    found = [close.claude for close in closes if close is not None and close.claude is not None]
    assert [(details.query_class, details.is_plan_mode) for details in found] == [("main", True), ("subagent", True)]


def test_what_is_drained_for_a_caller_that_left_is_not_booked(desk: RunningDesk, providers: Providers) -> None:
    """Esc: the provider bills all of it, /usage shows nothing."""
    caller, provider = begun(desk, providers, START, TEXT)
    caller.hang_up()
    eventually(lambda: detached(desk) == 1)
    provider.send(BLOCK, END + b"0\r\n\r\n")
    close = desk.closed_row()
    assert (close.outcome, close.output_tokens) == (Outcome.CLIENT_CLOSED, 15)
    assert close.claude is not None
    assert close.claude.usage_cost == 0.0


@pytest.mark.parametrize(
    ("pieces", "cost"), [((START, TEXT), 0.0), ((START, TEXT, BLOCK), 25 / 1e6 * 3 + 1 / 1e6 * 15)]
)
def test_a_stream_that_the_provider_broke_off_is_booked_as_far_as_the_cli_keeps_it(
    desk: RunningDesk, providers: Providers, pieces: tuple[bytes, ...], cost: float
) -> None:
    """Once a block is whole, the CLI keeps the reply and books what it knows."""
    _, provider = begun(desk, providers, *pieces)
    provider.hang_up()
    close = desk.closed_row()
    assert close.outcome is Outcome.PROVIDER_BROKE
    assert close.claude is not None
    assert close.claude.usage_cost == cost


def test_a_whole_stream_is_booked(desk: RunningDesk, providers: Providers) -> None:
    """As the CLI's arithmetic has it."""
    close = served(desk, providers, ask(PATH, CLIENT, body=BODY), *EVENTS)
    assert close.claude is not None
    assert close.claude.usage_cost == 25 / 1e6 * 3 + 15 / 1e6 * 15


def test_a_body_of_twenty_megabytes_is_sent_on_whole_and_read_all_the_same(
    desk: RunningDesk, providers: Providers
) -> None:
    turns = [{"role": "user", "content": "x" * 10_000_000}, {"role": "assistant", "content": "y"}]
    body = json.dumps({"model": "claude-sonnet-4-5", "messages": [*turns, turns[0]], "stream": True}).encode()
    caller = desk.dial()
    sending = threading.Thread(target=caller.send, args=(ask(PATH, CLIENT, body=body),))
    sending.start()
    provider = providers.accept()
    assert provider.request().body == body
    sending.join()
    provider.send(REPLY)
    close = desk.closed_row()
    assert close.claude is not None
    assert (close.claude.message_count, close.claude.query_class, close.claude.usage_cost) == (3, "main", 3.0)
    assert close.problems == ()
