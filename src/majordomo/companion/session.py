"""One session from the moment the proxy takes requests to the line that is said at its end."""

import asyncio
import socket
from collections.abc import Callable

from majordomo.companion.books import Tally
from majordomo.companion.catch_up import CaughtUp, catch_up
from majordomo.companion.closing_line import closing_line
from majordomo.companion.gateway import GatewayRefusedError
from majordomo.companion.order import Order
from majordomo.companion.proxy import Proxy
from majordomo.companion.road import GatewayRoad
from majordomo.companion.upstreams import Upstreams
from majordomo.forward.road import Road


class Session:
    """A running proxy, and the session of its requests at the gateway."""

    def __init__(
        self,
        order: Order,
        listening: socket.socket,
        upstreams: Upstreams,
        refused: Callable[[GatewayRefusedError], None],
    ) -> None:
        """To be called in a running event loop. ``refused``: the gateway does not take the key, as turns out later."""
        self._order = order
        self._gateway = upstreams.gateway
        self._road: GatewayRoad | None = None
        if upstreams.gateway is not None:
            self._road = GatewayRoad(order, upstreams.gateway, registered=upstreams.registered, refused=refused)
        self._proxy = Proxy(order, listening, upstreams, self._road or Road())
        self._keeping: asyncio.Task[None] | None = None

    def caps_status(self) -> str | None:
        """How the tightest limit stands, in a few words."""
        return self._proxy.caps.status(notional=self._proxy.tally.flat_rate)

    @property
    def tally(self) -> Tally:
        """What was used so far."""
        return self._proxy.tally

    async def open(self) -> None:
        """Take requests; those that came meanwhile wait in the socket."""
        await self._proxy.open()
        if self._road is not None:
            self._keeping = asyncio.get_running_loop().create_task(self._road.keep())

    async def close(self) -> str:
        """Let running requests finish for a moment, close the books, deliver, end the session; what is to be said."""
        await self._proxy.close()
        if self._keeping is not None:
            self._keeping.cancel()
        proxy = self._proxy
        caught_up = CaughtUp()
        if self._road is not None and self._gateway is not None:
            caught_up = await asyncio.to_thread(
                catch_up, self._order, self._gateway, proxy.journal_folder, gateway_serves=self._road.serves
            )
            if not caught_up.away:
                await self._road.end_session()
        line = closing_line(self._order, proxy.tally, caught_up, proxy.unrecorded)
        return "; ".join([line, *proxy.caps.closing_words()])
