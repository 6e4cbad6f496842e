"""``majordomo budgets``: made, looked at, changed, tried out; and what is refused, with everything wrong at once."""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from budget_books import Books
from recorded_rows import exchange

from majordomo.clock import wall_us
from majordomo.record.frames import Outcome

Run = Callable[..., tuple[int, str, str]]
DIME = (10**14, 0, 0, 0, 0)


@pytest.fixture
def books(postgres_dsn: str, tmp_path: Path) -> Books:
    """The same database, with rows."""
    return Books(postgres_dsn, tmp_path)


def test_the_documented_flags_make_a_budget_and_json_has_what_programs_read(majordomo: Run, books: Books) -> None:
    key = json.loads(majordomo("keys", "create", "--name", "legal", "--json")[1])
    books.record([exchange(wall_us(), costs=DIME, metadata={"Team": "legal", "User-Id": "u"})])
    code, out, err = majordomo(
        "budgets", "create", "--name", "legal-day", "--limit", "5.00", "--unit", "usd", "--window", "day",
        "--tz", "Europe/Berlin", "--metadata", "Team=legal", "--each", "User-Id", "--model", "gpt-*", "--provider",
        "openai", "--mode", "strict", "--action", "enforce", "--on-unpriced", "ceiling:15", "--fail", "closed",
        "--warn-at", "50,80", "--contact", "finance", "--json",
    )  # fmt: skip
    assert (code, err) == (0, "")
    made = json.loads(out)
    assert made["name"] == "legal-day"
    assert made["warnings"] == []
    [listed] = json.loads(majordomo("budgets", "list", "--json")[1])
    assert listed["id"] == made["id"]
    assert {name: listed[name] for name in ("spent", "reserved", "limit")} == {
        "spent": "0.1", "reserved": "0", "limit": "5",
    }  # fmt: skip
    assert listed["resets_at"]
    assert listed["counts"][0]["value"] == "u"
    code, out, err = majordomo("budgets", "create", "--name", "k", "--limit", "1", "--key", "legal", "--json")
    assert json.loads(out)["keys"] == [key["id"]]
    table = majordomo("budgets", "list")[1]
    for shown in ("legal-day", "Team=legal", "each User-Id", "0.10", "5.00", "enforced"):
        assert shown in table


def test_the_life_of_a_budget_is_in_its_history(majordomo: Run) -> None:
    majordomo("budgets", "create", "--name", "b", "--limit", "5")
    assert (
        json.loads(majordomo("budgets", "update", "b", "--limit", "7", "--reason", "more", "--json")[1])["limit"] == "7"
    )
    raised = json.loads(
        majordomo("budgets", "raise", "b", "--by", "3", "--until", "2h", "--reason", "launch", "--json")[1]
    )
    assert (raised["limit"], raised["base_limit"]) == ("10", "7")
    assert raised["raises"][0]["reason"] == "launch"
    assert json.loads(majordomo("budgets", "pause", "b", "--json")[1])["paused"] is True
    code, _, err = majordomo("budgets", "pause", "b")
    assert code == 1
    assert "paused already" in err
    assert majordomo("budgets", "resume", "b", "--reason", "enough")[0] == 0
    history = json.loads(majordomo("budgets", "show", "b", "--json")[1])["history"]
    assert [one["what"] for one in history] == ["resumed", "paused", "raised", "updated", "created"]
    assert all("command line" in one["changed_by"] for one in history)
    assert (history[3]["old"]["limit"], history[3]["new"]["limit"], history[3]["reason"]) == ("5", "7", "more")
    shown = majordomo("budgets", "show", "b")[1]
    assert "launch" in shown
    assert majordomo("budgets", "delete", "b")[0] == 0
    assert json.loads(majordomo("budgets", "list", "--json")[1]) == []
    assert majordomo("budgets", "show", "b")[0] == 1
    assert majordomo("budgets", "create", "--name", "b", "--limit", "5")[0] == 0  # the name is free again


