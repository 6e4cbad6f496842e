"""A gateway with rows of all kinds, a member's token, and the command that an MCP client starts."""

import json
import os
import shutil
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from gateway_fixture import Gateway, in_own_loop, running_gateway
from recorded_rows import HOUR_US, record, varied
from usage_book import labelled

from majordomo.record import users
from majordomo.record.database import connect
from majordomo.record.postgres_server import PostgresServer

NOW_US = int(time.time() * 1e6)


class Asked:
    """The gateway that is asked, as a member of its default organisation."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.token = gateway.token("member")

    def new_org(self, name: str) -> Any:
        """Another organisation's id."""

        async def make() -> Any:
            connection = await connect(self.gateway.dsn, purpose="tests")
            try:
                return (await users.create_org(connection, name)).id
            finally:
                await connection.close()

        return in_own_loop(make)

    def get(self, path: str, **parameters: Any) -> Any:
        """What the API answers."""
        url = f"{self.gateway.base_url}/api/v1{path}?{urlencode(parameters, doseq=True)}"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.loads(reply.read())

    @property
    def command(self) -> list[str]:
        """What an MCP client starts."""
        return [sys.executable, "-P", "-m", "majordomo", "mcp"]

    def environment(self, **more: str) -> dict[str, str]:
        """Where the gateway is, and who asks."""
        own = {"MAJORDOMO_URL": self.gateway.base_url, "MAJORDOMO_TOKEN": self.token}
        return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **own, **more}


@pytest.fixture(scope="session")
def asked(postgres_server: PostgresServer) -> Iterator[Asked]:
    """Three days of requests of all kinds, some in a session, some in runs."""
    with running_gateway(postgres_server, "mcp_gateway") as gateway:
        folder = Path(tempfile.mkdtemp(prefix="mdm-mcp-", dir="/tmp"))
        record(gateway.dsn, folder, labelled(varied(200, NOW_US - 72 * HOUR_US, 72 * HOUR_US)))
        shutil.rmtree(folder)
        yield Asked(gateway)
