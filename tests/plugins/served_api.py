"""The back office's application as it is, behind a port of loopback, over a real database and real signs of nothing."""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import uvicorn

from majordomo.admit.metadata import MetadataLimits
from majordomo.price.pricer import Pricer
from majordomo.record.database import Connection, connect
from majordomo.record.stats import WriterStats
from majordomo.report.app import make_app
from majordomo.report.connections import Connections
from majordomo.report.intake import Intake
from majordomo.report.signs import Signs


@cache
def packaged_prices() -> Pricer:
    """The prices that came with the package."""
    return Pricer.load(None, None)


def application(dsn: str, folder: Path) -> tuple[Any, Connections]:
    """The application over a database, and its connections."""
    stats, prices = WriterStats(), packaged_prices()
    signs = Signs(dsn, folder, folder, folder, stats=stats, pricer=prices, refresh_seconds=None)
    connections = Connections(dsn)
    intake = Intake(prices, MetadataLimits(64, 255, 8192), stats)
    return make_app(signs, connections, prices, intake), connections


class ServedApi:
    """Where the application listens, and its database."""

    def __init__(self, app: Any, dsn: str, url: str) -> None:
        self.app = app
        self.dsn = dsn
        self.url = url

    def database(self, part: Callable[[Connection], Awaitable[Any]]) -> Any:
        """Something done to the database directly."""

        async def run() -> Any:
            connection = await connect(self.dsn, purpose="tests")
            try:
                return await part(connection)
            finally:
                await connection.close()

        return asyncio.run(run())


@contextmanager
def served(dsn: str, folder: Path) -> Iterator[ServedApi]:
    """The application until the end of the block, in a thread with an event loop of its own."""
    app, connections = application(dsn, folder)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        # asyncio does it only where the protocol is named; without it each reply waits 40 ms for an acknowledgement.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", access_log=False, lifespan="off", ws="none"))

        async def run() -> None:
            await server.serve([listening])
            await connections.close()

        thread = threading.Thread(target=lambda: asyncio.run(run()), name="served api")
        thread.start()
        try:
            yield ServedApi(app, dsn, f"http://127.0.0.1:{listening.getsockname()[1]}")
        finally:
            server.should_exit = True
            thread.join()
