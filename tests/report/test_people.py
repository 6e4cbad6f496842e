"""Signing in, people, tokens and organisations over HTTP: who may do what, and what an attacker gets."""

from collections.abc import Callable
from typing import Any

import pytest

from majordomo.record import sign_in, users
from majordomo.record.users import DEFAULT_ORG

Api = Callable[..., Any]
PASSWORD = "correct horse battery staple"

#: Every route that changes something, with a body that would be right.
CHANGES = (
    ("DELETE", "/session", None),
    ("POST", "/users", {"email": "new@example.com"}),
    ("PATCH", f"/users/{DEFAULT_ORG}", {"name": "x"}),
    ("POST", f"/users/{DEFAULT_ORG}/link", None),
    ("POST", "/tokens", {"name": "ci"}),
    ("DELETE", f"/tokens/{DEFAULT_ORG}", None),
    ("POST", "/orgs", {"name": "Acme"}),
)
LOOKS = ("/session", "/users", f"/users/{DEFAULT_ORG}", "/tokens", "/orgs")


def make(api: Any, email: str = "alice@example.com", role: str = "admin", org: Any = DEFAULT_ORG) -> Any:
    """A user of whom only the address is known, and the link for them."""

    async def part(connection: Any) -> Any:
        user = await users.create(connection, org, email, "Someone", role)  # type: ignore[arg-type]
        return user, await sign_in.make_link(connection, user)

    return api.database(part)


def enter(api: Any, email: str = "alice@example.com", role: str = "admin", org: Any = DEFAULT_ORG) -> str:
    """Sign a new user in with a link; returns what changes have to repeat."""
    _, link = make(api, email, role, org)
    reply = api("POST", "/session/link", {"link": link, "password": PASSWORD})
    assert reply.status == 200, reply.body
    return str(reply.json["csrf_token"])


def test_a_link_signs_in_once_and_the_password_does_from_then_on(api: Any) -> None:
    _, link = make(api)
    body = {"link": link, "password": PASSWORD, "email": "Boss@example.com", "name": "Boss"}
    reply = api("POST", "/session/link", body)
    assert (reply.status, reply.json["user"]["email"], reply.json["user"]["name"]) == (200, "boss@example.com", "Boss")
    cookie = reply.headers["set-cookie"]
    assert all(mark in cookie for mark in ("HttpOnly", "SameSite=strict", "Path=/")) and "Secure" not in cookie
    assert api("GET", "/session").json["user"]["email"] == "boss@example.com"
    assert api("POST", "/session/link", body).json["error"]["code"] == "sign_in_refused"
    reply = api("POST", "/session", {"email": "boss@example.com", "password": PASSWORD}, X_Forwarded_Proto="https")
    assert reply.status == 200 and "Secure" in reply.headers["set-cookie"]


def test_signing_out_ends_the_session_on_the_server(api: Any) -> None:
    token = enter(api)
    cookies = dict(api.cookies)
    assert api("DELETE", "/session", X_CSRF_Token=token).status == 204
    api.cookies = cookies
    assert api("GET", "/session").json["error"]["code"] == "not_signed_in"


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
def test_no_change_without_the_sessions_token(api: Any, method: str, path: str, body: Any) -> None:
    """Another site can make a browser send the cookie; it cannot know the token."""
    enter(api)
    for wrong in ({}, {"X_CSRF_Token": ""}, {"X_CSRF_Token": "x" * 43}, {"X_CSRF_Token": "é"}):
        reply = api(method, path, body, **wrong)
        assert (reply.status, reply.json["error"]["code"]) == (403, "csrf_token_missing")


@pytest.mark.parametrize(("method", "path", "body"), [*CHANGES, *(("GET", path, None) for path in LOOKS)])
def test_nobody_gets_nothing(api: Any, method: str, path: str, body: Any) -> None:
    for headers in (
        {},
        {"Cookie": "majordomo_session=x"},
        {"Cookie": "majordomo_session=" + "x" * 5000},
        {"Authorization": "Bearer mdm_ut_unknown"},
        {"Authorization": "Bearer mdm_sk_" + "x" * 43},
        {"Authorization": "Bearer "},
    ):
        assert api(method, path, body, **headers).status == 401, headers


