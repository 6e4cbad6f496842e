"""``majordomo-companion setup``: the simple way, without a companion, for every Claude Code of this user."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from majordomo.companion.settings_file import SettingsFile

app = typer.Typer()

_COLOURS = {"+": "green", "-": "red"}


@app.command()
def setup(
    gateway: Annotated[
        str | None, typer.Option(help="Gateway URL.", show_default="the one set, else http://localhost:7680")
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(
            "--api-key",
            help="Majordomo key, or - for standard input; else asked for. [env: MAJORDOMO_API_KEY]",
            show_default=False,
        ),
    ] = None,
    metadata: Annotated[
        list[str] | None, typer.Option("--metadata", help="KEY=VALUE to send with every request; repeatable.")
    ] = None,
    settings: Annotated[
        Path | None,
        typer.Option(help="Settings file of Claude Code.", show_default="~/.claude/settings.json"),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the entry out again.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Write the gateway into Claude Code's settings, so that every session goes through it without a companion.

    Shows what will change, asks, keeps a backup, and leaves everything else in the file as it is.
    """
    from majordomo.companion import claude_files, settings_entry
    from majordomo.companion.settings_file import SettingsFile

    path = settings.expanduser() if settings else claude_files.user_settings(os.environ, Path.home())
    file = SettingsFile(path)
    if remove:
        after = settings_entry.without_entry(file.env)
    else:
        after = _with_gateway(file.env, gateway, api_key, metadata or [])
    if after == file.env:
        typer.echo(f"{path}: nothing to {'remove' if remove else 'change'}.")
        return
    _show(path, file.env, after)
    for line in _cautions(file, after, remove):
        typer.secho(f"! {line}", fg="yellow", err=True)
    if not yes:
        _ask()
    backup = file.replace(after)
    if backup:
        typer.echo(f"Written; the old file{', with the key,' if remove else ''} is {backup}.")
    else:
        typer.echo("Written.")
    if not remove:
        typer.echo("Sessions started from now on go through the gateway; `majordomo-companion doctor` checks the way.")


def _with_gateway(env: dict[str, Any], gateway: str | None, api_key: str | None, metadata: list[str]) -> dict[str, Any]:
    from majordomo.companion import gateway_key, gateway_url, settings_entry
    from majordomo.companion.custom_headers import metadata_header

    if settings_entry.holds_entry(env):  # what is not given anew stays
        gateway = gateway or env.get(settings_entry.BASE_URL)
        api_key = api_key or os.environ.get(gateway_key.VARIABLE) or settings_entry.key_in(env)
    try:
        headers = [metadata_header(pair) for pair in metadata]
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong), param_hint="--metadata") from None
    address = gateway_url.checked(gateway or gateway_url.DEFAULT)
    key = gateway_key.given_or_asked(api_key)
    return settings_entry.with_entry(env, address, settings_entry.headers_for(key, headers))


def _show(path: Path, before: dict[str, Any], after: dict[str, Any]) -> None:
    from majordomo.companion.settings_entry import diff

    typer.echo(f"{path}:")
    lines = diff(before, after)
    for line in lines or ["  (only a value that is not shown changes)"]:
        typer.secho(
            "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line), fg=_COLOURS.get(line[0])
        )


def _cautions(file: "SettingsFile", after: dict[str, Any], remove: bool) -> list[str]:
    """What somebody should know before saying yes."""
    from majordomo.companion import settings_entry
    from majordomo.companion.gateway_url import in_the_clear

    found: list[str] = []
    old = file.env.get(settings_entry.BASE_URL)
    if remove:
        return found
    if old and old != after[settings_entry.BASE_URL]:
        found.append(f"requests went to another {settings_entry.BASE_URL} so far; the gateway takes its place")
    if in_the_clear(after[settings_entry.BASE_URL]):
        found.append("over http:// the key, and all that you send, can be read on the way; use https://")
    if file.readable_by_others():
        found.append(f"other users of this machine can read the file, and with it the key: chmod 600 {file.target}")
    if folder := file.repository():
        found.append(f"the file lies in the Git repository {folder}: do not commit the key")
    return found


def _ask() -> None:
    if not sys.stdin.isatty():
        typer.echo("Nothing was changed: say --yes where nobody can be asked.", err=True)
        raise typer.Exit(1)
    if not typer.confirm("Write this?", default=False):
        typer.echo("Nothing was changed.", err=True)
        raise typer.Exit(1)
