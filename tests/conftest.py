"""Real PostgreSQL for the tests: one server per run, a fresh database per test."""

import asyncio
import itertools
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from databases import drop_database

from majordomo.record import embedded
from majordomo.record.migrate import migrate
from majordomo.record.postgres_server import PostgresServer
from majordomo.settings import Settings

#: For whoever asks for it: a gateway in front of a scripted provider (tests/plugins/gateway_fixture.py), and Claude
#: Code in front of either (tests/plugins/claude_cli/fixtures.py).
pytest_plugins = ["gateway_fixture", "claude_cli.fixtures", "fast_first"]

#: Nothing of a test's database has to survive the machine.
FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "100",
    "shared_buffers": "32MB",
}

TEMPLATE = "template_migrated"

_numbers = itertools.count()


@pytest.fixture
def short_tmp() -> Iterator[Path]:
    """A temporary directory with a short path that every account may pass through, for servers and sockets."""
    folder = Path(tempfile.mkdtemp(prefix="mdm-", dir="/tmp"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def tmp_path(short_tmp: Path) -> Path:
    """As pytest's, but passable: as root, an embedded database in it runs as another account."""
    return short_tmp


@pytest.fixture
def free_port() -> int:
    """A TCP port of 127.0.0.1 on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One embedded PostgreSQL for the whole run; as root it runs as an unprivileged account."""
    folder = Path(tempfile.mkdtemp(prefix="mdm-pg-", dir="/tmp"))
    folder.chmod(0o711)
    server = embedded.open_server(Settings(data_dir=folder, database_url=None), FAST)
    try:
        embedded.start(server, lambda line: None)
        yield server
    finally:
        server.release()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def migrated_template(postgres_server: PostgresServer) -> str:
    """Name of a database with the newest schema and no rows, to clone."""
    _run(postgres_server, f"CREATE DATABASE {TEMPLATE}")
    asyncio.run(migrate(postgres_server.dsn(TEMPLATE)))
    return TEMPLATE


@pytest.fixture
def empty_dsn(postgres_server: PostgresServer) -> Iterator[str]:
    """DSN of a fresh database without any table."""
    yield from _database(postgres_server, "template1")


@pytest.fixture
def postgres_dsn(postgres_server: PostgresServer, migrated_template: str) -> Iterator[str]:
    """DSN of a fresh database with the newest schema."""
    yield from _database(postgres_server, migrated_template)


def _database(server: PostgresServer, template: str) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    _run(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield server.dsn(name)
    drop_database(server.dsn(), name)


def _run(server: PostgresServer, sql: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(server.dsn())
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    asyncio.run(run())


@pytest.fixture(scope="session")
def made_data_dir() -> Iterator[Path]:
    """A data directory with a finished cluster and no server, to copy."""
    folder = Path(tempfile.mkdtemp(prefix="mdm-made-", dir="/tmp"))
    folder.chmod(0o711)
    server = embedded.open_server(Settings(data_dir=folder, database_url=None))
    embedded.start(server, lambda line: None)
    server.release()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def data_dir(made_data_dir: Path) -> Iterator[Path]:
    """A data directory with an embedded database, stopped. Its path has spaces and quotes.

    The tests of a module share it, crash it, and leave it as sound as a crash leaves it.
    """
    folder = Path(tempfile.mkdtemp(prefix="mdm-", dir="/tmp"))
    folder.chmod(0o711)
    yield _copy(made_data_dir, folder)
    shutil.rmtree(folder)


@pytest.fixture
def own_data_dir(made_data_dir: Path, short_tmp: Path) -> Path:
    """The same for one test alone, which changes what others rely on."""
    return _copy(made_data_dir, short_tmp)


def _copy(made: Path, into: Path) -> Path:
    folder = into / 'it\'s "my" data'
    subprocess.run(["cp", "-a", made, folder], check=True)
    return folder
