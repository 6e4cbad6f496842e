"""``majordomo-companion setup``: the simple way, without a companion, for every Claude Code of this user."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from majordomo.companion import claude_files, gateway_key, gateway_url, metadata, settings_entry
from majordomo.companion.settings_file import SettingsFile


def parser() -> argparse.ArgumentParser:
    """The command line of ``setup``."""
    made = argparse.ArgumentParser(
        prog="majordomo-companion setup",
        description="Write the gateway into Claude Code's settings, so that every session goes through it without a "
        "companion. Shows what will change, asks, keeps a backup, and leaves everything else in the file as it is.",
        allow_abbrev=False,
    )
    add = made.add_argument
    add("--gateway", metavar="URL", help=f"gateway URL (default: the one that is set, else {gateway_url.DEFAULT})")
    add(
        "--api-key",
        metavar="KEY",
        help=f"Majordomo key, or - for a line from standard input; else {gateway_key.VARIABLE}, the one that is set, "
        "or a prompt",
    )
    add(
        "--metadata",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="metadata to send with every request; repeatable",
    )
    add("--settings", metavar="PATH", type=Path, help="settings file (default: ~/.claude/settings.json)")
    add("--remove", action="store_true", help="take the entry out again")
    add("--yes", "-y", action="store_true", help="do not ask")
    return made


def run(arguments: list[str]) -> int:
    """Change the settings; the exit code.

    Raises:
        ClaudeFileError, GatewayUrlError, GatewayKeyError, MetadataError: nothing was changed.
    """
    told = parser().parse_args(arguments)
    path = told.settings.expanduser() if told.settings else claude_files.user_settings(os.environ, Path.home())
    file = SettingsFile(path)
    after = settings_entry.without_entry(file.env) if told.remove else _with_gateway(file.env, told)
    if after == file.env:
        sys.stdout.write(f"{path}: nothing to {'remove' if told.remove else 'change'}.\n")
        return 0
    _show(path, file.env, after)
    sys.stdout.flush()
    for line in [] if told.remove else _cautions(file, after):
        sys.stderr.write(f"! {line}\n")
    if not told.yes and not _agreed():
        return 1
    backup = file.replace(after)
    kept = f"; the old file{', with the key,' if told.remove else ''} is {backup}" if backup else ""
    sys.stdout.write(f"Written{kept}.\n")
    if not told.remove:
        sys.stdout.write(
            "Sessions started from now on go through the gateway; `majordomo-companion doctor` checks the way.\n"
        )
    return 0


def _with_gateway(env: dict[str, Any], told: argparse.Namespace) -> dict[str, Any]:
    gateway, key = told.gateway, told.api_key
    if settings_entry.holds_entry(env):  # what is not given anew stays
        gateway = gateway or env.get(settings_entry.BASE_URL)
        key = key or os.environ.get(gateway_key.VARIABLE) or settings_entry.key_in(env)
    address = gateway_url.checked(gateway or gateway_url.DEFAULT)
    labels = metadata.from_flags(told.metadata)
    headers = settings_entry.headers_for(gateway_key.given_or_asked(key), labels)
    return settings_entry.with_entry(env, address, headers)


def _show(path: Path, before: dict[str, Any], after: dict[str, Any]) -> None:
    lines = settings_entry.diff(before, after) or ["  (only a value that is not shown changes)"]
    harmless = ("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line) for line in lines)
    sys.stdout.write(f"{path}:\n" + "\n".join(harmless) + "\n")


def _cautions(file: SettingsFile, after: dict[str, Any]) -> list[str]:
    """What somebody should know before saying yes."""
    found: list[str] = []
    old, new = file.env.get(settings_entry.BASE_URL), after[settings_entry.BASE_URL]
    if old and old != new:
        found.append(f"requests went to another {settings_entry.BASE_URL} so far; the gateway takes its place")
    if gateway_url.in_the_clear(new):
        found.append("over http:// the key, and all that you send, can be read on the way; use https://")
    if file.readable_by_others():
        found.append(f"other users of this machine can read the file, and with it the key: chmod 600 {file.target}")
    if folder := file.repository():
        found.append(f"the file lies in the Git repository {folder}: do not commit the key")
    return found


def _agreed() -> bool:
    if sys.stdin.isatty() and input("Write this? [y/N] ").strip().lower() in ("y", "yes"):
        return True
    why = "" if sys.stdin.isatty() else ": say --yes where nobody can be asked"
    sys.stderr.write(f"Nothing was changed{why}.\n")
    return False
