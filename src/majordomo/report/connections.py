"""Connections to PostgreSQL for whoever asks over HTTP: a small pool, and a plain 503 while the database is away."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus

import asyncpg

from majordomo.record.database import UNREACHABLE, Connection, DatabaseError, Pool, connect, open_pool
from majordomo.record.priority import go_behind
from majordomo.report.errors import ApiError

#: Questions asked at one time; further ones wait. The writer and the front desks have connections of their own.
POOL_SIZE = 8
#: Exports under way at one time: each holds a connection for as long as its caller takes, and others want to ask, too.
MOST_EXPORTS = 3
#: Longest wait for a free connection (s): whoever asks is told sooner than a browser gives up.
WAIT_SECONDS = 10.0
#: A question that runs longer is cut off (ms): pages are made from sums, and no reader waits for half a minute.
QUESTION_TIMEOUT_MS = 30_000

DATABASE_AWAY = ApiError(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "database_unavailable",
    "the database does not answer just now; requests are served and recorded all the same, so ask again in a moment",
)
QUESTION_TOO_LONG = ApiError(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "question_too_long",
    "the database took too long for this; ask about less time, or with fewer filters",
)

EXPORTS_BUSY = ApiError(
    HTTPStatus.TOO_MANY_REQUESTS,
    "exports_busy",
    f"{MOST_EXPORTS} exports are under way, which is as many as there may be at one time; ask again once one has ended",
    headers={"Retry-After": "10"},
)


class Connections:
    """A pool that is opened when first asked for, and again after the database was away."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._pool: Pool | None = None
        self._opening = asyncio.Lock()
        self._exports = 0

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Connection]:
        """A connection for one question.

        Raises:
            ApiError: 503, the database is away, or takes too long.
        """
        with _plain_words():
            pool = await self._opened()
            async with pool.acquire(timeout=WAIT_SECONDS) as connection:
                yield connection  # type: ignore[misc]  # the pool's proxy has every method of a connection

    @asynccontextmanager
    async def own(self, purpose: str) -> AsyncIterator[Connection]:
        """A connection for as long as it is wanted, none of the pool's.

        Raises:
            ApiError: as ``acquire``.
        """
        with _plain_words():
            connection = await connect(self._dsn, purpose=purpose, statement_timeout_ms=QUESTION_TIMEOUT_MS)
            try:
                yield connection
            finally:
                connection.terminate()

    @asynccontextmanager
    async def exporting(self) -> AsyncIterator[Connection]:
        """A connection for an export, which may take long.

        Raises:
            ApiError: 429, there are as many already as there may be; 503, as ``acquire``.
        """
        if self._exports >= MOST_EXPORTS:
            raise EXPORTS_BUSY
        self._exports += 1
        try:
            async with self.acquire() as connection:
                yield connection
        finally:
            self._exports -= 1

    async def _opened(self) -> Pool:
        async with self._opening:
            if self._pool is None:
                self._pool = await open_pool(
                    self._dsn,
                    purpose="report",
                    size=POOL_SIZE,
                    statement_timeout_ms=QUESTION_TIMEOUT_MS,
                    on_connection=lambda connection: go_behind(connection, self._dsn),
                )
            return self._pool

    async def close(self) -> None:
        """Let all connections go."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.terminate()


@contextmanager
def _plain_words() -> Iterator[None]:
    """What a lost or slow database raises becomes what is answered."""
    try:
        yield
    except asyncpg.QueryCanceledError:
        raise QUESTION_TOO_LONG from None
    except (DatabaseError, *UNREACHABLE):
        raise DATABASE_AWAY from None
