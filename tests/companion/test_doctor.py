"""``majordomo-companion doctor`` as a user calls it."""

import json
from pathlib import Path

import pytest
from companion_process import Home
from gateway_fixture import Gateway

from majordomo.checkup.finding import State
from majordomo.companion.checkup import machine
from majordomo.companion.checkup.surroundings import Surroundings
from majordomo.companion.pid_file import PidFile
from majordomo.meter.claude_release import RELEASE

KEY = "mdm_sk_" + "k" * 43


def states(told: str) -> dict[str, str]:
    """Check to its worst state, of ``--json``."""
    found: dict[str, str] = {}
    for finding in json.loads(told)["findings"]:
        if list(State).index(finding["state"]) >= list(State).index(found.get(finding["check"], "ok")):
            found[finding["check"]] = finding["state"]
    return found


def test_after_setup_a_running_gateway_has_nothing_broken(home: Home, gateway: Gateway):
    assert home.run("setup", "--gateway", gateway.base_url, "--yes", env={"MAJORDOMO_API_KEY": gateway.key}).code == 0
    ran = home.run("doctor", "--json")
    found = states(ran.out)
    assert ran.code == 0
    assert "fail" not in found.values()
    for check in ("settings", "base URL", "headers", "tool search", "gateway", "key", "metadata", "local journal"):
        assert found[check] == "ok", check
    assert gateway.key not in ran.out + ran.err


def test_what_is_broken_is_told_for_people_with_exit_code_1_and_no_secret(home: Home):
    (home.work / ".majordomo").mkdir()
    (home.work / ".majordomo" / "metadata.json").write_text('{"Project": 7}')
    variables = {
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:1/v1",
        "ANTHROPIC_CUSTOM_HEADERS": f"X-Majordomo-Key: {KEY}\\nX-Majordomo-Client: claude-code",
        "HTTP_PROXY": "http://proxy.example:3128",
    }
    ran = home.run("doctor", env=variables)
    assert ran.code == 1
    for words in ("✗ fail base URL", "✗ fail headers", "✗ fail proxy", "✗ fail gateway", "✗ fail metadata", "→"):
        assert words in ran.out
    assert KEY not in ran.out + ran.err


def script(folder: Path, text: str) -> Surroundings:
    """Surroundings whose ``claude`` is this shell script."""
    folder.joinpath("claude").write_text(f"#!/bin/sh\n{text}\n")
    folder.joinpath("claude").chmod(0o755)
    return Surroundings({"PATH": f"{folder}:/usr/bin:/bin"}, folder, folder)


@pytest.mark.parametrize(
    ("text", "state", "said"),
    [
        (f"echo '{RELEASE} (Claude Code)'", State.OK, RELEASE),
        ("echo '9.0.1 (Claude Code)'", State.WARN, "9.0.1"),
        ("exit 1", State.WARN, "does not tell its version"),
    ],
)
def test_another_version_than_the_one_whose_sums_are_known_is_pointed_out(
    tmp_path: Path, text: str, state: State, said: str
):
    (found,) = machine.claude_code(script(tmp_path, text))
    assert found.state is state
    assert said in found.message


def test_the_real_claude_code_tells_the_version_that_is_expected(claude_binary: Path, tmp_path: Path):
    (tmp_path / "claude").symlink_to(claude_binary)
    (found,) = machine.claude_code(Surroundings({"PATH": str(tmp_path), "HOME": str(tmp_path)}, tmp_path, tmp_path))
    assert found.state is State.OK


def test_what_earlier_companions_left_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MAJORDOMO_COMPANION_DIR", str(tmp_path))
    assert [finding.state for finding in machine.journals()] == [State.OK]
    folder = tmp_path / "journal" / "0193a9b2-0000-7000-8000-000000000000"
    folder.mkdir(parents=True)
    (folder / "00000001.journal").write_bytes(b"x" * 2048)
    (waiting,) = machine.journals()
    assert waiting.state is State.WARN
    assert "requests of 1 sessions (2 KB)" in waiting.message
    (folder / "00000001.journal").write_bytes(b"")
    folder.with_name(folder.name + ".refused.jsonl").write_text("{}\n")
    (refused,) = machine.journals()
    assert refused.state is State.WARN
    assert f"{folder.name}.refused.jsonl" in refused.message
    path = tmp_path / "companion.pid"
    held = PidFile(path)
    (running,) = machine.pid_file(path)
    held.release()
    path.write_text("4194303\n")
    (left,) = machine.pid_file(path)
    assert (running.state, left.state) == (State.OK, State.WARN)
    assert "stop --pid-file" in left.advice
    path.unlink()
    assert [finding.state for finding in machine.pid_file(path)] == [State.WARN]
