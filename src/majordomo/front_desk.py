"""The front-desk process: one event loop that takes requests, forwards them and keeps their books.

Started by the supervisor with an order on standard input; see ``majordomo.launch``.
"""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
from pathlib import Path
from uuid import UUID

import msgspec
import uvloop

from majordomo import logs
from majordomo.admit.key_feed import KeyFeed
from majordomo.admit.keys import KeyRing
from majordomo.admit.proxy_key_feed import ProxyKeyFeed
from majordomo.admit.proxy_keys import ProxyKeys
from majordomo.admit.sessions import SessionOwners
from majordomo.admit.vault import Vault
from majordomo.budget.estimate import Estimator
from majordomo.budget.gate import Gate
from majordomo.budget.keeper import Keeper
from majordomo.clock import wall_us
from majordomo.forward.books import Books
from majordomo.forward.caller import Caller
from majordomo.forward.connect import tls_context
from majordomo.forward.desk import Desk, DeskSettings, gateway_planner
from majordomo.forward.pool import Pool
from majordomo.launch import Launch, become_child, read_launch, report_ready
from majordomo.places import Places
from majordomo.price.pricer import Pricer
from majordomo.record.journal import Journal
from majordomo.supervision import cancel_until_ended

#: Connections that the kernel may hold before we accept them.
_BACKLOG = 2048

#: How long (s) a desk waits at its start for its keys and budgets. It takes some 30 ms where the tables are there and
#: the database answers; where that is away, the desk serves at once with what it knows.
_CATCH_UP_SECONDS = 3.0

#: How often the catalogue on disk is looked at (s); a look is one stat.
_PRICE_LOOK_SECONDS = 5.0

#: How often the counters are published for the metrics page (s).
_PUBLISH_SECONDS = 1.0
#: So long keys wait for the budgets that govern them; then requests go on without.
_BUDGETS_FIRST_SECONDS = 5.0

#: So long (s) the parts have for their end: less than the supervisor waits on top of ``shutdown_grace``.
_END_SECONDS = 3.0

#: Requests leave next to no cycles behind, so the collector may look seldom.
_GC_THRESHOLDS = (10_000, 20, 50)

_log = logs.logger("front desk")


class Status(msgspec.Struct, kw_only=True):
    """What a front desk publishes of itself: a flat file of numbers that the back office reads for ``/metrics``."""

    pid: int
    worker: int
    at: int  # microseconds since the Unix epoch
    callers: int
    running: int  # callers whose request is under way
    detached: int
    keys: int
    keys_fresh: bool
    claude_sessions: int  # whose owners are known
    closes_owed: int
    upstream_opened: int
    upstream_reused: int
    upstream_resting: int
    prices: str
    counters: dict[str, int]


