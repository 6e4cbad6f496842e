"""Moves every journal into PostgreSQL: rows, rollups, registry, totals and the journals' positions in one transaction.

So a replay changes nothing, and whatever fails is tried again from the position that the database itself remembers.
Journals are read no further than what is about to be stored: while PostgreSQL is away, the disk holds what waits.
"""

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import asyncpg

from majordomo.clock import WallClock, steady, wall_us
from majordomo.logs import logger
from majordomo.record.database import Connection, DatabaseError, connect
from majordomo.record.dead_letter import DeadLetters
from majordomo.record.drain import Drain, Mark, Moved, Unreadable
from majordomo.record.registry import Registry
from majordomo.record.rows import Finished
from majordomo.record.segments import journal_folders
from majordomo.record.stats import WriterStats
from majordomo.record.store import Store, Stored
from majordomo.record.tail import Damage
from majordomo.record.tally import Tally

log = logger("writer")

BATCH_ROWS = 2000  # beyond this a larger batch saves nothing more, and holds its locks longer
POLL_SECONDS = 0.1  # a finished request is to be seen by SQL within a second
FIRST_RETRY_SECONDS = 0.1
LAST_RETRY_SECONDS = 5.0
COMMAND_TIMEOUT = 60.0  # seconds until a server that does not answer counts as gone
LAG_LOOK_SECONDS = 1.0
#: Journals are deleted once they are committed, so a commit must mean that the rows survive a crash of the server.
_DURABLE = """
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'
"""
#: A finished journal is remembered for as long as its folder might come back from a backup, and be counted again.
_FORGET_FINISHED = "DELETE FROM journal_positions WHERE finished_at < now() - interval '90 days'"
CHANNEL = "majordomo_metadata_keys"


@dataclass(slots=True)
class Batch:
    """What one transaction moves."""

    rows: list[Finished] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    marks: dict[Drain, Mark] = field(default_factory=dict)
    read: bool = False  # some journal had something new, if only openings


