"""Every route answers whoever may ask: walks that look for refusals find them where all is refused, too."""

from typing import Any

from every_route import Route, Send, asker_of, told
from peopled import Peopled
from served_api import ServedApi

from majordomo.record import sign_in, users
from majordomo.record.database import Connection

PASSWORD = "correct horse battery"


def rank(route: Route) -> int:
    """When a route is asked: links before passwords, looks before changes, and what takes something away at last."""
    if route.key == ("DELETE", "/api/v1/session"):
        return 6
    if route.path.endswith("/revoke"):  # takes a proxy key's credentials along
        return 5
    if route.path.startswith("/api/v1/session"):
        return 0 if route.path.endswith("/link") else 1
    return {"GET": 2, "DELETE": 4}.get(route.method, 3)


def test_every_route_answers_whoever_may_ask(
    routes: list[Route], send: Send, served_api: ServedApi, ours: Peopled
) -> None:
    """2xx for each operation of the document, without an exception."""

    async def link(connection: Connection) -> str:
        somebody = await users.create(connection, ours.org_id, "guest@ours.example", "Guest", "member")
        return await sign_in.make_link(connection, somebody)

    bodies: dict[tuple[str, str], Any] = {
        ("POST", "/api/v1/session/link"): {"link": served_api.database(link), "password": PASSWORD},
        ("POST", "/api/v1/session"): {"email": "guest@ours.example", "password": PASSWORD},
    }
    refused = []
    for route in sorted(routes, key=rank):
        who = "browser" if route.path == "/api/v1/session" and route.method != "POST" else asker_of(route)
        body = bodies.get(route.key) or route.body(ours.ids)
        reply = send(route, route.target({**ours.ids, "model": "gpt-5"}), ours.headers(who), body)
        if not 200 <= reply.status_code < 300:
            refused.append(told(reply))
    assert not refused
