"""Where Claude Code keeps its settings and its own records, and how it reads them. Measured on 2.1.197.

Of settings it reads, weakest first: the user's, the project's, the project's local ones, what ``--settings`` gives,
the managed ones. Each ``env`` in them beats the shell's variable of the same name as a whole: values never merge. A
file that is not JSON it ignores without a word. Project files count in the working directory only.
"""

import json
import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

#: Settings are written by people, the state file by the CLI for each of its projects. Anything larger is not theirs.
MAX_SETTINGS_BYTES = 4 * 1024 * 1024
MAX_STATE_BYTES = 64 * 1024 * 1024

_BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"


class ClaudeFileError(Exception):
    """A file of Claude Code cannot be read as it must be. The message names file, place and reason."""


class Source(NamedTuple):
    """One settings file that Claude Code would read."""

    name: str  # user, project, local or managed
    path: Path


def config_dir(environment: Mapping[str, str], home: Path) -> Path:
    """Claude Code's own directory."""
    given = environment.get("CLAUDE_CONFIG_DIR")
    return Path(given).expanduser() if given else home / ".claude"


def user_settings(environment: Mapping[str, str], home: Path) -> Path:
    """The settings of this user, for all projects."""
    return config_dir(environment, home) / "settings.json"


def state_file(environment: Mapping[str, str], home: Path) -> Path:
    """Where the CLI notes what happened in each project, with the cost of the last session."""
    old = config_dir(environment, home) / ".config.json"
    if old.exists():
        return old
    given = environment.get("CLAUDE_CONFIG_DIR")
    return (Path(given).expanduser() if given else home) / ".claude.json"


def managed_dir() -> Path:
    """Where an administrator's settings lie; nothing overrides them."""
    return Path("/Library/Application Support/ClaudeCode" if sys.platform == "darwin" else "/etc/claude-code")


def sources(environment: Mapping[str, str], home: Path, project: Path, managed: Path | None = None) -> list[Source]:
    """Every settings file that counts for a Claude Code started in ``project``, weakest first; some may not exist."""
    managed = managed or managed_dir()
    found = [
        Source("user", user_settings(environment, home)),
        Source("project", project / ".claude" / "settings.json"),
        Source("local", project / ".claude" / "settings.local.json"),
        Source("managed", managed / "managed-settings.json"),
    ]
    try:
        dropped_in = sorted(managed.joinpath("managed-settings.d").glob("[!.]*.json"))
    except OSError:
        dropped_in = []
    return found + [Source("managed", path) for path in dropped_in]


def read_object(path: Path, limit: int = MAX_SETTINGS_BYTES) -> dict[str, Any]:
    """The JSON object in ``path``; empty for a file that is missing or empty.

    Raises:
        ClaudeFileError: when there is something else, or it cannot be read.
    """
    return parse_object(read_text(path, limit), path)


def read_text(path: Path, limit: int = MAX_SETTINGS_BYTES) -> str:
    """The file's text with its byte order mark, if it has one; empty for a missing file.

    Raises:
        ClaudeFileError: when it is no regular file, too large, not UTF-8, or not ours to read.
    """
    try:
        # Not waiting: opening a named pipe would.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as wrong:
        raise ClaudeFileError(f"{path} cannot be read: {_reason(wrong)}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ClaudeFileError(f"{path} is not a regular file")
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ClaudeFileError(f"{path} is larger than {limit // 1024 // 1024} MiB, which no settings file is")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as wrong:
        line = content.count(b"\n", 0, wrong.start) + 1
        raise ClaudeFileError(f"{path}, line {line}: not UTF-8 text") from None


def parse_object(text: str, path: Path) -> dict[str, Any]:
    """The JSON object that ``text``, read from ``path``, holds; empty for empty text.

    Raises:
        ClaudeFileError: naming the line of the first mistake.
    """
    text = text.removeprefix(_BOM)
    if not text.strip():
        return {}
    try:
        value = json.loads(text)
    except json.JSONDecodeError as wrong:
        raise ClaudeFileError(f"{path}, line {wrong.lineno}, column {wrong.colno}: {wrong.msg}") from None
    except RecursionError:
        raise ClaudeFileError(f"{path}: nested too deeply") from None
    if not isinstance(value, dict):
        raise ClaudeFileError(f"{path}: an object is needed, {{...}}, and there is something else")
    return value


def _reason(wrong: Exception) -> str:
    return (wrong.strerror if isinstance(wrong, OSError) else None) or str(wrong)
