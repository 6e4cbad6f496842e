"""The proxy beside a child that runs already: serve it until it ends, then close the books and say what it was."""

import asyncio
import signal
import socket

import uvloop

from majordomo import logs
from majordomo.companion.child import Child, Signals
from majordomo.companion.drift import DriftCheck
from majordomo.companion.errors import tell
from majordomo.companion.gateway import GatewayRefusedError
from majordomo.companion.order import Order
from majordomo.companion.result_pipe import ResultPipe
from majordomo.companion.session import Session
from majordomo.companion.title import Title
from majordomo.companion.upstreams import Upstreams

_STANDARD_ERROR = 2


def run_beside(
    order: Order,
    listening: socket.socket,
    upstreams: Upstreams,
    child: Child,
    signals: Signals,
    pipe: ResultPipe | None,
    drift: DriftCheck | None,
) -> int:
    """Serve the child until it ends; its exit code. ``drift``: where the child is Claude Code, with its own account.
    ``pipe``: what its standard output goes through.

    Raises:
        GatewayRefusedError: the gateway did not take the key, and the child was stopped for it.
    """
    logs.set_up("critical")  # the terminal is the child's
    return uvloop.run(_serve(order, listening, upstreams, child, signals, pipe, drift))


async def _serve(
    order: Order,
    listening: socket.socket,
    upstreams: Upstreams,
    child: Child,
    signals: Signals,
    pipe: ResultPipe | None,
    drift: DriftCheck | None,
) -> int:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    refusals: list[GatewayRefusedError] = []

    def look() -> None:
        child.look()
        if child.exit_code is not None:
            ended.set()

    def stop_child(refused: GatewayRefusedError) -> None:
        refusals.append(refused)
        child.send(signal.SIGTERM)

    # Not the loop's own way: it keeps SIGCHLD for processes that it starts itself, and would not hear of a stop.
    signal.signal(signal.SIGCHLD, lambda sign, frame: loop.call_soon_threadsafe(look))
    for sign in signals.passed_on:
        loop.add_signal_handler(sign, signals.pass_on, sign)
    look()  # it may have ended before the handler was there
    session = Session(order, listening, upstreams, stop_child)
    await session.open()
    title = Title(_STANDARD_ERROR)
    showing = loop.create_task(title.keep(session.caps_status))
    await ended.wait()
    if pipe is not None:
        await asyncio.to_thread(pipe.finish)
    showing.cancel()
    title.restore()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    line = await session.close()
    if refusals:
        raise refusals[0]
    tell(line)
    differs = drift.line(session.tally.bookings, session.tally.client_version) if drift is not None else None
    if differs is not None:
        tell(differs)
    assert child.exit_code is not None
    return child.exit_code
