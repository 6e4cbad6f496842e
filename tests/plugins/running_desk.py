"""A real front desk, all but its process: journal, prices, key ring and pool, on an event loop of its own thread."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import uvloop
from wire import PATIENCE, Peer, Providers

from majordomo.admit.keys import Key, KeyRing
from majordomo.admit.sessions import SessionOwners
from majordomo.budget.estimate import Estimator
from majordomo.budget.gate import Gate, OwnTreasury
from majordomo.clock import steady, wall_us
from majordomo.forward.books import Books
from majordomo.forward.caller import Caller
from majordomo.forward.connect import tls_context
from majordomo.forward.desk import Desk, DeskSettings, gateway_planner
from majordomo.forward.pool import Pool
from majordomo.price.pricer import Pricer
from majordomo.record.frames import Close, Opening
from majordomo.record.framing import OPENING
from majordomo.record.journal import Journal
from majordomo.record.tail import Tail
from majordomo.settings import Settings

KEY = "mdm_sk_" + "A" * 43
REVOKED_KEY = "mdm_sk_" + "R" * 43
CUT_KEY = "mdm_sk_" + "C" * 43
UNKNOWN_KEY = "mdm_sk_" + "U" * 43

_KEYS = {
    KEY: Key(b"\x01" * 16, None, active=True),
    REVOKED_KEY: Key(b"\x02" * 16, None, active=False),
    CUT_KEY: Key(b"\x03" * 16, None, active=True, on_hangup="cut"),
}


class Row(NamedTuple):
    """What the journal says of one request."""

    opening: Opening
    close: Close | None


class RunningDesk:
    """Serves on ``port`` until ``stop``."""

    def __init__(self, folder: Path, pricer: Pricer, upstream: Providers, /, **settings: Any) -> None:
        urls = {name: {"base_url": upstream.url} for name in ("openai", "anthropic", "gemini")}
        for name, own in settings.get("providers", {}).items():
            urls.setdefault(name, {"base_url": upstream.url}).update(own)
        settings["providers"] = urls
        everything = Settings(data_dir=folder, **settings).model_dump(mode="json")
        self.settings = DeskSettings.read(everything)
        self.folder = folder
        self.back_office_socket = folder / "bo.sock"
        self.errors: list[dict[str, Any]] = []
        self.ring = KeyRing()
        self.ring.replace_all({sha256(secret.encode()).hexdigest(): key for secret, key in _KEYS.items()})
        self.ring.fresh = True
        self.lookups: list[str] = []
        self.sessions = SessionOwners()
        self.journal = Journal.create(folder / "journal", segment_bytes=1 << 20, now_us=wall_us())
        self._pricer = pricer
        self.gate = Gate(Estimator(pricer), OwnTreasury())
        self._ahead = 0.0
        self._started = threading.Event()
        self._stop: asyncio.Event
        self.desk: Desk
        self.port = 0
        self._dialled: list[Peer] = []
        self._thread = threading.Thread(target=self._run, name="desk", daemon=True)
        self._thread.start()
        assert self._started.wait(PATIENCE)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.get_loop().set_exception_handler(lambda loop, context: self.errors.append(context))
            runner.run(self._serve())

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        settings = self.settings
        self.pool = Pool(
            tls_context(settings.upstream_ca_file),
            keep=settings.upstream_idle_connections,
            keep_seconds=settings.upstream_keepalive,
            connect_timeout=settings.upstream_connect_timeout,
        )
        desk = self.desk = Desk(
            settings,
            planner=gateway_planner(settings, self.back_office_socket),
            ring=self.ring,
            lookup=self.lookup,
            sessions=self.sessions,
            books=Books(self.journal, self._pricer, settings.max_reading_bytes),
            pool=self.pool,
            gate=self.gate,
        )
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        self.port = listening.getsockname()[1]
        server = await self.loop.create_server(lambda: Caller(desk), sock=listening, backlog=512)
        self._started.set()
        await self._stop.wait()
        server.close()

    async def lookup(self, key_hash: str) -> Key | None:
        """What the key store says of a key that is not in the ring: nothing. Tests replace it."""
        self.lookups.append(key_hash)
        return None

    # -- what a test does with it -------------------------------------------------------------------------------------

    def dial(self, *, receive_buffer: int | None = None) -> Peer:
        """A caller's connection."""
        connection = socket.socket()
        if receive_buffer is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.settimeout(PATIENCE)
        connection.connect(("127.0.0.1", self.port))
        peer = Peer(connection)
        self._dialled.append(peer)
        return peer

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Run a function in the desk's loop and wait for what it returns."""

        async def run() -> Any:
            return function(*args)

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(PATIENCE)

    def begin(self, coroutine: Any) -> Any:
        """Start a coroutine in the desk's loop; the future of its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def later(self, seconds: float) -> None:
        """Turn the hands of the desk's clock, and let it look at what has waited too long."""
        self._ahead += seconds
        self.call(lambda: self.desk.sweep(steady() + self._ahead))

    def rows(self, closed: int) -> list[Row]:
        """All rows so far in the order of their openings, once so many are closed; more than that fails."""
        deadline = time.monotonic() + PATIENCE
        while True:
            rows = self.call(self._read_journal)
            done = sum(row.close is not None for row in rows)
            if done >= closed:
                assert done == closed, f"{done} rows are closed, expected {closed}"
                return rows
            assert time.monotonic() < deadline, f"{done} of {closed} rows closed: {rows}"
            time.sleep(0.005)

    def row(self) -> Row:
        """The only row, closed."""
        (row,) = self.rows(closed=1)
        return row

    def closed_row(self) -> Close:
        """The close of the only row."""
        close = self.row().close
        assert close is not None
        return close

    def rows_so_far(self) -> list[Row]:
        """All rows, closed or not."""
        rows: list[Row] = self.call(self._read_journal)
        return rows

    def _read_journal(self) -> list[Row]:
        damage: list[object] = []
        tail = Tail(self.journal.folder, 0, 0, damage.append)
        openings: dict[bytes, Opening] = {}
        closes: dict[bytes, Close] = {}
        while found := tail.read(ended=False):
            for frame in found:
                if frame.kind == OPENING:
                    opening = msgspec.msgpack.decode(frame.payload, type=Opening)
                    assert opening.id not in openings, "two openings of one request"
                    openings[opening.id] = opening
                else:
                    close = msgspec.msgpack.decode(frame.payload, type=Close)
                    assert close.id in openings, "a close without an opening"
                    assert close.id not in closes, "two closes of one request"
                    closes[close.id] = close
        tail.close()
        assert not damage
        return [Row(opening, closes.get(key)) for key, opening in openings.items()]

    def assert_well(self) -> None:
        """It still serves, nothing failed on the quiet, and no caller is left behind whose exchange is over."""
        if not self.call(lambda: self.desk.stopping):
            caller = self.dial()
            caller.send(b"GET /health HTTP/1.1\r\nHost: desk\r\nConnection: close\r\n\r\n")
            assert caller.reply().status == 200
        assert self.errors == []
        assert self.call(lambda: self.desk.books.counters.meter_failures) == 0

    def stop(self) -> None:
        """Stop, and see that every opening has its close."""
        for peer in self._dialled:
            peer.hang_up()
        self.begin(self.desk.drain(0)).result(PATIENCE)
        unclosed = [row.opening for row in self.call(self._read_journal) if row.close is None]
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE)
        self.journal.close()
        assert not self._thread.is_alive()
        assert self.errors == []
        assert unclosed == []


def ask(
    target: str,
    *lines: str,
    body: bytes | None = None,
    method: str | None = None,
    key: str | None = KEY,
    version: str = "1.1",
) -> bytes:
    """A request as a plain client would send it: a GET, or a POST where there is a body, with the gateway key."""
    head = [f"{method or ('GET' if body is None else 'POST')} {target} HTTP/{version}", "Host: gateway"]
    if key is not None:
        head.append(f"X-Majordomo-Key: {key}")
    head += lines
    if body is not None:
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*head, "", ""]).encode("latin-1") + (body or b"")


def ok(body: bytes = b"{}", *lines: str) -> bytes:
    """A provider's plain reply."""
    head = ["HTTP/1.1 200 OK", "Content-Type: application/json", *lines, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(head).encode() + body