def test_members_look_and_admins_change(api: Any) -> None:
    enter(api)
    admin = dict(api.cookies)
    token = enter(api, "bob@example.com", "member")
    for path in ("/users", "/tokens", "/orgs", "/session"):
        assert api("GET", path).status == 200
    for method, path, body in CHANGES:
        if "/users" in path or "/orgs" in path:
            assert api(method, path, body, X_CSRF_Token=token).status == 403
    assert api("POST", "/tokens", {"name": "own"}, X_CSRF_Token=token).status == 201
    api.cookies = admin
    token = api("GET", "/session").json["csrf_token"]
    made = api("POST", "/users", {"email": "carol@example.com", "role": "member"}, X_CSRF_Token=token)
    assert made.status == 201 and len(made.json["link"]) == 43
    carol = made.json["user"]["id"]
    changed = api("PATCH", f"/users/{carol}", {"name": "Carol", "is_active": False}, X_CSRF_Token=token)
    assert (changed.json["name"], changed.json["is_active"]) == ("Carol", False)
    assert api("POST", "/users", {"email": "carol@example.com"}, X_CSRF_Token=token).json["error"]["code"] == "taken"


def test_the_last_admin_is_not_taken_away(api: Any) -> None:
    token = enter(api)
    me = api("GET", "/session").json["user"]["id"]
    for change in ({"role": "member"}, {"is_active": False}):
        reply = api("PATCH", f"/users/{me}", change, X_CSRF_Token=token)
        assert (reply.status, reply.json["error"]["code"]) == (409, "last_admin")


def test_a_token_asks_without_cookie_until_it_is_taken_back(api: Any) -> None:
    csrf = enter(api)
    made = api("POST", "/tokens", {"name": "ci", "days": 7}, X_CSRF_Token=csrf).json
    cookies, api.cookies = api.cookies, {}
    bearer = {"Authorization": f"Bearer {made['token']}"}
    assert api("GET", "/session", **bearer).json["csrf_token"] is None
    assert [token["name"] for token in api("GET", "/tokens", **bearer).json["tokens"]] == ["ci"]
    assert api("POST", "/users", {"email": "x@example.com"}, **bearer).status == 201
    api.cookies = cookies
    assert api("DELETE", f"/tokens/{made['id']}", X_CSRF_Token=csrf).status == 204
    assert api("DELETE", f"/tokens/{made['id']}", X_CSRF_Token=csrf).status == 404
    api.cookies = {}
    assert api("GET", "/session", **bearer).json["error"]["code"] == "token_unknown"


def test_another_organisation_is_not_seen(api: Any) -> None:
    token = enter(api)
    acme = api("POST", "/orgs", {"name": "Acme"}, X_CSRF_Token=token).json["id"]
    ours = api("GET", "/session").json["user"]["id"]
    theirs = enter(api, "eve@acme.example", "admin", acme)
    assert [user["email"] for user in api("GET", "/users").json["users"]] == ["eve@acme.example"]
    assert [org["name"] for org in api("GET", "/orgs").json["orgs"]] == ["Acme"]
    assert api("GET", f"/users/{ours}").status == 404
    assert api("PATCH", f"/users/{ours}", {"name": "x"}, X_CSRF_Token=theirs).status == 404
    assert api("POST", f"/users/{ours}/link", X_CSRF_Token=theirs).status == 404
    assert api("POST", "/orgs", {"name": "More"}, X_CSRF_Token=theirs).status == 403


def test_passwords_are_not_guessed_at_any_speed(api: Any) -> None:
    """Ten wrong ones, then a wait, also for the right one; other addresses are not held up."""
    enter(api)
    enter(api, "bob@example.com")
    for _ in range(10):
        reply = api("POST", "/session", {"email": "alice@example.com", "password": "wrong password"})
        assert (reply.status, reply.json["error"]["code"]) == (401, "sign_in_refused")
    reply = api("POST", "/session", {"email": "ALICE@example.com ", "password": PASSWORD})
    assert (reply.status, reply.json["error"]["code"]) == (429, "too_many_attempts")
    assert "users link" in reply.json["error"]["message"]
    assert api("POST", "/session", {"email": "bob@example.com", "password": PASSWORD}).status == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/session", {"email": "a@b.example"}),
        ("/session", {"email": "a@b.example", "password": "x", "more": 1}),
        ("/session", {"email": "a@b.example", "password": ["x"]}),
        ("/session", b"{"),
        ("/session", b"\xff"),
        ("/session/link", {"link": "x" * 300, "password": PASSWORD}),
        ("/session/link", {"link": "x", "password": "short"}),
    ],
)
def test_what_does_not_fit_is_named(api: Any, path: str, body: Any) -> None:
    reply = api("POST", path, body)
    assert reply.status in (400, 422), reply.body
    assert reply.json["error"]["message"]
    assert PASSWORD.encode() not in reply.body
