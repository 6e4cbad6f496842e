"""Doors to PostgreSQL: one connection, or a pool of them. No message from here holds a password."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias, TypeVar
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

import asyncpg

if TYPE_CHECKING:  # generic only for the type checker
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record]
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
else:
    Connection = asyncpg.Connection
    Pool = asyncpg.Pool

_Opened = TypeVar("_Opened")

OLDEST_VERSION = 140_000  # PostgreSQL 14: what the contract promises to run on
CONNECT_TIMEOUT = 10.0  # seconds; a server in crash recovery answers at once that it is starting
STATEMENT_TIMEOUT_MS = 60_000  # a question that runs longer is a mistake, and holds back vacuum
IDLE_IN_TRANSACTION_TIMEOUT_MS = 60_000  # a stuck process must not keep its row locks for ever
POOL_SIZE = 8

#: What a lost, refused, starting or stopping server raises, and what a second attempt may cure.
UNREACHABLE = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
)


class DatabaseError(Exception):
    """The database cannot be used. The message says why and what to do, and never holds a password."""


class DatabaseUnreachableError(DatabaseError):
    """Nobody answered, or not in time, or not yet: trying again may help."""


class DatabaseRefusedError(DatabaseError):
    """The server answered and said no: wrong user, password, database or version. Trying again does not help."""


def safe_dsn(dsn: str) -> str:
    """The DSN without its password, for logs and messages."""
    try:
        parts = urlsplit(dsn)
        user, at, place = parts.netloc.rpartition("@")
        netloc = f"{user.partition(':')[0]}{at}{place}"
        query = urlencode([(k, v) for k, v in parse_qsl(parts.query) if "password" not in k.lower()], safe="/")
        return urlunsplit((parts.scheme, netloc, parts.path, query, ""))
    except ValueError:
        return "(an unreadable DSN)"


async def connect(
    dsn: str,
    *,
    purpose: str,
    statement_timeout_ms: int = STATEMENT_TIMEOUT_MS,
    timeout: float = CONNECT_TIMEOUT,
    command_timeout: float | None = None,
) -> Connection:
    """One connection, shown in ``pg_stat_activity`` as ``majordomo PURPOSE``; jsonb comes and goes as JSON text.

    ``command_timeout``: seconds after which a statement that the server does not answer raises TimeoutError.

    Raises:
        DatabaseUnreachableError: nobody answers at that address, or the server is still starting.
        DatabaseRefusedError: the server does not let us in, or is older than PostgreSQL 14.
    """

    async def opened() -> Connection:
        connection = await asyncpg.connect(
            dsn,
            timeout=timeout,
            command_timeout=command_timeout,
            server_settings=_server_settings(purpose, statement_timeout_ms),
        )
        try:
            await _settle(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection

    return await _translated(dsn, opened)


async def open_pool(
    dsn: str,
    *,
    purpose: str,
    size: int = POOL_SIZE,
    statement_timeout_ms: int = STATEMENT_TIMEOUT_MS,
    on_connection: Callable[[Connection], object] | None = None,
) -> Pool:
    """A pool of up to ``size`` connections such as ``connect`` makes; opens the first at once.

    ``on_connection`` is told of each.

    Raises:
        DatabaseUnreachableError, DatabaseRefusedError: as ``connect``.
    """

    async def settle(connection: Connection) -> None:
        await _settle(connection)
        if on_connection is not None:
            on_connection(connection)

    async def opened() -> Pool:
        pool = await asyncpg.create_pool(
            dsn,
            min_size=1,
            max_size=size,
            timeout=CONNECT_TIMEOUT,
            init=settle,
            server_settings=_server_settings(purpose, statement_timeout_ms),
        )
        assert pool is not None
        return pool

    return await _translated(dsn, opened)


def _server_settings(purpose: str, statement_timeout_ms: int) -> dict[str, str]:
    return {
        "application_name": f"majordomo {purpose}",
        "statement_timeout": str(statement_timeout_ms),
        "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_TIMEOUT_MS),
        "timezone": "UTC",
    }


async def _settle(connection: Connection) -> None:
    """What every connection needs before its first statement: a server new enough."""
    version = connection.get_server_version()
    if version.major * 10_000 < OLDEST_VERSION:
        raise DatabaseRefusedError(
            f"this is PostgreSQL {version.major}.{version.minor}; majordomo needs 14 or newer. "
            "Point MAJORDOMO_DATABASE_URL at a newer server, or unset it to use the embedded one"
        )


async def _translated(dsn: str, opening: Callable[[], Awaitable[_Opened]]) -> _Opened:
    where = safe_dsn(dsn)
    try:
        return await opening()
    except ValueError as wrong:
        raise DatabaseRefusedError(
            f"{where} is not a DSN: {_without_secrets(dsn, wrong)}. Expected postgresql://user:password@host:port/name"
        ) from None
    except UNREACHABLE as wrong:
        raise DatabaseUnreachableError(
            f"no database at {where}: {_without_secrets(dsn, wrong)}. Is the server running, and the address right?"
        ) from None
    except asyncpg.PostgresError as wrong:
        raise DatabaseRefusedError(
            f"the database at {where} refused: {_without_secrets(dsn, wrong)}. Check user, password and database name"
        ) from None


def _without_secrets(dsn: str, wrong: BaseException) -> str:
    text = str(wrong) or type(wrong).__name__
    try:
        password = urlsplit(dsn).password
    except ValueError:
        return type(wrong).__name__
    for secret in {password, unquote(password or "")} - {None, ""}:
        text = text.replace(str(secret), "***")
    return text
