"""``exec``: one command behind a proxy of its own.

The order of things is the point. The port is opened first and the child started at once, within 300 ms of being called;
what the proxy needs is imported and the prices read while the child boots. Its first requests wait in the socket.
"""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from majordomo.companion.child import Child, Signals, not_found
from majordomo.companion.claude_child import API_KEY, ClaudeChild
from majordomo.companion.errors import CompanionError
from majordomo.companion.gateway import Gateway, GatewayAway
from majordomo.companion.gateway_url import is_loopback
from majordomo.companion.listening import listen, url_of
from majordomo.companion.order import Order
from majordomo.companion.watcher import Watcher

#: How long a gateway may take (s) to register the session before the child is started all the same, and the session
#: registered meanwhile. A near one answers within a few ms, and a refused key is told before the child is there.
_EARLY_SECONDS = 0.1


def execute(order: Order, command: Sequence[str]) -> int:
    """Run the command behind the proxy; its exit code.

    Raises:
        CompanionError: it was not started. Nothing is left behind.
    """
    if shutil.which(command[0]) is None:
        raise not_found(command[0])
    claude = ClaudeChild(command, os.environ, Path.home(), Path.cwd())
    cloud = claude.cloud
    if cloud is not None and not cloud.speaks_messages:
        _stand_aside(command, cloud.name, claude)
    direct_url = claude.upstream(order.gateway)
    listening = listen(order.port)
    gateway = Gateway(order.gateway, order.api_key) if order.gateway is not None else None
    registered = register_early(order, gateway)
    through_gateway = gateway is not None and cloud is None
    watcher = Watcher(gateway, order.session_id, (listening.fileno(),))
    try:
        variables = claude.variables(url_of(listening), None if through_gateway else direct_url)
        child = Child(claude.command(variables), claude.environment(variables))
        signals = Signals(child)
        from majordomo.companion.beside import run_beside

        return run_beside(
            order,
            listening,
            child,
            signals,
            gateway=gateway,
            registered=registered,
            direct_url=direct_url,
            through_gateway=through_gateway,
        )
    finally:
        watcher.dismiss()


def register_early(order: Order, gateway: Gateway | None) -> bool:
    """Register the session if the gateway is near; False if it has not answered, or there is none.

    Raises:
        GatewayRefusedError: the key is not good.
        CompanionError: the gateway is away, and nothing may be done without it.
    """
    if gateway is None:
        return False
    parts = urlsplit(gateway.url)
    if parts.scheme == "https" and not order.fail_closed:
        return False  # a handshake takes longer than the child may wait
    seconds = _EARLY_SECONDS if is_loopback(parts.hostname or "") or not order.fail_closed else 2.0
    try:
        return gateway.register(order.session_id, order.session_name, seconds)
    except GatewayAway as away:
        if order.fail_closed:
            raise CompanionError(f"{away}; start it, or leave --fail-closed out") from None
        return False


def _stand_aside(command: Sequence[str], cloud: str, claude: ClaudeChild) -> None:
    """Become the command: its requests are signed for somebody else, and a proxy would spoil them."""
    sys.stderr.write(
        f"majordomo-companion: Claude Code is set to use {cloud}, whose requests cannot be metered on their way; "
        "the companion stands aside, nothing is recorded\n"
    )
    sys.stderr.flush()
    environment = claude.environment({})
    environment.pop(API_KEY, None)
    os.execvpe(command[0], list(command), environment)  # noqa: S606 - the user's own command, no shell
