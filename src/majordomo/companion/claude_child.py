"""How a command is made to send its requests to the proxy: its environment, and for Claude Code its ``--settings``.

Claude Code's settings files beat the shell's variables, so that a wrapper which only exports ANTHROPIC_BASE_URL would
be silently bypassed. What ``--settings`` gives beats the settings of user and project.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from majordomo.companion import claude_files, gateway_key
from majordomo.companion.claude_files import ClaudeFileError
from majordomo.companion.errors import CompanionError

ANTHROPIC = "https://api.anthropic.com"

BASE_URL = "ANTHROPIC_BASE_URL"
TOOL_SEARCH = "ENABLE_TOOL_SEARCH"
API_KEY = "ANTHROPIC_API_KEY"

NO_PROXY = ("NO_PROXY", "no_proxy")
LOOPBACK = ("127.0.0.1", "localhost")

_PACKAGE = re.compile(r"@anthropic-ai/claude-code(?:@[\w.-]+)?")


class Cloud(NamedTuple):
    """A cloud's own way to the models, which ignores ANTHROPIC_BASE_URL."""

    name: str
    switch: str  # the variable that turns it on
    base_url: str  # the variable that says where it is
    speaks_messages: bool  # the Messages API under /v1/messages, unsigned: a proxy can stand in between
    carries_api_key: bool = False  # Claude Code sends ANTHROPIC_API_KEY along, which is none of its business
    provider: str = "anthropic"  # whose price list holds


CLOUDS = (
    Cloud("Bedrock", "CLAUDE_CODE_USE_BEDROCK", "ANTHROPIC_BEDROCK_BASE_URL", False, carries_api_key=True),
    Cloud("Vertex", "CLAUDE_CODE_USE_VERTEX", "ANTHROPIC_VERTEX_BASE_URL", False, carries_api_key=True),
    Cloud("Foundry", "CLAUDE_CODE_USE_FOUNDRY", "ANTHROPIC_FOUNDRY_BASE_URL", True),
    Cloud("Mantle", "CLAUDE_CODE_USE_MANTLE", "ANTHROPIC_BEDROCK_MANTLE_BASE_URL", True, provider="aws"),
)


class ClaudeChild:
    """What is known of a command before it starts: is it Claude Code, and where would its requests go without us?"""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], home: Path, project: Path) -> None:
        """Read the settings that would count for it.

        Raises:
            CompanionError: the user's own ``--settings`` cannot be read.
        """
        self._command = list(command)
        self._environment = environment
        self._options_at = _options_at(command)
        self._given = self._take_settings() if self._options_at is not None else {}
        #: The variables as the child would see them without us.
        self.seen: dict[str, str] = dict(environment)
        if self.is_claude_code:
            self.seen |= _settings_env(environment, home, project) | _env_of(self._given)

    @property
    def is_claude_code(self) -> bool:
        """Whether the command is Claude Code itself."""
        return self._options_at is not None

    @property
    def cloud(self) -> Cloud | None:
        """The cloud that it is set to use."""
        return next((cloud for cloud in CLOUDS if _is_true(self.seen.get(cloud.switch))), None)

    def upstream(self, gateway: str | None) -> str:
        """Where its requests would go without us, and without the gateway.

        Raises:
            CompanionError: the address that is set is none.
        """
        cloud = self.cloud
        if cloud is not None:
            return self._cloud_upstream(cloud)
        url = self.seen.get(BASE_URL, "").strip().rstrip("/")
        if not url or (gateway is not None and _same_place(_checked(url, BASE_URL), gateway)):
            return ANTHROPIC
        return _checked(url, BASE_URL)

    def _cloud_upstream(self, cloud: Cloud) -> str:
        url = self.seen.get(cloud.base_url, "").strip().rstrip("/")
        if url:
            return _checked(url, cloud.base_url)
        resource = self.seen.get("ANTHROPIC_FOUNDRY_RESOURCE", "")
        if cloud.name == "Foundry" and re.fullmatch(r"[A-Za-z0-9-]+", resource):
            return f"https://{resource}.services.ai.azure.com/anthropic"
        raise CompanionError(
            f"{cloud.switch} is set, and {cloud.base_url} is not: the companion cannot tell where to go"
        )

    def variables(self, proxy: str, upstream: str | None) -> dict[str, str]:
        """The variables that send it to the proxy. ``upstream``: None if that is a gateway before Anthropic."""
        cloud = self.cloud
        found = {cloud.base_url if cloud is not None else BASE_URL: proxy}
        for name in NO_PROXY:
            found[name] = _with_loopback(self.seen.get(name) or self.seen.get("NO_PROXY") or self.seen.get("no_proxy"))
        if cloud is None and upstream in (None, ANTHROPIC) and TOOL_SEARCH not in self.seen:
            # With a base URL that is not Anthropic's, every request would carry all tools: 76 KB instead of 48.
            found[TOOL_SEARCH] = "true"
        return found

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        """All its variables. The key to the gateway is not among them: it needs none."""
        found = {**self._environment, **variables}
        found.pop(gateway_key.VARIABLE, None)
        cloud = self.cloud
        if cloud is not None and cloud.carries_api_key:
            found.pop(API_KEY, None)
        return found

    def command(self, variables: Mapping[str, str]) -> list[str]:
        """The command line, with the variables in ``--settings`` if it is Claude Code."""
        at = self._options_at
        if at is None:
            return self._command
        settings = {**self._given, "env": {**_env_of(self._given), **variables}}
        return [*self._command[:at], "--settings", json.dumps(settings, ensure_ascii=False), *self._command[at:]]

    def _take_settings(self) -> dict[str, Any]:
        """Take the user's own ``--settings`` out of the command line: only one can be given."""
        at = self._options_at
        while at is not None and at < len(self._command):
            argument = self._command[at]
            if argument == "--":
                break
            if argument == "--settings" and at + 1 < len(self._command):
                value = self._command[at + 1]
                del self._command[at : at + 2]
                return _read_settings(value)
            if argument.startswith("--settings="):
                del self._command[at]
                return _read_settings(argument.partition("=")[2])
            at += 1
        return {}


