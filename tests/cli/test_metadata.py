"""``majordomo metadata``: what callers sent, and which of it is indexed."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from recorded_rows import KEYS, exchange, record

Run = Callable[..., tuple[int, str, str]]
Query = Callable[..., list[tuple[object, ...]]]

NOW_US = int(time.time() * 1e6)


@pytest.fixture
def sent(postgres_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six requests of two gateway keys with two metadata keys; no gateway runs, so no writer has to hear of it."""
    monkeypatch.setattr("majordomo.record.backfill.HEARD_SECONDS", 0.0)
    made = [exchange(NOW_US + n, key=KEYS[n % 2], metadata={"User-Id": f"u{n}", "Feature": "chat"}) for n in range(6)]
    record(postgres_dsn, tmp_path / "1", made)


def test_every_observed_key_is_listed_with_its_values(majordomo: Run, sent: None) -> None:
    """Counts and estimated numbers of values, for each gateway key."""
    told = json.loads(majordomo("metadata", "list", "--json")[1])
    assert told["numRecords"] == 4
    found = {(one["key_name"], one["majordomo_api_key_id"]): one for one in told["metadata_keys"]}
    users = found["User-Id", str(KEYS[0])]
    assert (users["request_count"], users["approx_cardinality"], users["is_active"]) == (3, 3, False)
    assert found["Feature", str(KEYS[1])]["approx_cardinality"] == 1
    out = majordomo("metadata", "list")[1]
    assert out.count("User-Id") == 2


def test_activation_indexes_what_was_there_and_what_comes(
    majordomo: Run, sent: None, query: Query, postgres_dsn: str, tmp_path: Path
) -> None:
    """A second activation says that it is active."""
    code, out, _ = majordomo("metadata", "activate", "user-id")
    assert code == 0
    assert "User-Id is active from now on for 2 gateway keys" in out
    assert "recorded before are in its index" in out
    record(postgres_dsn, tmp_path / "2", [exchange(NOW_US + 50, metadata={"User-Id": "u50", "Feature": "chat"})])
    for value in ("u0", "u50"):
        found = query("SELECT count(*) FROM llm_requests WHERE indexed_metadata @> $1", f'{{"User-Id": "{value}"}}')
        assert found == [(1,)]
    code, out, _ = majordomo("metadata", "activate", "User-Id")
    assert (code, "active already" in out) == (0, True)
    assert majordomo("metadata", "deactivate", "User-Id")[0] == 0
    assert query("SELECT count(*) FROM llm_requests_metadata_keys WHERE is_active") == [(0,)]
    assert "inactive already" in majordomo("metadata", "deactivate", "User-Id")[1]


def test_who_does_not_wait_sees_the_progress_in_the_list(majordomo: Run, sent: None) -> None:
    out = majordomo("metadata", "activate", "Feature", "--no-wait")[1]
    assert "while the gateway runs" in out
    assert "older requests 0%" in majordomo("metadata", "list")[1]
    told = json.loads(majordomo("metadata", "list", "--json")[1])["metadata_keys"]
    assert {(one["key_name"], one["backfill"]) for one in told} == {("Feature", "waiting"), ("User-Id", None)}
    majordomo("metadata", "activate", "Feature")
    told = json.loads(majordomo("metadata", "list", "--json")[1])["metadata_keys"]
    assert {one["progress"] for one in told if one["key_name"] == "Feature"} == {1.0}


def test_a_key_with_very_many_values_is_activated_only_on_purpose(
    majordomo: Run, sent: None, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAJORDOMO_MANY_METADATA_VALUES", "2")
    code, _, err = majordomo("metadata", "activate", "User-Id")
    assert (code, "about 3 different values" in err, "--yes" in err) == (1, True, True)
    assert query("SELECT count(*) FROM llm_requests_metadata_keys WHERE is_active") == [(0,)]
    assert majordomo("metadata", "activate", "User-Id", "--yes")[0] == 0
    assert majordomo("metadata", "activate", "Feature")[0] == 0


def test_activation_for_one_gateway_key_leaves_the_others(majordomo: Run, sent: None, query: Query) -> None:
    """--key narrows the switch and the list."""
    query("INSERT INTO api_keys (id, name, key_hash) VALUES ($1, 'second', 'x')", KEYS[1])
    told = json.loads(majordomo("metadata", "activate", "Feature", "--key", "second", "--json")[1])
    assert told == {"key_name": "Feature", "is_active": True, "majordomo_api_key_ids": [str(KEYS[1])]}
    listed = json.loads(majordomo("metadata", "list", "--json", "--key", "second")[1])["metadata_keys"]
    assert {one["key_name"]: one["is_active"] for one in listed} == {"Feature": True, "User-Id": False}


def test_a_key_that_nobody_sent_cannot_be_switched(majordomo: Run, sent: None) -> None:
    """The message says where the known ones are."""
    for verb in ("activate", "deactivate"):
        code, out, err = majordomo("metadata", verb, "Nope")
        assert (code, out) == (1, "")
        assert "metadata list" in err


def test_nothing_sent_says_how_to_send(majordomo: Run) -> None:
    """The next step instead of an empty table."""
    assert "X-Majordomo-Feature" in majordomo("metadata", "list")[1]