def test_everything_wrong_is_told_at_once_and_nothing_is_made(majordomo: Run) -> None:
    code, out, err = majordomo(
        "budgets", "create", "--name", "b", "--limit", "-5", "--window", "fortnight", "--tz", "Mars/Olympus",
        "--key", "nobody", "--on-unpriced", "ceiling:0",
    )  # fmt: skip
    assert (code, out) == (1, "")
    for told in ("-5", "fortnight", "Mars/Olympus", "nobody", "ceiling:0"):
        assert told in err
    assert json.loads(majordomo("budgets", "list", "--json")[1]) == []
    majordomo("keys", "create", "--name", "gone")
    majordomo("keys", "revoke", "gone")
    assert "is revoked" in majordomo("budgets", "create", "--name", "b", "--limit", "5", "--key", "gone")[2]
    majordomo("budgets", "create", "--name", "b", "--limit", "5")
    assert "another budget has it" in majordomo("budgets", "create", "--name", "b", "--limit", "5")[2]
    assert majordomo("budgets", "update", "b")[0] == 2
    assert majordomo("budgets", "raise", "b", "--by", "-1", "--until", "2h", "--reason", "x")[0] == 1
    assert majordomo("budgets", "raise", "b", "--by", "1", "--until", "2020-01-01", "--reason", "x")[0] == 1
    assert majordomo("budgets", "raise", "b", "--by", "1", "--until", "soon", "--reason", "x")[0] == 2


def test_metadata_that_nobody_has_sent_yet_is_pointed_out(majordomo: Run) -> None:
    code, out, err = majordomo("budgets", "create", "--name", "b", "--limit", "5", "--metadata", "Taem=legal", "--json")
    assert code == 0
    assert len(json.loads(out)["warnings"]) == 1
    assert "Taem" in err


SESSION = "11111111-2222-4333-8444-555555555555"
UNSEEN = ("--model", "gtp-*", "--provider", "opnai", "--session", SESSION)


def test_a_scope_that_matches_nothing_is_refused_unless_that_is_meant(majordomo: Run) -> None:
    code, out, err = majordomo("budgets", "create", "--name", "b", "--limit", "5", *UNSEEN)
    assert (code, out) == (1, "")
    for told in ("gtp-*", "'opnai'", "known are anthropic", SESSION, "--allow-unseen"):
        assert told in err
    assert json.loads(majordomo("budgets", "list", "--json")[1]) == []
    code, out, _ = majordomo("budgets", "create", "--name", "b", "--limit", "5", *UNSEEN, "--allow-unseen", "--json")
    assert code == 0
    assert len(json.loads(out)["warnings"]) == 3
    assert majordomo("budgets", "update", "b", "--limit", "6")[0] == 0  # what is not touched is not asked about
    assert majordomo("budgets", "update", "b", "--provider", "atnhropic")[0] == 1
    assert majordomo("budgets", "update", "b", "--provider", "anthropic")[0] == 0


