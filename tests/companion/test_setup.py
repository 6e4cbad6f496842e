"""``majordomo-companion setup``: real files in a home of their own."""

import io
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from majordomo.companion import custom_headers, settings_entry
from majordomo.companion.claude_files import ClaudeFileError
from majordomo.companion.commands.setup import run
from majordomo.companion.gateway_key import GatewayKeyError
from majordomo.companion.metadata import MetadataError
from majordomo.companion.settings_file import SettingsFile

KEY = "mdm_sk_" + "k" * 39 + "EnDe"
OTHER_KEY = "mdm_sk_" + "o" * 39 + "Rest"

Setup = Callable[..., tuple[int, str]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user who has nothing yet."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    monkeypatch.delenv("MAJORDOMO_API_KEY", raising=False)
    return tmp_path


@pytest.fixture
def setup(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Setup:
    """``setup("--yes", typed=...)`` gives exit code and all that was printed."""

    def call(*arguments: str, typed: str = "") -> tuple[int, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        capsys.readouterr()
        code = run(list(arguments))
        return code, "".join(capsys.readouterr())

    return call


def settings_of(home: Path, text: str | None = None) -> Path:
    path = home / ".claude" / "settings.json"
    if text is not None:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text.encode())
    return path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_first_file_holds_the_guides_entry_and_is_private(home: Path, setup: Setup):
    code, _ = setup("--api-key", KEY, "--metadata", "Developer=alice", "--metadata", "Project=backend-api", "--yes")
    assert code == 0
    assert json.loads(settings_of(home).read_text()) == {
        "env": {
            "ANTHROPIC_BASE_URL": "http://localhost:7680",
            "ANTHROPIC_CUSTOM_HEADERS": f"X-Majordomo-Key: {KEY}\nX-Majordomo-Client: claude-code\n"
            "X-Majordomo-Developer: alice\nX-Majordomo-Project: backend-api",
            "ENABLE_TOOL_SEARCH": "true",
        }
    }
    assert mode(settings_of(home)) == 0o600
    assert list(settings_of(home).parent.iterdir()) == [settings_of(home)]


def test_foreign_headers_variables_and_bytes_stay_and_ours_are_replaced(home: Path, setup: Setup):
    old = (
        '{"model":"opus",\r\n  "env": {"FOO": 5, "ANTHROPIC_CUSTOM_HEADERS": "X-Corp: 7\\r\\nx-majordomo-key: old"}'
        ',\r\n  "permissions": {"allow":["Bash(ls)"],"n":1.50}}'
    )
    path = settings_of(home, old)
    path.chmod(0o640)
    code, _ = setup("--api-key", KEY, "--gateway", "https://gw.example/", "--yes")
    assert code == 0
    new = path.read_bytes().decode()
    assert new.startswith('{"model":"opus",\r\n  "env": {')
    assert new.endswith('},\r\n  "permissions": {"allow":["Bash(ls)"],"n":1.50}}')
    env = json.loads(new)["env"]
    assert list(env) == ["FOO", "ANTHROPIC_CUSTOM_HEADERS", "ANTHROPIC_BASE_URL", "ENABLE_TOOL_SEARCH"]
    assert env["FOO"] == 5
    assert env["ANTHROPIC_BASE_URL"] == "https://gw.example"
    assert custom_headers.parse(env["ANTHROPIC_CUSTOM_HEADERS"]) == [
        ("X-Corp", "7"),
        ("X-Majordomo-Key", KEY),
        ("X-Majordomo-Client", "claude-code"),
    ]
    assert mode(path) == 0o640
    (backup,) = [found for found in path.parent.iterdir() if found != path]
    assert backup.read_bytes() == old.encode()
    assert mode(backup) == 0o600


def test_nothing_that_is_printed_holds_a_secret(home: Path, setup: Setup):
    path = settings_of(
        home,
        json.dumps(
            {
                "env": {
                    "ANTHROPIC_API_KEY": "sk-ant-api03-secretsecretsecretsecret",
                    "ANTHROPIC_CUSTOM_HEADERS": "Authorization: Bearer hushhush\nX-Corp: plain\n"
                    f"X-Majordomo-Key: {OTHER_KEY}",
                }
            }
        ),
    )
    _, printed = setup("--api-key", KEY, "--yes")
    assert "ANTHROPIC_API_KEY" in printed
    assert "X-Corp: plain" in printed
    assert "mdm_sk_…EnDe" in printed
    assert "mdm_sk_…Rest" in printed
    for secret in ("hushhush", "secretsecret", "kkkkkkkk", "oooooooo"):
        assert secret not in printed
    assert KEY in path.read_text()


def test_the_key_comes_from_flag_environment_or_standard_input_and_an_entry_keeps_its_own(
    home: Path, setup: Setup, monkeypatch: pytest.MonkeyPatch
):
    def key() -> str | None:
        return settings_entry.key_in(json.loads(settings_of(home).read_text())["env"])

    setup("--yes", typed=KEY + "\n")
    assert key() == KEY
    assert setup("--yes", "--metadata", "Team=platform")[0] == 0
    assert key() == KEY
    setup("--yes", "--api-key", "-", typed=OTHER_KEY + "\n")
    assert key() == OTHER_KEY
    monkeypatch.setenv("MAJORDOMO_API_KEY", KEY)
    setup("--yes")
    assert key() == KEY
    assert "X-Majordomo-Team: platform" in settings_of(home).read_text()


def test_what_was_put_in_is_taken_out_again_and_nothing_else(home: Path, setup: Setup):
    old = '{\n  "env": {\n    "FOO": "bar",\n    "ANTHROPIC_CUSTOM_HEADERS": "X-Corp: 7"\n  },\n  "model": "opus"\n}\n'
    path = settings_of(home, old)
    setup("--api-key", KEY, "--metadata", "Team=a", "--yes")
    assert path.read_text() != old
    assert setup("--remove", "--yes")[0] == 0
    assert path.read_text() == old
    assert "nothing to remove" in setup("--remove", "--yes")[1]
    settings_of(home, '{"model": "opus"}')
    setup("--api-key", KEY, "--yes")
    setup("--remove", "--yes")
    assert json.loads(path.read_text()) == {"model": "opus"}


def test_another_gateways_base_url_is_not_ours_to_remove(home: Path, setup: Setup):
    path = settings_of(home, text := '{"env": {"ANTHROPIC_BASE_URL": "https://theirs.example"}}')
    assert "nothing to remove" in setup("--remove", "--yes")[1]
    assert path.read_text() == text
    assert "takes its place" in setup("--api-key", KEY, "--yes")[1]


def test_running_it_twice_changes_nothing_and_keeps_no_second_backup(home: Path, setup: Setup):
    setup("--api-key", KEY, "--yes")
    assert "nothing to change" in setup("--api-key", KEY, "--yes")[1]
    assert len(list(settings_of(home).parent.iterdir())) == 1


@pytest.mark.parametrize("pair", ["Developer", "=alice", "Key=x", "Client=x", "Team=", "Team=a\nX-Evil: 1", "Te am=a"])
def test_metadata_that_cannot_be_a_header_is_refused(home: Path, setup: Setup, pair: str):
    with pytest.raises(MetadataError):
        setup("--api-key", KEY, "--metadata", pair, "--yes")
    assert not settings_of(home).exists()


@pytest.mark.parametrize("key", ["", "sk-ant-api03-xxxx", "mdm_sk_a b", "mdm_sk_" + "x" * 600])
def test_what_cannot_be_a_gateways_key_is_refused_and_not_repeated(home: Path, setup: Setup, key: str):
    with pytest.raises(GatewayKeyError) as raised:
        setup("--api-key", "-", "--yes", typed=key + "\n")
    assert not key or key not in str(raised.value)
    assert not settings_of(home).exists()


def test_without_a_yes_nothing_happens(home: Path, setup: Setup):
    code, printed = setup("--api-key", KEY)
    assert code == 1
    assert "--yes" in printed
    assert not settings_of(home).exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{\n  "env": {\n    "A": "b",\n  }\n}', "line 4"),
        ('{\n  // mine\n  "env": {}\n}', "line 2"),
        ("[1]", "an object is needed"),
        ('{"env": "A=b"}', '"env" must be an object'),
        ("[" * 100_000, "too deeply"),
    ],
    ids=["comma", "comment", "array", "env", "depth"],
)
def test_a_file_that_is_no_settings_is_named_with_its_line_and_left_alone(
    home: Path, setup: Setup, text: str, said: str
):
    path = settings_of(home, text)
    with pytest.raises(ClaudeFileError, match=said) as raised:
        setup("--api-key", KEY, "--yes")
    assert str(path) in str(raised.value)
    assert path.read_text() == text
    assert list(path.parent.iterdir()) == [path]


