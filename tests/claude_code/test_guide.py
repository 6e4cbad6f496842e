"""The guide for Claude Code, followed word for word with the real tool: set-up, commands, files, and every query.

Three developers, each in one of the guide's ways. What every query must answer is worked out from what the provider
told, and its published prices.
"""

import datetime as dt
import json
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest
from claude_cli.cli import ClaudeCode
from claude_cli.loopback import Loopback
from claude_cli.provider import ScriptedProvider, Served, usage
from claude_cli.scenario import Director, Scenario, Step, Turn, perform
from companion_process import command as companion
from gateway_fixture import Gateway, running_gateway

from majordomo.demo.script import Script, ToolCall
from majordomo.record.postgres_server import PostgresServer

#: The guide's queries, as they stand in it.
SQL = Path(__file__).parents[1] / "seeds" / "sql"

#: USD per million tokens: in, out, read from the cache, written to it for five minutes.
PRICES = {
    "claude-opus-4-8": tuple(map(Decimal, ("5", "25", "0.5", "6.25"))),
    "claude-haiku-4-5-20251001": tuple(map(Decimal, ("1", "5", "0.1", "1.25"))),
}


class Made(NamedTuple):
    """One request, by whom, and what it must be in the database."""

    developer: str
    way: str
    served: Served

    @property
    def told(self) -> dict[str, Any]:
        assert self.served.script.usage is not None
        return self.served.script.usage

    @property
    def cost(self) -> Decimal:
        names = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
        prices = PRICES[self.served.model]
        return sum((self.told[name] * price for name, price in zip(names, prices, strict=True)), Decimal(0)) / 10**6


