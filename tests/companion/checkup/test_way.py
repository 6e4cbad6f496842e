"""What the doctor reads off variables and settings files: each mistake is found, and what to do is said."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from majordomo.checkup.finding import Finding, State
from majordomo.companion.checkup import way
from majordomo.companion.checkup.surroundings import Surroundings

KEY = "mdm_sk_" + "k" * 43
GATEWAY = "http://localhost:7680"
HEADERS = f"X-Majordomo-Key: {KEY}\nX-Majordomo-Client: claude-code"
GOOD = {"ANTHROPIC_BASE_URL": GATEWAY, "ANTHROPIC_CUSTOM_HEADERS": HEADERS, "ENABLE_TOOL_SEARCH": "true"}

Around = Callable[..., Surroundings]
Check = Callable[[Surroundings], Iterator[Finding]]


@pytest.fixture
def around(tmp_path: Path) -> Around:
    """Surroundings with this shell, and an ``env`` (or a whole text) for each settings file named."""

    def make(shell: dict[str, str] | None = None, **files: dict[str, object] | str) -> Surroundings:
        home, project, managed = tmp_path / "home", tmp_path / "project", tmp_path / "managed"
        places = {
            "user": home / ".claude" / "settings.json",
            "project": project / ".claude" / "settings.json",
            "local": project / ".claude" / "settings.local.json",
            "managed": managed / "managed-settings.json",
        }
        for name, env in files.items():
            places[name].parent.mkdir(parents=True, exist_ok=True)
            places[name].write_text(env if isinstance(env, str) else json.dumps({"env": env}))
        return Surroundings(shell or {}, home, project, managed)

    return make


def worst(findings: Iterator[Finding]) -> Finding:
    """The most severe one; whatever is not ok must say what to do."""
    found = list(findings)
    assert all(finding.advice or finding.state is State.OK for finding in found)
    return max(found, key=lambda finding: list(State).index(finding.state))


EVERY_CHECK: list[Check] = [way.base_url, way.headers, way.proxies, way.clouds, way.sign_in, way.tool_search]


@pytest.mark.parametrize("place", ["user", "project", "local", "managed"])
def test_a_sound_entry_in_any_settings_file_has_nothing_wrong(around: Around, place: str):
    there = around(**{place: GOOD})
    states = [finding.state for check in EVERY_CHECK for finding in check(there)]
    assert set(states) == {State.OK}
    assert len(states) >= 4
    assert {finding.state for finding in there.settings()} == {State.OK}


@pytest.mark.parametrize("place", ["user", "project", "local", "managed"])
def test_settings_that_override_the_shell_are_named(around: Around, place: str):
    there = around({"ANTHROPIC_BASE_URL": "http://127.0.0.1:54321"}, **{place: GOOD})
    found = worst(way.base_url(there))
    assert found.state is State.FAIL
    assert "the shell and again in" in found.message
    assert "settings" in found.message
    assert there.base_url == GATEWAY


def test_of_two_settings_files_the_stronger_is_named_as_the_one_that_counts(around: Around):
    there = around(user=GOOD, local={"ANTHROPIC_CUSTOM_HEADERS": "X-Corp: 7"})
    first, *others = way.headers(there)
    assert first.state is State.WARN
    assert "do not merge" in first.message
    assert "settings.local.json, which alone counts" in first.message
    assert any(finding.state is State.FAIL and "no X-Majordomo-Key" in finding.message for finding in others)


def test_the_same_value_in_two_places_is_no_mistake(around: Around):
    assert worst(way.base_url(around({"ANTHROPIC_BASE_URL": GATEWAY}, user=GOOD))).state is State.OK


@pytest.mark.parametrize(
    "text", ['{"env": {"ANTHROPIC_BASE_URL": "http://x:1",}}', '{\n// mine\n"env": {}}', '{"env": []}']
)
def test_a_settings_file_that_claude_code_ignores_is_named(around: Around, text: str):
    found = worst(around(user=text).settings())
    assert found.state is State.FAIL
    assert "settings.json" in found.message


@pytest.mark.parametrize(
    ("url", "state", "said"),
    [
        ("http://localhost:7680/v1", State.FAIL, "/v1/v1/messages"),
        ("http://localhost:7680/v1/", State.FAIL, "/v1/v1/messages"),
        ("localhost:7680", State.FAIL, "http:// or https://"),
        ("http://localhost:99999", State.FAIL, "not valid"),
        ("http://u:p@localhost:7680", State.FAIL, "name and password"),
        ("http://local host:7680", State.FAIL, "spaces"),
        ("https://api.anthropic.com", State.FAIL, "past the gateway"),
        ("http://majordomo.example.com", State.WARN, "not encrypted"),
        ("https://majordomo.example.com/", State.OK, "https://majordomo.example.com"),
    ],
)
def test_a_wrong_base_url_is_explained(around: Around, url: str, state: State, said: str):
    found = worst(way.base_url(around({"ANTHROPIC_BASE_URL": url})))
    assert found.state is state
    assert said in found.message


def test_no_base_url_at_all_is_the_way_past_the_gateway(around: Around):
    assert worst(way.base_url(around())).state is State.WARN
    assert list(way.headers(around())) == []


@pytest.mark.parametrize(
    ("headers", "state", "said"),
    [
        (f"X-Majordomo-Key: {KEY}\\nX-Majordomo-Client: claude-code", State.FAIL, "a backslash and an n"),
        (f"X-Majordomo-Key {KEY}\nX-Majordomo-Client: claude-code", State.FAIL, "line 1 has no colon"),
        (f"X-Majordomo-Key: {KEY}", State.WARN, "no X-Majordomo-Client: claude-code"),
        (f"X-Majordomo-Key: {KEY}\nX-Majordomo-Client: Claude", State.WARN, "no X-Majordomo-Client"),
        ("X-Majordomo-Client: claude-code", State.FAIL, "no X-Majordomo-Key"),
        ("X-Majordomo-Key: sk-ant-api03-secret\nX-Majordomo-Client: claude-code", State.FAIL, "a provider's key"),
        (f"X Majordomo Key: {KEY}\n{HEADERS}", State.FAIL, "line 1 has no valid header name"),
        (f"x-majordomo-key: {KEY}\r\nx-majordomo-client: claude-code\r\nX-Corp: 7", State.OK, "x-majordomo-key"),
    ],
    ids=["literal", "colon", "client", "other client", "key", "provider's", "name", "crlf"],
)
def test_a_mistake_in_the_custom_headers_is_explained_without_the_key(
    around: Around, headers: str, state: State, said: str
):
    findings = list(way.headers(around({"ANTHROPIC_BASE_URL": GATEWAY, "ANTHROPIC_CUSTOM_HEADERS": headers})))
    found = worst(iter(findings))
    assert found.state is state
    assert said in found.message
    assert not any(word in repr(findings) for word in (KEY, "secret"))


def test_the_gateway_without_headers_is_refused(around: Around):
    assert worst(way.headers(around({"ANTHROPIC_BASE_URL": GATEWAY}))).state is State.FAIL


def test_a_companions_own_address_needs_no_headers(around: Around):
    assert list(way.headers(around({"ANTHROPIC_BASE_URL": "http://127.0.0.1:54321"}))) == []


@pytest.mark.parametrize(
    ("variables", "state"),
    [
        ({"HTTP_PROXY": "http://proxy:3128"}, State.FAIL),
        ({"http_proxy": "http://proxy:3128", "NO_PROXY": "example.com"}, State.FAIL),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "127.0.0.1, localhost"}, State.OK),
        ({"ALL_PROXY": "http://proxy:3128", "no_proxy": "*"}, State.OK),
        ({"ANTHROPIC_UNIX_SOCKET": "/tmp/x.sock"}, State.FAIL),
    ],
)
def test_a_proxy_before_loopback_is_found(around: Around, variables: dict[str, str], state: State):
    assert worst(way.proxies(around({**GOOD, **variables}))).state is state


def test_a_proxy_that_settings_name_counts_as_one_of_the_shell(around: Around):
    found = worst(way.proxies(around(GOOD, user={"HTTP_PROXY": "http://proxy:3128"})))
    assert found.state is State.FAIL
    assert "settings.json" in found.advice


def test_a_proxy_before_a_gateway_elsewhere_is_no_mistake(around: Around):
    there = around({"ANTHROPIC_BASE_URL": "https://gw.example", "HTTPS_PROXY": "http://proxy:3128"})
    assert worst(way.proxies(there)).state is State.OK


@pytest.mark.parametrize(
    ("switch", "cloud"),
    [
        ("CLAUDE_CODE_USE_BEDROCK", "Bedrock"),
        ("CLAUDE_CODE_USE_VERTEX", "Vertex"),
        ("CLAUDE_CODE_USE_FOUNDRY", "Foundry"),
        ("CLAUDE_CODE_USE_MANTLE", "Mantle"),
    ],
)
def test_a_cloud_that_ignores_the_base_url_is_named(around: Around, switch: str, cloud: str):
    found = worst(way.clouds(around({**GOOD, switch: "1"})))
    assert found.state is State.FAIL
    assert cloud in found.message
    assert list(way.clouds(around({**GOOD, switch: "0"}))) == []


@pytest.mark.parametrize(
    ("variables", "state", "said"),
    [
        ({"ANTHROPIC_API_KEY": "sk-ant-hush", "CLAUDE_CODE_OAUTH_TOKEN": "hush"}, State.WARN, "the key that is billed"),
        ({"ANTHROPIC_API_KEY": "sk-ant-hush", "ANTHROPIC_AUTH_TOKEN": "hush"}, State.WARN, "both sent"),
        ({"ANTHROPIC_API_KEY": "sk-ant-hush"}, State.OK, "billed by tokens"),
        ({"CLAUDE_CODE_OAUTH_TOKEN": "hush"}, State.OK, "would have cost"),
    ],
)
def test_who_pays_is_said_without_the_credential(around: Around, variables: dict[str, str], state: State, said: str):
    found = worst(way.sign_in(around(variables)))
    assert found.state is state
    assert said in found.message
    assert "hush" not in repr(found)


def test_a_subscription_is_known_from_claude_codes_own_file(around: Around, tmp_path: Path):
    there = around({"ANTHROPIC_API_KEY": "sk-ant-hush"})
    there.home.mkdir()
    (there.home / ".claude.json").write_text('{"oauthAccount": {"accountUuid": "x"}}')
    assert worst(way.sign_in(there)).state is State.WARN


@pytest.mark.parametrize(("value", "state"), [(None, State.WARN), ("false", State.WARN), ("true", State.OK)])
def test_requests_that_grew_are_noticed(around: Around, value: str | None, state: State):
    shell = {"ANTHROPIC_BASE_URL": GATEWAY, **({"ENABLE_TOOL_SEARCH": value} if value else {})}
    assert worst(way.tool_search(around(shell))).state is state
