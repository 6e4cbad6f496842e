"""The embedded PostgreSQL through the door that everyone uses."""

import asyncio

import asyncpg


def _value(dsn: str, sql: str):
    async def ask():
        connection = await asyncpg.connect(dsn)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    return asyncio.run(ask())


def test_a_test_gets_a_migrated_database(postgres_dsn):
    """The fixture that all other tests rest on holds the product's tables, empty."""
    assert _value(postgres_dsn, "SELECT count(*) FROM llm_requests") == 0


def test_databases_of_tests_are_apart(postgres_dsn, empty_dsn):
    """What one test's database holds is not in another's."""
    assert _value(empty_dsn, "SELECT to_regclass('llm_requests')") is None
