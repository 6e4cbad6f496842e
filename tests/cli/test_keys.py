"""``majordomo keys``: what is printed, what is kept, and which exit code says what."""

import json
import re
from collections.abc import Callable

from majordomo.record.api_keys import hash_of

Run = Callable[..., tuple[int, str, str]]
Query = Callable[..., list[tuple[object, ...]]]


def test_a_new_key_is_shown_once_and_works_by_its_hash(majordomo: Run, query: Query) -> None:
    """The key stands on a line of its own; no later command shows it again."""
    code, out, _ = majordomo("keys", "create", "--name", "legal", "--description", "for the lawyers")
    assert code == 0
    secret = re.search(r"^  (mdm_sk_[A-Za-z0-9_-]{43})$", out, re.MULTILINE)
    assert secret
    assert query("SELECT name, description FROM api_keys WHERE key_hash = $1", hash_of(secret[1])) == [
        ("legal", "for the lawyers")
    ]
    for later in (("list",), ("get", "legal"), ("list", "--json"), ("get", "--json", "legal")):
        code, out, _ = majordomo("keys", *later)
        assert code == 0
        assert "legal" in out
        assert secret[1] not in out
        assert hash_of(secret[1]) not in out


def test_json_has_id_name_and_key_first(majordomo: Run) -> None:
    """Programs read the documented fields."""
    made = json.loads(majordomo("keys", "create", "--json", "--name", "ci", "--on-hangup", "cut")[1])
    assert list(made)[:3] == ["id", "name", "key"]
    assert made["name"] == "ci"
    assert made["key"].startswith("mdm_sk_")
    assert made["on_hangup"] == "cut"
    listed = json.loads(majordomo("keys", "list", "--json")[1])
    assert [key["id"] for key in listed] == [made["id"]]
    assert "key" not in listed[0]


def test_a_keys_own_metadata_is_set_added_to_and_taken_away(majordomo: Run) -> None:
    """Under canonical names; what makes no metadata is refused with a reason."""
    made = json.loads(majordomo("keys", "create", "--name", "m", "--metadata", "team=legal", "--json")[1])
    assert made["metadata"] == {"Team": "legal"}
    changed = json.loads(majordomo("keys", "update", "m", "--metadata", "USER-id=a=b", "--json")[1])
    assert changed["metadata"] == {"Team": "legal", "User-Id": "a=b"}
    changed = json.loads(majordomo("keys", "update", "m", "--metadata", "TEAM=", "--json")[1])
    assert changed["metadata"] == {"User-Id": "a=b"}
    assert "User-Id=a=b" in majordomo("keys", "get", "m")[1]
    for wrong, code in (("Team", 2), ("=x", 2), ("Te am=x", 1), ("Key=x", 1), ("Team=" + "x" * 1001, 1)):
        assert majordomo("keys", "update", "m", "--metadata", wrong)[0] == code, wrong


def test_the_life_of_a_key(majordomo: Run) -> None:
    """Made, changed, rotated under the same id, revoked once; then refused with a clear message."""
    made = json.loads(majordomo("keys", "create", "--name", "one", "--json")[1])
    changed = json.loads(majordomo("keys", "update", "one", "--name", "two", "--description", "text", "--json")[1])
    assert (changed["id"], changed["name"], changed["description"]) == (made["id"], "two", "text")
    renewed = json.loads(majordomo("keys", "rotate", made["id"], "--json")[1])
    assert renewed["id"] == made["id"]
    assert renewed["key"] != made["key"]
    code, out, _ = majordomo("keys", "revoke", "two")
    assert code == 0
    assert "revoked" in out
    for verb in ("revoke", "rotate"):
        code, out, err = majordomo("keys", verb, "two")
        assert (code, out) == (1, "")
        assert "is revoked since" in err
        assert "keys create" in err
    assert json.loads(majordomo("keys", "get", "two", "--json")[1])["is_active"] is False


def test_unknown_and_ambiguous_names_say_what_to_do(majordomo: Run) -> None:
    """Exit code 1, the reason on standard error, nothing on standard output."""
    code, out, err = majordomo("keys", "revoke", "nobody")
    assert (code, out) == (1, "")
    assert "no key has the id or name 'nobody'" in err
    ids = [json.loads(majordomo("keys", "create", "--name", "twin", "--json")[1])["id"] for _ in range(2)]
    code, _, err = majordomo("keys", "revoke", "twin")
    assert code == 1
    assert all(each in err for each in ids)


def test_a_wrong_command_line_is_exit_code_2(majordomo: Run) -> None:
    """A missing name, nothing to change, a word that is not one of the choices."""
    majordomo("keys", "create", "--name", "one")
    for wrong in (("create",), ("update", "one"), ("create", "--name", "x", "--on-hangup", "perhaps"), ("get",)):
        assert majordomo("keys", *wrong)[0] == 2


def test_an_empty_list_says_how_to_make_one(majordomo: Run) -> None:
    """The next step instead of an empty table."""
    assert "keys create --name" in majordomo("keys", "list")[1]


def test_a_database_without_tables_says_how_to_make_them(majordomo: Run, query: Callable[..., object]) -> None:
    """A command on an external database that was never migrated."""
    query("DROP TABLE api_keys CASCADE")
    code, _, err = majordomo("keys", "list")
    assert code == 1
    assert "majordomo db migrate" in err


def test_a_key_is_made_for_an_organisation_and_listed_with_its_keys(majordomo: Run, query: Query) -> None:
    """--org takes id or name; without it the default organisation is meant; an unknown one is refused."""
    org = json.loads(majordomo("orgs", "create", "Acme", "--json")[1])
    majordomo("keys", "create", "--name", "ours")
    for number, named in enumerate((org["id"], "Acme")):
        assert majordomo("keys", "create", "--name", f"theirs{number}", "--org", named)[0] == 0
    assert query("SELECT count(*) FROM api_keys WHERE org_id::text = $1", org["id"]) == [(2,)]
    listed = json.loads(majordomo("keys", "list", "--org", "Acme", "--json")[1])
    assert [key["name"] for key in listed] == ["theirs0", "theirs1"]
    code, _, err = majordomo("keys", "create", "--name", "x", "--org", "Nobody")
    assert code == 1
    assert "majordomo orgs list" in err