def test_a_link_stays_a_link_and_what_it_leads_to_is_changed(home: Path, setup: Setup):
    real = home / "dotfiles" / "claude.json"
    real.parent.mkdir()
    real.write_text('{"model": "opus"}')
    settings_of(home).parent.mkdir()
    settings_of(home).symlink_to(real)
    assert setup("--api-key", KEY, "--yes")[0] == 0
    assert settings_of(home).is_symlink()
    assert json.loads(real.read_text())["env"]["ANTHROPIC_BASE_URL"] == "http://localhost:7680"


@pytest.mark.parametrize("kind", ["loop", "directory", "pipe", "latin-1"])
def test_what_is_no_text_file_is_refused(home: Path, setup: Setup, kind: str):
    path = settings_of(home, "")
    path.unlink()
    if kind == "loop":
        path.symlink_to(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.write_bytes(b'{"a": 1,\n"b": "\xe9"}')
    with pytest.raises(ClaudeFileError, match=r"settings\.json"):
        setup("--api-key", KEY, "--yes")


def test_a_change_by_somebody_else_meanwhile_is_not_overwritten(home: Path):
    path = settings_of(home, "{}")
    file = SettingsFile(path)
    path.write_text('{"model": "opus"}')
    with pytest.raises(ClaudeFileError, match="changed by somebody else"):
        file.replace({"A": "b"})
    assert path.read_text() == '{"model": "opus"}'


def test_a_byte_order_mark_and_an_empty_file_are_no_mistakes(home: Path, setup: Setup):
    path = settings_of(home, "\ufeff{}")
    assert setup("--api-key", KEY, "--yes")[0] == 0
    assert path.read_bytes().startswith(b"\xef\xbb\xbf{")
    settings_of(home, " \n")
    assert setup("--api-key", KEY, "--yes")[0] == 0
    assert json.loads(path.read_text())["env"]["ENABLE_TOOL_SEARCH"] == "true"


def test_the_users_own_directory_for_claude_code_is_respected(
    home: Path, setup: Setup, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(home / "elsewhere"))
    setup("--api-key", KEY, "--yes")
    assert (home / "elsewhere" / "settings.json").exists()
    setup("--api-key", KEY, "--yes", "--settings", str(home / "named.json"))
    assert (home / "named.json").exists()
    assert not settings_of(home).exists()


def test_a_key_in_a_file_that_others_see_is_pointed_out(home: Path, setup: Setup):
    (home / "project" / ".git").mkdir(parents=True)
    named = home / "project" / "settings.json"
    named.write_text("{}")
    named.chmod(0o644)
    _, printed = setup("--api-key", KEY, "--yes", "--settings", str(named), "--gateway", "http://gw.example:7680")
    assert "chmod 600" in printed
    assert "do not commit" in printed
    assert "https://" in printed
