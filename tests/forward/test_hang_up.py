"""What becomes of a request whose caller hangs up: drained for its exact usage within bounds, or cut and estimated."""

import json
from collections.abc import Callable

import pytest
from running_desk import CUT_KEY, KEY, RunningDesk, ask
from streamed_message import EVENTS, HEAD, TEXT
from wire import Peer, Providers, eventually

from majordomo.meter.reading import UsageState
from majordomo.record.frames import Outcome

PATH = "/v1/messages"
REQUEST = json.dumps(
    {"model": "claude-sonnet-4-5", "stream": True, "messages": [{"role": "user", "content": "Tell me a story."}]}
).encode()


def begun(desk: RunningDesk, providers: Providers, events: int, *, key: str = KEY) -> tuple[Peer, Peer]:
    """A caller that has seen so many pieces of a reply, and its provider."""
    caller = desk.dial()
    caller.send(ask(PATH, body=REQUEST, key=key))
    provider = providers.accept()
    provider.request()
    for piece in EVENTS[:events]:
        provider.send(piece)
        if piece is HEAD:
            caller.head()
        else:
            caller.expect(piece)
    return caller, provider


def detached(desk: RunningDesk) -> int:
    return int(desk.call(lambda: len(desk.desk.detached)))


@pytest.mark.parametrize("seen", range(4))
@pytest.mark.parametrize("ending", ["hang_up", "reset"])
def test_a_drained_stream_has_the_providers_own_figures_whenever_the_caller_left(
    desk: RunningDesk, providers: Providers, seen: int, ending: str
) -> None:
    caller, provider = begun(desk, providers, seen)
    getattr(caller, ending)()
    eventually(lambda: detached(desk) == 1)
    provider.send(*EVENTS[seen:])
    close = desk.closed_row()
    assert (close.outcome, close.usage_state) == (Outcome.CLIENT_CLOSED, UsageState.DRAINED)
    assert (close.input_tokens, close.output_tokens) == (25, 15)
    assert close.bill.total_cost is not None
    assert detached(desk) == 0


def test_a_drained_connection_serves_the_next_request(desk: RunningDesk, providers: Providers) -> None:
    caller, provider = begun(desk, providers, 2)
    caller.hang_up()
    eventually(lambda: detached(desk) == 1)
    provider.send(*EVENTS[2:])
    desk.rows(closed=1)
    caller = desk.dial()
    caller.send(ask(PATH, body=REQUEST))
    provider.request()
    provider.send(*EVENTS)
    assert caller.reply().status == 200


@pytest.mark.parametrize("by", ["setting", "key"])
@pytest.mark.parametrize("seen", range(4))
def test_a_cut_stream_is_estimated_and_the_provider_let_go(
    open_desk: Callable[..., RunningDesk], providers: Providers, by: str, seen: int
) -> None:
    desk = open_desk(on_hangup="cut" if by == "setting" else "drain")
    caller, provider = begun(desk, providers, seen, key=CUT_KEY if by == "key" else KEY)
    caller.hang_up()
    provider.assert_ended()
    close = desk.closed_row()
    assert (close.outcome, close.usage_state) == (Outcome.CLIENT_CLOSED, UsageState.ESTIMATED)
    assert close.input_tokens is not None
    assert close.input_tokens > 0
    assert close.status_code == (200 if seen else None)


def test_draining_ends_after_its_seconds(desk: RunningDesk, providers: Providers) -> None:
    caller, provider = begun(desk, providers, 3)
    caller.hang_up()
    eventually(lambda: detached(desk) == 1)
    desk.later(119)
    provider.send(TEXT)
    assert detached(desk) == 1
    desk.later(2)
    provider.assert_ended()
    close = desk.closed_row()
    assert (close.outcome, close.usage_state) == (Outcome.CLIENT_CLOSED, UsageState.ESTIMATED)
    assert desk.call(lambda: desk.desk.books.counters.drain_cut) == 1


def test_draining_ends_after_its_bytes(open_desk: Callable[..., RunningDesk], providers: Providers) -> None:
    desk = open_desk(drain_max_bytes=1000)
    caller, provider = begun(desk, providers, 3)
    caller.hang_up()
    eventually(lambda: detached(desk) == 1)
    provider.send(TEXT * 20)
    provider.assert_ended()
    assert desk.closed_row().usage_state is UsageState.ESTIMATED


