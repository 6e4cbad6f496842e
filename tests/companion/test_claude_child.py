"""How a command is sent to the proxy: Claude Code by ``--settings``, which beats its files; everything else by its
environment; and what cannot be sent there is told."""

import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from companion_process import ASKING, Home, Ran

from majordomo.companion.claude_child import ANTHROPIC, ClaudeChild
from majordomo.companion.errors import CompanionError
from majordomo.demo.provider_process import ProviderProcess

PROXY = "http://127.0.0.1:50000"


def child(*command: str, home: Path | None = None, project: Path | None = None, **environment: str) -> ClaudeChild:
    """A command of a user with these variables, and no settings unless they are given."""
    nowhere = Path("/nonexistent")
    return ClaudeChild(command, environment, home or nowhere, project or nowhere)


def injected(made: ClaudeChild, upstream: str | None = None) -> dict[str, Any]:
    """The object behind ``--settings``, after a look that it stands right behind the command."""
    words = made.command(made.variables(PROXY, upstream))
    assert words.count("--settings") == 1
    settings: dict[str, Any] = json.loads(words[words.index("--settings") + 1])
    return settings


def write_settings(path: Path, **env: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"env": env, "model": "opus"}))


# -- is it Claude Code? ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "at"),
    [
        (("claude", "-p", "hi"), 1),
        (("/usr/local/bin/claude", "mcp", "list"), 1),
        (("npx", "-y", "@anthropic-ai/claude-code@2.1.197", "-p", "hi"), 3),
        (("node", "/lib/node_modules/@anthropic-ai/claude-code/cli.js", "hi"), 2),
    ],
)
def test_claude_code_gets_its_settings_right_behind_its_name(command: tuple[str, ...], at: int) -> None:
    made = child(*command)
    words = made.command(made.variables(PROXY, None))
    assert words[:at] == list(command[:at])
    assert words[at] == "--settings"
    assert json.loads(words[at + 1])["env"]["ANTHROPIC_BASE_URL"] == PROXY
    assert words[at + 2 :] == list(command[at:])


@pytest.mark.parametrize(
    "command", [("python", "agent.py"), ("claude-wrapper",), ("echo", "claude"), ("sh", "-c", "claude")]
)
def test_every_other_command_is_left_as_it_is_and_told_by_its_environment(command: tuple[str, ...]) -> None:
    made = child(*command)
    variables = made.variables(PROXY, None)
    assert made.command(variables) == list(command)
    assert made.environment(variables)["ANTHROPIC_BASE_URL"] == PROXY


# -- the user's own settings -------------------------------------------------------------------------------------------


def test_settings_that_the_user_gives_are_merged_and_keep_their_place_before_the_rest(tmp_path: Path) -> None:
    own = {
        "model": "opus",
        "env": {"MY_OWN": "1", "ANTHROPIC_CUSTOM_HEADERS": "X-A: 1", "ANTHROPIC_BASE_URL": "http://x"},
    }
    file = tmp_path / "own.json"
    file.write_text(json.dumps(own))
    for given in (("--settings", json.dumps(own)), (f"--settings={json.dumps(own)}",), ("--settings", str(file))):
        made = child("claude", "--model", "opus", *given, "-p", "hi")
        settings = injected(made)
        assert settings["model"] == "opus"
        assert settings["env"] == {
            "MY_OWN": "1",
            "ANTHROPIC_CUSTOM_HEADERS": "X-A: 1",
            "ANTHROPIC_BASE_URL": PROXY,
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            "ENABLE_TOOL_SEARCH": "true",
        }
        assert made.command({})[3:] == ["--model", "opus", "-p", "hi"]
        assert made.upstream(None) == "http://x"


@pytest.mark.parametrize("value", ["{", "/no/such/file.json", "{} {}"])
def test_settings_that_cannot_be_read_are_told_instead_of_bypassing_the_proxy(value: str) -> None:
    with pytest.raises(CompanionError, match="--settings"):
        child("claude", "--settings", value)


def test_what_looks_like_settings_behind_two_hyphens_is_the_users_text() -> None:
    made = child("claude", "--", "--settings", "{")
    assert made.command({})[-3:] == ["--", "--settings", "{"]


