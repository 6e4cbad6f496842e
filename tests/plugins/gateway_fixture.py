"""The ``gateway`` fixture: a real ``majordomo serve`` between the test and a scripted provider, on a fresh database.

One gateway serves all tests of a run. A test finds its own rows by the metadata that ``gateway.tag()`` gives it.
"""

import asyncio
import itertools
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from majordomo.demo.gateway_process import GatewayProcess
from majordomo.demo.provider_process import ProviderProcess
from majordomo.record.postgres_server import PostgresServer

#: Seconds to wait for rows before a test fails. They come within one; a busy machine gets more.
ROWS_SECONDS = 20.0

TAG_HEADER = "X-Majordomo-Test-Case"
_tags = itertools.count(1)


class Gateway:
    """A running gateway, its key, its database and its provider."""

    def __init__(self, process: GatewayProcess, provider: ProviderProcess, dsn: str) -> None:
        self.process = process
        self.provider = provider
        self.dsn = dsn
        self.base_url = process.url
        made = process.create_key("tests")
        self.key: str = made["key"]
        self.key_id: str = made["id"]

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
            connection = await asyncpg.connect(self.dsn)
            try:
                return await connection.fetch(query, *values)
            finally:
                await connection.close()

        return _in_own_loop(fetch)

    def rows(self, tag: str, count: int = 1) -> list[asyncpg.Record]:
        """The rows of one tag in the order of their requests, once there are ``count``; more than that fails."""
        query = "SELECT * FROM llm_requests WHERE raw_metadata->>'Test-Case' = $1 ORDER BY requested_at, id"
        deadline = time.monotonic() + ROWS_SECONDS
        while len(found := self.sql(query, tag)) < count:
            assert time.monotonic() < deadline, f"{len(found)} of {count} rows for {tag} after {ROWS_SECONDS} s"
            time.sleep(0.05)
        assert len(found) == count, f"{len(found)} rows for {tag}, expected {count}"
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


def _in_own_loop(make: Any) -> Any:
    """Run a coroutine function from synchronous and from asynchronous tests alike."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(make())
    raise RuntimeError("ask the database outside of the event loop: the test would stop its own requests")


@pytest.fixture(scope="session")
def gateway(postgres_server: PostgresServer) -> Iterator[Gateway]:
    """The real gateway for a whole run. It migrates its database itself."""
    folder = Path(tempfile.mkdtemp(prefix="mdm-gw-", dir="/tmp"))
    asyncio.run(_execute(postgres_server.dsn(), "CREATE DATABASE gateway_fixture"))
    dsn = postgres_server.dsn("gateway_fixture")
    try:
        with ProviderProcess() as provider, GatewayProcess(provider.url, folder, database_url=dsn) as process:
            yield Gateway(process, provider, dsn)
    finally:
        asyncio.run(_execute(postgres_server.dsn(), "DROP DATABASE gateway_fixture WITH (FORCE)"))
        shutil.rmtree(folder)


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
