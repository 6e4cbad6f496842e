"""Metadata keys over HTTP: what is told of them, who may switch them, and that questions then go through the index."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from recorded_rows import KEYS, exchange, record, varied

from majordomo.clock import wall_us
from majordomo.record import backfill, users
from majordomo.record.database import Connection
from majordomo.record.users import DEFAULT_ORG
from majordomo.report.questions import cells, metadata_keys
from majordomo.report.questions.cells import Scope
from majordomo.report.questions.dimensions import Dimension
from majordomo.report.questions.filters import Filter
from majordomo.report.questions.known import known
from majordomo.report.sql import question

HOUR_US = 3_600_000_000


@pytest.fixture
def admin(api: Any, postgres_dsn: str, tmp_path: Path) -> Any:
    """A signed-in admin; 300 requests of the last hour by two gateway keys."""
    api.sign_in(DEFAULT_ORG, "boss@example.com", "admin")
    record(postgres_dsn, tmp_path / "sent", varied(300, wall_us() - HOUR_US, HOUR_US - 1_000_000))
    return api


async def fill(connection: Connection) -> None:
    """Whatever is due."""
    for job in await backfill.due(connection):
        assert await backfill.run(connection, job, heard_seconds=0)


def test_each_key_is_told_with_its_values_and_use(admin: Any, postgres_dsn: str, tmp_path: Path) -> None:
    """Values that several gateway keys send count once; a key that was sent long ago has a sample all the same."""
    old = wall_us() - 60 * 24 * HOUR_US
    record(postgres_dsn, tmp_path / "old", [exchange(old, metadata={"Rare": "x" * 500})])
    told = admin("GET", "/metadata-keys").json
    by_name = {one["name"]: one for one in told["metadata_keys"]}
    assert [one["name"] for one in told["metadata_keys"]] == ["User-Id", "Feature", "Rare"]
    users_told = by_name["User-Id"]
    assert (users_told["requests"], users_told["is_active"], users_told["backfill"]) == (300, False, None)
    assert 39 <= users_told["approx_values"] <= 41
    assert {UUID(one["key"]) for one in users_told["gateway_keys"]} == set(KEYS)
    assert sum(one["requests"] for one in users_told["gateway_keys"]) == 300
    assert len(users_told["sample_values"]) == 5 and all(one.startswith("user-") for one in users_told["sample_values"])
    assert by_name["Rare"]["sample_values"] == ["x" * 120]
    assert admin("GET", "/metadata-keys?limit=1").json["left_out"] == 2
    assert admin("GET", "/metadata-keys/user-id").json == users_told


def test_pages_hold_each_key_once_most_sent_first(admin: Any, postgres_dsn: str, tmp_path: Path) -> None:
    """Equal counts are in order of their names; a page knows how many come behind it."""
    sent = [exchange(wall_us() - n, metadata={f"K{n % 7}": "x", "Ünïcode-☃": "y"}) for n in range(10)]
    record(postgres_dsn, tmp_path / "more", sent)
    names = ["User-Id", "Feature", "Ünïcode-☃", "K0", "K1", "K2", "K3", "K4", "K5", "K6"]
    for limit in (1, 3, 10, 1000):
        found: list[str] = []
        page = {"next_cursor": None}
        while page["next_cursor"] or not found:
            behind = f"&cursor={page['next_cursor']}" if page["next_cursor"] else ""
            page = admin("GET", f"/metadata-keys?limit={limit}{behind}").json
            found += [one["name"] for one in page["metadata_keys"]]
            assert page["left_out"] == len(names) - len(found)
        assert found == names
    for wrong in ("x", "AAAA"):
        refused = admin("GET", f"/metadata-keys?cursor={wrong}")
        assert (refused.status, refused.json["error"]["code"]) == (422, "invalid")


def test_activation_fills_in_what_was_there_and_twice_changes_nothing(admin: Any) -> None:
    told = admin.change("POST", "/metadata-keys/feature/activate").json
    assert (told["is_active"], told["is_active_everywhere"], told["backfill"]["state"]) == (True, True, "waiting")
    admin.database(fill)
    done = admin("GET", "/metadata-keys/Feature").json
    assert done["backfill"] == {
        "state": "done",
        "progress": 1.0,
        "rows_total": 300,
        "rows_seen": 300,
        "rows_filled": done["requests"],
    }
    again = admin.change("POST", "/metadata-keys/Feature/activate", {})
    assert (again.status, again.json) == (200, done)
    off = admin.change("POST", "/metadata-keys/Feature/deactivate").json
    assert (off["is_active"], off["backfill"]) == (False, None)


def test_one_gateway_key_can_be_switched_alone(admin: Any) -> None:
    told = admin.change("POST", "/metadata-keys/Feature/activate", {"keys": [str(KEYS[0])]}).json
    assert (told["is_active"], told["is_active_everywhere"]) == (True, False)
    assert {one["key"]: one["is_active"] for one in told["gateway_keys"]} == {str(KEYS[0]): True, str(KEYS[1]): False}


def test_very_many_values_must_be_confirmed(admin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    admin.setting(many_metadata_values=30)
    assert [one["needs_confirmation"] for one in admin("GET", "/metadata-keys").json["metadata_keys"]] == [True, False]
    refused = admin.change("POST", "/metadata-keys/User-Id/activate")
    assert (refused.status, refused.json["error"]["code"]) == (409, "many_values")
    assert refused.json["error"]["details"][0]["many_metadata_values"] == 30
    assert not admin("GET", "/metadata-keys/User-Id").json["is_active"]
    assert admin.change("POST", "/metadata-keys/User-Id/activate", {"confirm": True}).json["is_active"]


def test_members_look_and_other_organisations_see_nothing(admin: Any) -> None:
    admin.sign_in(DEFAULT_ORG, "member@example.com")
    assert admin("GET", "/metadata-keys").json["metadata_keys"]
    for verb in ("activate", "deactivate"):
        refused = admin.change("POST", f"/metadata-keys/Feature/{verb}")
        assert (refused.status, refused.json["error"]["code"]) == (403, "admins_only")
    other = admin.database(lambda connection: users.create_org(connection, "Acme"))
    admin.sign_in(other.id, "other@example.com", "admin")
    assert admin("GET", "/metadata-keys").json == {"metadata_keys": [], "left_out": 0, "next_cursor": None}
    for method, path in (("GET", ""), ("POST", "/activate"), ("POST", "/deactivate")):
        unknown = admin.change(method, f"/metadata-keys/Feature{path}")
        assert (unknown.status, unknown.json["error"]["code"]) == (404, "metadata_key_not_found")


@pytest.mark.parametrize("name", ["Nope", "%00", "' OR 1=1", "x" * 255])
def test_a_name_that_nobody_sent_is_not_found(admin: Any, name: str) -> None:
    assert admin("GET", f"/metadata-keys/{name.replace(' ', '%20')}").status == 404


def test_what_is_no_switch_is_refused(admin: Any) -> None:
    for wrong in ({"keys": []}, {"keys": ["x"]}, {"confirm": "perhaps"}, {"force": True}, b"{"):
        assert admin.change("POST", "/metadata-keys/Feature/activate", wrong).status == 422


def test_a_filter_on_an_active_key_goes_through_the_gin_index(admin: Any) -> None:
    """With older requests filled in, over all of time; the plan is PostgreSQL's own, on forty thousand rows."""

    async def plan(connection: Connection) -> tuple[list[Any], list[int]]:
        await metadata_keys.activate(connection, "User-Id")
        await connection.execute(
            "INSERT INTO llm_requests (id, majordomo_api_key_id, provider, api, request_path, request_method,"
            " requested_at, outcome, usage_state, raw_metadata) SELECT gen_random_uuid(), $1, 'openai', 'openai.chat',"
            " '/', 'POST', now() - n * interval '1 s', 'completed', 'final',"
            " jsonb_build_object('User-Id', 'u-' || n % 5000) FROM generate_series(1, 40000) AS n",
            KEYS[0],
        )
        await fill(connection)
        await connection.execute("VACUUM ANALYZE llm_requests")
        names = await known(connection, DEFAULT_ORG)
        chosen = Filter(Dimension("User-Id", is_metadata=True), ("u-17", "u-18"))
        scope = Scope(org_id=DEFAULT_ORG, filters=(chosen,), known=names)
        statement, parameters = cells.over_rows(scope, question("explorer"), columns="r.id")
        assert len(await connection.fetch(statement, *parameters)) == 16
        rows = await connection.fetch(f"EXPLAIN (FORMAT JSON) {statement}", *parameters)
        nodes = list(below(json.loads(rows[0][0])[0]["Plan"]))
        read_whole = [node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"]
        return nodes, [await connection.fetchval(f"SELECT count(*) FROM {table}") for table in read_whole]

    nodes, rows_read_whole = admin.database(plan)
    found = [node["Index Name"] for node in nodes if node["Node Type"] == "Bitmap Index Scan"]
    assert found and all("indexed_metadata" in index for index in found)
    assert not any(rows_read_whole)  # of months without a row there is nothing else to read


def below(node: Any) -> Iterator[Any]:
    """A plan's node and all that it is made from."""
    yield node
    for part in node.get("Plans", ()):
        yield from below(part)
