"""The back office's application as it answers in a process, over made-up signs."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from majordomo.record.stats import WriterStats
from majordomo.report.app import make_app
from majordomo.report.connections import Connections
from majordomo.report.front_desks import FrontDesk
from majordomo.report.vitals import JournalFigures, PriceFigures

#: Nobody listens there: routes that need the database say so.
NO_DATABASE = "postgresql://nobody@127.0.0.1:1/none"


class MadeUpSigns:
    """Sources whose every sign can be set."""

    def __init__(self) -> None:
        self.answers = True
        self.journal_figures = JournalFigures(0.0, 0, 0)
        self.price_figures = PriceFigures("v1", 60.0, 21600.0, False, False)
        self.desks = [FrontDesk("0", 0.5, True, {"callers": 3.0}, {"requests": 7.0})]
        self.stats = WriterStats()
        self.fault: Exception | None = None

    async def database(self) -> bool:
        if self.fault:
            raise self.fault
        return self.answers

    def journal(self) -> JournalFigures:
        return self.journal_figures

    def prices(self) -> PriceFigures:
        return self.price_figures

    def front_desks(self) -> list[FrontDesk]:
        return self.desks

    def recorded(self) -> WriterStats:
        return self.stats


class Reply:
    """What the application answered."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


@pytest.fixture
def signs() -> MadeUpSigns:
    """Signs of a gateway that is well."""
    return MadeUpSigns()


@pytest.fixture
def call(signs: MadeUpSigns) -> Callable[..., Reply]:
    """Send the application one request, as a server would."""
    app = make_app(signs, Connections(NO_DATABASE))

    def send(path: str, method: str = "GET", body: bytes = b"", headers: dict[str, str] | None = None) -> Reply:
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def answer(message: dict[str, Any]) -> None:
            sent.append(message)

        route, _, query = path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": route,
            "raw_path": route.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
            "client": None,
            "server": None,
        }
        asyncio.run(app(scope, receive, answer))  # type: ignore[arg-type]
        start = sent[0]
        found = {name.decode(): value.decode() for name, value in start["headers"]}
        return Reply(start["status"], found, b"".join(message.get("body", b"") for message in sent[1:]))

    return send