def _options_at(command: Sequence[str]) -> int | None:
    """Where Claude Code's own options begin; None if the command is something else."""
    program = Path(command[0])
    if program.name in ("claude", "claude.exe"):
        return 1
    for at, argument in enumerate(command[:6]):  # npx -y @anthropic-ai/claude-code, node .../claude-code/cli.js
        if _PACKAGE.fullmatch(argument) or (argument.endswith("cli.js") and "claude-code" in argument):
            return at + 1
    return None


def _read_settings(value: str) -> dict[str, Any]:
    """``--settings``: JSON itself, or the name of a file."""
    try:
        if value.lstrip().startswith("{"):
            return claude_files.parse_object(value, Path("--settings"))
        path = Path(value).expanduser()
        if not path.exists():
            raise CompanionError(f"--settings {value}: no such file")
        return claude_files.read_object(path)
    except ClaudeFileError as wrong:
        raise CompanionError(str(wrong)) from None


def _settings_env(environment: Mapping[str, str], home: Path, project: Path) -> dict[str, str]:
    """The variables of all settings files, the strongest winning. A file that is no JSON counts for nothing there."""
    found: dict[str, str] = {}
    for source in claude_files.sources(environment, home, project):
        try:
            found |= _env_of(claude_files.read_object(source.path))
        except ClaudeFileError:
            continue
    return found


def _env_of(settings: Mapping[str, Any]) -> dict[str, str]:
    env = settings.get("env")
    if not isinstance(env, dict):
        return {}
    return {str(name): str(value) for name, value in env.items() if isinstance(value, str | int | float)}


def _is_true(value: str | None) -> bool:
    return value is not None and value.strip().lower() in ("1", "true", "yes", "on")


def _checked(url: str, variable: str) -> str:
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise CompanionError(
            f"{variable} is set to something that is not an http:// or https:// URL; correct or unset it"
        )
    return url


def _same_place(one: str, other: str) -> bool:
    first, second = urlsplit(one), urlsplit(other)
    hosts = {_host(first.hostname), _host(second.hostname)}
    return len(hosts) == 1 and (first.scheme, first.port) == (second.scheme, second.port)


def _host(name: str | None) -> str:
    return "127.0.0.1" if name in ("localhost", "::1") else name or ""


def _with_loopback(value: str | None) -> str:
    names = [part.strip() for part in (value or "").split(",") if part.strip()]
    if "*" in names:
        return value or ""
    return ",".join([*names, *(name for name in LOOPBACK if name not in names)])
