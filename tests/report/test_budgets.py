"""Budgets over HTTP: who may look, who may change, and what is told of what is wrong."""

import datetime as dt
from typing import Any
from uuid import UUID

import pytest

from majordomo.record import api_keys, sign_in, users
from majordomo.record.users import DEFAULT_ORG

ROUTES = (
    ("POST", "", {"name": "x", "limit": "1"}),
    ("PATCH", "/b", {"limit": "2"}),
    ("POST", "/b/raise", {"amount": "1", "until": "2099-01-01T00:00:00Z", "reason": "r"}),
    ("POST", "/b/pause", {}),
    ("POST", "/b/resume", {}),
    ("DELETE", "/b", None),
)


class Office:
    """Asks about budgets with the token of somebody."""

    def __init__(self, api: Any) -> None:
        self.api = api
        self.admin = self.token("admin@example.com", "admin")

    def token(self, email: str, role: str, org: UUID = DEFAULT_ORG) -> str:
        async def make(connection: Any) -> str:
            user = await users.create(connection, org, email, "Someone", role)  # type: ignore[arg-type]
            secret, _ = await sign_in.make_token(connection, user, "tests", None)
            return secret

        return str(self.api.database(make))

    def __call__(self, method: str, path: str = "", body: Any = None, token: str | None = None) -> Any:
        return self.api(method, f"/budgets{path}", body, Authorization=f"Bearer {token or self.admin}")

    def key(self, name: str) -> Any:
        return self.api.database(lambda connection: api_keys.create(connection, name))


@pytest.fixture
def office(api: Any) -> Office:
    """An installation with an admin."""
    return Office(api)


def test_a_budget_is_made_changed_raised_paused_and_deleted(office: Office) -> None:
    key = office.key("legal").key
    made = office("POST", "", {"name": "b", "limit": "5.00", "window": "day", "keys": ["legal"], "each": "user-id"})
    assert made.status == 201, made.body
    assert (made.json["limit"], made.json["keys"], made.json["each"]) == ("5", [str(key.id)], "User-Id")
    assert made.json["warnings"]
    changed = office("PATCH", "/b", {"limit": "6", "each": None, "reason": "growing"})
    assert (changed.json["limit"], changed.json["each"], changed.json["window"]) == ("6", None, "day")
    until = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)).isoformat()
    raised = office("POST", "/b/raise", {"amount": "4", "until": until, "reason": "launch"})
    assert (raised.json["limit"], raised.json["base_limit"]) == ("10", "6")
    assert office("POST", "/b/pause", {}).json["paused"] is True
    assert office("POST", "/b/pause", {}).status == 422
    assert office("POST", f"/{made.json['id']}/resume", {}).json["paused"] is False
    [listed] = office("GET").json["budgets"]
    assert listed == office("GET", "/b").json | {"counts": listed["counts"]}
    told = office("GET", "/b/history").json
    assert [one["what"] for one in told["history"]] == ["resumed", "paused", "raised", "updated", "created"]
    assert {one["changed_by"] for one in told["history"]} == {"admin@example.com"}
    assert (told["refusals"], told["alerts"]) == ([], [])
    assert office("DELETE", "/b").status == 204
    assert office("GET", "/b").status == 404
    assert office("GET").json == {"budgets": []}


def test_members_look_and_only_admins_change(office: Office) -> None:
    office("POST", "", {"name": "b", "limit": "1"})
    member = office.token("member@example.com", "member")
    assert len(office("GET", "", token=member).json["budgets"]) == 1
    assert office("GET", "/b/history", token=member).status == 200
    for method, path, body in ROUTES:
        assert office(method, path, body, member).json["error"]["code"] == "admins_only", path
        assert office(method, path, body, "mdm_ut_unknown").status == 401, path
    assert office("GET", "", token="mdm_ut_unknown").status == 401


