"""A command's one connection to the database, and what can be wrong with it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from majordomo.record.database import Connection
    from majordomo.settings import Settings

_Answer = TypeVar("_Answer")


def ask(settings: "Settings", question: "Callable[[Connection], Awaitable[_Answer]]") -> _Answer:
    """Put one question to the database that the settings mean; the embedded one is started for it if need be.

    Raises:
        DatabaseError, EmbeddedError: the database cannot be used; the message says what to do.
    """
    from majordomo.record.embedded import database_for

    with database_for(settings) as dsn:
        return asyncio.run(_ask(dsn, question))


async def _ask(dsn: str, question: "Callable[[Connection], Awaitable[_Answer]]") -> _Answer:
    import asyncpg

    from majordomo.record.database import DatabaseError, connect

    connection = await connect(dsn, purpose="command")
    try:
        return await question(connection)
    except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError):
        raise DatabaseError("this database has not the tables of this version yet; run: majordomo db migrate") from None
    except asyncpg.QueryCanceledError:
        raise DatabaseError("the database took over a minute for this; ask about less time: --last 7d") from None
    except asyncpg.PostgresError as wrong:
        raise DatabaseError(f"the database refused: {wrong}") from None
    finally:
        await connection.close()