def test_the_strongest_settings_file_says_where_requests_would_have_gone(tmp_path: Path) -> None:
    home, project = tmp_path / "home", tmp_path / "project"

    def ask(*given: str) -> str:
        made = child("claude", *given, home=home, project=project, ANTHROPIC_BASE_URL="http://shell")
        return made.upstream(None)

    assert ask() == "http://shell"
    write_settings(home / ".claude" / "settings.json", ANTHROPIC_BASE_URL="http://user/prefix/")
    assert ask() == "http://user/prefix"
    write_settings(project / ".claude" / "settings.json", ANTHROPIC_BASE_URL="http://project")
    assert ask() == "http://project"
    write_settings(project / ".claude" / "settings.local.json", ANTHROPIC_BASE_URL="http://local")
    assert ask() == "http://local"
    assert ask("--settings", '{"env": {"ANTHROPIC_BASE_URL": "http://flag"}}') == "http://flag"


def test_another_command_does_not_read_claude_codes_settings(tmp_path: Path) -> None:
    write_settings(tmp_path / ".claude" / "settings.json", ANTHROPIC_BASE_URL="http://user")
    assert child("python", home=tmp_path).upstream(None) == ANTHROPIC


# -- where requests would have gone ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base_url", "gateway", "upstream"),
    [
        ("", None, ANTHROPIC),
        ("https://llm.example.com/claude/", None, "https://llm.example.com/claude"),
        ("http://localhost:7680", "http://localhost:7680", ANTHROPIC),  # the simple way, and now a companion besides
        ("http://127.0.0.1:7680/", "http://localhost:7680", ANTHROPIC),
        ("http://localhost:7681", "http://localhost:7680", "http://localhost:7681"),
    ],
)
def test_a_base_url_that_is_set_is_chained_to_unless_it_is_the_gateway(
    base_url: str, gateway: str | None, upstream: str
) -> None:
    assert child("claude", ANTHROPIC_BASE_URL=base_url).upstream(gateway) == upstream


@pytest.mark.parametrize("url", ["localhost:7680", "http://", "http://host:99999", "http://host:0", "http://[::1"])
def test_a_base_url_that_is_none_is_told(url: str) -> None:
    for gateway in (None, "http://localhost:7680"):
        with pytest.raises(CompanionError, match="ANTHROPIC_BASE_URL is set to something that is not"):
            child("claude", ANTHROPIC_BASE_URL=url).upstream(gateway)


# -- the bill and proxies ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "upstream", "told"),
    [
        ({}, None, "true"),
        ({}, ANTHROPIC, "true"),
        ({}, "https://llm.example.com", None),  # who knows whether that speaks it
        ({"ENABLE_TOOL_SEARCH": "false"}, None, None),
    ],
)
def test_tool_search_is_kept_on_before_anthropic_unless_the_user_decided(
    environment: dict[str, str], upstream: str | None, told: str | None
) -> None:
    assert child("claude", **environment).variables(PROXY, upstream).get("ENABLE_TOOL_SEARCH") == told


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({}, "127.0.0.1,localhost"),
        ({"NO_PROXY": "example.com, .internal"}, "example.com,.internal,127.0.0.1,localhost"),
        ({"no_proxy": "localhost"}, "localhost,127.0.0.1"),
        ({"NO_PROXY": "*"}, "*"),
    ],
)
def test_the_proxy_of_the_environment_is_kept_away_from_loopback(environment: dict[str, str], told: str) -> None:
    variables = child("claude", **environment).variables(PROXY, None)
    assert variables["NO_PROXY"] == variables["no_proxy"] == told


def test_the_key_to_the_gateway_is_not_handed_on() -> None:
    made = child("claude", MAJORDOMO_API_KEY="mdm_sk_1", ANTHROPIC_API_KEY="sk-ant-1", MY_OWN="1")
    environment = made.environment(made.variables(PROXY, None))
    assert "MAJORDOMO_API_KEY" not in environment
    assert environment["ANTHROPIC_API_KEY"] == "sk-ant-1"
    assert environment["MY_OWN"] == "1"
    assert "mdm_sk_1" not in str(made.command(made.variables(PROXY, None)))


