"""The ``gateway`` fixture: a real ``majordomo serve`` between the test and a scripted provider, on a fresh database.

One gateway serves all tests of a run. A test finds its own rows by the metadata that ``gateway.tag()`` gives it.
"""

import asyncio
import itertools
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import asyncpg
import pytest
from databases import drop_database, run_statement

from majordomo.demo.gateway_process import GatewayProcess
from majordomo.demo.provider_process import ProviderProcess
from majordomo.record import api_keys, sign_in, users
from majordomo.record.database import connect
from majordomo.record.postgres_server import PostgresServer

#: Seconds to wait for rows before a test fails. They come within one; a busy machine gets more.
ROWS_SECONDS = 20.0

TAG_HEADER = "X-Majordomo-Test-Case"
_tags = itertools.count(1)


class Provider(Protocol):
    """What the gateway needs of its provider: where it is."""

    url: str


class Gateway:
    """A running gateway, its key, its database and its provider."""

    def __init__(self, process: GatewayProcess, provider: ProviderProcess, dsn: str) -> None:
        self.process = process
        self.provider = provider
        self.dsn = dsn
        self.base_url = process.url
        self.key: str = self.create_key("tests")["key"]

    def create_key(self, name: str) -> dict[str, str]:
        """A new gateway key: ``id``, ``name`` and the ``key`` itself."""

        async def create() -> dict[str, str]:
            connection = await connect(self.dsn, purpose="tests")
            try:
                made = await api_keys.create(connection, name)
            finally:
                await connection.close()
            return {"id": str(made.key.id), "name": made.key.name, "key": made.secret}

        return in_own_loop(create)

    def token(self, role: users.Role = "admin", org: UUID = users.DEFAULT_ORG) -> str:
        """The secret of a token of somebody new."""

        async def make() -> str:
            connection = await connect(self.dsn, purpose="tests")
            try:
                address = f"{role}-{next(_tags)}@example.com"
                user = await users.create(connection, org, address, "Somebody", role)
                secret, _ = await sign_in.make_token(connection, user, "tests")
            finally:
                await connection.close()
            return secret

        return str(in_own_loop(make))

    def tag(self) -> str:
        """A metadata value that no other test has, for the header ``X-Majordomo-Test-Case``."""
        return f"case-{next(_tags)}"

    def headers(self, tag: str, **more: str) -> dict[str, str]:
        """The gateway's own headers for a request: key, tag, and ``more`` with ``_`` for ``-``."""
        own = {f"X-Majordomo-{name.replace('_', '-')}": value for name, value in more.items()}
        return {"X-Majordomo-Key": self.key, TAG_HEADER: tag, **own}

    def sql(self, query: str, *values: Any) -> list[asyncpg.Record]:
        """The rows of a query."""

        async def fetch() -> list[asyncpg.Record]:
            connection = await asyncpg.connect(self.dsn, server_settings={"timezone": "UTC"})
            try:
                return await connection.fetch(query, *values)
            finally:
                await connection.close()

        return in_own_loop(fetch)

    def rows(self, tag: str, count: int = 1) -> list[asyncpg.Record]:
        """The rows of one tag in the order of their requests, once there are ``count``; more than that fails."""
        query = "SELECT * FROM llm_requests WHERE raw_metadata->>'Test-Case' = $1 ORDER BY requested_at, id"
        deadline = time.monotonic() + ROWS_SECONDS
        while len(found := self.sql(query, tag)) < count:
            assert time.monotonic() < deadline, f"{len(found)} of {count} rows for {tag} after {ROWS_SECONDS} s"
            time.sleep(0.05)
        odd = [(row["request_method"], row["outcome"], row["status_code"], row["error_type"]) for row in found]
        odd = [one for one in odd if one[1:] != ("completed", 200, None)]
        assert len(found) == count, f"{len(found)} rows for {tag}, expected {count}; not simply completed: {odd}"
        return found

    def row(self, tag: str) -> asyncpg.Record:
        """The one row of a tag."""
        return self.rows(tag)[0]

    def wait_for_rows(self, count: int) -> None:
        """Wait until the table holds at least ``count`` rows."""
        deadline = time.monotonic() + ROWS_SECONDS
        while (found := self.sql("SELECT count(*) FROM llm_requests")[0][0]) < count:
            assert time.monotonic() < deadline, f"{found} of {count} rows after {ROWS_SECONDS} s"
            time.sleep(0.05)


def in_own_loop(make: Any) -> Any:
    """Run a coroutine function from synchronous and from asynchronous tests alike."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(make())
    raise RuntimeError("ask the database outside of the event loop: the test would stop its own requests")


@pytest.fixture(scope="session")
def gateway(postgres_server: PostgresServer) -> Iterator[Gateway]:
    """The real gateway for a whole run. It migrates its database itself."""
    with running_gateway(postgres_server, "gateway_fixture") as running:
        yield running


@contextmanager
def running_gateway(
    server: PostgresServer, database: str, provider: Provider | None = None, **settings: str
) -> Iterator[Gateway]:
    """A gateway of one's own on a fresh database of that name; ``settings`` are further ``MAJORDOMO_*`` variables.

    It stands in front of the given provider, or of a scripted one in a process of its own.
    """
    folder = Path(tempfile.mkdtemp(prefix="mdm-gw-", dir="/tmp"))
    run_statement(server.dsn(), f"CREATE DATABASE {database}")
    dsn = server.dsn(database)
    try:
        with (
            nullcontext(provider) if provider is not None else ProviderProcess() as behind,
            GatewayProcess(behind.url, folder, database_url=dsn, settings=settings) as process,
        ):
            yield Gateway(process, behind, dsn)
    finally:
        drop_database(server.dsn(), database)
        shutil.rmtree(folder)
