"""Every route of the back office, found by walking the application; and a request to each that it understands."""

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

import requests

#: Sends one request: route, target, headers and body.
Send = Callable[..., requests.Response]

#: Asked with a gateway key, not by a person.
OF_A_KEY = ("/api/v1/claude-sessions", "/api/v1/ingest")

WHOLE = {"from": "2026-10-01", "to": "2026-12-01"}

#: Query parameters without which a route does not answer, or answers about too short a time.
NEEDED = {"group_by": "model", "model": "gpt-5"}

#: A time to come that a limit may be raised until.
SOON = (dt.datetime.now(dt.UTC) + dt.timedelta(days=30)).isoformat()

#: A body that each route which takes one understands. `None`: the route takes an empty one.
BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/api/v1/budgets"): {"name": "made", "limit": "5"},
    ("PATCH", "/api/v1/budgets/{budget}"): {"limit": "6"},
    ("POST", "/api/v1/budgets/{budget}/raise"): {"amount": "1", "until": SOON, "reason": "x"},
    ("POST", "/api/v1/budgets/{budget}/pause"): {},
    ("POST", "/api/v1/budgets/{budget}/resume"): {},
    ("POST", "/api/v1/budgets/simulate"): {
        "budget": "{budget}", "since": "2026-10-01T00:00:00Z", "until": "2026-11-24T00:00:00Z",
    },
    ("POST", "/api/v1/claude-sessions"): {"id": "{session_id}"},
    ("POST", "/api/v1/ingest/{journal_id}"): {"version": 1, "position": 0, "requests": []},
    ("POST", "/api/v1/keys"): {"name": "made"},
    ("PATCH", "/api/v1/keys/{key_id}"): {"name": "renamed"},
    ("POST", "/api/v1/metadata-keys/{name}/activate"): {},
    ("POST", "/api/v1/metadata-keys/{name}/deactivate"): {},
    ("POST", "/api/v1/proxy-keys"): {"name": "made"},
    ("PATCH", "/api/v1/proxy-keys/{key_id}"): {"name": "renamed"},
    ("PUT", "/api/v1/proxy-keys/{key_id}/providers/{provider}"): {"credential": "none"},
    ("POST", "/api/v1/orgs"): {"name": "made"},
    ("POST", "/api/v1/session"): {"email": "nobody@example.com", "password": "wrong wrong wrong"},
    ("POST", "/api/v1/session/link"): {"link": "none", "password": "correct horse battery"},
    ("POST", "/api/v1/tokens"): {"name": "made"},
    ("POST", "/api/v1/users"): {"email": "made@example.com"},
    ("PATCH", "/api/v1/users/{user_id}"): {"name": "renamed"},
}  # fmt: skip


class Route(msgspec.Struct, frozen=True):
    """One operation of the OpenAPI document."""

    method: str
    path: str
    parameters: tuple[Any, ...]
    takes_body: bool
    never_ends: bool

    @property
    def key(self) -> tuple[str, str]:
        return self.method, self.path

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def path_names(self) -> tuple[str, ...]:
        """What the path has in braces."""
        return tuple(one["name"] for one in self.parameters if one["in"] == "path")

    @property
    def query_names(self) -> tuple[str, ...]:
        """What the query may have."""
        return tuple(one["name"] for one in self.parameters if one["in"] == "query")

    def own(self, ids: dict[str, str]) -> dict[str, str]:
        """What its path names, by the names in it: the ``key_id`` of a proxy key is not that of a gateway key."""
        if self.path.startswith("/api/v1/proxy-keys"):
            ids = {**ids, "key_id": ids["proxy_key_id"]}
        return {name: ids[name] for name in self.path_names}

    def target(self, ids: dict[str, str], **query: Any) -> str:
        """Path and query, the braces filled from ``ids`` (a ``KeyError`` names what the test does not know)."""
        path = self.path
        for name, value in self.own(ids).items():
            path = path.replace("{" + name + "}", quote(value, safe=""))
        needed = {one["name"]: NEEDED[one["name"]] for one in self.parameters if one["in"] == "query" and _must(one)}
        period = WHOLE if WHOLE.keys() <= set(self.query_names) else {}
        asked = {**period, **needed, **query}
        return path + (f"?{urlencode(asked, doseq=True)}" if asked else "")

    def body(self, ids: dict[str, str]) -> Any:
        """Its body in ``BODIES`` with ids filled in; None where it takes none."""
        if not self.takes_body:
            return None
        told = BODIES[self.key]
        return {name: value.format(**ids) if isinstance(value, str) else value for name, value in told.items()}


def _must(parameter: Any) -> bool:
    return bool(parameter.get("required"))


def asker_of(route: Route, who: str = "admin") -> str:
    """Who may ask it: this person, or a key."""
    return "key" if route.path.startswith(OF_A_KEY) else who


def told(reply: requests.Response) -> str:
    """What was asked and answered, for a failure."""
    return f"{reply.request.method} {reply.request.url} {reply.status_code} {reply.text[:300]}"


def every_route(document: Any) -> list[Route]:
    """All operations of an OpenAPI document."""
    return [
        Route(
            method.upper(),
            path,
            tuple(told.get("parameters", ())),
            "requestBody" in told,
            "text/event-stream" in told["responses"].get("200", {}).get("content", {}),
        )
        for path, methods in document["paths"].items()
        for method, told in methods.items()
    ]


def every_path(app: Any) -> set[tuple[str, str]]:
    """Method and path of every route that the application has, in its document or not."""
    while not hasattr(app, "routes"):
        app = next(inner for inner in vars(app).values() if callable(inner))
    return {(method, route.path) for route in _flat(app.routes) for method in route.methods or () if method != "HEAD"}


def _flat(routes: Any) -> Iterator[Any]:
    for route in routes:
        inner = getattr(getattr(route, "original_router", route), "routes", None)
        if inner:
            yield from _flat(inner)
        else:
            yield route
