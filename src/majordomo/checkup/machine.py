"""The machine and the settings: Python, environment, directories, disk, address, account."""

import difflib
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from majordomo.checkup.finding import Finding, fail, ok, warn
from majordomo.places import Places
from majordomo.ports import PortError, claim, is_loopback
from majordomo.record.embedded import EmbeddedError
from majordomo.record.postgres_account import choose_account
from majordomo.record.postgres_binaries import find_binaries
from majordomo.record.postgres_cluster import STATE_DIR, cluster_major, known_home, orphans
from majordomo.settings import ENV_PREFIX, Settings
from majordomo.supervisor import read_status

OLDEST_PYTHON = (3, 11)

#: Below these the journal or PostgreSQL may soon stop (bytes).
LITTLE_SPACE, NO_SPACE = 2 * 1024**3, 200 * 1024**2


def python() -> Iterator[Finding]:
    """The interpreter."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info[:2] < OLDEST_PYTHON:
        yield fail("python", f"Python {version} is too old", "install Python 3.11 or newer and run `make run` again")
    else:
        yield ok("python", f"Python {version}")


def environment(variables: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Variables that look like settings and are none: a typing error would otherwise go unnoticed."""
    known = [name.upper() for name in Settings.model_fields]
    unknown = 0
    for variable in sorted(variables):
        if not variable.startswith(ENV_PREFIX):
            continue
        name = variable[len(ENV_PREFIX) :].partition("__")[0]
        if name not in known:
            unknown += 1
            close = difflib.get_close_matches(name, known, 1)
            meant = f"did you mean {ENV_PREFIX}{close[0]}? " if close else ""
            yield warn(
                "environment",
                f"{variable} is no setting and has no effect",
                f"{meant}unset it, or see docs/settings.md",
            )
    if not unknown:
        yield ok("environment", f"every {ENV_PREFIX}* variable is a setting")


def directories(settings: Settings) -> Iterator[Finding]:
    """Whether the data directory can be written, and has space."""
    places = Places(settings.data_dir)
    here = _nearest(places.data_dir)
    if not here.is_dir():
        yield fail("data directory", f"{here} is no directory", "remove it, or set --data-dir to a directory")
        return
    if not os.access(here, os.W_OK | os.X_OK):
        yield fail(
            "data directory",
            f"{here} cannot be written by this user",
            f"change its owner (chown {_user()} {here}), or set --data-dir or MAJORDOMO_DATA_DIR to another one",
        )
        return
    locked = [part for part in (places.journal_dir, places.run_dir, places.prices_dir) if not _writable(part)]
    if locked:
        yield fail(
            "data directory",
            f"{', '.join(str(part) for part in locked)} cannot be written by this user",
            f"run majordomo as the user who owns it, or change the owner (chown -R {_user()} {places.data_dir})",
        )
    else:
        missing = "" if places.data_dir.is_dir() else " (made at the first start)"
        yield ok("data directory", f"{places.data_dir} can be written{missing}")
    yield from space(here)


def space(place: Path) -> Iterator[Finding]:
    """Free space on the data directory's disk."""
    free = shutil.disk_usage(place).free
    told = f"{free / 1024**3:.1f} GB free at {place}"
    advice = "free some space, or move the data directory to a larger disk; retention_months drops old rows"
    if free < NO_SPACE:
        yield fail("disk space", told, advice)
    elif free < LITTLE_SPACE:
        yield warn("disk space", told, advice)
    else:
        yield ok("disk space", told)


def address(settings: Settings) -> Iterator[Finding]:
    """Whether the port can be had, and who can reach it."""
    running = read_status(Places(settings.data_dir))
    where = f"{settings.host}:{settings.port}"
    if running and settings.port in (0, running.port):
        yield ok("address", f"the running gateway listens on {running.host}:{running.port}")
    else:
        try:
            claim(settings.host, settings.port).close()
            yield ok("address", f"{where} is free")
        except PortError as wrong:
            message, _, advice = str(wrong).partition(". ")
            message, _, more = message.partition("; ")
            yield fail("address", message, advice or more or "choose another address with --host and --port")
    if not is_loopback(settings.host):
        yield warn(
            "exposure",
            f"listening on {settings.host} lets other machines in; traffic is not encrypted",
            "keep it behind a TLS proxy and a firewall, or listen on 127.0.0.1",
        )


def embedded_programs(settings: Settings) -> Iterator[Finding]:
    """What the embedded database needs before it can start: programs of the right version, and an account."""
    home = known_home(Places(settings.data_dir))
    try:
        found = find_binaries(settings.postgres_bin, cluster_major(home))
        account = choose_account(settings.postgres_user, _owner(home / "data"))
    except EmbeddedError as wrong:
        message, _, advice = str(wrong).partition("; ")
        yield fail("embedded database", message, advice or "see docs/settings.md, or set MAJORDOMO_DATABASE_URL")
        return
    yield ok(
        "embedded database", f"PostgreSQL {found.version} in {found.bin_dir}{f', as {account.name}' if account else ''}"
    )
    if account is not None and account.name == "nobody":
        yield warn(
            "embedded database",
            "PostgreSQL runs as nobody, an account that other services may share",
            "make one of its own (`useradd --system majordomo`) and set MAJORDOMO_POSTGRES_USER=majordomo",
        )


def left_databases() -> Iterator[Finding]:
    """Clusters of root's data directories that were deleted: they lie elsewhere, and nobody else removes them."""
    for home in orphans(STATE_DIR):
        yield warn(
            "embedded database",
            f"{home} belongs to a data directory that is gone",
            f"if that is not just a disk that is not mounted: rm -r {home}",
        )


def _nearest(place: Path) -> Path:
    """The directory itself, or the nearest existing one above it."""
    while not place.exists() and place != place.parent:
        place = place.parent
    return place


def _writable(place: Path) -> bool:
    return not place.exists() or os.access(place, os.W_OK | os.X_OK)


def _owner(place: Path) -> int | None:
    try:
        return place.stat().st_uid
    except OSError:
        return None


def _user() -> str:
    return str(os.geteuid())
