"""``exec --max-spend`` and its kin: the request that would pass a limit is refused here, before it leaves."""

import argparse
import json
import os
import pty
import re
from pathlib import Path
from typing import Any

import pytest
from companion_process import Home, asking, command
from gateway_fixture import Gateway

from majordomo.companion import caps
from majordomo.companion.caps import Cap, Caps
from majordomo.companion.day_book import DayBook
from majordomo.companion.errors import CompanionError
from majordomo.companion.title import Title
from majordomo.demo.provider_process import ProviderProcess

#: What the scripted provider tells of its usage by default has a price; this is a reply that costs a dollar.
DOLLAR = {"headers": {"x-script": json.dumps({"usage": {"input_tokens": 200_000, "output_tokens": 1}})}}


def options(*words: str) -> Caps:
    reading = argparse.ArgumentParser(exit_on_error=False)
    caps.add_options(reading)
    return caps.read(reading.parse_args(words))


def test_limits_are_read_exactly() -> None:
    read = options("--max-spend", "$2.50", "--max-tokens-per-day", "1.5m", "--max-turns", "20", "--warn-at", "80%")
    assert read == Caps(
        (
            Cap("--max-spend", "usd", 2_500_000_000_000_000, False),
            Cap("--max-tokens-per-day", "tokens", 1_500_000, True),
            Cap("--max-turns", "turns", 20, False),
        ),
        80,
    )


@pytest.mark.parametrize(
    "words",
    [
        ("--max-spend", "0"),
        ("--max-spend", "-1"),
        ("--max-spend", "nan"),
        ("--max-spend", "1e9"),
        ("--max-spend", "5 euros"),
        ("--max-tokens", "0.5"),
        ("--max-tokens", "1.5"),
        ("--max-turns", "many"),
        ("--max-spend", "1", "--warn-at", "0"),
        ("--max-spend", "1", "--warn-at", "101%"),
    ],
)
def test_a_limit_that_is_none_is_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(argparse.ArgumentError):
        options(*words)


def test_a_warning_needs_a_limit() -> None:
    with pytest.raises(CompanionError, match="--max-spend"):
        options("--warn-at", "80")


@pytest.mark.parametrize("way", ["standalone", "gateway"])
def test_the_request_that_would_pass_the_limit_does_not_leave(
    home: Home, provider: ProviderProcess, gateway: Gateway, way: str
) -> None:
    tag = gateway.tag()
    environment = {"ANTHROPIC_BASE_URL": provider.url}
    road = ["--standalone"]
    if way == "gateway":
        road = ["--gateway", gateway.base_url, "--metadata", f"Test-Case={tag}"]
        environment["MAJORDOMO_API_KEY"] = gateway.key
    ran = home.run(
        *("exec", *road, "--max-spend", "0.50", "--warn-at", "80%", "--"),
        *asking(DOLLAR, {}),
        env=environment,
    )
    served, refused = ran.replies
    assert (served["status"], refused["status"]) == (200, 402)
    error = json.loads(refused["body"])["error"]
    assert error["type"] == "billing_error"
    assert "'--max-spend'" in error["message"]
    assert "of $0.50 spent" in error["message"]
    assert "1 refused by a limit" in ran.err
    assert re.search(r"\$1\.00 of --max-spend \$0\.5000 used", ran.err)
    if way == "gateway":
        assert len(gateway.rows(tag, 1)) == 1


def test_turns_and_tokens_are_limits_too(home: Home, provider: ProviderProcess) -> None:
    environment = {"ANTHROPIC_BASE_URL": provider.url}
    messages = [{"role": "user", "content": "hi"}]
    turn = {
        "whole": {"model": "claude-opus-4-8", "messages": messages, "tools": [{"name": "Bash"}], "max_tokens": 64},
        "headers": {"anthropic-beta": "claude-code-20250219"},
    }
    agent = {**turn, "headers": {"x-claude-code-agent-id": "a0123456789abcdef"}}
    ran = home.run("exec", "--standalone", "--max-turns", "2", "--", *asking(turn, agent, turn, turn), env=environment)
    assert [reply["status"] for reply in ran.replies] == [200, 200, 200, 402]
    ran = home.run("exec", "--standalone", "--max-tokens", "10k", "--", *asking(DOLLAR, {}), env=environment)
    assert [reply["status"] for reply in ran.replies] == [200, 402]


def test_a_day_s_limit_holds_over_runs(home: Home, provider: ProviderProcess) -> None:
    environment = {"ANTHROPIC_BASE_URL": provider.url}
    words = ("exec", "--standalone", "--max-spend-per-day", "1.50", "--")
    first = home.run(*words, *asking(DOLLAR), env=environment)
    second = home.run(*words, *asking(DOLLAR, {}), env=environment)
    third = home.run(*words, *asking({}), env=environment)
    assert [reply["status"] for run in (first, second, third) for reply in run.replies] == [200, 200, 402, 402]
    assert "--max-spend-per-day" in json.loads(third.replies[0]["body"])["error"]["message"]
    assert "resets at" in json.loads(third.replies[0]["body"])["error"]["message"]
    (book,) = home.companion_dir.glob("today.json")
    assert book.stat().st_mode & 0o777 == 0o600


def test_a_run_without_limits_is_not_gated(home: Home, provider: ProviderProcess) -> None:
    ran = home.run("exec", "--standalone", "--", *asking(DOLLAR, {}), env={"ANTHROPIC_BASE_URL": provider.url})
    assert [reply["status"] for reply in ran.replies] == [200, 200]
    assert "limit" not in ran.err
    assert not (home.companion_dir / "today.json").exists()


class TestDayBook:
    """Sums of a day, whoever adds to them."""

    def test_runs_add_up_and_another_day_starts_anew(self, tmp_path: Path) -> None:
        first, second = DayBook(tmp_path / "b"), DayBook(tmp_path / "b")
        assert first.add(1, {"usd": 5}) == {"usd": 5}
        assert second.add(1, {"usd": 2, "tokens": 1}) == {"usd": 7, "tokens": 1}
        assert first.add(2, {}) == {}

    @pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"day":1}', b'{"day":1,"used":{"usd":-5,"x":"y"}}', b"\xff"])
    def test_a_damaged_book_starts_anew(self, tmp_path: Path, text: bytes) -> None:
        (tmp_path / "b").write_bytes(text)
        assert DayBook(tmp_path / "b").add(1, {"usd": 3}) == {"usd": 3}


def test_the_title_shows_what_is_left_and_is_given_back(monkeypatch: Any) -> None:
    monkeypatch.setenv("TERM", "xterm")
    ours, theirs = pty.openpty()
    title = Title(theirs)
    title.show("$1.00 of $5.00 left")
    title.show("$1.00 of $5.00 left")
    title.show("evil\x1b]0;x\x07")
    title.restore()
    written = b""
    while not written.endswith(b"\x1b[23;2t"):  # a terminal hands over what was written in pieces of its own
        written += os.read(ours, 1000)
    assert written == b"\x1b[22;2t\x1b]2;majordomo: $1.00 of $5.00 left\x07\x1b]2;majordomo: evil]0;x\x07\x1b[23;2t"
    os.close(ours)
    os.close(theirs)


def test_where_there_is_no_terminal_nothing_is_written(tmp_path: Path) -> None:
    with (tmp_path / "f").open("wb") as file:
        title = Title(file.fileno())
        title.show("x")
        title.restore()
    assert (tmp_path / "f").read_bytes() == b""
    assert command("exec")
