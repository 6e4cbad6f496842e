"""Connecting: clear errors, and never a password in them."""

import asyncio

import pytest

from majordomo.record.database import (
    DatabaseError,
    DatabaseRefusedError,
    DatabaseUnreachableError,
    connect,
    open_pool,
    safe_dsn,
)

SECRET = "s3cr%24t"


@pytest.mark.parametrize("opening", [connect, open_pool])
@pytest.mark.parametrize(
    ("dsn", "kind"),
    [
        (f"postgresql://user:{SECRET}@127.0.0.1:1/name", DatabaseUnreachableError),
        (f"postgresql://user@127.0.0.1:1/name?password={SECRET}", DatabaseUnreachableError),
        (f"mysql://user:{SECRET}@127.0.0.1/name", DatabaseRefusedError),
    ],
)
def test_errors_name_the_place_and_not_the_password(opening, dsn, kind):
    """Whatever is wrong with an address, the message helps and keeps the secret."""
    with pytest.raises(kind) as caught:
        asyncio.run(opening(dsn, purpose="test"))
    assert "s3cr" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


def test_a_missing_database_is_said_to_be_missing(postgres_dsn):
    """The server's own words reach the user."""
    missing = postgres_dsn.replace("/test_", "/no_such_")
    with pytest.raises(DatabaseRefusedError, match="does not exist"):
        asyncio.run(connect(missing, purpose="test"))


def test_connections_say_what_they_are_for(postgres_dsn):
    """pg_stat_activity shows who holds a connection, and statements end."""

    async def ask():
        connection = await connect(postgres_dsn, purpose="test")
        try:
            return await connection.fetchrow(
                "SELECT current_setting('application_name') AS name, current_setting('statement_timeout') AS timeout"
            )
        finally:
            await connection.close()

    assert dict(asyncio.run(ask())) == {"name": "majordomo test", "timeout": "1min"}


@pytest.mark.parametrize("dsn", ["postgresql://u:p@h/d?password=p&sslmode=require", "postgresql://[::1/d", "garbage"])
def test_any_text_can_be_shown(dsn):
    """What looks like no DSN at all is shown without failing."""
    assert ":p@" not in safe_dsn(dsn)
    assert "password" not in safe_dsn(dsn)


def test_errors_are_of_one_family():
    """Callers can catch all of them at once."""
    assert issubclass(DatabaseUnreachableError, DatabaseError)
    assert issubclass(DatabaseRefusedError, DatabaseError)