def test_no_more_streams_are_drained_at_a_time_than_the_setting(
    open_desk: Callable[..., RunningDesk], providers: Providers
) -> None:
    desk = open_desk(drain_max_streams=1)
    first, first_provider = begun(desk, providers, 2)
    second, second_provider = begun(desk, providers, 2)
    first.hang_up()
    eventually(lambda: detached(desk) == 1)
    second.hang_up()
    second_provider.assert_ended()
    first_provider.send(*EVENTS[2:])
    states = {row.close.usage_state for row in desk.rows(closed=2) if row.close}
    assert states == {UsageState.ESTIMATED, UsageState.DRAINED}


def test_a_provider_that_breaks_off_while_drained_leaves_an_estimate(desk: RunningDesk, providers: Providers) -> None:
    caller, provider = begun(desk, providers, 3)
    caller.hang_up()
    eventually(lambda: detached(desk) == 1)
    provider.reset()
    close = desk.closed_row()
    assert (close.outcome, close.usage_state) == (Outcome.CLIENT_CLOSED, UsageState.ESTIMATED)
    assert detached(desk) == 0


def test_draining_ends_with_the_gateways_grace(desk: RunningDesk, providers: Providers) -> None:
    caller, provider = begun(desk, providers, 3)
    caller.hang_up()
    eventually(lambda: detached(desk) == 1)
    desk.begin(desk.desk.drain(0)).result(5)
    provider.assert_ended()
    assert desk.closed_row().usage_state is UsageState.ESTIMATED


def test_a_caller_that_leaves_in_the_middle_of_its_request_is_cut(desk: RunningDesk, providers: Providers) -> None:
    caller = desk.dial()
    caller.send(ask(PATH, "Content-Length: 100", method="POST") + b"half")
    provider = providers.accept()
    provider.head()
    provider.expect(b"half")
    caller.hang_up()
    provider.assert_ended()
    close = desk.closed_row()
    assert (close.outcome, close.status_code, close.usage_state) == (Outcome.CLIENT_CLOSED, None, UsageState.NONE)


def test_a_caller_that_leaves_while_its_body_is_held_reaches_nobody(desk: RunningDesk, providers: Providers) -> None:
    caller = desk.dial()
    caller.send(ask("/v1/chat/completions", "Content-Length: 100", method="POST") + b'{"stream"')
    eventually(lambda: len(desk.rows(closed=0)) == 1)
    caller.hang_up()
    close = desk.closed_row()
    assert (close.outcome, close.usage_state) == (Outcome.CLIENT_CLOSED, UsageState.NONE)
    providers.assert_nobody_called()


def test_a_caller_that_leaves_in_a_head_leaves_no_row(desk: RunningDesk) -> None:
    caller = desk.dial()
    caller.send(b"POST /v1/messages HTTP/1.1\r\nX: ")
    eventually(lambda: desk.call(lambda: len(desk.desk.callers)) == 1)
    caller.hang_up()
    eventually(lambda: desk.call(lambda: len(desk.desk.callers)) == 0)
    assert desk.rows(closed=0) == []


def test_a_caller_that_leaves_after_its_reply_changes_nothing(desk: RunningDesk, providers: Providers) -> None:
    caller, provider = begun(desk, providers, 4)
    provider.send(EVENTS[4])
    caller.expect(EVENTS[4])
    caller.reset()
    eventually(lambda: desk.call(lambda: len(desk.desk.callers)) == 0)
    close = desk.closed_row()
    assert (close.outcome, close.usage_state) == (Outcome.COMPLETED, UsageState.FINAL)


def test_a_caller_that_leaves_while_its_provider_is_being_connected_is_recorded(
    open_desk: Callable[..., RunningDesk], unanswering: str
) -> None:
    desk = open_desk(providers={"anthropic": {"base_url": unanswering}})
    caller = desk.dial()
    caller.send(ask(PATH, body=REQUEST))
    eventually(lambda: len(desk.rows(closed=0)) == 1)
    caller.hang_up()
    close = desk.closed_row()
    assert (close.outcome, close.usage_state) == (Outcome.CLIENT_CLOSED, UsageState.NONE)
