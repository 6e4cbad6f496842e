"""Behind the companion, nothing that is set elsewhere sends the real tool past it by accident."""

import json
from collections.abc import Callable

import pytest
from claude_cli.cli import ClaudeCode
from claude_cli.provider import ScriptedProvider
from gateway_fixture import Gateway

ClaudeAt = Callable[..., ClaudeCode]

#: Nobody listens there.
NOWHERE = "http://127.0.0.1:1"


@pytest.mark.parametrize("file", [".claude/settings.json", ".claude/settings.local.json"])
@pytest.mark.parametrize("place", ["home", "work"])
def test_settings_files_and_proxies_do_not_send_it_elsewhere(
    claude_gateway: Gateway, claude_at: ClaudeAt, claude_provider: ScriptedProvider, place: str, file: str
) -> None:
    """Another base URL and other headers in a file, and a proxy that would be asked for loopback, too."""
    tag = claude_gateway.tag()
    claude = claude_at(NOWHERE, HTTP_PROXY=NOWHERE, HTTPS_PROXY=NOWHERE, http_proxy=NOWHERE)
    claude.go_behind_companion(claude_gateway, tag)
    path = getattr(claude, place) / file
    path.parent.mkdir()
    env = {"ANTHROPIC_BASE_URL": NOWHERE + "/other", "ANTHROPIC_CUSTOM_HEADERS": "X-Corp: 7\nX-Majordomo-Team: red"}
    path.write_text(json.dumps({"env": env}))
    result = claude.ask("Hello")
    assert (result.exit_code, len(claude_provider.messages())) == (0, 1)
    row = claude_gateway.row(tag)
    read = (place, file) != ("home", ".claude/settings.local.json")  # no such file is read there
    assert json.loads(row["raw_metadata"]).get("Team") == ("red" if read else None)
    assert ("x-corp" in {name.lower() for name, _ in claude_provider.messages()[0].sent}) is read
    assert row["claude_session_id"] is not None