@pytest.mark.parametrize(
    "pattern",
    ["claude-opus*", "claude-opus-4-8-2026*", "gpt-4o", "gpt-?o", "*-flash", "gpt-4o-mini-2024-07-18", "CLAUDE-*"],
)
def test_models_that_a_price_list_knows_need_not_have_answered(majordomo: Run, pattern: str) -> None:
    code, out, err = majordomo("budgets", "create", "--name", "b", "--limit", "5", "--model", pattern, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["warnings"] == []


def test_a_model_that_has_answered_is_known(majordomo: Run, books: Books) -> None:
    books.record([exchange(wall_us(), costs=DIME, model="ours-1")])
    assert majordomo("budgets", "create", "--name", "b", "--limit", "5", "--model", "ours-*")[0] == 0


def test_metadata_that_the_key_s_owner_has_set_otherwise_matches_nothing(majordomo: Run) -> None:
    majordomo("keys", "create", "--name", "k", "--metadata", "Team=eng")
    code, _, err = majordomo("budgets", "create", "--name", "b", "--limit", "5", "--key", "k", "--metadata", "Team=law")
    assert code == 1
    assert "Team=law: the key 'k' has Team=eng bound to it" in err
    majordomo("keys", "create", "--name", "free")
    both = ("--key", "k", "--key", "free")
    assert majordomo("budgets", "create", "--name", "b", "--limit", "5", *both, "--metadata", "Team=law")[0] == 0
    assert majordomo("budgets", "create", "--name", "c", "--limit", "5", "--key", "k", "--metadata", "Team=eng")[0] == 0


def test_history_is_replayed_against_a_limit_or_a_budget(majordomo: Run, books: Books) -> None:
    books.record([exchange(wall_us() - n * 1000, costs=DIME) for n in range(10)])
    came = json.loads(majordomo("budgets", "simulate", "--limit", "0.35", "--window", "lifetime", "--json")[1])
    assert (came["requests"], came["refused"], Decimal(came["refused_used"])) == (10, 7, Decimal("0.7"))
    majordomo("budgets", "create", "--name", "b", "--limit", "0.5", "--window", "lifetime")
    out = majordomo("budgets", "simulate", "--budget", "b", "--from", "1h")[1]
    assert "5 of 10 requests would have been refused" in out
    assert majordomo("budgets", "simulate")[0] == 2
    assert majordomo("budgets", "simulate", "--limit", "1", "--from", "2026-01-02", "--to", "2026-01-01")[0] == 2


def test_who_is_near_a_limit_and_who_was_refused_is_listed_over_all_budgets(majordomo: Run, books: Books) -> None:
    assert "Nothing has come to 80 %" in majordomo("budgets", "near")[1]
    assert "has refused anything" in majordomo("budgets", "refusals")[1]
    for name, limit in (("small", "1"), ("large", "100")):
        majordomo("budgets", "create", "--name", name, "--limit", limit, "--window", "lifetime")
    books.record([exchange(wall_us() - n, costs=DIME) for n in range(9)])
    [one] = json.loads(majordomo("budgets", "near", "--json")[1])
    assert (one["budget"], one["unit"], Decimal(one["count"]["percent"])) == ("small", "usd", 90)
    assert one["count"]["runs_out_at"]
    assert "90" in majordomo("budgets", "near", "--at", "50")[1]
    assert json.loads(majordomo("budgets", "near", "--at", "95", "--json")[1]) == []
    opening, close = exchange(wall_us(), outcome=Outcome.REFUSED, status=402)
    told = "The budget 'small' has no room for this request: ..."
    assert close is not None
    books.record([(opening, msgspec.structs.replace(close, error_type="budget_exceeded", error_message=told))])
    [refused] = json.loads(majordomo("budgets", "refusals", "--json")[1])
    assert (refused["budget"], refused["code"], refused["requests"]) == ("small", "budget_exceeded", 1)
    assert "budget_exceeded" in majordomo("budgets", "refusals", "--from", "1h")[1]
    assert majordomo("budgets", "near", "--at", "0")[0] == 2
    assert majordomo("budgets", "refusals", "--from", "2099-01-01")[0] == 2


def test_a_name_that_two_organisations_use_must_be_told_by_id(majordomo: Run, query: Callable[..., Any]) -> None:
    made = json.loads(majordomo("budgets", "create", "--name", "b", "--limit", "5", "--json")[1])
    query(
        "INSERT INTO budgets (id, org_id, name, unit, limit_amount, time_window, counts_from)"
        " VALUES (gen_random_uuid(), gen_random_uuid(), 'b', 'usd', 1, 'day', now())"
    )
    code, _, err = majordomo("budgets", "delete", "b")
    assert code == 1
    assert made["id"] in err
    assert majordomo("budgets", "delete", made["id"])[0] == 0
    assert majordomo("budgets", "show", "b")[0] == 0
