"""``majordomo users`` and ``majordomo orgs``: what is printed, and which exit code says what."""

import json
import re
from collections.abc import Callable

Run = Callable[..., tuple[int, str, str]]
Query = Callable[..., list[tuple[object, ...]]]


def test_a_new_user_gets_a_link_to_the_gateway_that_is_told_once(majordomo: Run) -> None:
    code, out, _ = majordomo("users", "create", "Alice@example.com", "--name", "Alice", "--role", "admin")
    assert code == 0
    assert re.search(r"^  http://127\.0\.0\.1:7680/sign-in#[A-Za-z0-9_-]{43}$", out, re.MULTILINE)
    code, out, _ = majordomo("users", "list")
    assert "alice@example.com" in out and "has not followed the link yet" in out and "sign-in#" not in out
    again = json.loads(majordomo("users", "link", "alice@example.com", "--json")[1])
    assert again["email"] == "alice@example.com" and "/sign-in#" in again["link"]


def test_links_name_the_public_address(majordomo: Run, monkeypatch) -> None:
    monkeypatch.setenv("MAJORDOMO_PUBLIC_URL", "https://majordomo.example.com/")
    made = json.loads(majordomo("users", "create", "a@example.com", "--json")[1])
    assert made["link"].startswith("https://majordomo.example.com/sign-in#")


def test_a_user_is_changed_and_the_last_admin_is_not_taken_away(majordomo: Run) -> None:
    majordomo("users", "create", "a@example.com", "--role", "admin")
    code, out, err = majordomo("users", "update", "a@example.com", "--inactive")
    assert (code, out) == (1, "") and "make another one first" in err
    majordomo("users", "create", "b@example.com", "--role", "admin")
    changed = json.loads(majordomo("users", "update", "a@example.com", "--inactive", "--name", "A", "--json")[1])
    assert (changed["is_active"], changed["name"]) == (False, "A")
    assert majordomo("users", "update", "a@example.com")[0] == 2


def test_a_token_is_shown_once(majordomo: Run, query: Query) -> None:
    majordomo("users", "create", "a@example.com")
    made = json.loads(majordomo("users", "token", "a@example.com", "--name", "ci", "--days", "30", "--json")[1])
    assert re.fullmatch(r"mdm_ut_[A-Za-z0-9_-]{43}", made["token"])
    assert query("SELECT name, expires_at > now() + interval '29 days' FROM user_tokens") == [("ci", True)]


def test_organisations_are_made_and_named(majordomo: Run) -> None:
    assert json.loads(majordomo("orgs", "list", "--json")[1])[0]["name"] == "default"
    code, out, _ = majordomo("orgs", "create", "Acme")
    assert code == 0 and "users create ADDRESS --role admin" in out
    majordomo("users", "create", "a@acme.example", "--org", "Acme")
    assert [user["email"] for user in json.loads(majordomo("users", "list", "--org", "Acme", "--json")[1])] == [
        "a@acme.example"
    ]
    assert majordomo("orgs", "create", "Acme")[0] == 1
    code, _, err = majordomo("users", "create", "b@acme.example", "--org", "Nobody")
    assert code == 1 and "orgs list" in err
