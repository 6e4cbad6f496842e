"""The back office's application as it answers in a process, over made-up signs."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from functools import cache
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from majordomo.admit.metadata import MetadataLimits
from majordomo.price.pricer import Pricer
from majordomo.record import api_keys, sign_in, users
from majordomo.record.database import Connection
from majordomo.record.stats import WriterStats
from majordomo.record.users import DEFAULT_ORG, Role
from majordomo.report.app import make_app
from majordomo.report.connections import Connections
from majordomo.report.front_desks import FrontDesk
from majordomo.report.installation import Installation
from majordomo.report.intake import Intake
from majordomo.report.vitals import JournalFigures, PriceFigures

#: Nobody listens there: routes that need the database say so.
NO_DATABASE = "postgresql://nobody@127.0.0.1:1/none"


@cache
def packaged_prices() -> Pricer:
    """The prices that came with the package."""
    return Pricer.load(None, None)


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

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@pytest.fixture
def signs() -> MadeUpSigns:
    """Signs of a gateway that is well."""
    return MadeUpSigns()


def an_intake(signs: MadeUpSigns) -> Intake:
    """What takes deliveries, by the packaged prices."""
    return Intake(packaged_prices(), MetadataLimits(64, 255, 8192), signs.stats)


def send_to(app: Any, run: Callable[[Any], Any]) -> Callable[..., Reply]:
    """Send an application one request, as a server would; ``run`` runs a coroutine to its end."""

    def send(
        path: str, method: str = "GET", body: bytes | list[bytes] = b"", headers: dict[str, str] | None = None
    ) -> Reply:
        sent: list[dict[str, Any]] = []
        pieces = list(body) if isinstance(body, list) else [body]

        async def receive() -> dict[str, Any]:
            if not pieces:
                await asyncio.Event().wait()  # nothing more comes, and nobody hangs up
            piece = pieces.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

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
        run(app(scope, receive, answer))
        start = sent[0]
        found = {name.decode(): value.decode() for name, value in start["headers"]}
        return Reply(start["status"], found, b"".join(message.get("body", b"") for message in sent[1:]))

    return send


@pytest.fixture
def call(signs: MadeUpSigns) -> Callable[..., Reply]:
    """Send the application one request."""
    return send_to(make_app(signs, Connections(NO_DATABASE), packaged_prices(), an_intake(signs)), asyncio.run)


class Asker:
    """Asks the application over a real database, with a gateway key."""

    def __init__(self, dsn: str, signs: MadeUpSigns, runner: asyncio.Runner) -> None:
        self._connections = Connections(dsn)
        self._dsn = dsn
        self._runner = runner
        self.send = send_to(make_app(signs, self._connections, packaged_prices(), an_intake(signs)), runner.run)
        self.key, self.key_id = self.new_key("tests")

    def new_key(self, name: str) -> tuple[str, UUID]:
        """The secret and the id of a new gateway key."""

        async def create() -> tuple[str, UUID]:
            connection = await asyncpg.connect(self._dsn)
            try:
                made = await api_keys.create(connection, name)
            finally:
                await connection.close()
            return made.secret, made.key.id

        return self._runner.run(create())

    def sql(self, query: str, *arguments: Any) -> list[Any]:
        """The rows of a query."""

        async def fetch() -> list[Any]:
            connection = await asyncpg.connect(self._dsn)
            try:
                return await connection.fetch(query, *arguments)
            finally:
                await connection.close()

        return self._runner.run(fetch())

    def __call__(
        self, method: str, path: str, body: bytes | list[bytes] = b"", *, key: str | None = None
    ) -> tuple[int, Any]:
        """Status and JSON of a reply to whoever has this key, or the asker's own."""
        reply = self.send(path, method, body, {"X-Majordomo-Key": key or self.key})
        assert reply.headers["content-type"] == "application/json"
        return reply.status, json.loads(reply.body)

    def close(self) -> None:
        self._runner.run(self._connections.close())


@pytest.fixture
def ask(postgres_dsn: str, signs: MadeUpSigns) -> Iterator[Asker]:
    """The application over a fresh database."""
    with asyncio.Runner() as runner:
        asker = Asker(postgres_dsn, signs, runner)
        yield asker
        asker.close()


class Browser:
    """Asks the application as a browser does: remembers cookies, sends JSON."""

    def __init__(self, dsn: str, signs: MadeUpSigns, runner: asyncio.Runner) -> None:
        self._runner = runner
        self.connections = Connections(dsn)
        installation = Installation.of_defaults()
        self._settings = installation.settings
        app = make_app(signs, self.connections, packaged_prices(), an_intake(signs), installation=installation)
        self._send = send_to(app, runner.run)
        self.cookies: dict[str, str] = {}
        self.csrf_token = ""

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """One request under ``/api/v1``; ``X_CSRF_Token=...`` is sent as a header."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookies:
            sent.setdefault("Cookie", "; ".join(f"{name}={value}" for name, value in self.cookies.items()))
        if body is not None:
            sent["Content-Type"] = "application/json"
        raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        reply = self._send(f"/api/v1{path}", method, raw, sent)
        if "set-cookie" in reply.headers:
            name, _, rest = reply.headers["set-cookie"].partition("=")
            self.cookies[name] = rest.partition(";")[0].strip('"')
        return reply

    def database(self, part: Callable[[Connection], Awaitable[Any]]) -> Any:
        """Something done to the database directly."""

        async def inner() -> Any:
            async with self.connections.acquire() as connection:
                return await part(connection)

        return self._runner.run(inner())

    def setting(self, **changed: Any) -> None:
        """Settings that the application goes by from here on."""
        for name, value in changed.items():
            setattr(self._settings, name, value)

    def change(self, method: str, path: str, body: Any = None) -> Reply:
        """A request that changes something, with the session's token."""
        return self(method, path, body, X_CSRF_Token=self.csrf_token)

    def sign_in(self, org: UUID, email: str, role: Role = "member") -> None:
        """Sign a new user of an organisation in; it has an admin then, too."""

        async def invite(connection: Connection) -> str:
            await users.create(connection, org, f"admin-{email}", "Admin", "admin")
            user = await users.create(connection, org, email, "Someone", role)
            return await sign_in.make_link(connection, user)

        self.cookies.clear()
        reply = self("POST", "/session/link", {"link": self.database(invite), "password": "correct horse battery"})
        assert reply.status == 200, reply.body
        self.csrf_token = reply.json["csrf_token"]


@pytest.fixture
def api(postgres_dsn: str, signs: MadeUpSigns) -> Iterator[Browser]:
    """``api("GET", "/session")``."""
    with asyncio.Runner() as runner:
        made = Browser(postgres_dsn, signs, runner)
        yield made
        runner.run(made.connections.close())


@pytest.fixture
def member(api: Browser) -> Browser:
    """A browser in which a member of the default organisation is signed in."""
    api.sign_in(DEFAULT_ORG, "member@example.com")
    return api
