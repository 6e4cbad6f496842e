"""Statements about whole databases: made and dropped for a test."""

import asyncio
import time

import asyncpg

#: How long an autovacuum worker may take to leave (s).
PATIENCE = 30.0


def run_statement(dsn: str, statement: str) -> None:
    """On a connection of its own, outside of a transaction."""
    asyncio.run(_execute(dsn, statement))


def drop_database(dsn: str, name: str) -> None:
    """End its connections and drop it. An autovacuum worker is the server's own: it is waited for, not ended.

    ``dsn`` is another database's of the same server.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            run_statement(dsn, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            return
        except asyncpg.InsufficientPrivilegeError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
