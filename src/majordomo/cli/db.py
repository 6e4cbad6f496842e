"""``majordomo db``: the database that the gateway writes to."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

import typer

from majordomo.cli.options import ConfigOption, DataDirOption, JsonOption, read_settings

if TYPE_CHECKING:
    from majordomo.settings import Settings

app = typer.Typer(no_args_is_help=True)

#: What a DSN may say in its query, and the variable by which libpq takes it.
_LIBPQ = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "database": "PGDATABASE",
    "passfile": "PGPASSFILE",
    "options": "PGOPTIONS",
    "application_name": "PGAPPNAME",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "sslmode": "PGSSLMODE",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcrl": "PGSSLCRL",
    "sslnegotiation": "PGSSLNEGOTIATION",
    "channel_binding": "PGCHANNELBINDING",
    "gssencmode": "PGGSSENCMODE",
    "krbsrvname": "PGKRBSRVNAME",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}


class DatabaseCommandError(Exception):
    """A command on the database cannot be carried out. The message says why and what to do."""


@app.command()
def url(data_dir: DataDirOption = None, config: ConfigOption = None) -> None:
    """Print the DSN, password included, as the last line."""
    from majordomo.record.embedded import database_for

    settings = read_settings(config, data_dir)
    with database_for(settings, migrated=False) as dsn:
        if settings.database_url is None and not _served(settings):
            typer.echo("The embedded database runs only while `majordomo serve` or another command does.", err=True)
        typer.echo(dsn)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(
    context: typer.Context,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Open an SQL prompt. Further arguments go to psql, as in: majordomo db psql -c 'SELECT count(*) FROM "
    "llm_requests'"""
    from majordomo.record.embedded import database_for

    settings = read_settings(config, data_dir)
    program = _find_psql(settings)
    with database_for(settings) as dsn:
        environment = libpq_environment(dsn)
        command = [str(program), *context.args]
        sys.stdout.flush()
        if settings.database_url is not None or _served(settings):
            os.execve(program, command, environment)  # noqa: S606 - nothing is left to do here; no shell
        # The database stops with this process, so psql must be waited for; Ctrl-C is for psql alone.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        code = subprocess.run(
            command, env=environment, check=False, restore_signals=True, preexec_fn=_take_interrupts
        ).returncode
    raise typer.Exit(code)


@app.command()
def migrate(as_json: JsonOption = False, data_dir: DataDirOption = None, config: ConfigOption = None) -> None:
    """Bring the schema to this version. `majordomo serve` does it too, at each start."""
    import asyncio

    import msgspec

    from majordomo.record.embedded import database_for
    from majordomo.record.migrate import migrate as bring_up

    with database_for(read_settings(config, data_dir), migrated=False) as dsn:
        applied = asyncio.run(bring_up(dsn))
    if as_json:
        names = [{"version": migration.version, "name": migration.name} for migration in applied]
        typer.echo(msgspec.json.encode({"applied": names}).decode())
    elif not applied:
        typer.echo("The schema is up to date.")
    for migration in applied if not as_json else []:
        typer.echo(f"Applied {migration.version:04d} {migration.name}.")


def libpq_environment(dsn: str) -> dict[str, str]:
    """This process's environment with the DSN in it as libpq's variables: an argument list can be read by anyone."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "MAJORDOMO_"))}
    parts = urlsplit(dsn)
    user, _, place = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    found = {"user": unquote(name), "password": unquote(password), "dbname": unquote(parts.path.lstrip("/"))}
    hosts = [_host_and_port(one) for one in place.split(",")] if place else []
    if hosts:
        found["host"] = ",".join(host for host, _ in hosts)
        found["port"] = ",".join(port for _, port in hosts) if any(port for _, port in hosts) else ""
    found.update(parse_qsl(parts.query))
    kept.update({_LIBPQ[key]: value for key, value in found.items() if key in _LIBPQ and value})
    return kept


def _host_and_port(place: str) -> tuple[str, str]:
    if place.startswith("["):
        host, _, port = place[1:].partition("]")
        return host, port.lstrip(":")
    host, _, port = place.partition(":")
    return unquote(host), port


def _served(settings: "Settings") -> bool:
    from majordomo.places import Places
    from majordomo.supervisor import read_status

    return read_status(Places(settings.data_dir)) is not None


def _find_psql(settings: "Settings") -> Path:
    from majordomo.record.postgres_binaries import candidates

    if settings.postgres_bin is not None and (settings.postgres_bin / "psql").is_file():
        return settings.postgres_bin / "psql"
    for found in candidates():
        if found.psql is not None:
            return found.psql
    on_path = shutil.which("psql")
    if on_path is None:
        raise DatabaseCommandError(
            "no psql was found; install your system's PostgreSQL client, or use any other client with `majordomo db "
            "url`"
        )
    return Path(on_path)


def _take_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
