"""Keeps the key ring equal to the ``api_keys`` table: loaded whole, then followed by LISTEN.

While the database is away the ring serves what it holds; a copy on disk lets a front desk that restarts meanwhile
serve the same keys. The copy holds hashes and ids, no secret.
"""

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import asyncpg
import msgspec

from majordomo.admit.keys import Key, KeyRing
from majordomo.admit.metadata import own_metadata
from majordomo.admit.proxy_key_feed import ProxyKeyFeed
from majordomo.admit.session_feed import SessionFeed
from majordomo.admit.sessions import SessionOwners
from majordomo.clock import steady
from majordomo.logs import logger

CHANNEL = "majordomo_keys"

_PROXY_KEYS_CHANGED = "proxy keys"
_SESSIONS_WANTED = "sessions"  # among the ids of keys that changed: there are sessions to be looked up

_ALL = "SELECT id, org_id, key_hash, is_active, on_hangup, metadata FROM api_keys"
_BY_ID = f"{_ALL} WHERE id = $1"
_BY_HASH = f"{_ALL} WHERE key_hash = $1"

_RETRY_SECONDS = (0.1, 0.2, 0.5, 1.0)  # a revocation must bite within a second of the database's return
_QUERY_TIMEOUT = 3.0  # seconds; a caller with an unknown key waits at most this long for its 401 or 503
_PROBE_SECONDS = 5.0  # a dead peer that never closed its socket is noticed after this long
_MISSES_KEPT = 4096  # unknown keys remembered, so that a flood of them is not a flood of queries
_MISS_SECONDS = 2.0  # how long an unknown key stays unknown; a new key announces itself earlier

_log = logger("keys")


class _SavedKey(msgspec.Struct, array_like=True):
    key_hash: str
    id: bytes
    org_id: bytes | None
    active: bool
    on_hangup: Literal["drain", "cut"] | None
    metadata: dict[str, str] = {}