def test_another_organisations_budgets_and_keys_are_not_there(office: Office) -> None:
    office.key("ours")
    office("POST", "", {"name": "b", "limit": "1"})
    org = office.api.database(lambda connection: users.create_org(connection, "Other"))
    other = office.token("other@example.com", "admin", org.id)
    assert office("GET", "", token=other).json == {"budgets": []}
    for method, path, body in ROUTES[1:]:
        assert office(method, path, body, other).status == 404, path
    refused = office("POST", "", {"name": "b", "limit": "1", "keys": ["ours"]}, other)
    assert (refused.status, "of this organisation" in refused.json["error"]["message"]) == (422, True)
    assert office("POST", "", {"name": "b", "limit": "1"}, other).status == 201  # names are each organisation's own


def test_a_gateway_key_sees_the_budgets_that_govern_it_and_nothing_of_others(office: Office) -> None:
    one, two = office.key("one"), office.key("two")
    for name, more in (
        ("all", {}),
        ("one", {"keys": ["one"]}),
        ("both", {"keys": ["one", "two"]}),
        ("two", {"keys": ["two"]}),
        ("each", {"each": "key"}),
        ("users", {"each": "User-Id"}),
    ):
        assert office("POST", "", {"name": name, "limit": "1", **more}).status == 201
    for key, value in ((one, "a"), (two, "b")):
        office.api.database(
            lambda c, key=key, value=value: c.execute(
                "INSERT INTO budget_cells (budget_id, each_value, window_start, spent)"
                " SELECT b.id, CASE name WHEN 'each' THEN $1 WHEN 'users' THEN $2 ELSE '' END,"
                " date_trunc('month', now()), 0.5"
                " FROM budgets b ON CONFLICT DO NOTHING",
                key.key.id.hex,
                value,
            )
        )
    seen = office.api("GET", "/budgets", X_Majordomo_Key=one.secret).json["budgets"]
    assert [budget["name"] for budget in seen] == ["all", "one", "both", "each", "users"]
    by_name = {budget["name"]: budget for budget in seen}
    assert by_name["both"]["keys"] == [str(one.key.id)]
    assert [count["value"] for count in by_name["each"]["counts"]] == [one.key.id.hex]
    assert by_name["users"]["counts"] == []
    assert by_name["all"]["spent"] == "0.5"
    assert office.api("GET", "/budgets", X_Majordomo_Key="mdm_sk_wrong").status == 401
    assert office.api("POST", "/budgets", {"name": "x", "limit": "1"}, X_Majordomo_Key=one.secret).status == 401


def test_everything_wrong_is_told_at_once(office: Office) -> None:
    body = {"name": "b", "limit": "-1", "window": "x", "time_zone": "y", "keys": ["nobody"], "on_unpriced": "ceiling:"}
    refused = office("POST", "", body).json["error"]
    assert refused["code"] == "invalid_budget"
    assert len(refused["details"]) == 5
    assert office("POST", "", {"name": "b", "limit": "1", "scope": {}}).status == 422
    assert office("POST", "", {"name": "b", "limit": 1}).status == 422  # amounts are text
    assert office("GET", "/nothing").status == 404
    unseen = {"name": "b", "limit": "1", "models": ["gtp-*"], "providers": ["opnai"]}
    refused = office("POST", "", unseen).json["error"]
    assert ["gtp-*" in one["problem"] for one in refused["details"]] == [True, False]
    assert len(office("POST", "", unseen | {"allow_unseen": True}).json["warnings"]) == 2
    assert office("PATCH", "/b", {"providers": ["nobody"]}).status == 422
    assert office("PATCH", "/b", {"limit": "2"}).status == 200


def test_the_past_is_replayed_without_changing_anything(office: Office) -> None:
    office("POST", "", {"name": "b", "limit": "1"})
    span = {"since": "2026-01-01T00:00:00Z", "until": "2026-02-01T00:00:00Z"}
    for body in ({"budget": "b"}, {"limit": "2", "window": "day"}, {"budget": "b", "limit": "3"}):
        came = office("POST", "/simulate", body | span)
        assert (came.status, came.json["requests"], came.json["refused"]) == (200, 0, 0)
    assert office("POST", "/simulate", span).status == 422
    assert office("GET", "/b").json["limit"] == "1"


