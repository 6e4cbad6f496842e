"""``majordomo doctor``: checks everything that a new installation can have wrong, and says what to do."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from majordomo.cli.options import ConfigOption, DataDirOption, JsonOption, read_settings

if TYPE_CHECKING:
    from majordomo.checkup.finding import Finding
    from majordomo.settings import Settings

app = typer.Typer()

_SIGNS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red")}


@app.command()
def doctor(
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    host: Annotated[str | None, typer.Option(help="Check this address.", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65_535, help="Check this port.", show_default="7680")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Do not try to reach the providers.")] = False,
) -> None:
    """Check settings, directories, address, database, providers, prices and records. Exit code 1 if something fails."""
    from majordomo.checkup.finding import State

    findings = list(_examine(config, data_dir, host, port, offline))
    if as_json:
        _print_json(findings)
    else:
        _print_table(findings)
    raise typer.Exit(1 if any(finding.state is State.FAIL for finding in findings) else 0)


def _examine(
    config: Path | None, data_dir: Path | None, host: str | None, port: int | None, offline: bool
) -> Iterator["Finding"]:
    from majordomo import logs
    from majordomo.checkup import machine, service
    from majordomo.checkup.finding import fail, ok
    from majordomo.settings import SettingsError

    logs.set_up("error", "auto")
    yield from machine.python()
    yield from machine.environment()
    try:
        settings = read_settings(config, data_dir, host=host, port=port)
    except SettingsError as wrong:
        for line in str(wrong).splitlines():
            yield fail("settings", line, "correct it; the other checks need sound settings and were left out")
        return
    yield ok("settings", "all valid")
    yield from machine.directories(settings)
    yield from machine.address(settings)
    yield from _database(settings)
    yield from service.service(settings)
    yield from service.journals(settings)
    yield from service.letters(settings)
    yield from service.prices(settings)
    if not offline:
        yield from asyncio.run(_providers(settings))


def _database(settings: "Settings") -> Iterator["Finding"]:
    from majordomo.checkup import machine, storage
    from majordomo.checkup.finding import State, fail, ok
    from majordomo.places import Places
    from majordomo.record.embedded import EmbeddedError, database_for
    from majordomo.record.postgres_cluster import cluster_major, known_home

    if settings.database_url is None:
        findings = list(machine.embedded_programs(settings))
        yield from findings
        yield from machine.left_databases()
        if any(finding.state is State.FAIL for finding in findings):
            return
        if cluster_major(known_home(Places(settings.data_dir))) is None:
            yield ok("database", "the embedded one is made at the first start")
            return
    try:
        with database_for(settings, lambda line: None, migrated=False) as dsn:
            yield from asyncio.run(_collect(storage.database(dsn)))
    except EmbeddedError as wrong:
        message, _, advice = str(wrong).partition("; ")
        yield fail("database", message, advice or "see the log it names, then start `majordomo serve`")


async def _providers(settings: "Settings") -> list["Finding"]:
    from majordomo.checkup import upstreams

    return await _collect(upstreams.providers(settings))


async def _collect(findings: AsyncIterator["Finding"]) -> list["Finding"]:
    return [finding async for finding in findings]


def _print_json(findings: list["Finding"]) -> None:
    import msgspec

    typer.echo(msgspec.json.format(msgspec.json.encode({"findings": findings}), indent=2).decode())


def _print_table(findings: list["Finding"]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for finding in findings:
        sign, colour = _SIGNS[finding.state]
        told = Text(finding.message, overflow="fold")
        if finding.advice:
            told.append(f"\n→ {finding.advice}", style="dim" if finding.state == "ok" else "bold")
        table.add_row(Text(sign, style=colour), Text(finding.state, style=colour), finding.check, told)
    Console(highlight=False).print(table)
