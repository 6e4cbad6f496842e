"""The whole control API over two organisations that have everything."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from peopled import Peopled, people
from served_api import ServedApi, served

from majordomo.record.postgres_server import PostgresServer

NAME = "test_contract"


async def _execute(dsn: str, sql: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


@pytest.fixture(scope="module")
def module_dsn(postgres_server: PostgresServer, migrated_template: str) -> Iterator[str]:
    """A database for the tests of a module together."""
    asyncio.run(_execute(postgres_server.dsn(), f"CREATE DATABASE {NAME} TEMPLATE {migrated_template}"))
    yield postgres_server.dsn(NAME)
    asyncio.run(_execute(postgres_server.dsn(), f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)"))


@pytest.fixture(scope="module")
def module_tmp() -> Iterator[Path]:
    """A directory for the tests of a module together."""
    folder = Path(tempfile.mkdtemp(prefix="mdm-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def ours(module_dsn: str, module_tmp: Path) -> Peopled:
    """The default organisation, which asks."""
    return people(module_dsn, module_tmp, None)


@pytest.fixture(scope="module")
def theirs(module_dsn: str, module_tmp: Path, ours: Peopled) -> Peopled:
    """Another one, every text of which has a mark."""
    return people(module_dsn, module_tmp, "hushword")


@pytest.fixture(scope="module")
def served_api(module_dsn: str, module_tmp: Path, theirs: Peopled) -> Iterator[ServedApi]:
    """The application over both."""
    with served(module_dsn, module_tmp) as api:
        yield api
