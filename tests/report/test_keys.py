"""Gateway keys over HTTP: made, listed, changed, revoked, rotated, and never seen from another organisation."""

from typing import Any
from uuid import UUID

import pytest

from majordomo.record import api_keys, users
from majordomo.record.api_keys import hash_of
from majordomo.record.users import DEFAULT_ORG

NOBODYS = UUID(int=7)


@pytest.fixture
def admin(api: Any) -> Any:
    """A browser in which an admin is signed in."""
    api.sign_in(DEFAULT_ORG, "boss@example.com", "admin")
    return api


def test_a_new_key_tells_its_secret_once_and_works_by_its_hash(admin: Any) -> None:
    """What is kept is the SHA-256; no later answer holds the secret or it; the reply is not to be stored."""
    body = {"name": " legal ", "description": "for the lawyers", "on_hangup": "cut", "metadata": {"team": "legal"}}
    made = admin.change("POST", "/keys", body)
    assert made.status == 201
    assert made.headers["cache-control"] == "no-store"
    told = made.json
    secret = told.pop("key")
    assert secret.startswith("mdm_sk_")
    assert (told["name"], told["metadata"], told["on_hangup"]) == ("legal", {"Team": "legal"}, "cut")
    kept = admin.database(lambda connection: connection.fetchval("SELECT key_hash FROM api_keys"))
    assert kept == hash_of(secret)
    for path in ("/keys", f"/keys/{told['id']}"):
        reply = admin("GET", path)
        assert reply.status == 200
        assert secret.encode() not in reply.body
        assert kept.encode() not in reply.body
    assert admin("GET", f"/keys/{told['id']}").json == told


def test_a_key_is_changed_rotated_and_revoked_for_good(admin: Any) -> None:
    """Only what is named changes; null takes away; a revoked key stays so."""
    key = f"/keys/{admin.change('POST', '/keys', {'name': 'one', 'description': 'x', 'on_hangup': 'cut'}).json['id']}"
    changed = admin.change("PATCH", key, {"name": "two", "metadata": {"user-id": "u1"}}).json
    assert (changed["name"], changed["description"], changed["metadata"]) == ("two", "x", {"User-Id": "u1"})
    changed = admin.change("PATCH", key, {"description": None, "on_hangup": None, "metadata": {}}).json
    assert (changed["name"], changed["description"], changed["on_hangup"], changed["metadata"]) == (
        "two",
        None,
        None,
        {},
    )
    first = admin.change("POST", f"{key}/rotate").json["key"]
    assert admin.change("POST", f"{key}/rotate").json["key"] != first
    revoked = admin.change("POST", f"{key}/revoke").json
    assert revoked["is_active"] is False
    assert revoked["revoked_at"] is not None
    for again in ("revoke", "rotate"):
        reply = admin.change("POST", f"{key}/{again}")
        assert (reply.status, reply.json["error"]["code"]) == (409, "key_revoked")


def test_keys_come_page_by_page_oldest_first(admin: Any) -> None:
    """Following the cursors gives each key once."""
    for number in range(5):
        admin.change("POST", "/keys", {"name": f"k{number}"})
    seen, cursor = [], ""
    while True:
        page = admin("GET", f"/keys?limit=2{cursor}").json
        assert 1 <= len(page["keys"]) <= 2
        seen += [key["name"] for key in page["keys"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == [f"k{number}" for number in range(5)]


def test_members_look_and_do_not_change(member: Any) -> None:
    """Every change by a member is refused, and changes nothing."""
    made = member.database(lambda connection: api_keys.create(connection, "one")).key
    assert [key["name"] for key in member("GET", "/keys").json["keys"]] == ["one"]
    changes = (
        ("POST", "/keys", {"name": "x"}),
        ("PATCH", f"/keys/{made.id}", {"name": "x"}),
        ("POST", f"/keys/{made.id}/revoke", None),
        ("POST", f"/keys/{made.id}/rotate", None),
    )
    for method, path, body in changes:
        reply = member.change(method, path, body)
        assert (reply.status, reply.json["error"]["code"]) == (403, "admins_only"), path
    assert member.database(lambda connection: api_keys.list_all(connection)) == [made]


def test_another_organisations_keys_are_not_there(admin: Any) -> None:
    """Not listed, and 404 for every route that names one; a key that is made belongs to who made it."""

    async def elsewhere(connection: Any) -> Any:
        org = await users.create_org(connection, "Acme")
        return (await api_keys.create(connection, "theirs", org_id=org.id)).key

    theirs = admin.database(elsewhere)
    assert admin("GET", "/keys").json["keys"] == []
    for key_id in (theirs.id, NOBODYS):
        replies = [
            admin("GET", f"/keys/{key_id}"),
            admin.change("PATCH", f"/keys/{key_id}", {"name": "mine"}),
            admin.change("POST", f"/keys/{key_id}/revoke"),
            admin.change("POST", f"/keys/{key_id}/rotate"),
        ]
        assert [(reply.status, reply.json["error"]["code"]) for reply in replies] == [(404, "not_found")] * 4
    assert admin.database(lambda connection: api_keys.find(connection, "theirs")) == theirs
    admin.sign_in(theirs.org_id, "boss@acme.example", "admin")
    admin.change("POST", "/keys", {"name": "second"})
    assert [key["name"] for key in admin("GET", "/keys").json["keys"]] == ["theirs", "second"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "   "},
        {"name": "x" * 256},
        {"name": "a\nb"},
        {"name": "a\0b"},
        {"name": 5},
        {"name": "x", "key": "mdm_sk_mine"},
        {"name": "x", "org_id": str(NOBODYS)},
        {"name": "x", "on_hangup": "shout"},
        {"name": "x", "description": "\0"},
        {"name": "x", "metadata": {"Team": ""}},
        {"name": "x", "metadata": {"no name": "x"}},
        {"name": "x", "metadata": {"Team": "a\nb"}},
        {"name": "x", "metadata": {f"K-{n}": "x" for n in range(33)}},
    ],
)
def test_what_makes_no_key_is_refused_with_a_reason(admin: Any, body: dict[str, Any]) -> None:
    """422 in the one shape; nothing is made."""
    reply = admin.change("POST", "/keys", body)
    assert (reply.status, reply.json["error"]["code"]) == (422, "invalid"), reply.body
    assert admin.database(lambda connection: api_keys.list_all(connection)) == []


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "cursor=x", "cursor=AAAAAAAAAAB4", "cursor="])
def test_a_wrong_page_is_refused(member: Any, query: str) -> None:
    """Limits and cursors that no page gave."""
    assert member("GET", f"/keys?{query}").status == 422


def test_a_change_needs_the_sessions_token(admin: Any) -> None:
    """As everywhere: a cookie alone changes nothing."""
    assert admin("POST", "/keys", {"name": "x"}).json["error"]["code"] == "csrf_token_missing"