class KeyFeed:
    """Follows the table from its own task; ``lookup`` asks about one key the ring does not hold.

    ``sessions``, on the same connection, learn whose Claude Code sessions are; ``proxy_keys`` follow their tables.
    """

    def __init__(
        self,
        ring: KeyRing,
        dsn: str,
        copy: Path,
        sessions: SessionOwners | None = None,
        proxy_keys: ProxyKeyFeed | None = None,
    ) -> None:
        self._ring = ring
        self._proxy_keys = proxy_keys
        self._sessions = SessionFeed(sessions if sessions is not None else SessionOwners())
        self._sessions.owners.answered_by(lambda: self._changed.put_nowait(_SESSIONS_WANTED))
        self._dsn = dsn
        self._copy = copy
        self._connection: asyncpg.Connection[Any] | None = None
        self._busy = asyncio.Lock()  # one query at a time on one connection
        self._changed: asyncio.Queue[str] = asyncio.Queue()
        self._misses: dict[str, float] = {}
        #: Set once the ring follows the table, or the database was found to be away.
        self.looked = asyncio.Event()

    async def run(self) -> None:
        """Follow the table until cancelled; never raises for what the database does."""
        self._restore()
        attempt = 0
        while True:
            try:
                await self._follow()
            except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError):
                attempt = -1  # the tables of a first start are being made this moment
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as lost:
                self.looked.set()
                if attempt == 0:
                    _log.warning("key store away, serving the keys that are known", reason=type(lost).__name__)
            except Exception:
                # Anything else is a fault of ours or of the driver's; a feed that ended would keep revoked keys valid.
                _log.exception("following the key store failed")
            attempt = 0 if self._ring.fresh else attempt + 1
            self._ring.fresh = False
            self._connection = None
            await asyncio.sleep(_RETRY_SECONDS[min(attempt, len(_RETRY_SECONDS) - 1)])

    async def lookup(self, key_hash: str) -> Key | None:
        """Ask the database about a key that the ring does not hold; None if there is no such key.

        Raises:
            ConnectionError: the database cannot be asked.
        """
        missed = self._misses.get(key_hash)
        if missed is not None and steady() - missed < _MISS_SECONDS:
            return None
        connection = self._connection
        if connection is None:
            raise ConnectionError("key store away")
        try:
            async with asyncio.timeout(_QUERY_TIMEOUT), self._busy:
                row = await connection.fetchrow(_BY_HASH, key_hash)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as lost:
            raise ConnectionError("key store away") from lost
        if row is None:
            if len(self._misses) >= _MISSES_KEPT:
                self._misses.clear()
            self._misses[key_hash] = steady()
            return None
        self._ring.put(key_hash, _key(row))
        return self._ring.get(key_hash)

    async def _follow(self) -> None:
        connection = await asyncpg.connect(
            self._dsn,
            timeout=_QUERY_TIMEOUT,
            command_timeout=_QUERY_TIMEOUT,
            server_settings={"application_name": "majordomo front desk"},
        )
        self._changed = asyncio.Queue()  # what was announced to an earlier connection is in the rows below
        try:
            await connection.add_listener(CHANNEL, self._heard)
            connection.add_termination_listener(self._broke)
            rows = await connection.fetch(_ALL)
            self._ring.replace_all({row["key_hash"]: _key(row) for row in rows})
            self._misses.clear()
            if self._proxy_keys is not None:
                await self._proxy_keys.follow(connection, lambda: self._changed.put_nowait(_PROXY_KEYS_CHANGED))
            self._connection = connection
            self._ring.fresh = True
            self.looked.set()
            _log.info("following the key store", keys=len(rows))
            self._save()
            async with self._busy:
                await self._sessions.follow(connection)
                await self._sessions.look_up(connection)  # what was wanted while the database was away
            while True:
                await self._take_one_change(connection)
        finally:
            with suppress(Exception):
                connection.terminate()

    async def _take_one_change(self, connection: "asyncpg.Connection[Any]") -> None:
        key_id = None
        with suppress(TimeoutError):
            # Not wait_for: it can lose a cancellation that comes together with a change, and stopping would hang.
            async with asyncio.timeout(_PROBE_SECONDS):
                key_id = await self._changed.get()
        if connection.is_closed():
            raise ConnectionResetError
        if key_id is None:
            async with self._busy:
                await connection.execute("SELECT 1")
                if self._proxy_keys is not None and not self._proxy_keys.loaded:
                    await self._proxy_keys.load(connection)
            return
        if key_id == _PROXY_KEYS_CHANGED and self._proxy_keys is not None:
            async with self._busy:
                await self._proxy_keys.load(connection)
            return
        if key_id == _SESSIONS_WANTED:
            async with self._busy:
                await self._sessions.look_up(connection)
            return
        try:
            wanted = UUID(key_id)
        except ValueError:
            return  # not one of our notices
        async with self._busy:
            row = await connection.fetchrow(_BY_ID, wanted)
        if row is None:
            self._ring.drop(wanted.bytes)
        else:
            self._ring.put(row["key_hash"], _key(row))
        self._misses.clear()
        if self._changed.empty():
            self._save()

    def _heard(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        self._changed.put_nowait(str(payload))

    def _broke(self, _connection: object) -> None:
        self._changed.put_nowait("")  # whoever waits for a change looks at once, not at the next probe

    def _save(self) -> None:
        saved = [
            _SavedKey(h, key.id, key.org_id, key.active, key.on_hangup, dict(key.metadata))
            for h, key in self._ring.items()
        ]
        partial = self._copy.with_name(f"{self._copy.name}.{os.getpid()}")
        try:
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                os.write(descriptor, msgspec.msgpack.encode(saved))
            finally:
                os.close(descriptor)
            partial.replace(self._copy)
        except OSError as failed:
            _log.warning("could not keep a copy of the key ring", reason=failed.strerror)

    def _restore(self) -> None:
        try:
            saved = msgspec.msgpack.decode(self._copy.read_bytes(), type=list[_SavedKey])
        except (OSError, msgspec.DecodeError):
            return
        self._ring.replace_all({s.key_hash: Key(s.id, s.org_id, s.active, s.on_hangup, s.metadata) for s in saved})


def _key(row: Any) -> Key:
    org_id: UUID | None = row["org_id"]
    on_hangup = row["on_hangup"]
    return Key(
        id=row["id"].bytes,
        org_id=org_id.bytes if org_id is not None else None,
        active=row["is_active"],
        on_hangup=on_hangup if on_hangup in ("drain", "cut") else None,
        metadata=own_metadata(row["metadata"]),
    )