def test_limits_that_are_near_and_refusals_are_told_of_ones_own_organisation(office: Office) -> None:
    office("POST", "", {"name": "b", "limit": "1"})
    office.api.database(
        lambda c: c.execute(
            "INSERT INTO budget_cells (budget_id, each_value, window_start, spent)"
            " SELECT id, '', date_trunc('month', now()), 0.85 FROM budgets"
        )
    )
    member = office.token("member@example.com", "member")
    [one] = office("GET", "/near", token=member).json["near"]
    assert (one["budget"], one["percent"], one["spent"], one["unit"]) == ("b", "85", "0.85", "usd")
    assert office("GET", "/near?at=90").json == {"near": []}
    assert office("GET", "/near?at=0").status == 422
    assert office("GET", "/refusals").json == {"refusals": []}
    org = office.api.database(lambda connection: users.create_org(connection, "Other"))
    other = office.token("other@example.com", "admin", org.id)
    assert office("GET", "/near", token=other).json == {"near": []}
    assert office("GET", "/refusals?days=366", token=other).json == {"refusals": []}
    for path in ("/near", "/refusals"):
        assert office("GET", path, token="mdm_ut_unknown").status == 401


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": "0"},
        {"limit": "-0.0"},
        {"limit": "NaN"},
        {"limit": "-Infinity"},
        {"limit": "1e400"},
        {"limit": "1e-400"},
        {"limit": "9" * 99},
        {"limit": "0.0000000000000001"},
        {"limit": "five"},
        {"limit": ""},
        {"limit": "1.5", "unit": "requests"},
        {"limit": "1e16", "unit": "tokens"},
        {"unit": "dollars"},
        {"month_start": 0},
        {"month_start": 10**40},
        {"week_start": "someday"},
        {"window": "rolling:9999999999s"},
        {"window": "rolling:-1h"},
        {"window": "day", "unit": "concurrent"},
        {"window": "session", "each": "User-Id"},
        {"time_zone": "Mars/Olympus"},
        {"time_zone": "../../etc/passwd"},
        {"warn_at": [0]},
        {"warn_at": [101]},
        {"warn_at": [10**30]},
        {"on_unpriced": "ceiling:-1"},
        {"on_unpriced": "ceiling:1e99"},
        {"on_unpriced": "allow", "unit": "tokens"},
        {"metadata": {"Team": ""}},
        {"metadata": {"Team": "a", "team": "b"}},
        {"metadata": {"bad name\n": "x"}},
        {"metadata": {"Team": "a"}, "each": "Team"},
        {"each": "bad name"},
        {"sessions": ["no uuid"]},
        {"keys": ["nobody"]},
        {"models": [""]},
        {"providers": ["ope\x00nai"]},
        {"name": ""},
        {"name": "x" * 101},
        {"name": "a\nb"},
        {"contact": "a\x00b"},
        {"mode": "lenient"},
    ],
    ids=str,
)
def test_what_makes_no_budget_is_refused_with_a_word_why_and_nothing_is_made(office: Office, wrong: Any) -> None:
    refused = office("POST", "", {"name": "b", "limit": "1"} | wrong)
    assert refused.status == 422, refused.body
    assert refused.json["error"]["message"]
    assert office("GET").json == {"budgets": []}


@pytest.mark.parametrize(
    "until",
    ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2020-01-01T00:00:00Z", "soon", 10**30, None],
    ids=str,
)
def test_a_raise_or_a_replay_at_an_impossible_time_is_refused(office: Office, until: Any) -> None:
    office("POST", "", {"name": "b", "limit": "1"})
    assert office("POST", "/b/raise", {"amount": "1", "until": until, "reason": "r"}).status == 422
    for span in ({"since": "2026-01-01T00:00:00Z", "until": until}, {"since": until, "until": "2026-01-01T00:00:00Z"}):
        assert office("POST", "/simulate", {"budget": "b"} | span).status in (200, 422)
