"""The dashboard as a browser gets it: through a front desk, from a one-time link to the figures of a page."""

import http.client
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from gateway_fixture import Gateway

from majordomo.forward.own_pages import SECTIONS

Browser = Callable[..., tuple[int, dict[str, str], bytes]]


@pytest.fixture
def browser(gateway: Gateway) -> Browser:
    """Sends one request to the gateway, as a browser: no gateway key."""
    place = urlsplit(gateway.base_url)

    def send(method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=30)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), sent)
            reply = connection.getresponse()
            return reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read()
        finally:
            connection.close()

    return send


@pytest.mark.parametrize("path", ["/", *(f"/{name}" for name in SECTIONS), "/requests/x", "/runs/a/b%2Fc"])
def test_a_front_desk_passes_every_path_of_the_dashboard_on(browser: Browser, path: str) -> None:
    status, headers, body = browser("GET", path)
    assert status == 200
    assert headers["content-type"].startswith("text/html")
    assert b'<div id="app">' in body


def test_a_file_comes_compressed_through_the_front_desk(browser: Browser) -> None:
    status, headers, body = browser("GET", "/assets/app/main.js", Accept_Encoding="gzip")
    assert (status, headers["content-encoding"]) == (200, "gzip")
    assert int(headers["content-length"]) == len(body)
    status, _, body = browser("GET", "/assets/app/main.js", Accept_Encoding="gzip", If_None_Match=headers["etag"])
    assert (status, body) == (304, b"")


def test_a_one_time_link_leads_to_the_figures_of_the_overview(gateway: Gateway, browser: Browser) -> None:
    """What the sign-in page and the overview ask for, in that order."""
    address = f"{gateway.tag()}@example.com"
    made = json.loads(gateway.process.run("users", "create", address, "--json"))
    page, _, link = made["link"].partition("#")
    assert browser("GET", urlsplit(page).path)[0] == 200
    assert browser("GET", "/api/v1/usage/summary")[0] == 401
    status, headers, body = browser(
        "POST",
        "/api/v1/session/link",
        {"link": link, "password": "a long password"},
        Content_Type="application/json",
    )
    assert status == 200, body
    cookie = headers["set-cookie"].partition(";")[0]
    status, _, body = browser("GET", "/api/v1/usage/summary?compare=previous", Cookie=cookie)
    assert status == 200
    assert json.loads(body)["usage"]["requests"] >= 0
    token = json.loads(browser("GET", "/api/v1/session", Cookie=cookie)[2])["csrf_token"]
    assert browser("DELETE", "/api/v1/session", Cookie=cookie)[0] == 403
    assert browser("DELETE", "/api/v1/session", Cookie=cookie, X_CSRF_Token=token)[0] == 204
    assert browser("GET", "/api/v1/usage/summary", Cookie=cookie)[0] == 401
