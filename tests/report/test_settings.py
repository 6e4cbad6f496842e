"""The settings in force over HTTP: for the installation's admins, with their sources, without secrets."""

from typing import Any

import pytest
from pydantic import SecretStr

from majordomo.record import users
from majordomo.record.users import DEFAULT_ORG
from majordomo.report.installation import shown
from majordomo.settings import ProviderSettings, Settings, load_settings, origins

SECRET = "hunter2-and-more"


def test_every_setting_is_told_and_no_secret(api: Any) -> None:
    api.sign_in(DEFAULT_ORG, "boss@example.com", "admin")
    api.setting(
        database_url=SecretStr(f"postgresql://app:{SECRET}@db.example.com/llm?sslpassword={SECRET}"),
        budget_webhook_url=f"https://hooks.example.com/services/{SECRET}",
        providers={"openai": ProviderSettings(base_url=f"https://me:{SECRET}@llm.example.com/v1?token={SECRET}")},
    )
    reply = api("GET", "/settings")
    told = {one["name"]: one for one in reply.json["settings"]}
    assert list(told) == list(Settings.model_fields)
    assert SECRET.encode() not in reply.body
    assert told["database_url"]["value"] == "postgresql://app@db.example.com/llm" == reply.json["database"]["dsn"]
    assert told["budget_webhook_url"]["value"] == "https://hooks.example.com/…"
    assert told["providers"]["value"]["openai"]["base_url"] == "https://llm.example.com/v1?…"
    assert told["workers"] == {
        "name": "workers",
        "environment": "MAJORDOMO_WORKERS",
        "value": 1,
        "default": 1,
        "source": "default",
        "description": "Front-desk processes sharing the port.",
        "needs_restart": True,
    }
    assert reply.json["database"]["schema_version"] >= 8 and reply.json["front_desks_serving"] == 1
    assert reply.json["price_version"]


def test_only_admins_of_the_default_organisation_see_them(api: Any) -> None:
    api.sign_in(DEFAULT_ORG, "member@example.com")
    assert api("GET", "/settings").json["error"]["code"] == "admins_only"
    other = api.database(lambda connection: users.create_org(connection, "Acme"))
    api.sign_in(other.id, "other@example.com", "admin")
    refused = api("GET", "/settings")
    assert (refused.status, refused.json["error"]["code"]) == (403, "installation_only")


def test_each_setting_knows_where_it_came_from(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "majordomo.toml"
    file.write_text("port = 7000\nworkers = 2\nmax_headers = 100\n")
    monkeypatch.setenv("MAJORDOMO_WORKERS", "3")
    monkeypatch.setenv("MAJORDOMO_PROVIDERS__OPENAI__BASE_URL", "http://127.0.0.1:1")
    told = origins(load_settings(file, port=7001))
    wanted = {"port": "flag", "workers": "environment", "max_headers": "file", "host": "default"}
    assert {name: told[name] for name in wanted} == wanted
    assert told["providers"] == "environment"


def test_an_address_that_is_none_is_not_shown() -> None:
    assert shown("price_feed_url", "http://[::1") == "…"