# -- clouds ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "variable", "upstream"),
    [
        (
            {"CLAUDE_CODE_USE_FOUNDRY": "1", "ANTHROPIC_FOUNDRY_BASE_URL": "https://f.example.com/anthropic/"},
            "ANTHROPIC_FOUNDRY_BASE_URL",
            "https://f.example.com/anthropic",
        ),
        (
            {"CLAUDE_CODE_USE_FOUNDRY": "true", "ANTHROPIC_FOUNDRY_RESOURCE": "my-resource"},
            "ANTHROPIC_FOUNDRY_BASE_URL",
            "https://my-resource.services.ai.azure.com/anthropic",
        ),
        (
            {"CLAUDE_CODE_USE_MANTLE": "1", "ANTHROPIC_BEDROCK_MANTLE_BASE_URL": "https://m.example.com"},
            "ANTHROPIC_BEDROCK_MANTLE_BASE_URL",
            "https://m.example.com",
        ),
    ],
)
def test_a_cloud_that_speaks_messages_is_told_by_its_own_base_url(
    environment: dict[str, str], variable: str, upstream: str
) -> None:
    made = child("claude", **environment)
    assert made.upstream("http://localhost:7680") == upstream
    variables = made.variables(PROXY, upstream)
    assert variables[variable] == PROXY
    assert "ANTHROPIC_BASE_URL" not in variables
    assert "ENABLE_TOOL_SEARCH" not in variables


def test_a_cloud_without_an_address_is_told() -> None:
    with pytest.raises(CompanionError, match="ANTHROPIC_BEDROCK_MANTLE_BASE_URL is not"):
        child("claude", CLAUDE_CODE_USE_MANTLE="1").upstream(None)


def fake_claude(home: Home) -> str:
    """A program called claude, which asks as it is told by the variable ASK."""
    path = home.path / "claude"
    path.write_text(f"#!{sys.executable}\nimport os, sys\nsys.argv[1:1] = [os.environ['ASK']]\n{ASKING}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.mark.parametrize("cloud", ["BEDROCK", "VERTEX"])
def test_before_a_cloud_with_signed_requests_the_companion_stands_aside_and_says_so(home: Home, cloud: str) -> None:
    ran = home.run(
        *("exec", "--standalone", "--", fake_claude(home), "-p", "hi"),
        env={f"CLAUDE_CODE_USE_{cloud}": "1", "ANTHROPIC_API_KEY": "sk-ant-1", "ASK": "[]", "EXIT_WITH": "5"},
        stdin=subprocess.DEVNULL,
    )
    assert ran.code == 5
    assert ran.lines[0]["argv"] == ["-p", "hi"]
    assert "ANTHROPIC_BASE_URL" not in ran.seen
    assert "ANTHROPIC_API_KEY" not in ran.seen  # it would be sent there, where it is nobody's business
    assert "stands aside, nothing is recorded" in ran.err


def test_a_limit_that_could_not_be_held_is_refused_instead_of_standing_aside(home: Home) -> None:
    ran = home.run(
        *("exec", "--standalone", "--max-spend", "5", "--", fake_claude(home)),
        env={"CLAUDE_CODE_USE_BEDROCK": "1", "ASK": "[]"},
    )
    assert (ran.code, ran.out) == (1, "")
    assert "nor held to a limit" in ran.err


def test_requests_to_foundry_are_metered_on_their_way(home: Home, provider: ProviderProcess) -> None:
    script = "import os; os.environ['ANTHROPIC_BASE_URL'] = os.environ['ANTHROPIC_FOUNDRY_BASE_URL']\n" + ASKING
    ran = home.run(
        *("exec", "--standalone", "--", sys.executable, "-c", script, "[{}]"),
        env={"CLAUDE_CODE_USE_FOUNDRY": "1", "ANTHROPIC_FOUNDRY_BASE_URL": f"{provider.url}/anthropic"},
    )
    assert ran.replies[0]["status"] == 200
    assert provider.requests()[0].target == "/anthropic/v1/messages?beta=true"
    assert ran.err.startswith("majordomo-companion: 1 request, ")


def test_claude_code_in_spite_of_its_settings_asks_the_proxy(home: Home, provider: ProviderProcess) -> None:
    write_settings(home.path / ".claude" / "settings.json", ANTHROPIC_BASE_URL=provider.url)
    ran: Ran = home.run("exec", "--standalone", "--", fake_claude(home), "-p", "hi", env={"ASK": "[{}]"})
    argv = ran.lines[0]["argv"]
    assert json.loads(argv[1])["env"]["ANTHROPIC_BASE_URL"] == ran.seen["ANTHROPIC_BASE_URL"] != provider.url
    assert argv[2:] == ["-p", "hi"]
    assert len(provider.requests()) == 1  # chained to what the settings say
