"""Routes of the back office: what each answers, and the one shape of every error."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from majordomo.report.front_desks import FrontDesk
from majordomo.report.vitals import JournalFigures, PriceFigures

ABSENT = ("/api", "/api/", "/api/v1", "/api/v1/", "/api/v1/absent", "/nothing", "/assets/../x", "/assets/page.html")
ABSENT += ("/assets/no", "/docs", "/redoc", "/readyz/")
ROUTES = ("/", "/status", "/readyz", "/metrics", "/api/v1/openapi.json", "/assets/page.css", "/favicon.ico")

SILENT = FrontDesk("0", 60.0, True, {}, {})


def is_the_one_shape(reply: Any, status: int) -> bool:
    error = json.loads(reply.body)["error"]
    return (
        reply.status == status
        and reply.headers["content-type"] == "application/json"
        and json.loads(reply.body).keys() == {"error"}
        and error.keys() == {"code", "message", "details"}
        and bool(error["code"])
        and bool(error["message"])
        and isinstance(error["details"], list)
    )


@pytest.mark.parametrize("path", ROUTES)
def test_every_route_answers(call: Callable[..., Any], path: str) -> None:
    """Each page is there, and HEAD has the same head and no body."""
    reply, head = call(path), call(path, "HEAD")
    assert reply.status == head.status == 200
    assert reply.body
    assert head.body == b""
    assert head.headers["content-type"] == reply.headers["content-type"]


@pytest.mark.parametrize("path", ABSENT)
def test_what_is_not_there_is_404_in_the_one_shape(call: Callable[..., Any], path: str) -> None:
    """Unknown paths, files that are no assets and pages that other frameworks would have."""
    assert is_the_one_shape(call(path), 404)


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_a_wrong_method_is_405_in_the_one_shape(call: Callable[..., Any], path: str, method: str) -> None:
    """And it says what is allowed."""
    reply = call(path, method, b"{}")
    if path == "/api/v1/openapi.json" and reply.status == 404:
        pytest.fail("OpenAPI is a route like the others")
    assert is_the_one_shape(reply, 405)
    assert "GET" in reply.headers["allow"]


def test_a_fault_is_500_in_the_one_shape_and_tells_nothing(call: Callable[..., Any], signs: Any) -> None:
    """What a route raises is neither shown nor lets the connection hang."""
    signs.fault = RuntimeError("postgresql://user:secret@host")
    for path in ("/readyz", "/status"):
        reply = call(path)
        assert is_the_one_shape(reply, 500)
        assert b"secret" not in reply.body


def test_a_request_that_does_not_fit_its_route_is_422_in_the_one_shape() -> None:
    """Findings name the place and the problem."""
    import asyncio

    from fastapi import FastAPI

    from majordomo.report import errors

    app = FastAPI()
    errors.install(app)

    @app.get("/things/{number}")
    async def thing(number: int, limit: int = 1) -> int:
        return number + limit

    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def answer(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/things/x",
        "query_string": b"limit=y",
        "headers": [],
        "root_path": "",
    }
    asyncio.run(app(scope, receive, answer))
    assert sent[0]["status"] == 422
    error = json.loads(sent[1]["body"])["error"]
    assert error["code"] == "invalid"
    assert {detail["where"] for detail in error["details"]} == {"path.number", "query.limit"}


@pytest.mark.parametrize("path", [*ROUTES[1:], "/nothing"])
def test_no_reply_but_the_dashboard_may_run_scripts_and_none_be_framed(call: Callable[..., Any], path: str) -> None:
    """Every reply forbids scripts, frames and guessing of types."""
    headers = call(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "script-src" not in policy
    assert headers["x-content-type-options"] == "nosniff"


def test_the_status_page_obeys_its_own_policy(call: Callable[..., Any]) -> None:
    """No script, no inline style, and everything it loads is served here."""
    page = call("/status", headers={"Host": "gateway.example:7680"}).body.decode()
    assert "<script" not in page
    assert "style=" not in page
    assert "http://gateway.example:7680/v1/chat/completions" in page
    for link in re.findall(r'(?:href|src)="(/[^"]*)"', page):
        assert link == "/health" or call(link).status == 200  # liveness is the front desk's own


def test_the_status_page_shows_hostile_names_as_text(call: Callable[..., Any]) -> None:
    """A Host header is text, whatever it holds."""
    assert b"<img" not in call("/status", headers={"Host": '"><img src=x>'}).body


def test_ready_while_everything_works(call: Callable[..., Any]) -> None:
    """Each part says how it is."""
    reply = call("/readyz")
    told = json.loads(reply.body)
    assert reply.status == 200
    assert told["ready"] is True
    assert {name: part["state"] for name, part in told["parts"].items()} == dict.fromkeys(
        ("database", "journal", "prices", "front_desks"), "ok"
    )


@pytest.mark.parametrize(
    ("sign", "value", "part", "state", "status"),
    [
        ("answers", False, "database", "down", 503),
        ("journal_figures", JournalFigures(8.0, 10, 0), "journal", "degraded", 200),
        ("journal_figures", JournalFigures(900.0, 10, 0), "journal", "down", 503),
        ("journal_figures", JournalFigures(0.0, 0, 2), "journal", "degraded", 200),
        ("price_figures", PriceFigures("v", 99_999.0, 21_600.0, True, False), "prices", "degraded", 200),
        ("price_figures", PriceFigures("v", None, 21_600.0, True, False), "prices", "degraded", 200),
        ("price_figures", PriceFigures("v", None, None, False, False), "prices", "ok", 200),
        ("price_figures", PriceFigures("v", 1.0, 21_600.0, False, True), "prices", "degraded", 200),
        ("desks", [SILENT], "front_desks", "down", 503),
        (
            "desks",
            [FrontDesk("0", 60.0, True, {}, {}), FrontDesk("1", 1.0, True, {}, {})],
            "front_desks",
            "degraded",
            200,
        ),
        ("desks", [FrontDesk("0", 1.0, False, {}, {})], "front_desks", "degraded", 200),
        ("desks", [], "front_desks", "ok", 200),
    ],
)
def test_each_part_can_fail_alone(
    call: Callable[..., Any], signs: Any, sign: str, value: Any, part: str, state: str, status: int
) -> None:
    """One bad sign changes its own part, and readiness only if the part is down."""
    setattr(signs, sign, value)
    reply = call("/readyz")
    told = json.loads(reply.body)
    assert reply.status == status
    assert {name for name, each in told["parts"].items() if each["state"] != "ok"} == (
        {part} if state != "ok" else set()
    )
    assert told["parts"][part]["state"] == state
    assert told["parts"][part]["note"]
    assert call("/status").status == 200


def test_openapi_is_3_1_and_knows_the_error_shape(call: Callable[..., Any]) -> None:
    """Generated clients get every documented route and the shape of errors."""
    document = json.loads(call("/api/v1/openapi.json").body)
    assert document["openapi"].startswith("3.1")
    assert {"/readyz", "/metrics"} <= document["paths"].keys()
    assert document["components"]["schemas"]["Error"]["properties"].keys() == {"error"}
    for operations in document["paths"].values():
        assert operations
        for operation in operations.values():
            assert "default" in operation["responses"]
