"""A slow caller slows its provider down, a slow provider its caller; neither fills memory, neither hangs for ever."""

from collections.abc import Callable

import pytest
from running_desk import RunningDesk, ask, ok
from wire import Peer, Providers, eventually

from majordomo.record.frames import Outcome

PATH = "/v1/messages"
#: More than all kernel buffers on the way take, with narrow ones on the test's side.
LONG = 64 * 1024 * 1024
#: What the desk may hold of one reply: its write buffer's high-water mark and a read or two (bytes).
BOUND = 2 * 1024 * 1024


@pytest.fixture
def providers() -> object:
    """A provider with a narrow receive buffer, so that it is slow at once when it does not read."""
    answering = Providers(receive_buffer=16 * 1024)
    yield answering
    answering.close()


def buffered_for_callers(desk: RunningDesk) -> int:
    return int(desk.call(lambda: sum(c._transport.get_write_buffer_size() for c in desk.desk.callers)))


def test_a_caller_that_does_not_read_stops_the_reading_of_its_provider(desk: RunningDesk, providers: Providers) -> None:
    caller = desk.dial(receive_buffer=16 * 1024)
    caller.send(ask(PATH, body=b"{}"))
    provider = providers.accept()
    provider.request()
    provider.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LONG)
    sent = provider.send_what_fits(b"x" * LONG)
    assert sent < LONG
    assert 0 < buffered_for_callers(desk) < BOUND
    caller.head()
    caller.read(sent)
    rest = LONG - sent
    while rest:
        piece = min(rest, 1 << 20)
        provider.send(b"x" * piece)
        caller.read(piece)
        rest -= piece
    assert desk.closed_row().outcome is Outcome.COMPLETED


def test_a_caller_that_reads_nothing_is_cut_after_the_stall_time_out(
    open_desk: Callable[..., RunningDesk], providers: Providers
) -> None:
    desk = open_desk(on_hangup="cut")
    caller = desk.dial(receive_buffer=16 * 1024)
    caller.send(ask(PATH, body=b"{}"))
    provider = providers.accept()
    provider.request()
    provider.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LONG)
    provider.send_what_fits(b"x" * LONG)
    desk.later(299)
    assert desk.rows(closed=0)
    desk.later(2)
    assert desk.closed_row().outcome is Outcome.CLIENT_CLOSED
    eventually(lambda: desk.call(lambda: len(desk.desk.callers)) == 0)


def test_a_stalled_caller_does_not_count_as_a_silent_provider(desk: RunningDesk, providers: Providers) -> None:
    caller = desk.dial(receive_buffer=16 * 1024)
    caller.send(ask(PATH, body=b"{}"))
    provider = providers.accept()
    provider.request()
    provider.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LONG)
    sent = provider.send_what_fits(b"x" * LONG)
    for _ in range(4):  # it reads a little every now and then, for 1,000 s in all
        desk.later(250)
        caller.read(4 << 20)
        sent += provider.send_what_fits(b"x" * (LONG - sent))
    assert desk.rows(closed=0)


@pytest.mark.parametrize("size", [100_000, 400_000, 1_000_000])
def test_a_connection_whose_reply_ended_while_the_caller_was_slow_serves_the_next_request(
    desk: RunningDesk, providers: Providers, size: int
) -> None:
    """The provider's connection must not rest with its reading held back."""
    slow = desk.dial(receive_buffer=16 * 1024)
    slow.send(ask(PATH, body=b"{}"))
    provider = providers.accept()
    provider.request()
    provider.send(ok(b"x" * size))
    eventually(lambda: desk.call(lambda: desk.pool.resting) == 1 or buffered_for_callers(desk) > 0)
    if not desk.call(lambda: desk.pool.resting):
        assert len(slow.reply().body) == size
        eventually(lambda: desk.call(lambda: desk.pool.resting) == 1)
    other = desk.dial()
    other.send(ask(PATH, body=b"{}"))
    provider.request()
    provider.send(ok(b"[2]"))
    assert other.reply().body == b"[2]"