class FrontDesk:
    """Builds a desk from an order and runs it until SIGTERM."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._settings = DeskSettings.read(launch.settings)
        self._places = Places(Path(launch.settings["data_dir"]))
        self._ring = KeyRing()
        self._sessions = SessionOwners()
        keys_copy = self._places.run_dir / "keys.copy"
        self._proxy_keys = ProxyKeys(self._ring)
        proxy_keys = ProxyKeyFeed(self._proxy_keys, Vault(self._places.vault_secret))
        self._feed = KeyFeed(self._ring, launch.database_url, keys_copy, self._sessions, proxy_keys)
        self._pricer = Pricer.load(self._places.prices_dir, self._settings.price_overlay)
        self._journal = Journal.create(
            self._places.journal_dir,
            segment_bytes=self._settings.journal_segment_bytes,
            now_us=wall_us(),
            sync_ms=self._settings.journal_sync_ms,
        )
        self._status_file = self._places.run_dir / f"front-desk-{launch.worker}.json"

    async def run(self) -> None:
        """Serve until told to stop, then let running requests finish."""
        settings = self._settings
        context = tls_context(settings.upstream_ca_file)
        pool = Pool(
            context,
            keep=settings.upstream_idle_connections,
            keep_seconds=settings.upstream_keepalive,
            connect_timeout=settings.upstream_connect_timeout,
        )
        holder = UUID(self._journal.folder.name).bytes
        keeper = Keeper(self._launch.database_url, holder, copy=self._places.run_dir / "budgets.copy")
        gate = Gate(Estimator(self._pricer), keeper)
        desk = Desk(
            settings,
            planner=gateway_planner(settings, self._places.back_office_socket, self._proxy_keys),
            ring=self._ring,
            lookup=self._feed.lookup,
            sessions=self._sessions,
            books=Books(self._journal, self._pricer, settings.max_reading_bytes),
            pool=pool,
            gate=gate,
        )
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        tasks = [
            loop.create_task(self._follow_keys(keeper)),
            loop.create_task(keeper.run(gate)),
            loop.create_task(desk.keep_time()),
            loop.create_task(self._look_at_prices()),
            loop.create_task(self._publish(desk)),
        ]
        # What start-up made stays; collecting it again and again would cost more than all requests' garbage.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GC_THRESHOLDS)
        await _caught_up(self._feed.looked, keeper.looked)
        server = await loop.create_server(lambda: Caller(desk), sock=self._listening_socket(), backlog=_BACKLOG)
        report_ready()
        _log.info("serving", host=self._launch.host, port=self._launch.port, worker=self._launch.worker)
        await stop.wait()
        server.close()
        _log.info("stopping", callers=len(desk.callers))
        await desk.drain(settings.shutdown_grace)
        if not await cancel_until_ended(tasks, _END_SECONDS):
            _log.error("some parts go on although they were cancelled")
        self._journal.close()

    def leave(self) -> None:
        """Take back what was published, once no thread can write it any more."""
        self._status_file.unlink(missing_ok=True)

    def _listening_socket(self) -> socket.socket:
        launch = self._launch
        family = socket.AF_INET6 if ":" in launch.host else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.bind((launch.host, launch.port))
        return listening

    async def _follow_keys(self, keeper: Keeper) -> None:
        """Keys are known once budgets are, so that no request passes for want of them; a fault there costs a moment."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_BUDGETS_FIRST_SECONDS):
                await keeper.known.wait()
        await self._feed.run()

    async def _look_at_prices(self) -> None:
        while True:
            await asyncio.sleep(_PRICE_LOOK_SECONDS)
            if self._pricer.reload_if_changed():
                _log.info("prices changed", version=self._pricer.version)

    async def _publish(self, desk: Desk) -> None:
        while True:
            status = Status(
                pid=os.getpid(),
                worker=self._launch.worker,
                at=wall_us(),
                callers=len(desk.callers),
                running=sum(caller.busy for caller in desk.callers),
                detached=len(desk.detached),
                keys=len(self._ring),
                keys_fresh=self._ring.fresh,
                claude_sessions=len(self._sessions),
                closes_owed=self._journal.owed,
                upstream_opened=desk.pool.opened,
                upstream_reused=desk.pool.reused,
                upstream_resting=desk.pool.resting,
                prices=self._pricer.version,
                counters=msgspec.structs.asdict(desk.books.counters)
                | {"budget_refused": desk.gate.refused, "budget_let_through": desk.gate.let_through},
            )
            # In a thread: a file system may take some ms to replace a file, and streams would wait for it.
            await asyncio.to_thread(self._write_status, status)
            await asyncio.sleep(_PUBLISH_SECONDS)

    def _write_status(self, status: Status) -> None:
        partial = self._status_file.with_suffix(".partial")
        with contextlib.suppress(OSError):  # a full disk shows elsewhere; the counters go on
            partial.write_bytes(msgspec.json.encode(status))
            partial.replace(self._status_file)


async def _caught_up(*looks: asyncio.Event) -> None:
    """Wait until nobody would be refused for want of keys, or let through for want of budgets, or it takes too long."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_CATCH_UP_SECONDS):
            for look in looks:
                await look.wait()


def main() -> None:
    """Run one front desk as the supervisor ordered."""
    launch = read_launch()
    become_child(launch.supervisor)
    logs.set_up(launch.settings["log_level"], launch.settings["log_format"])
    try:
        desk = FrontDesk(launch)
        uvloop.run(desk.run())
        desk.leave()
    except OSError as failed:
        _log.error("cannot serve", reason=str(failed))
        sys.exit(1)


if __name__ == "__main__":
    main()