class Writer:
    """The one that drains ``journal_dir``. Two at once do no harm: the slower finds a position moved, and reloads."""

    def __init__(
        self,
        dsn: str,
        journal_dir: Path,
        dead_letter_dir: Path,
        *,
        clock: WallClock = wall_us,
        poll_seconds: float = POLL_SECONDS,
        tally: Tally | None = None,
    ) -> None:
        self.stats = WriterStats()
        self._dsn = dsn
        self._journal_dir = journal_dir
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._dead_letters = DeadLetters(dead_letter_dir)
        self._registry = Registry()
        self._tally = tally
        self._store = Store(self._registry, self._dead_letters, clock, tally)
        self._connection: Connection | None = None
        self._drains: dict[UUID, Drain] = {}
        self._prepared: Batch | None = None  # read while the one before it was stored
        self._turn = 0  # which journal is read first
        self._looked_at = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Move whatever comes, until ``stop`` is set and nothing is left, or the database does not answer then."""
        retry = FIRST_RETRY_SECONDS
        try:
            while True:
                try:
                    moved = await self.round()
                except Exception as wrong:
                    self._note_failure(wrong)
                    if stop.is_set():
                        return
                    await _wait(stop, retry)
                    retry = min(retry * 2, LAST_RETRY_SECONDS)
                    continue
                retry = FIRST_RETRY_SECONDS
                if not moved:
                    if stop.is_set():
                        return
                    await _wait(stop, self._poll_seconds)
        finally:
            await self.close()

    async def drain(self) -> None:
        """Move everything there is now.

        Raises:
            DatabaseError, asyncpg.PostgresError, OSError: it could not be moved; nothing was lost.
        """
        while await self.round():
            pass

    async def round(self) -> bool:
        """Move one batch; False if there was nothing to move."""
        try:
            if self._connection is None or self._connection.is_closed():
                await self._connect()
            assert self._connection is not None
            if self._registry.stale:
                await self._registry.refresh(self._connection)
            await self._discover(self._connection)
            moved = await self._move_batch(self._connection)
        except Moved:
            log.warning("another writer is draining the same journals; make sure that only one is meant to run")
            self._forget()
            moved = True
        except BaseException:
            await self._disconnect()
            raise
        finally:
            self._look_at_lag()
        self.stats.last_error = None
        return moved

    async def close(self) -> None:
        """Let the connection and all files go."""
        await self._disconnect()

    async def _move_batch(self, connection: Connection) -> bool:
        batch, self._prepared = self._prepared, None
        if batch is None:
            batch = await self._gather()
        if not batch.marks:
            return batch.read
        storing = asyncio.create_task(self._store_batch(connection, batch))
        try:
            if len(batch.rows) >= BATCH_ROWS:  # there is more: read it while the server works
                self._prepared = await self._gather()
        finally:
            stored = await storing
        for drain, mark in batch.marks.items():
            drain.committed(mark)
            if drain.finished:
                self._remove(drain)
        await stored.news.tell(connection)
        return True

    async def _gather(self) -> Batch:
        """Read what comes next of all journals, up to about ``BATCH_ROWS`` finished requests."""
        batch = Batch()
        turn = deque(self._drains.values())
        turn.rotate(-self._turn)  # a busy journal must not keep the others waiting
        self._turn = (self._turn + 1) % max(1, len(turn))
        touched = {drain for drain in turn if drain.unmarked}
        while turn and len(batch.rows) < BATCH_ROWS:
            drain = turn.popleft()
            before = len(batch.rows) + len(batch.unreadable)
            if drain.take(batch.rows, batch.unreadable):
                batch.read = True
                turn.append(drain)
            if drain.unmarked or len(batch.rows) + len(batch.unreadable) > before:
                touched.add(drain)
            await asyncio.sleep(0)  # reading is all computing: let the others of this process have their turn
        # In one order for all writers, who lock the positions in it.
        batch.marks = {drain: drain.mark() for drain in sorted(touched, key=lambda drain: drain.journal_id)}
        return batch

    async def _store_batch(self, connection: Connection, batch: Batch) -> Stored:
        stored = Stored()
        async with connection.transaction():
            for drain, mark in batch.marks.items():
                await drain.commit(connection, mark)
            if batch.rows:
                await self._store.put(connection, batch.rows, stored)
            for frame in batch.unreadable:
                self._dead_letters.put(now_us=self._clock(), reason=frame.reason, close=frame.close, frame=frame.frame)
            if self._tally is not None:
                for drain, mark in batch.marks.items():
                    if mark.ending:
                        await self._tally.ended(connection, drain.journal_id)
        stored.refused += len(batch.unreadable)
        self.stats.add(stored)
        return stored

    async def _discover(self, connection: Connection) -> None:
        """Begin with journals that are new, and let those go whose folders are."""
        found = dict(journal_folders(self._journal_dir))
        for journal_id in self._drains.keys() - found.keys():
            log.warning("a journal disappeared before it was drained", journal=str(journal_id))
            self._drains.pop(journal_id).close()
        for journal_id in sorted(found.keys() - self._drains.keys()):
            drain = self._drains[journal_id] = Drain(journal_id, found[journal_id], self._note_damage)
            await drain.load(connection)
            if drain.finished:
                self._remove(drain)
        self.stats.journals = len(self._drains)

    def _remove(self, drain: Drain) -> None:
        del self._drains[drain.journal_id]
        drain.remove()

    async def _connect(self) -> None:
        self._connection = await connect(self._dsn, purpose="writer", command_timeout=COMMAND_TIMEOUT)
        await self._connection.execute(_DURABLE)
        await self._connection.execute(_FORGET_FINISHED)
        await self._connection.add_listener(CHANNEL, self._metadata_keys_changed)
        self._registry.forget()
        self.stats.connected = True

    def _metadata_keys_changed(self, *_: object) -> None:
        self._registry.stale = True

    async def _disconnect(self) -> None:
        """Whatever was under way may or may not have been committed: the database will say."""
        connection, self._connection = self._connection, None
        self.stats.connected = False
        self._forget()
        if connection is not None and not connection.is_closed():
            with contextlib.suppress(Exception):
                await connection.close(timeout=1)
            if not connection.is_closed():
                connection.terminate()

    def _forget(self) -> None:
        for drain in self._drains.values():
            drain.close()
        self._drains.clear()
        self._prepared = None
        self._registry.forget()

    def _note_failure(self, wrong: Exception) -> None:
        self.stats.failures += 1
        first_of_its_kind = self.stats.last_error is None
        self.stats.last_error = f"{type(wrong).__name__}: {wrong}"
        if isinstance(wrong, DatabaseError | asyncpg.PostgresError | asyncpg.InterfaceError | OSError):
            if first_of_its_kind:
                log.warning("rows are waiting in the journal", reason=self.stats.last_error)
        else:
            log.error("the writer failed, and tries again", exc_info=wrong)

    def _note_damage(self, damage: Damage) -> None:
        self.stats.damages += 1
        self.stats.damaged_bytes += damage.length
        log.error(
            "journal damaged; reading on behind it",
            reason=damage.reason,
            segment=damage.segment,
            offset=damage.offset,
            length=damage.length,
        )

    def _look_at_lag(self) -> None:
        now = steady()
        if now - self._looked_at < LAG_LOOK_SECONDS:
            return
        self._looked_at = now
        known = {folder: drain for drain in self._drains.values() if (folder := drain.folder)}
        lag = 0
        newest = 0
        for _, folder in journal_folders(self._journal_dir):
            drain = known.get(folder)
            lag += drain.lag() if drain else sum(path.stat().st_size for path in folder.glob("*.journal"))
            newest = max(newest, drain.newest_us if drain else 0)
        self.stats.lag_bytes = lag
        self.stats.lag_seconds = max(0.0, (self._clock() - newest) / 1e6) if lag and newest else 0.0


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    """Until ``stop`` is set, at most ``seconds``."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):  # not wait_for, which can lose a cancellation
            await stop.wait()