class Guide:
    """A gateway that three developers have used, and what they made of it."""

    def __init__(self, gateway: Gateway, binary: Path, provider: ScriptedProvider, folder: Path) -> None:
        self.gateway = gateway
        self.made: list[Made] = []
        self.projects = {"simple": "backend-api", "exec": "web-shop", "start": "pipeline"}
        self.keys = {name: gateway.create_key(name) for name in ("Alice", "Bob", "Carol")}
        self.left_behind: list[str] = []
        self.printed = ""
        self._binary = binary
        self._provider = provider
        self._folder = folder
        self._simple()
        self._exec()
        self._start_source_stop()

    def ask(self, name: str, **replaced: str) -> list[tuple[Any, ...]]:
        """The answer to one of the guide's queries, word for word but for the placeholder that it names."""
        text = (SQL / f"{name}.sql").read_text()
        for placeholder, value in replaced.items():
            assert placeholder.replace("_", "-") in text
            text = text.replace(placeholder.replace("_", "-"), value)
        return [tuple(row) for row in self.gateway.sql(text)]

    def by(self, key: Callable[[Made], Any]) -> dict[Any, list[Made]]:
        """Requests by a value."""
        groups: dict[Any, list[Made]] = {}
        for one in self.made:
            groups.setdefault(key(one), []).append(one)
        return groups

    # -- the guide's three ways ---------------------------------------------------------------------------------------

    def _simple(self) -> None:
        """Option A: settings.json, with several custom headers. Nothing in the environment."""
        claude = self._claude("simple")
        told = {
            "ANTHROPIC_BASE_URL": self.gateway.base_url,
            "ANTHROPIC_CUSTOM_HEADERS": f"X-Majordomo-Key: {self.keys['Alice']['key']}\nX-Majordomo-Client: claude-code"
            "\nX-Majordomo-Developer: alice\nX-Majordomo-Project: backend-api\nX-Majordomo-Team: platform",
        }
        (claude.home / ".claude").mkdir()
        (claude.home / ".claude" / "settings.json").write_text(json.dumps({"env": told}))
        self._play("alice", "simple", claude)

    def _exec(self) -> None:
        """``exec``, with a metadata file that a flag overrides in part."""
        claude = self._claude("exec")
        (claude.work / ".majordomo").mkdir()
        (claude.work / ".majordomo" / "metadata.json").write_text('{"Project": "web-shop", "Developer": "nobody"}')
        options = ("--gateway", self.gateway.base_url, "--api-key", self.keys["Bob"]["key"])
        claude.launcher = companion("exec", *options, "--metadata", "Developer=bob", "--")
        self._play("bob", "exec", claude)

    def _start_source_stop(self) -> None:
        """``start``, ``source``, two runs of Claude Code, ``stop``."""
        claude = self._claude("start")
        pid_file, env_file = self._folder / "companion.pid", self._folder / "companion.env"
        options = ["--gateway", self.gateway.base_url, "--api-key", self.keys["Carol"]["key"], "--pid-file", pid_file]
        options += ["--env-file", env_file, "--metadata", "Developer=carol", "--metadata", "Project=pipeline"]
        standing = subprocess.Popen(
            companion("start", *map(str, options)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=claude.environment,
            cwd=claude.work,
        )
        assert standing.stdout is not None
        self.printed = standing.stdout.readline().strip()
        try:
            assert f"export ANTHROPIC_BASE_URL={self.printed}" in env_file.read_text().splitlines()
            claude.launcher = ["bash", "-c", 'source "$0" && exec "$@"', str(env_file)]
            self._play("carol", "start", claude)
            self._play("carol", "start", claude)
            subprocess.run(
                companion("stop", "--pid-file", str(pid_file)), check=True, env=claude.environment, timeout=30
            )
        finally:
            if standing.poll() is None:
                standing.send_signal(signal.SIGTERM)
            standing.communicate(timeout=30)
        self.left_behind = [str(path) for path in (pid_file, env_file) if path.exists()]
        port = int(self.printed.rpartition(":")[2])
        self.left_behind += [
            str(one) for one in psutil.net_connections("tcp") if one.laddr.port == port and one.status == "LISTEN"
        ]

    def _claude(self, way: str) -> ClaudeCode:
        folder = self._folder / way
        folder.mkdir()
        claude = ClaudeCode(self._binary, folder, None)
        claude.environment["MAJORDOMO_COMPANION_DIR"] = str(folder / "companion")
        return claude

    def _play(self, developer: str, way: str, claude: ClaudeCode) -> None:
        """A task: tools, a sub-agent with a small model, thinking, and a plan."""
        self._provider.forget()
        count = 100 * len(self.made) + 100
        agent = ToolCall("Agent", {"description": "Look", "prompt": "[[agent 1]] Look.", "subagent_type": "Explore"})
        bash = ToolCall("Bash", {"command": "echo done"})
        read = ToolCall("Read", {"file_path": "/etc/hostname"})
        works = Step(Script(tools=(bash, bash, read), thinking="Hm.", usage=usage(count + 1, 30, short=4_000)))
        asks = Step(Script(tools=(agent,), usage=usage(count + 2, 40, read=4_000)))
        done = Step(Script(text="Done.", usage=usage(count + 3, 50, read=4_000, short=200)))
        plans = Step(Script(text="The plan.", redacted_thinking=True, usage=usage(count + 4, 60, read=4_200)))
        looks = Step(Script(text="Seen.", usage=usage(count + 5, 70)))
        turns = [Turn("Do it.", (works, asks, done), "claude-opus-4-8"), Turn("Plan it.", (plans,), mode="plan")]
        scenario = Scenario("guide", ("--allowedTools", "Bash,Read,Agent"), turns, {"1": (looks,)})
        perform(scenario, Director(scenario), self._provider, claude)
        assert self._provider.errors == []
        self.made += [Made(developer, way, one) for one in self._provider.messages()]


@pytest.fixture(scope="module")
def guide(
    postgres_server: PostgresServer, loopback: Loopback, session_provider: ScriptedProvider, claude_binary: Path
) -> Iterator[Guide]:
    """The guide, followed."""
    with (
        loopback.inside(),
        tempfile.TemporaryDirectory(prefix="mdm-guide-") as folder,
        running_gateway(postgres_server, "claude_guide", session_provider) as gateway,
    ):
        made = Guide(gateway, claude_binary, session_provider, Path(folder))
        gateway.wait_for_rows(len(made.made))
        yield made


def total(rows: Iterable[Made]) -> Decimal:
    return sum((row.cost for row in rows), Decimal(0))


def dearest_first(lines: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return sorted(lines, key=lambda line: -line[-1])


def test_the_history_is_what_it_should_be(guide: Guide) -> None:
    assert len(guide.made) == 20
    assert {one.served.kind for one in guide.made} == {"main", "agent"}
    assert len({one.cost for one in guide.made}) == 20


def test_stop_leaves_no_file_and_no_port(guide: Guide) -> None:
    assert guide.printed.startswith("http://127.0.0.1:")
    assert guide.left_behind == []


def test_verify_it_works(guide: Guide) -> None:
    last = [
        (one.served.model, one.told["input_tokens"], one.told["output_tokens"], one.cost) for one in guide.made[-5:]
    ]
    assert [row[:4] for row in guide.ask("verify_it_works")] == last[::-1]


def test_cost_per_developer_using_metadata(guide: Guide) -> None:
    groups = guide.by(lambda one: one.developer)
    expected = [(name, len(rows), total(rows)) for name, rows in groups.items()]
    assert guide.ask("cost_per_developer_by_metadata") == dearest_first(expected)
    assert sorted(groups) == ["alice", "bob", "carol"]


def test_cost_per_developer_using_api_keys(guide: Guide) -> None:
    groups = guide.by(lambda one: one.developer.capitalize())
    expected = [(name, len(rows), total(rows)) for name, rows in groups.items()]
    assert guide.ask("cost_per_developer_by_key") == dearest_first(expected)


def test_model_usage_breakdown(guide: Guide) -> None:
    expected = [
        (
            model,
            len(rows),
            sum(row.told["input_tokens"] for row in rows),
            sum(row.told["output_tokens"] for row in rows),
            total(rows),
        )
        for model, rows in guide.by(lambda one: one.served.model).items()
    ]
    assert guide.ask("model_usage_breakdown") == dearest_first(expected)
    assert len(expected) == 2


def test_tool_usage(guide: Guide) -> None:
    expected = Counter(name for one in guide.made for name in set(one.served.tools))
    assert sorted(guide.ask("tool_usage")) == sorted(expected.items())
    assert expected == {"Bash": 4, "Read": 4, "Agent": 4}


def test_thinking_and_other_cost(guide: Guide) -> None:
    expected = [(thinks, len(rows), total(rows)) for thinks, rows in guide.by(lambda one: one.served.thinks).items()]
    assert sorted(guide.ask("thinking_cost")) == sorted(expected)
    assert len(expected) == 2


def test_plan_mode_and_full_mode(guide: Guide) -> None:
    groups = guide.by(lambda one: "Plan Mode" if one.served.truth["planning"] else "Full Mode")
    expected = [(mode, len(rows), total(rows)) for mode, rows in groups.items()]
    assert sorted(guide.ask("plan_mode_cost")) == sorted(expected)
    assert len(groups["Plan Mode"]) == 4


def test_daily_spend(guide: Guide) -> None:
    got = guide.ask("daily_spend")
    assert sum(row[1] for row in got) == len(guide.made)
    assert sum(row[2] for row in got) == total(guide.made)
    assert {row[0] for row in got} <= {dt.datetime.now(dt.UTC).date() - dt.timedelta(days=ago) for ago in (0, 1)}


def test_cost_per_project(guide: Guide) -> None:
    groups = guide.by(lambda one: guide.projects[one.way])
    expected = [(name, len(rows), total(rows)) for name, rows in groups.items()]
    assert guide.ask("cost_per_project") == dearest_first(expected)


def test_session_summary(guide: Guide) -> None:
    """The companion's two sessions, which have ended. Those of the simple way are the client's own."""
    got = {row[1]: row for row in guide.ask("session_summary")}
    for developer in ("bob", "carol"):
        rows = guide.by(lambda one: one.developer)[developer]
        tokens = [sum(row.told[name] for row in rows) for name in ("input_tokens", "output_tokens")]
        _, name, started, ended, *sums = got[developer.capitalize()]
        assert started < ended
        assert sums == [len(rows), *tokens, total(rows)], name
    kinds = guide.gateway.sql("SELECT source, count(*)::int FROM claude_sessions GROUP BY 1 ORDER BY 1")
    assert [tuple(row) for row in kinds] == [("client", 1), ("companion", 2)]


def test_requests_in_a_session(guide: Guide) -> None:
    rows = guide.by(lambda one: one.developer)["bob"]
    (session,) = (row[0] for row in guide.ask("session_summary") if row[1] == "Bob")
    got = guide.ask("requests_in_a_session", your_session_uuid_here=str(session))
    expected = [
        (
            one.served.model,
            one.told["input_tokens"],
            one.told["output_tokens"],
            one.cost,
            sorted(set(one.served.tools)),
            len(one.served.tools),
            one.served.thinks,
            one.served.truth["planning"],
            "tool_use" if one.served.tools else "end_turn",
        )
        for one in rows
    ]
    assert [row[:-1] for row in got] == expected
