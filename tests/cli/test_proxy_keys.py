"""``majordomo proxy-keys``: made and shown once, given a credential from standard input, which is never shown."""

import io
import json
from collections.abc import Callable

import pytest

Run = Callable[..., tuple[int, str, str]]

REAL = "sk-ant-api03-the-real-one"


def test_a_proxy_key_from_its_making_to_its_end(majordomo: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, _ = majordomo("proxy-keys", "create", "--name", "team")
    assert (code, out.count("mdm_pk_"), "proxy-keys set" in out) == (0, 2, True)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{REAL}\n"))
    code, out, err = majordomo("proxy-keys", "set", "team", "anthropic")
    assert (code, "stands for your credential at anthropic" in out, REAL in out + err) == (0, True, False)
    code, out, _ = majordomo("proxy-keys", "list")
    assert (code, "anthropic" in out, "mdm_pk_" in out, REAL in out) == (0, True, False, False)
    renewed = json.loads(majordomo("proxy-keys", "rotate", "team", "--json")[1])
    assert renewed["key"].startswith("mdm_pk_") and len(renewed["key"]) == 50 and renewed["providers"] == ["anthropic"]
    assert majordomo("proxy-keys", "unset", "team", "anthropic")[0] == 0
    assert majordomo("proxy-keys", "revoke", "team")[0] == 0
    (listed,) = json.loads(majordomo("proxy-keys", "list", "--json")[1])
    assert (listed["is_active"], listed["providers"]) == (False, [])


def test_what_cannot_be_is_said(majordomo: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "proxy-keys create" in majordomo("proxy-keys", "list")[1]
    majordomo("proxy-keys", "create", "--name", "team")
    for arguments, words in (
        (("set", "team", "nobody"), "there is no provider 'nobody'"),
        (("set", "other", "openai"), "no proxy key has the id or name"),
        (("set", "team", "openai"), "one word of printable ASCII"),
        (("unset", "team", "openai"), "holds no credential for openai"),
    ):
        monkeypatch.setattr("sys.stdin", io.StringIO("two words\n" if arguments[1] == "team" else "x\n"))
        code, _, err = majordomo("proxy-keys", *arguments)
        assert (code, words in err) == (1, True), err
