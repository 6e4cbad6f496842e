"""Where things lie in the data directory. Every process works the same paths out from the one setting ``data_dir``."""

import hashlib
import os
import stat
from pathlib import Path

PRIVATE = 0o700

#: A unix socket's path has 107 bytes on Linux and 103 on macOS, the closing NUL aside. Longer ones cannot be bound.
MAX_SOCKET_PATH = 100

#: Made by root, the data directory may be passed through (not listed) by others: PostgreSQL refuses to run as root, and
#: the account it runs as must reach its own directory in there. Everything else inside stays 0700.
PASSABLE = 0o711

#: Where short socket paths are made. Fixed, not ``TMPDIR``: a command must find what the service made.
SHORT_BASE = Path("/tmp")  # noqa: S108 - what is made in it is private, and its owner is checked


class PlacesError(Exception):
    """A directory cannot be made or is not ours. The message says which, why, and what to do."""


class Places:
    """The directories and sockets of one data directory. Working out a path touches nothing; ``make`` creates."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = Path(data_dir).expanduser().resolve()

    def __repr__(self) -> str:
        return f"Places({str(self.data_dir)!r})"

    @property
    def journal_dir(self) -> Path:
        """One directory per front-desk process, named by a UUIDv7."""
        return self.data_dir / "journal"

    @property
    def run_dir(self) -> Path:
        """Sockets and locks of the running service."""
        return self.data_dir / "run"

    @property
    def postgres_dir(self) -> Path:
        """Home of the embedded database: cluster, password, lock, log."""
        return self.data_dir / "postgres"

    @property
    def prices_dir(self) -> Path:
        """The price feed as last accepted."""
        return self.data_dir / "prices"

    @property
    def dead_letter_dir(self) -> Path:
        """Rows that PostgreSQL refused, each with the reason."""
        return self.data_dir / "dead_letters"

    @property
    def vault_secret(self) -> Path:
        """What providers' credentials behind proxy keys are encrypted with."""
        return self.data_dir / "vault.secret"

    @property
    def service_lock(self) -> Path:
        """Locked by the running ``majordomo serve``; its text is that process's id."""
        return self.run_dir / "serve.lock"

    @property
    def back_office_socket(self) -> Path:
        """Where the back office answers HTTP to the front desks."""
        return self.socket(self.run_dir / "back_office.sock")

    def socket(self, wished: Path) -> Path:
        """``wished``, or one of the same folder and name in a short private directory, if it cannot be a socket's path.

        It may be too long, or hold a comma, which separates hosts in a DSN.
        """
        if len(os.fsencode(wished)) <= MAX_SOCKET_PATH and "," not in str(wished):
            return wished
        return self.short_dir / wished.parent.name / wished.name

    @property
    def short_dir(self) -> Path:
        """The private directory for sockets whose place in the data directory has too long a path."""
        digest = hashlib.sha256(os.fsencode(self.data_dir)).hexdigest()[:16]
        return SHORT_BASE / f"majordomo-{self._owner()}" / digest

    def _owner(self) -> int:
        # The owner of the directory, not the caller: root's commands must find what an ordinary user's service made.
        try:
            return self.data_dir.stat().st_uid
        except OSError:
            return os.geteuid()

    def make(self) -> "Places":
        """Create what is missing; existing directories keep their permissions.

        Raises:
            PlacesError: when a directory cannot be created or written.
        """
        make_directory(self.data_dir, PASSABLE if os.geteuid() == 0 else PRIVATE)
        for place in (self.journal_dir, self.run_dir, self.prices_dir, self.dead_letter_dir):
            make_directory(place)
        if self.back_office_socket.parent != self.run_dir:
            make_directory(self.make_short_dir() / self.run_dir.name)
        return self

    def make_short_dir(self) -> Path:
        """Create the short private directory; its base stands in a directory anyone can write, so it is checked."""
        for place in (self.short_dir.parent, self.short_dir):
            make_own_directory(place, (os.geteuid(), self._owner()))
        return self.short_dir


def make_own_directory(place: Path, owners: tuple[int, ...] = ()) -> None:
    """Create a directory where others may create some, too: it must be ours (or of ``owners``), and not be writable.

    Raises:
        PlacesError: when somebody else was there before.
    """
    make_directory(place, PASSABLE if os.geteuid() == 0 else PRIVATE)
    found = place.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (owners or (os.geteuid(),)) or found.st_mode & 0o022:
        raise PlacesError(
            f"{place} is needed, but another user made it or may write it (owner {found.st_uid}); "
            f"remove it, or set --data-dir to a directory with a shorter path, outside of the temporary ones"
        )


def make_directory(place: Path, mode: int = PRIVATE) -> None:
    """Create ``place`` with ``mode`` and its missing parents; leave it alone if it exists.

    Raises:
        PlacesError: when that is not possible, or the directory cannot be written.
    """
    try:
        place.parent.mkdir(mode=PASSABLE if mode == PASSABLE else PRIVATE, parents=True, exist_ok=True)
        place.mkdir(mode=mode)
        place.chmod(mode)  # whatever the umask
    except FileExistsError:
        if not place.is_dir():
            raise PlacesError(
                f"{place} is in the way: a directory is needed there; move it, or set --data-dir"
            ) from None
    except OSError as wrong:
        raise PlacesError(f"cannot create {place}: {wrong.strerror}; make it writable, or set --data-dir") from None
    if not os.access(place, os.W_OK | os.X_OK):
        raise PlacesError(
            f"{place} is not writable by this user; change its owner, or set --data-dir to another directory"
        )
