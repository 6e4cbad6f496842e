"""The whole control API over two organisations that have everything."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from databases import drop_database, run_statement
from every_route import BODIES, Route, Send, every_route
from peopled import Peopled, people
from served_api import ServedApi, served

import requests
from majordomo.record.postgres_server import PostgresServer

NAME = "test_contract"


@pytest.fixture(scope="module")
def module_dsn(postgres_server: PostgresServer, migrated_template: str) -> Iterator[str]:
    """A database for the tests of a module together."""
    run_statement(postgres_server.dsn(), f"CREATE DATABASE {NAME} TEMPLATE {migrated_template}")
    yield postgres_server.dsn(NAME)
    drop_database(postgres_server.dsn(), NAME)


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


@pytest.fixture(scope="module")
def routes(served_api: ServedApi) -> list[Route]:
    """Every operation of the API; a test fails where it would not know what to ask one."""
    found = every_route(requests.get(f"{served_api.url}/api/v1/openapi.json", timeout=30).json())
    assert len(found) > 50
    assert {route.key for route in found if route.takes_body} == BODIES.keys()
    return found


@pytest.fixture(scope="module")
def send(served_api: ServedApi) -> Iterator[Send]:
    """Sends one request; of an answer that never ends only the head is asked for."""
    with requests.Session() as session:

        def ask(route: Route, target: str, headers: dict[str, str], body: Any = None) -> requests.Response:
            method = "HEAD" if route.never_ends else route.method
            return session.request(method, served_api.url + target, headers=headers, json=body, timeout=60)

        yield ask
