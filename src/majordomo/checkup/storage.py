"""The database, looked at over a connection: reachable, new enough, writable, of this version's schema, right in "
"time."""

import time
from collections.abc import AsyncIterator

from majordomo.checkup.finding import Finding, fail, ok, warn
from majordomo.record.database import Connection, DatabaseError, connect, safe_dsn
from majordomo.record.migrate import migrations, schema_version

#: Server versions from here on are supported, as the number that PostgreSQL gives itself.
OLDEST_SERVER = 140_000

#: Clocks further apart than this (s) put rows into the wrong hour; than that, into the wrong month.
CLOCK_WARN, CLOCK_FAIL = 2.0, 60.0

#: Seconds for one connection and its few small questions.
PATIENCE = 5.0


async def database(dsn: str) -> AsyncIterator[Finding]:
    """Everything about the database behind this DSN."""
    where = safe_dsn(dsn)
    try:
        connection = await connect(dsn, purpose="doctor", timeout=PATIENCE, command_timeout=PATIENCE)
    except DatabaseError as wrong:
        yield fail("database", str(wrong), "start it, or correct MAJORDOMO_DATABASE_URL; requests wait in the journal")
        return
    try:
        yield ok("database", f"{where} answers")
        async for finding in _look(connection):
            yield finding
    except Exception as wrong:  # a server that answers, then does not: whatever it is, it belongs into the report
        yield fail("database", f"a question to it failed: {wrong}", "see its log")
    finally:
        await connection.close(timeout=PATIENCE)


async def _look(connection: Connection) -> AsyncIterator[Finding]:
    yield await _version(connection)
    yield await _encoding(connection)
    yield await _writable(connection)
    yield await _schema(connection)
    yield await _clock(connection)


async def _version(connection: Connection) -> Finding:
    number = int(await connection.fetchval("SELECT current_setting('server_version_num')"))
    name = await connection.fetchval("SHOW server_version")
    if number < OLDEST_SERVER:
        return fail("database version", f"PostgreSQL {name} is too old", "use PostgreSQL 14 or newer")
    return ok("database version", f"PostgreSQL {name}")


async def _encoding(connection: Connection) -> Finding:
    encoding = await connection.fetchval("SHOW server_encoding")
    if encoding != "UTF8":
        return fail(
            "database encoding",
            f"the database stores {encoding}, which cannot hold all text",
            "make one with UTF8: CREATE DATABASE majordomo ENCODING 'UTF8' TEMPLATE template0",
        )
    return ok("database encoding", "UTF8")


async def _writable(connection: Connection) -> Finding:
    if await connection.fetchval("SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool"):
        return fail(
            "database access", "it is read-only, a standby perhaps", "point MAJORDOMO_DATABASE_URL at the primary"
        )
    if not await connection.fetchval("SELECT has_schema_privilege(current_schema(), 'CREATE')"):
        user = await connection.fetchval("SELECT current_user")
        return fail(
            "database access",
            f"the role {user} may not create tables in the schema",
            f"as the database's owner: GRANT CREATE ON SCHEMA public TO {user}",
        )
    return ok("database access", "may be written")


async def _schema(connection: Connection) -> Finding:
    has = await schema_version(connection)
    newest = max((migration.version for migration in migrations()), default=0)
    if has > newest:
        return fail(
            "database schema",
            f"at version {has}, this majordomo knows up to {newest}",
            "a newer majordomo has used it: install that version again",
        )
    if has < newest:
        return warn(
            "database schema",
            f"at version {has}, this majordomo brings {newest}",
            "run `majordomo db migrate`, or start `majordomo serve`, which does",
        )
    return ok("database schema", f"version {has}, the newest")


async def _clock(connection: Connection) -> Finding:
    before = time.time()
    theirs = float(await connection.fetchval("SELECT extract(epoch FROM clock_timestamp())"))
    after = time.time()
    return clock_finding("the database's", theirs, before, after)


def clock_finding(whose: str, theirs: float, before: float, after: float, resolution: float = 0.0) -> Finding:
    """``theirs`` (Unix s, precise to ``resolution``) was read at some moment between ours, ``before`` and ``after``."""
    apart = max(before - (theirs + resolution), theirs - after, 0.0)
    if apart < CLOCK_WARN:
        return ok("clock", f"agrees with {whose}")
    told = f"this machine's clock and {whose} are {apart:.0f} s apart"
    advice = "switch time synchronisation on, on both (timedatectl set-ntp true); rows fall into wrong hours otherwise"
    return fail("clock", told, advice) if apart >= CLOCK_FAIL else warn("clock", told, advice)
