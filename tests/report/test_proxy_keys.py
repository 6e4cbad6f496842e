"""Proxy keys over HTTP: for admins of their organisation; no credential is ever told."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from majordomo.admit.vault import Vault
from majordomo.record import users
from majordomo.record.users import DEFAULT_ORG

REAL = "sk-ant-api03-the-real-one"


@pytest.fixture
def admin(api: Any, tmp_path: Path) -> Any:
    api.sign_in(DEFAULT_ORG, "boss@example.com", "admin")
    api.setting(data_dir=tmp_path)
    return api


def test_a_proxy_key_from_its_making_to_its_end(admin: Any, tmp_path: Path) -> None:
    made = admin.change("POST", "/proxy-keys", {"name": "team", "description": "all of us"})
    assert (made.status, made.headers["cache-control"]) == (201, "no-store")
    key_id = made.json["id"]
    assert made.json["key"].startswith("mdm_pk_") and made.json["providers"] == []
    put = admin.change("PUT", f"/proxy-keys/{key_id}/providers/anthropic", {"credential": REAL})
    assert (put.status, put.json["providers"]) == (200, ["anthropic"])
    shown = admin("GET", f"/proxy-keys/{key_id}")
    assert "key" not in shown.json and REAL.encode() not in put.body + shown.body + admin("GET", "/proxy-keys").body
    sealed = admin.database(lambda connection: connection.fetchval("SELECT credential FROM proxy_key_providers"))
    assert Vault(tmp_path / "vault.secret").open(sealed, f"{key_id}/anthropic") == REAL.encode()
    assert admin.change("PATCH", f"/proxy-keys/{key_id}", {"description": None}).json["description"] is None
    assert admin.change("POST", f"/proxy-keys/{key_id}/rotate").json["key"] != made.json["key"]
    assert admin.change("DELETE", f"/proxy-keys/{key_id}/providers/anthropic").json["providers"] == []
    assert not admin.change("POST", f"/proxy-keys/{key_id}/revoke").json["is_active"]
    for verb in ("revoke", "rotate"):
        again = admin.change("POST", f"/proxy-keys/{key_id}/{verb}")
        assert (again.status, again.json["error"]["code"]) == (409, "proxy_key_revoked")


def test_only_admins_of_its_organisation_see_it(admin: Any) -> None:
    key_id = admin.change("POST", "/proxy-keys", {"name": "team"}).json["id"]
    admin.sign_in(DEFAULT_ORG, "member@example.com")
    assert admin("GET", "/proxy-keys").json["error"]["code"] == "admins_only"
    other = admin.database(lambda connection: users.create_org(connection, "Acme"))
    admin.sign_in(other.id, "other@example.com", "admin")
    assert admin("GET", "/proxy-keys").json == {"proxy_keys": []}
    for unknown in (key_id, uuid4()):
        for method, path, body in (
            ("GET", "", None),
            ("PATCH", "", {}),
            ("POST", "/revoke", None),
            ("POST", "/rotate", None),
            ("PUT", "/providers/anthropic", {"credential": REAL}),
            ("DELETE", "/providers/anthropic", None),
        ):
            refused = admin.change(method, f"/proxy-keys/{unknown}{path}", body)
            assert (refused.status, refused.json["error"]["code"]) == (404, "proxy_key_not_found"), path


def test_what_is_no_credential_or_provider_is_refused_and_not_repeated(admin: Any) -> None:
    key_id = admin.change("POST", "/proxy-keys", {"name": "team"}).json["id"]
    for provider, body in (
        ("nobody", {"credential": REAL}),
        ("anthropic", {"credential": f"{REAL} twice"}),
        ("anthropic", {"credential": REAL * 1000}),
        ("anthropic", {"credential": {"x": REAL}}),
        ("anthropic", {"credential": REAL, "more": 1}),
    ):
        refused = admin.change("PUT", f"/proxy-keys/{key_id}/providers/{provider}", body)
        assert refused.status == 422 and REAL.encode() not in refused.body
