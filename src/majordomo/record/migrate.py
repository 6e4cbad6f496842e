"""Brings a database to the schema of this version: numbered SQL files, each applied once, in its own transaction.

Any number of processes may start at once: they take turns under one advisory lock, and all but the first find
nothing to do.
"""

import hashlib
from dataclasses import dataclass, field
from importlib import resources

import asyncpg

from majordomo.logs import logger
from majordomo.record.database import Connection, DatabaseError, connect
from majordomo.record.partitions import add_partitions

log = logger("migrate")

#: Key of the advisory lock, "majordom" read as a 64-bit number: the same for every version, unlikely for anything else.
LOCK_KEY = int.from_bytes(b"majordom", signed=True)
MIGRATION_TIMEOUT_MS = 0  # none: an index on a large table takes the time it takes

_LEDGER = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version     int PRIMARY KEY,
    name        text NOT NULL,
    checksum    text NOT NULL,
    applied_at  timestamptz NOT NULL DEFAULT now()
)
"""


class MigrationError(DatabaseError):
    """The database and this version's migrations do not go together. The message says which, and what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file ``NNNN_name.sql``."""

    version: int
    name: str
    sql: str = field(repr=False)

    @property
    def checksum(self) -> str:
        """SHA-256 of the file's text, in hex."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations() -> list[Migration]:
    """All migrations of this version, oldest first."""
    folder = resources.files("majordomo.record.migrations")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return [
        Migration(int(file.name[:4]), file.name[5:].removesuffix(".sql"), file.read_text(encoding="utf-8"))
        for file in files
    ]


async def migrate(dsn: str, *, to: list[Migration] | None = None) -> list[Migration]:
    """Apply what is missing and make the coming months' partitions; returns the migrations that were applied.

    Raises:
        MigrationError: the database is newer than this version, or a migration was changed after it was applied.
        DatabaseUnreachableError, DatabaseRefusedError: as ``connect``.
    """
    wanted = migrations() if to is None else to
    connection = await connect(dsn, purpose="migrate", statement_timeout_ms=MIGRATION_TIMEOUT_MS)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK_KEY)  # given back with the connection
        done = [migration for migration in await _missing(connection, wanted) if await _apply(connection, migration)]
        await add_partitions(connection)
        return done
    finally:
        await connection.close()


async def schema_version(connection: Connection) -> int:
    """The newest migration in the database; 0 if it has none."""
    if await connection.fetchval("SELECT to_regclass('schema_migrations')") is None:
        return 0
    return int(await connection.fetchval("SELECT coalesce(max(version), 0) FROM schema_migrations"))


async def _missing(connection: Connection, wanted: list[Migration]) -> list[Migration]:
    try:
        await connection.execute(_LEDGER)
        rows = await connection.fetch("SELECT version, checksum FROM schema_migrations")
    except asyncpg.InsufficientPrivilegeError as wrong:
        raise MigrationError(
            f"this user may not create tables ({wrong}). Grant it CREATE on the schema, or own the database"
        ) from None
    applied = {row["version"]: row["checksum"] for row in rows}
    newest = max((migration.version for migration in wanted), default=0)
    if applied and max(applied) > newest:
        raise MigrationError(
            f"the database is at schema version {max(applied)}, this majordomo knows up to {newest}: a newer version "
            "has used it. Install that version again; nothing was changed"
        )
    for migration in wanted:
        if applied.get(migration.version, migration.checksum) != migration.checksum:
            raise MigrationError(
                f"migration {migration.version:04d}_{migration.name} was applied with other contents than this version "
                "has. Install the version that applied it, or one released after it; nothing was changed"
            )
    return [migration for migration in wanted if migration.version not in applied]


async def _apply(connection: Connection, migration: Migration) -> bool:
    try:
        async with connection.transaction():
            await connection.execute(migration.sql)
            await connection.execute(
                "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)",
                migration.version,
                migration.name,
                migration.checksum,
            )
    except asyncpg.PostgresError as wrong:
        raise MigrationError(
            f"migration {migration.version:04d}_{migration.name} failed: {wrong}. It was rolled back as a whole"
        ) from wrong
    log.info("migrated", version=migration.version, name=migration.name)
    return True
