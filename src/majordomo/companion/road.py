"""The way to the gateway: closed when it cannot be reached, and opened again by itself once it serves."""

import asyncio
from collections.abc import Callable

from majordomo.clock import steady
from majordomo.companion.gateway import Gateway, GatewayAway, GatewayRefusedError
from majordomo.companion.order import Order
from majordomo.forward.road import Road

#: Between two looks at a gateway that is away, doubled from the first to the last (s). The looks cost no request
#: anything: requests go straight to the provider meanwhile.
FIRST_LOOK, LAST_LOOK = 0.5, 15.0


class GatewayRoad(Road):
    """Looks after the session's registration as well: it can be made only while the gateway is there."""

    __slots__ = ("_gateway", "_order", "_refused", "_wake", "registered")

    def __init__(
        self, order: Order, gateway: Gateway, *, registered: bool, refused: Callable[[GatewayRefusedError], None]
    ) -> None:
        """``refused`` is called, in the event loop, when the gateway does not take the key."""
        super().__init__()
        self._order = order
        self._gateway = gateway
        self._refused = refused
        self._wake = asyncio.Event()
        self.registered = registered
        if not registered:
            self._wake.set()

    def fail(self, reason: str) -> None:
        """Take the detour until the gateway serves again. With ``--fail-closed`` each request tries for itself."""
        if not self._order.fail_closed:
            self.closed = True
            self._wake.set()

    @property
    def serves(self) -> bool:
        """Whether the gateway was there when it was last asked."""
        return self.registered and not self.closed

    async def keep(self) -> None:
        """Look after a closed road and a session that is not registered yet, for as long as the proxy runs."""
        wait, opened = FIRST_LOOK, steady()
        while True:
            await self._wake.wait()
            if steady() - opened > LAST_LOOK:
                wait = FIRST_LOOK  # else it says that it serves, and does not: it is looked at less and less often
            if self.closed:
                await asyncio.sleep(wait)
            while not await self._serves():
                wait = min(wait * 2, LAST_LOOK)
                await asyncio.sleep(wait)
            self._wake.clear()
            opened = steady()
            wait = min(wait * 2, LAST_LOOK)

    async def _serves(self) -> bool:
        try:
            await asyncio.to_thread(self._gateway.require)
            self.closed = False
            if not self.registered:
                order = self._order
                self.registered = await asyncio.to_thread(self._gateway.register, order.session_id, order.session_name)
        except GatewayAway:
            return False
        except GatewayRefusedError as refused:
            self._refused(refused)  # it is there: requests will have its own words for it
        return True

    async def end_session(self) -> None:
        """Tell the gateway that the session is over; one that is away will see that it is idle."""
        if self.registered:
            try:
                await asyncio.to_thread(self._gateway.end, self._order.session_id)
            except GatewayAway:
                return
