"""One front desk: everything its connections share, and the clock that ends what waits too long."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import msgspec

from majordomo import __version__
from majordomo.admit.keys import Key, KeyRing
from majordomo.admit.metadata import MetadataLimits
from majordomo.admit.proxy_keys import ProxyKeys
from majordomo.admit.sessions import SessionOwners
from majordomo.apis import Family
from majordomo.budget.estimate import Estimator
from majordomo.budget.gate import Gate, OwnTreasury
from majordomo.clock import steady
from majordomo.forward.books import Books
from majordomo.forward.plan import PlanMemo, Planner, Plans
from majordomo.forward.pool import Pool
from majordomo.forward.providers import Origin, Provider, build_providers
from majordomo.forward.road import Road
from majordomo.forward.routes import Routes
from majordomo.forward.tick import Tick

if TYPE_CHECKING:
    from majordomo.forward.caller import Caller
    from majordomo.forward.ending import Ending

#: How often time-outs are looked at (s). All of them are seconds to minutes long, so a coarse clock will do, and no
#: request pays for a timer of its own.
SWEEP_SECONDS = 1.0


class DeskSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings that a front desk needs, under their names in ``Settings``; bytes and seconds."""

    upstream_connect_timeout: float
    upstream_header_timeout: float
    upstream_idle_timeout: float
    upstream_keepalive: float
    upstream_idle_connections: int
    max_header_bytes: int
    max_headers: int
    max_body_bytes: int
    header_timeout: float
    body_timeout: float
    keepalive_timeout: float
    caller_stall_timeout: float
    max_connections: int
    max_pipelined: int
    max_metadata_keys: int
    max_metadata_key_bytes: int
    max_metadata_value_bytes: int
    inject_stream_usage: bool
    on_hangup: Literal["drain", "cut"]
    drain_max_seconds: float
    drain_max_bytes: int
    drain_max_streams: int
    max_reading_bytes: int
    journal_segment_bytes: int
    journal_sync_ms: int
    on_journal_full: Literal["refuse", "serve"]
    shutdown_grace: float
    budget_refusal: Literal["402", "429", "reply"] = "402"
    upstream_ca_file: Path | None = None
    price_overlay: Path | None = None
    providers: dict[str, dict[str, Any]] = {}

    @classmethod
    def read(cls, told: Mapping[str, object]) -> Self:
        """From all settings, as JSON brought them."""
        return msgspec.convert(told, cls, strict=False, dec_hook=lambda kind, value: kind(value))  # a path is a text

    @property
    def metadata_limits(self) -> MetadataLimits:
        """What may be recorded of one request's metadata."""
        return MetadataLimits(self.max_metadata_keys, self.max_metadata_key_bytes, self.max_metadata_value_bytes)


def gateway_planner(settings: DeskSettings, back_office_socket: Path, proxy_keys: ProxyKeys | None = None) -> Planner:
    """The plans of a gateway: requests go to the providers, its own pages to the back office.

    Raises:
        ValueError: a provider's base URL is unusable.
    """
    routes = Routes(build_providers(settings.providers))
    origin = Origin("back-office", 80, socket=str(back_office_socket))
    back_office = Provider("back office", Family.OPENAI, origin, b"back-office")
    return Planner(
        routes,
        back_office,
        settings.metadata_limits,
        inject_stream_usage=settings.inject_stream_usage,
        proxy_keys=proxy_keys,
    )


class Desk:
    """Shared state of one worker. Connections read its attributes; nothing here is asked twice per request."""

    def __init__(
        self,
        settings: DeskSettings,
        *,
        planner: Plans,
        ring: KeyRing,
        lookup: Callable[[str], Awaitable[Key | None]],
        books: Books,
        pool: Pool,
        sessions: SessionOwners | None = None,
        gate: Gate | None = None,
        road: Road | None = None,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.ring = ring
        self.lookup = lookup
        self.sessions = sessions if sessions is not None else SessionOwners()
        self.books = books
        self.pool = pool
        self.road = road if road is not None else Road()
        self.planner = planner
        self.gate = gate if gate is not None else Gate(Estimator(books.pricer), OwnTreasury())
        self.memo = PlanMemo()
        self.together = Tick(self.loop, books)
        self.callers: set[Caller] = set()
        self.detached: set[Ending] = set()  # their callers have gone, their replies are read on
        self.tick = steady()  # the coarse clock, moved by the sweep
        self.stopping = False  # no new requests
        self.stopped = False  # nothing goes on
        self.upstream_header_timeout = settings.upstream_header_timeout
        self.upstream_idle_timeout = settings.upstream_idle_timeout
        self.max_header_bytes = settings.max_header_bytes
        self.max_headers = settings.max_headers
        self.max_body_bytes = settings.max_body_bytes
        self.header_timeout = settings.header_timeout
        self.body_timeout = settings.body_timeout
        self.keepalive_timeout = settings.keepalive_timeout
        self.caller_stall_timeout = settings.caller_stall_timeout
        self.max_connections = settings.max_connections
        self.max_pipelined = settings.max_pipelined
        self.on_hangup = settings.on_hangup
        self.drain_max_seconds = settings.drain_max_seconds
        self.drain_max_bytes = settings.drain_max_bytes
        self.drain_max_streams = settings.drain_max_streams
        self.budget_refusal = settings.budget_refusal
        self.refuse_when_full = settings.on_journal_full == "refuse"

    def health(self) -> bytes:
        """The body of ``/health``: this process serves, whatever else may be away."""
        status = "stopping" if self.stopping else "ok"
        return msgspec.json.encode({"status": status, "version": __version__})

    async def keep_time(self) -> None:
        """Move the coarse clock and end what has waited too long, for as long as the desk is open."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self.sweep(steady())

    def sweep(self, now: float) -> None:
        """One look at everything that waits; ``now`` on the steady clock (s)."""
        self.tick = now
        for caller in list(self.callers):
            caller.check(now)
        for exchange in list(self.detached):
            exchange.check(now)
        self.pool.close_aged(now)
        self.books.settle()

    async def drain(self, grace: float) -> None:
        """Take no new requests, let running ones finish for ``grace`` seconds, then cut what is left."""
        self.stopping = True
        deadline = steady() + grace
        while True:
            for caller in list(self.callers):
                caller.stop_when_idle()
            if steady() >= deadline or not (self.detached or any(caller.busy for caller in self.callers)):
                break
            await asyncio.sleep(0.05)
        self.stopped = True
        for caller in list(self.callers):
            caller.stop()
        for exchange in list(self.detached):
            exchange.stop()
        self.pool.close()
        await asyncio.sleep(0)  # let the last writes go out
