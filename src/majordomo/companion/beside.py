"""The proxy beside a child that runs already: serve it until it ends, then close the books and say what it was."""

import asyncio
import signal
import socket
import sys

import uvloop

from majordomo import logs
from majordomo.companion.child import Child, Signals
from majordomo.companion.closing_line import closing_line
from majordomo.companion.gateway import Gateway, GatewayRefusedError
from majordomo.companion.order import Order
from majordomo.companion.proxy import Proxy
from majordomo.companion.road import GatewayRoad
from majordomo.forward.road import Road


def run_beside(
    order: Order,
    listening: socket.socket,
    child: Child,
    signals: Signals,
    *,
    gateway: Gateway | None,
    registered: bool,
    direct_url: str,
    through_gateway: bool,
) -> int:
    """Serve the child until it ends; its exit code.

    Raises:
        GatewayRefusedError: the gateway did not take the key, and the child was stopped for it.
    """
    logs.set_up("critical")  # the terminal is the child's
    beside = _Beside(order, child, gateway, registered=registered)
    return uvloop.run(beside.run(listening, signals, direct_url=direct_url, through_gateway=through_gateway))


class _Beside:
    def __init__(self, order: Order, child: Child, gateway: Gateway | None, *, registered: bool) -> None:
        self._order = order
        self._child = child
        self._gateway = gateway
        self._registered = registered
        self._refused: GatewayRefusedError | None = None

    async def run(self, listening: socket.socket, signals: Signals, *, direct_url: str, through_gateway: bool) -> int:
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()

        def look() -> None:
            self._child.look()
            if self._child.exit_code is not None:
                ended.set()

        # Not the loop's own way: it keeps SIGCHLD for processes that it starts itself, and would not hear of a stop.
        signal.signal(signal.SIGCHLD, lambda sign, frame: loop.call_soon_threadsafe(look))
        for sign in signals.passed_on:
            loop.add_signal_handler(sign, signals.pass_on, sign)
        look()  # it may have ended before the handler was there
        road = self._road()
        proxy = Proxy(
            self._order,
            listening,
            direct_url=direct_url,
            through_gateway=through_gateway,
            road=road if road is not None else Road(),
        )
        await proxy.open()
        keeping = loop.create_task(road.keep()) if road is not None else None
        await ended.wait()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        await proxy.close()
        if keeping is not None:
            keeping.cancel()
        if road is not None:
            await road.end_session()
        if self._refused is not None:
            raise self._refused
        line = closing_line(self._order, proxy.tally, proxy.journal_folder, proxy.unrecorded)
        sys.stderr.write(line + "\n")
        assert self._child.exit_code is not None
        return self._child.exit_code

    def _road(self) -> GatewayRoad | None:
        if self._gateway is None:
            return None
        return GatewayRoad(self._order, self._gateway, registered=self._registered, refused=self._stop_child)

    def _stop_child(self, refused: GatewayRefusedError) -> None:
        self._refused = refused
        self._child.send(signal.SIGTERM)
