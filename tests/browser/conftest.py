"""A real gateway with a made-up company's requests, and people in front of its dashboard in a real browser."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import chromium
import openai
import pytest
from browser_desk import PATIENCE_MS, Desk, follow
from gateway_fixture import Gateway, running_gateway
from playwright.sync_api import Browser, BrowserContext, Playwright, sync_playwright

from majordomo.demo.traffic import Traffic, send_all
from majordomo.record.postgres_server import PostgresServer

VIEWPORT = {"width": 1280, "height": 900}

#: The spans of one agent run.
RUN = ("plan", "plan/search", "plan/search", "write")


class Company:
    """A made-up company's gateway. Its database is asked in a thread: Playwright has an event loop in this one."""

    def __init__(self, gateway: Gateway) -> None:
        self.base_url = gateway.base_url
        self.key = gateway.key
        self.run = gateway.process.run
        self._sql = gateway.sql
        self._thread = ThreadPoolExecutor(1)

    def sql(self, query: str, *values: Any) -> list[Any]:
        """The rows of a query."""
        return self._thread.submit(self._sql, query, *values).result()


@pytest.fixture(scope="session")
def company(postgres_server: PostgresServer) -> Iterator[Company]:
    """A gateway after one batch of all kinds of requests, with two budgets."""
    with running_gateway(postgres_server, "browser") as gateway:
        batch = Traffic(5).first_batch()
        send_all(batch, gateway.base_url, gateway.key, lambda _: None)
        for span in RUN:
            told = {"X-Majordomo-Trace-Id": "trip-to-oslo", "X-Majordomo-Span-Path": span}
            client = openai.OpenAI(base_url=gateway.base_url + "/v1", api_key="sk-scripted", max_retries=0)
            client.with_options(default_headers={"X-Majordomo-Key": gateway.key, **told}).chat.completions.create(
                model="gpt-4o-mini", messages=[{"role": "user", "content": "Hello"}]
            )
        gateway.wait_for_rows(sum(call.with_key for chain in batch for call in chain) + len(RUN))
        for name, more in (("legal", ("--metadata", "Team=legal")), ("each-user", ("--each", "User-Id"))):
            gateway.process.run("budgets", "create", "--name", name, "--limit", "100", "--json", *more)
        yield Company(gateway)


@pytest.fixture(scope="module")
def playwright(company: Company) -> Iterator[Playwright]:
    """Begun after the gateway, and ended with the file's tests: others cannot run an event loop beside its own."""
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """The distribution's Chromium, without a screen."""
    launched = playwright.chromium.launch(executable_path=chromium.needed(), args=list(chromium.ARGUMENTS))
    yield launched
    launched.close()


@pytest.fixture(scope="session")
def invite(company: Company) -> Callable[..., str]:
    """Makes a person, and gives the address of the page that signs them in."""

    def made(email: str, role: str = "admin") -> str:
        told = json.loads(company.run("users", "create", email, "--role", role, "--json"))
        return f"{company.base_url}/sign-in#{told['link'].rpartition('#')[2]}"

    return made


@pytest.fixture(scope="module")
def signed_in(company: Company, browser: Browser, invite: Callable[..., str]) -> Any:
    """The cookies of an admin who followed their link."""
    context = browser.new_context(viewport=VIEWPORT)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    follow(page, invite(f"owner-{uuid4().hex[:8]}@example.com"))
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def window(company: Company, browser: Browser, signed_in: Any) -> Iterator[Callable[..., Desk]]:
    """``window(color_scheme="dark", viewport=...)``: a window of the signed-in admin's."""
    opened: list[tuple[BrowserContext, Desk]] = []

    def new(**how: Any) -> Desk:
        how = {"viewport": VIEWPORT, "timezone_id": "Europe/Berlin", **how}
        context = browser.new_context(storage_state=signed_in, accept_downloads=True, **how)
        opened.append((context, Desk(context, company.base_url)))
        return opened[-1][1]

    yield new
    for context, desk in opened:
        context.close()
        assert desk.faults == []
