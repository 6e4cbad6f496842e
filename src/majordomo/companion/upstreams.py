"""Where the requests of one companion go, as it was found out before the proxy runs."""

from typing import NamedTuple
from urllib.parse import urlsplit

from majordomo.companion.claude_child import ClaudeChild
from majordomo.companion.errors import CompanionError
from majordomo.companion.gateway import CONNECT_SECONDS, Gateway, GatewayAway
from majordomo.companion.order import Order

#: How long a gateway may take (s) to register the session before a waiting child is started all the same, and the
#: session registered meanwhile. A near one answers within a few ms; a refused key is then told before the child starts.
_EARLY_SECONDS = 0.1


class Upstreams(NamedTuple):
    """The gateway, if there is one, and where requests go without it."""

    gateway: Gateway | None
    registered: bool  # the gateway knows the session
    direct_url: str
    direct_provider: str  # what it is called in prices and rows
    through_gateway: bool

    @classmethod
    def find(cls, order: Order, claude: ClaudeChild, *, child_waits: bool) -> "Upstreams":
        """Ask the gateway to register the session, if it answers in time.

        Raises:
            GatewayRefusedError: the key is not good.
            CompanionError: the gateway is away, and nothing may be done without it; or an address that is set is none.
        """
        direct_url = claude.upstream(order.gateway)
        direct_provider = claude.cloud.provider if claude.cloud is not None else "anthropic"
        if order.gateway is None:
            return cls(None, False, direct_url, direct_provider, False)
        gateway = Gateway(order.gateway, order.api_key)
        # What goes to a cloud's own endpoint cannot take the gateway's way; it is recorded here and delivered later.
        through_gateway = claude.cloud is None
        registered = _registered(order, gateway, child_waits=child_waits)
        return cls(gateway, registered, direct_url, direct_provider, through_gateway)


def _registered(order: Order, gateway: Gateway, *, child_waits: bool) -> bool:
    seconds = CONNECT_SECONDS
    if child_waits and not order.fail_closed:
        if urlsplit(gateway.url).scheme == "https":
            return False  # a handshake takes longer than the child may wait
        seconds = _EARLY_SECONDS
    try:
        return gateway.register(order.session_id, order.session_name, seconds)
    except GatewayAway as away:
        if order.fail_closed:
            raise CompanionError(f"{away}; start it, or leave --fail-closed out") from None
        return False
