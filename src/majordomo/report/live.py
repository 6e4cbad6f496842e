"""New requests, told as they come to whoever looks on.

One connection listens for the writers' notices, of every machine, for as long as somebody looks on. The notices of a
short while are answered with one query for each way of looking (organisation and filters), however many look that way.
Nothing piles up: a watcher holds a bounded number of events and bytes, and of what it did not take there is a count.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID

import msgspec

from majordomo.logs import logger
from majordomo.record.database import Connection
from majordomo.record.news import CHANNEL, MOST_IDS, Notice, read_notice
from majordomo.report.connections import DATABASE_AWAY, Connections
from majordomo.report.errors import ApiError
from majordomo.report.questions import latest
from majordomo.report.questions.filters import Filter

#: New requests of so long (s) are told together: a person does not see the difference, and the database does.
GATHER_SECONDS: Final = 0.2
#: What a watcher holds at most that it has not taken; what is older gives way.
MOST_EVENTS: Final = 200
MOST_BYTES: Final = 1 << 20
#: Watchers of one back office, and of one person: each holds a connection of a front desk.
MOST_WATCHERS: Final = 500
MOST_OF_ONE: Final = 20
#: How long the listening connection outlives the last watcher (s): pages are loaded again.
_LINGER_SECONDS: Final = 10.0
#: How long somebody waits until the database is listened to.
_START_SECONDS: Final = 5.0
_RETRY_SECONDS: Final = 1.0

_log = logger("live")


class CrowdedError(Exception):
    """Too many look on already. The message says whose."""


class Event(msgspec.Struct, frozen=True):
    """One request as it is sent: its id, and the whole event."""

    request_id: UUID
    text: bytes


class View(msgspec.Struct, frozen=True):
    """A way of looking: whose requests, and which of them."""

    org_id: UUID
    filters: tuple[Filter, ...] = ()


class Watcher:
    """One who looks on: holds what it was told until it takes it."""

    def __init__(self, view: View, person: UUID) -> None:
        self.view = view
        self.person = person
        self.closed = False
        self.listened = False  # the database has been listened to since it came
        self.missed: int | None = 0  # requests left out since the last taking; None: nobody knows how many
        self._events: deque[Event] = deque()
        self._bytes = 0
        self._news = asyncio.Event()

    def tell(self, events: Sequence[Event], left_out: int | None = 0) -> None:
        """Hold these, and count ``left_out`` more (None: unknown); the oldest give way."""
        self._miss(left_out)
        for event in events:
            self._events.append(event)
            self._bytes += len(event.text)
        while len(self._events) > MOST_EVENTS or (self._bytes > MOST_BYTES and len(self._events) > 1):
            self._bytes -= len(self._events.popleft().text)
            self._miss(1)
        if self._events or self.missed != 0:
            self._news.set()

    def close(self) -> None:
        """Nothing more comes."""
        self.closed = True
        self._news.set()

    async def take(self, seconds: float) -> tuple[list[Event], int | None]:
        """What came, within ``seconds``, and how many requests were left out before it (None: unknown)."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        if not self.closed:
            self._news.clear()
        events, missed = list(self._events), self.missed
        self._events.clear()
        self._bytes, self.missed = 0, 0
        return events, missed

    def _miss(self, requests: int | None) -> None:
        self.missed = None if self.missed is None or requests is None else self.missed + requests


class _Pending:
    """What was noticed of an organisation and not yet told."""

    def __init__(self) -> None:
        self.requests = 0
        self.ids: deque[UUID] = deque(maxlen=MOST_IDS)

    def add(self, notice: Notice) -> None:
        self.requests += notice.requests
        self.ids.extend(notice.ids)


class Live:
    """Everybody who looks on through this back office. ``write`` makes an event's text of a request."""

    def __init__(self, connections: Connections, write: Callable[[latest.NamedLine], bytes]) -> None:
        self._connections = connections
        self._write = write
        self._watchers: set[Watcher] = set()
        self._pending: dict[UUID, _Pending] = {}
        self._noticed = asyncio.Event()  # wakes the teller
        self._listening = asyncio.Event()
        self._teller: asyncio.Task[None] | None = None
        self._closed = False

    async def watch(self, view: View, person: UUID) -> Watcher:
        """Look on from now: every request that is stored after this returns is told.

        Raises:
            CrowdedError: too many do already.
            ApiError: 503, the database is away.
        """
        if len(self._watchers) >= MOST_WATCHERS:
            raise CrowdedError("too many people look on already; try again in a moment")
        if sum(one.person == person for one in self._watchers) >= MOST_OF_ONE:
            raise CrowdedError(f"{MOST_OF_ONE} of your pages look on already; close some")
        watcher = Watcher(view, person)
        if self._closed:
            watcher.close()
            return watcher
        self._watchers.add(watcher)
        if self._teller is None:
            self._teller = asyncio.create_task(self._keep_telling())
        try:
            async with asyncio.timeout(_START_SECONDS):
                await self._listening.wait()
        except BaseException as wrong:
            self.leave(watcher)
            if isinstance(wrong, TimeoutError):
                raise DATABASE_AWAY from None
            raise
        return watcher

    def leave(self, watcher: Watcher) -> None:
        """It looks on no longer."""
        self._watchers.discard(watcher)
        if not self._watchers:
            self._noticed.set()

    def close(self) -> None:
        """The gateway stops: every watcher's stream ends."""
        self._closed = True
        for watcher in self._watchers:
            watcher.close()
        self._listening.set()
        if self._teller is not None:
            self._teller.cancel()

    async def _keep_telling(self) -> None:
        """Listen while somebody looks on, whatever the database does meanwhile."""
        while self._watchers:
            try:
                async with self._connections.own("live") as connection:
                    await self._tell_while_connected(connection)
            except ApiError as away:
                _log.info("live requests interrupted", reason=away.code, cause=repr(away.__context__))
            except Exception:
                _log.exception("telling of new requests failed")
            self._listening.clear()
            if self._watchers:
                await asyncio.sleep(_RETRY_SECONDS)
        self._teller = None

    async def _tell_while_connected(self, connection: Connection) -> None:
        connection.add_termination_listener(lambda _: self._noticed.set())
        await connection.add_listener(CHANNEL, self._hear)
        for watcher in self._watchers:
            if watcher.listened:
                watcher.tell([], None)  # the connection was lost meanwhile
            watcher.listened = True
        self._listening.set()
        while self._watchers or await self._somebody_comes_back():
            await self._noticed.wait()
            await asyncio.sleep(GATHER_SECONDS)
            self._noticed.clear()
            if connection.is_closed():
                raise ConnectionError("the listening connection was lost")
            pending, self._pending = self._pending, {}
            for view in {watcher.view for watcher in self._watchers}:
                news = pending.get(view.org_id)
                if news is not None:
                    await self._tell(connection, view, news)

    async def _somebody_comes_back(self) -> bool:
        await asyncio.sleep(_LINGER_SECONDS)
        return bool(self._watchers)

    async def _tell(self, connection: Connection, view: View, news: _Pending) -> None:
        lines = await latest.named(connection, view.org_id, view.filters, list(news.ids))
        events = [Event(line.request.id, self._write(line)) for line in lines]
        left_out = news.requests - len(news.ids)
        for watcher in self._watchers:
            if watcher.view == view:
                watcher.tell(events, left_out if not view.filters or not left_out else None)

    def _hear(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        notice = read_notice(str(payload))
        if notice is not None and any(watcher.view.org_id == notice.org_id for watcher in self._watchers):
            self._pending.setdefault(notice.org_id, _Pending()).add(notice)
            self._noticed.set()
