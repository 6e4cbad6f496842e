"""The proxy by itself: serve until told to stop."""

import asyncio
import signal
import socket
from collections.abc import Callable

import uvloop

from majordomo import logs
from majordomo.companion.errors import tell
from majordomo.companion.gateway import GatewayRefusedError
from majordomo.companion.order import Order
from majordomo.companion.session import Session
from majordomo.companion.upstreams import Upstreams


def run_alone(order: Order, listening: socket.socket, upstreams: Upstreams, ready: Callable[[], None]) -> str:
    """Serve until SIGTERM, Ctrl-C or a hang-up; what is to be said of the session. ``ready``: requests are taken."""
    logs.set_up("warning")
    return uvloop.run(_serve(order, listening, upstreams, ready))


async def _serve(order: Order, listening: socket.socket, upstreams: Upstreams, ready: Callable[[], None]) -> str:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(sign) is not signal.SIG_IGN:  # nohup
            loop.add_signal_handler(sign, stop.set)
    session = Session(order, listening, upstreams, _tell)
    await session.open()
    ready()
    await stop.wait()
    return await session.close()


def _tell(refused: GatewayRefusedError) -> None:
    """It turns out only now; each request gets the gateway's own words for it."""
    tell(str(refused))
