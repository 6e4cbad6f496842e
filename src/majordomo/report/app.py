"""The back office's application: readiness, metrics, the pages, and the control API under ``/api/v1``."""

from collections.abc import Collection

import msgspec
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from pydantic import BaseModel
from starlette.types import ASGIApp

from majordomo import __version__
from majordomo.price.pricer import Pricer
from majordomo.report import (
    budgets,
    claude_session_page,
    claude_sessions,
    dashboard,
    errors,
    ingest,
    keys,
    metadata_keys,
    metrics,
    page,
    people,
    prices,
    proxy_keys,
    settings,
    static_files,
    usage,
)
from majordomo.report.connections import Connections
from majordomo.report.envelope import Envelope
from majordomo.report.errors import JSON
from majordomo.report.halves import Halves
from majordomo.report.installation import Installation
from majordomo.report.intake import Intake
from majordomo.report.live import Live
from majordomo.report.only_known import only_known_parameters
from majordomo.report.usage.live import event_text
from majordomo.report.vitals import Sources, take

OPENAPI_PATH = "/api/v1/openapi.json"


class ErrorDetail(BaseModel):
    """What went wrong: a stable code, a sentence, and findings."""

    code: str
    message: str
    details: list[dict[str, object]]


class Error(BaseModel):
    """The shape of every error."""

    error: ErrorDetail


class PartState(BaseModel):
    """How one part fares."""

    state: str
    note: str
    figures: dict[str, float | int | str | bool | None]


class Readiness(BaseModel):
    """Whether traffic may be sent here, and how each part fares."""

    ready: bool
    parts: dict[str, PartState]


def make_app(
    sources: Sources,
    connections: Connections,
    pricer: Pricer,
    intake: Intake,
    live: Live | None = None,
    providers: Collection[str] = (),
    installation: Installation | None = None,
) -> ASGIApp:
    """The application over what ``sources`` tell, what the database holds, and the prices of now.

    ``providers``: those that requests can be sent to, by name. ``live``: who looks on; whoever stops the
    application closes it first. ``installation``: the settings in force; the defaults if left out.
    """
    app = FastAPI(
        title="Majordomo",
        version=__version__,
        summary="An LLM gateway for exact cost attribution.",
        openapi_url=OPENAPI_PATH,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Depends(only_known_parameters)],
        responses={"default": {"model": Error, "description": "Any error"}},
    )
    app.state.sources = sources
    app.state.connections = connections
    app.state.pricer = pricer
    app.state.intake = intake
    app.state.providers = frozenset(providers or ())
    app.state.installation = installation or Installation.of_defaults()
    app.state.live = live or Live(connections, event_text)
    app.state.halves = Halves(connections)
    app.state.door = people.Door()
    errors.install(app)
    app.include_router(_health)
    app.include_router(_pages)
    app.include_router(dashboard.router)
    app.include_router(static_files.router)
    app.include_router(claude_sessions.router)
    app.include_router(claude_session_page.router)
    app.include_router(ingest.router)
    app.include_router(people.router)
    for router in usage.routers:
        app.include_router(router)
    app.include_router(budgets.router)
    app.include_router(keys.router)
    app.include_router(prices.router)
    app.include_router(metadata_keys.router)
    app.include_router(proxy_keys.router)
    app.include_router(settings.router)
    return Envelope(app)


_health = APIRouter(tags=["health"])
_pages = APIRouter(include_in_schema=False)


@_health.get(
    "/readyz",
    response_model=Readiness,
    responses={503: {"model": Readiness, "description": "Some part is down"}},
    summary="Whether each part works",
)
async def readyz(request: Request) -> Response:
    """200 while no part is down, else 503; either way with the state of each."""
    vitals = await take(request.app.state.sources)
    body = msgspec.json.encode({"ready": vitals.ready, "parts": vitals.parts})
    return Response(body, 200 if vitals.ready else 503, {"Cache-Control": "no-store"}, JSON)


@_health.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Prometheus text"}},
    summary="Figures for Prometheus",
)
async def prometheus(request: Request) -> Response:
    """What the gateway counts, in Prometheus' text format."""
    body = metrics.expose(request.app.state.sources)
    return Response(body, headers={"Cache-Control": "no-store"}, media_type=metrics.CONTENT_TYPE)


@_pages.get("/status")
async def status_page(request: Request) -> Response:
    """How each part fares, for people; without script and without signing in."""
    vitals = await take(request.app.state.sources)
    base = f"{request.url.scheme}://{request.headers.get('host', '127.0.0.1:7680')}"
    return Response(page.render(vitals, base), 200, {"Cache-Control": "no-store"}, "text/html; charset=utf-8")
