"""The proxy itself: the gateway's front desk, with plans, books and a key of the companion's own."""

import asyncio
import os
import socket
from pathlib import Path

from majordomo.admit.keys import Key, KeyRing
from majordomo.companion.books import LocalBooks, Tally
from majordomo.companion.cap_gate import CapGate
from majordomo.companion.claude_files import state_file
from majordomo.companion.claude_state import ServerPrices
from majordomo.companion.journal import LocalJournal
from majordomo.companion.listening import BACKLOG
from majordomo.companion.order import Order
from majordomo.companion.planner import LOCAL_KEY, CompanionPlanner
from majordomo.companion.upstreams import Upstreams
from majordomo.forward.caller import Caller
from majordomo.forward.connect import tls_context
from majordomo.forward.desk import Desk, DeskSettings
from majordomo.forward.pool import Pool
from majordomo.forward.road import Road
from majordomo.price.pricer import Pricer

#: As the gateway's defaults, but for what a companion must not decide: how long a model may think is for the gateway or
#: the provider to say, and an idle connection is the child's to close.
_SETTINGS = DeskSettings(
    upstream_connect_timeout=10.0,
    upstream_header_timeout=900.0,
    upstream_idle_timeout=900.0,
    upstream_keepalive=55.0,
    upstream_idle_connections=32,
    max_header_bytes=64 * 1024,
    max_headers=200,
    max_body_bytes=64 * 1024 * 1024,
    header_timeout=60.0,
    body_timeout=300.0,
    keepalive_timeout=3600.0,
    caller_stall_timeout=3600.0,
    max_connections=1000,
    max_pipelined=64,
    max_metadata_keys=64,
    max_metadata_key_bytes=255,
    max_metadata_value_bytes=8 * 1024,
    inject_stream_usage=False,
    on_hangup="drain",
    drain_max_seconds=120.0,
    drain_max_bytes=16 * 1024 * 1024,
    drain_max_streams=64,
    max_reading_bytes=64 * 1024 * 1024,
    journal_segment_bytes=4 * 1024 * 1024,
    journal_sync_ms=200,
    on_journal_full="serve",
    shutdown_grace=2.0,
)

#: The one caller: whoever runs under this companion. Its rows get the id of the key that delivers them.
_KEY = Key(bytes(16), None, active=True)


class Proxy:
    """Serves one session on a listening socket."""

    def __init__(self, order: Order, listening: socket.socket, upstreams: Upstreams, road: Road) -> None:
        """To be called in a running event loop."""
        self._listening = listening
        self._journal = LocalJournal(order)
        pricer = Pricer.load(None, None)
        self._books = LocalBooks(self._journal, pricer, _SETTINGS.max_reading_bytes)
        self._books.claude_prices = ServerPrices(state_file(os.environ, Path.home()))
        self.caps = CapGate(order.caps, pricer)
        ring = KeyRing()
        ring.put(LOCAL_KEY, _KEY)
        planner = CompanionPlanner(
            order,
            upstreams=upstreams,
            limits=_SETTINGS.metadata_limits,
            tally=self._books.tally,
        )
        pool = Pool(
            tls_context(None),
            keep=_SETTINGS.upstream_idle_connections,
            keep_seconds=_SETTINGS.upstream_keepalive,
            connect_timeout=_SETTINGS.upstream_connect_timeout,
        )
        self._desk = Desk(
            _SETTINGS,
            planner=planner,
            ring=ring,
            lookup=_nobody,
            books=self._books,
            pool=pool,
            gate=self.caps.gate,
            road=road,
        )
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def tally(self) -> Tally:
        """What was used so far."""
        return self._books.tally

    @property
    def unrecorded(self) -> int:
        """Requests that the local disk did not take."""
        return self._books.counters.unrecorded

    @property
    def journal_folder(self) -> Path | None:
        """Where requests were recorded that the gateway did not see."""
        return self._journal.folder

    async def open(self) -> None:
        """Take requests; those that came meanwhile wait in the socket."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Caller(self._desk), sock=self._listening, backlog=BACKLOG)
        self._tasks += [loop.create_task(self._desk.keep_time()), loop.create_task(self.caps.share())]

    async def close(self) -> None:
        """Let running requests finish for a moment, and close the books."""
        self._server.close()
        await self._desk.drain(_SETTINGS.shutdown_grace)
        for task in self._tasks:
            task.cancel()
        self.caps.close()
        self._journal.close()


async def _nobody(key_hash: str) -> Key | None:
    return None
