"""Any database comes to this version's schema, once, whoever starts first."""

import asyncio
import dataclasses
from importlib import resources

import asyncpg
import pytest

from majordomo.record.migrate import Migration, MigrationError, migrate, migrations, schema_version

_CATALOGUE = {
    "columns": """
        SELECT table_name, ordinal_position, column_name, data_type, character_maximum_length, numeric_precision,
            is_nullable, column_default
        FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2""",
    "indexes": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2""",
    "triggers": """
        SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(oid)
        FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2""",
    "functions": """
        SELECT proname, pg_get_functiondef(oid)
        FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1""",
    "tables": """
        SELECT relname, relkind::text, reloptions, pg_get_expr(relpartbound, oid)
        FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1""",
    "storage": """
        SELECT attrelid::regclass::text, attname, attstorage::text
        FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND attnum > 0 ORDER BY 1, 2""",
}


async def _catalogue(dsn):
    connection = await asyncpg.connect(dsn)
    try:
        found = {name: [tuple(row) for row in await connection.fetch(query)] for name, query in _CATALOGUE.items()}
    finally:
        await connection.close()
    monthly = ("_y20", "schema_migrations")
    return {
        name: [row for row in rows if not any(mark in str(row) for mark in monthly)] for name, rows in found.items()
    }


def test_migrations_make_the_schema(empty_dsn, postgres_dsn):
    """A database migrated step by step has the very catalogue that schema.sql describes."""

    async def both():
        connection = await asyncpg.connect(empty_dsn)
        await connection.execute(resources.files("majordomo.record").joinpath("schema.sql").read_text())
        await connection.close()
        return await _catalogue(empty_dsn), await _catalogue(postgres_dsn)

    described, migrated = asyncio.run(both())
    assert described == migrated
    assert len(described["columns"]) > 150


def test_replicas_that_start_at_once_migrate_once(empty_dsn):
    """Of several processes exactly one applies the migrations; all end well."""

    async def race():
        return await asyncio.gather(*(migrate(empty_dsn) for _ in range(5)))

    results = asyncio.run(race())
    assert sorted(map(len, results)) == [0, 0, 0, 0, len(migrations())]
    assert asyncio.run(migrate(empty_dsn)) == []


def test_a_database_from_a_newer_version_is_left_alone(postgres_dsn):
    """An older majordomo says which version is needed and changes nothing."""

    async def attempt():
        connection = await asyncpg.connect(postgres_dsn)
        await connection.execute("INSERT INTO schema_migrations (version, name, checksum) VALUES (9999, 'later', 'x')")
        with pytest.raises(MigrationError, match=r"schema version 9999.*newer version"):
            await migrate(postgres_dsn)
        assert await schema_version(connection) == 9999
        await connection.close()

    asyncio.run(attempt())


def test_an_edited_migration_is_noticed(postgres_dsn):
    """A migration whose text differs from the one applied stops everything, by name."""
    edited = [dataclasses.replace(migration, sql=migration.sql + "-- edited") for migration in migrations()]
    with pytest.raises(MigrationError, match="0001_initial"):
        asyncio.run(migrate(postgres_dsn, to=edited))


def test_a_failing_migration_leaves_nothing_behind(postgres_dsn):
    """The statements before the failing one are rolled back with it, and the next attempt starts clean."""
    number = max(migration.version for migration in migrations()) + 1
    broken = Migration(number, "broken", "CREATE TABLE half_done (); SELECT 1 / 0;")
    mended = Migration(number, "mended", "CREATE TABLE half_done ();")
    with pytest.raises(MigrationError, match=r"broken failed.*rolled back"):
        asyncio.run(migrate(postgres_dsn, to=[*migrations(), broken]))
    assert asyncio.run(migrate(postgres_dsn, to=[*migrations(), mended])) == [mended]