def test_a_caller_that_reads_no_answers_gets_no_further_ones(desk: RunningDesk, providers: Providers) -> None:
    """Replies to requests sent ahead must not pile up."""
    caller = desk.dial(receive_buffer=16 * 1024)
    provider: Peer | None = None
    caller.send(ask(PATH, body=b"{}") * 60)
    for _ in range(60):
        if provider is None:
            provider = providers.accept()
            provider.request()
        elif not provider_has_request(provider):
            break
        provider.send(ok(b"x" * 300_000))
        desk.call(lambda: None)
    assert buffered_for_callers(desk) < BOUND
    assert provider is not None
    for _ in range(60):  # and once it reads, it gets them all
        assert len(caller.reply().body) == 300_000
        if provider_has_request(provider):
            provider.send(ok(b"x" * 300_000))
        if len(desk.rows_so_far()) == 60 and all(row.close for row in desk.rows_so_far()):
            break


def provider_has_request(provider: Peer) -> bool:
    """Take the next request, if one comes without the caller reading anything."""
    provider._socket.settimeout(0.3)
    try:
        provider.request()
    except TimeoutError:
        return False
    finally:
        provider._socket.settimeout(5)
    return True


def test_a_caller_that_reads_no_refusals_is_not_read_on(open_desk: Callable[..., RunningDesk]) -> None:
    desk = open_desk(max_pipelined=10_000)
    caller = desk.dial(receive_buffer=4 * 1024)
    one = ask(PATH, key=None)
    sent = caller.send_what_fits(one * 600_000)
    assert sent < len(one) * 600_000
    assert buffered_for_callers(desk) < BOUND


def test_a_provider_that_does_not_read_holds_the_caller(desk: RunningDesk, providers: Providers) -> None:
    caller = desk.dial()
    caller.send(ask(PATH, f"Content-Length: {LONG}", method="POST"))
    provider = providers.accept()
    provider.head()
    sent = caller.send_what_fits(b"x" * LONG)
    assert sent < LONG
    for _ in range(64):
        provider.read(1 << 20)
        sent += caller.send_what_fits(b"x" * min(LONG - sent, 1 << 20)) if sent < LONG else 0
        if sent == LONG:
            break
    provider.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert caller.reply().status == 200


def test_a_provider_that_never_reads_a_long_body_is_504(desk: RunningDesk, caller: Peer, providers: Providers) -> None:
    caller.send(ask(PATH, f"Content-Length: {LONG}", method="POST"))
    provider = providers.accept()
    provider.head()
    assert caller.send_what_fits(b"x" * LONG) < LONG
    desk.later(599)
    assert desk.rows(closed=0)
    desk.later(2)
    assert caller.reply().status == 504
    assert desk.closed_row().error_type == "provider_timeout"


@pytest.mark.parametrize("end", ["kept alive", "closing", "cut"])
def test_a_caller_that_never_takes_the_end_of_its_reply_is_let_go(
    desk: RunningDesk, providers: Providers, end: str
) -> None:
    caller = desk.dial(receive_buffer=4 * 1024)
    provider: Peer | None = None
    served = 0
    while not buffered_for_callers(desk):
        caller.send(ask(PATH, body=b"{}"))
        provider = provider or providers.accept()
        provider.request()
        provider.send(ok(b"x" * 50_000))
        served += 1
        desk.rows(closed=served)
    assert provider is not None
    if end != "kept alive":
        caller.send(ask(PATH, "Connection: close", body=b"{}"))
        provider.request()
        if end == "cut":
            provider.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
            desk.call(lambda: None)
            provider.hang_up()
        else:
            provider.send(ok())
        desk.rows(closed=served + 1)
    assert buffered_for_callers(desk) > 0
    for _ in range(5):
        desk.later(301)
    eventually(lambda: desk.call(lambda: len(desk.desk.callers)) == 0)


def test_a_connection_whose_provider_answered_without_reading_is_not_used_again(
    desk: RunningDesk, caller: Peer, providers: Providers
) -> None:
    """What is left of the body would stand before the next request, and count against its time."""

    def unsent() -> int:
        return sum(c._exchange._upstream.transport.get_write_buffer_size() for c in desk.desk.callers if c._exchange)

    caller.send(ask(PATH, "Transfer-Encoding: chunked", method="POST") + b"1\r\nx\r\n")
    provider = providers.accept()
    provider.head()
    while not desk.call(unsent):
        caller.send(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
        desk.call(lambda: None)
    caller.send(b"0\r\n\r\n")
    eventually(lambda: desk.call(lambda: all(c._exchange.request.complete for c in desk.desk.callers)))
    provider.send(ok())
    assert caller.reply().status == 200
    provider.rest()
    assert desk.call(lambda: desk.pool.resting) == 0
