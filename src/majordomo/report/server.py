"""Serves the application on the unix socket that the front desks pass pages and API calls to."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from majordomo.price.pricer import Pricer
from majordomo.report.connections import Connections
from majordomo.report.installation import Installation
from majordomo.report.intake import Intake
from majordomo.report.vitals import Sources

if TYPE_CHECKING:
    import uvicorn

    from majordomo.report.live import Live

_BACKLOG = 256
_GRACE_SECONDS = 2  # for answers under way when it stops


class Server:
    """uvicorn under our rules: the socket is private, signals are somebody else's, and a restart begins anew."""

    def __init__(
        self,
        sources: Sources,
        connections: Connections,
        pricer: Pricer,
        intake: Intake,
        path: Path,
        providers: Collection[str],
        installation: Installation,
    ) -> None:
        self._parts = (sources, connections, pricer, intake, providers, installation)
        self._connections = connections
        self._path = path
        self._running: uvicorn.Server | None = None
        self._live: Live | None = None
        self._stopping = False
        self.serving = asyncio.Event()

    async def run(self) -> None:
        """Serve until ``stop``.

        Raises:
            OSError: the socket cannot be made.
        """
        # Imported here: the writer begins its work before half a second of imports.
        made = await asyncio.to_thread(_make, *self._parts)
        server, self._live = made
        if self._stopping:
            return
        self._running = server
        listening = listen(self._path)
        self.serving.set()  # callers may connect, and are answered once it runs
        try:
            await server.serve([listening])
        finally:
            listening.close()
            self._path.unlink(missing_ok=True)
            await self._connections.close()

    def stop(self) -> None:
        """Finish the answers under way and return from ``run``."""
        self._stopping = True
        if self._live is not None:
            self._live.close()
        if self._running is not None:
            self._running.should_exit = True


def listen(path: Path) -> socket.socket:
    """A listening unix socket at ``path``, mode 0600; a stale one is replaced.

    Raises:
        OSError: the directory is missing or not ours.
    """
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        old = os.umask(0o177)
        try:
            listening.bind(str(path))
        finally:
            os.umask(old)
        listening.listen(_BACKLOG)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


def _make(
    sources: Sources,
    connections: Connections,
    pricer: Pricer,
    intake: Intake,
    providers: Collection[str],
    installation: Installation,
) -> "tuple[uvicorn.Server, Live]":
    import uvicorn

    from majordomo.report.app import make_app
    from majordomo.report.live import Live
    from majordomo.report.usage.live import event_text

    live = Live(connections, event_text)

    class Quiet(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield  # SIGTERM means: first drain the journals

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            assert sockets
            await self.lifespan.startup()
            loop = asyncio.get_running_loop()

            def protocol() -> asyncio.Protocol:
                made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
                    config=self.config, server_state=self.server_state, app_state=self.lifespan.state
                )
                return made

            self.servers = [await loop.create_unix_server(protocol, sock=sockets[0])]
            self.started = True

    server = Quiet(
        uvicorn.Config(
            make_app(sources, connections, pricer, intake, live, providers, installation),
            loop="none",
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",  # its lines would say less than ours, and tell of callers
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
    )
    return server, live
