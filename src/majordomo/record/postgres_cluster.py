"""The files of the embedded database: where they lie, how they are made, and who may open them.

Home of a cluster (``DATA_DIR/postgres``, or for root, where the account cannot reach that, ``/var/lib/majordomo/NAME``,
to which ``DATA_DIR/postgres/home`` then points; for a data directory under ``/tmp`` it lies under ``/tmp`` as well)::

    data/              the cluster itself, owned by the account that PostgreSQL runs as, 0700
    socket/            its unix socket, 0700, owned likewise
    password           of the role ``majordomo``, 0600, owned by whoever runs majordomo
    hba.conf           who may log in: that role, with that password, nobody else
    settings.conf      the tuning below; then custom.conf, which is the owner's
    owner.lock         held by the process that looks after the server
    server.lock        held by the server's own processes, all of them
    server.log         what the server said
    binaries/          copies of the programs, only where the account cannot reach the installed ones

Only ``data`` and ``socket`` can be written by the account, so a broken-in server cannot steer what root opens.
"""

import contextlib
import fcntl
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from majordomo.death_signal import set_death_signal
from majordomo.places import PASSABLE, PRIVATE, SHORT_BASE, Places, make_directory, make_own_directory
from majordomo.record.postgres_account import Account
from majordomo.record.postgres_binaries import Binaries

ROLE = "majordomo"
DATABASE = "majordomo"

#: Where root's clusters go when the account cannot pass through the data directory, as under a private /root.
STATE_DIR = Path("/var/lib/majordomo")

#: The same for data directories that are temporary themselves, from ``mktemp -d``: what they leave is removed later.
TEMPORARY_STATE_DIR = SHORT_BASE / "majordomo-0"

#: The server's default; it names the socket, whether or not there is TCP.
DEFAULT_PORT = 5432

#: Free space needed to make a cluster (40 MB) and let it live a little.
NEEDED_FREE_BYTES = 300 * 1024 * 1024

#: Tuned for a small neighbour of the gateway: some 20 MB at rest, a few connections, and a recovery of seconds.
TUNING: Mapping[str, str] = {
    "max_connections": "60",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "effective_cache_size": "1GB",
    "max_wal_size": "512MB",  # bounds the recovery after a crash: 1 GB took 3 to 7 s
    "min_wal_size": "80MB",
    "wal_level": "minimal",  # nobody replicates from an embedded server
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "autovacuum_max_workers": "2",
    "max_worker_processes": "4",
    "random_page_cost": "1.1",
    "jit": "off",  # the packaged programs have no LLVM; elsewhere it costs more memory than it saves time
    "huge_pages": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "datestyle": "iso, ymd",
    "lc_messages": "C",
    "lc_monetary": "C",
    "lc_numeric": "C",
    "lc_time": "C",
    "default_text_search_config": "pg_catalog.english",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
    # A failing statement's text could hold what callers sent; its error is enough.
    "log_min_error_statement": "panic",
    "log_parameter_max_length_on_error": "0",
}

#: Share of the machine's memory that the server keeps pages in, and its bounds (bytes). It is taken as it is used: a
#: server at rest has little of it. With less, reports copy the same pages from the system again and again.
BUFFERS_SHARE: Final = 1 / 32
LEAST_BUFFERS: Final = 64 * 1024 * 1024
MOST_BUFFERS: Final = 512 * 1024 * 1024

_CONTAINER_LIMIT: Final = Path("/sys/fs/cgroup/memory.max")

#: Variables that PostgreSQL's programs may see. PGPORT, PGDATA or a bad LANG from the shell must not reach them.
_KEPT_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR")

#: In /dev/shm of a container there may be 64 MB, which a parallel query outgrows.
_LEAST_SHARED_MEMORY = 256 * 1024 * 1024
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - asked for its size only


class ClusterError(Exception):
    """The embedded database's files cannot be made or used. The message says why and what to do."""


class Cluster:
    """One embedded database at rest: its files, made when missing. ``home`` must be reachable by ``account``."""

    def __init__(
        self,
        home: Path,
        account: Account | None,
        *,
        socket_dir: Path | None = None,
        tcp_port: int | None = None,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self.home = home
        self.account = account
        self.socket_dir = socket_dir or home / "socket"
        self.tcp_port = tcp_port
        self.options = dict(options or {})

    @property
    def data(self) -> Path:
        """What PostgreSQL calls the data directory."""
        return self.home / "data"

    @property
    def log(self) -> Path:
        """The server's own log."""
        return self.home / "server.log"

    @property
    def port(self) -> int:
        """Names the socket; the TCP port too, if one was asked for."""
        return self.tcp_port or DEFAULT_PORT

    @property
    def socket(self) -> Path:
        """The server's unix socket."""
        return self.socket_dir / f".s.PGSQL.{self.port}"

    def major(self) -> int | None:
        """The version that made the cluster; None if there is none."""
        return cluster_major(self.home)

    def drop(self) -> dict[str, Any]:
        """Arguments for ``subprocess`` that make a child run as the cluster's account."""
        return self.account.drop() if self.account else {}

    def prepare(self, binaries: Binaries, keep_open: int) -> None:
        """Make whatever is missing, so that the server can be started. Call with the locks held.

        ``keep_open``: file descriptor of the server's lock, for the programs run here to hold too.

        Raises:
            ClusterError, PlacesError: when that fails.
        """
        for folder in (self.data, self.socket_dir):
            self._check_owner(folder)
        if self.major() is None:
            self._make(binaries, keep_open)
        elif not (self.home / "password").is_file():
            self._set_password(self.data, binaries, keep_open, exists=True)
        self._make_socket_dir()
        self._write_configuration(binaries.major)

    def password(self) -> str:
        """Of the role ``majordomo``.

        Raises:
            ClusterError: when this user may not read it.
        """
        return read_password(self.home)

    def command(self, binaries: Binaries) -> list[str]:
        """The server's argument list. Each option is one element, so that no path needs quoting; none is a secret."""
        options = {
            "config_file": str(self.home / "settings.conf"),
            "hba_file": str(self.home / "hba.conf"),
            "listen_addresses": "127.0.0.1" if self.tcp_port else "",
            "port": str(self.port),
            "unix_socket_directories": str(self.socket_dir),
            "unix_socket_permissions": "0700",
            "logging_collector": "off",
            "log_destination": "stderr",
            **self.options,
        }
        command = [str(binaries.postgres), "-D", str(self.data)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        return command

    def _check_owner(self, folder: Path) -> None:
        if not self.account or not folder.is_dir() or folder.is_symlink():
            return
        if folder.stat().st_uid != self.account.uid:
            hand_over(folder, self.account)

    def _make(self, binaries: Binaries, keep_open: int) -> None:
        free = shutil.disk_usage(self.home).free
        if free < NEEDED_FREE_BYTES:
            raise ClusterError(
                f"only {free // 2**20} MB are free at {self.home}; the embedded database needs "
                f"{NEEDED_FREE_BYTES // 2**20} MB. "
                f"Free some space, or set --data-dir to a larger disk"
            )
        if self.data.exists():
            # Not ours to remove: no cluster, yet something is there.
            if any(self.data.iterdir()):
                raise ClusterError(
                    f"{self.data} is not empty but holds no PostgreSQL cluster (no PG_VERSION); move it away, or "
                    "restore it"
                )
            self.data.rmdir()
        for half in self.home.glob("making-*"):
            shutil.rmtree(half)  # an initdb that was interrupted
        making = self.home / f"making-{secrets.token_hex(4)}"
        making.mkdir(mode=PRIVATE)
        if self.account:
            os.chown(making, self.account.uid, self.account.gid)
        self._run_initdb(making, binaries, keep_open)
        self._set_password(making, binaries, keep_open, exists=False)
        making.rename(self.data)  # a cluster under its final name is a finished one
        _sync_directory(self.home)

    def _run_initdb(self, folder: Path, binaries: Binaries, keep_open: int) -> None:
        command = [str(binaries.initdb), "-D", str(folder), "--encoding=UTF8", "--username=postgres"]
        # The C library's C locale is everywhere; the built-in provider adds Unicode, with fixed collations.
        command += ["--locale=C", "--no-instructions"]
        if binaries.major >= 17:
            command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        # Nobody may log in by the files that initdb writes; who may is said in our hba.conf.
        command += ["--auth-local=reject", "--auth-host=reject"]
        made = self._run(command, keep_open)
        if made.returncode:
            raise ClusterError(f"could not make the embedded database in {self.home}: {_last_words(made)}")

    def _set_password(self, data: Path, binaries: Binaries, keep_open: int, *, exists: bool) -> None:
        """Make the role and its database, or give the role a new password, without any server listening."""
        word = secrets.token_urlsafe(32)
        verb = "ALTER" if exists else "CREATE"
        lines = [f"{verb} ROLE {ROLE} LOGIN CREATEDB PASSWORD '{word}';"]
        if not exists:
            lines += [f"CREATE DATABASE {DATABASE} OWNER {ROLE};", f"GRANT pg_monitor TO {ROLE};"]
        command = [
            str(binaries.postgres),
            "--single",
            "-D",
            str(data),
            "-c",
            "exit_on_error=on",
            "-c",
            "log_statement=none",
        ]
        command += ["-c", "password_encryption=scram-sha-256", "-c", "log_checkpoints=off", "postgres"]
        ran = self._run(command, keep_open, "\n".join(lines) + "\n")
        if ran.returncode or "ERROR" in ran.stderr or "FATAL" in ran.stderr:
            raise ClusterError(f"could not set up the embedded database in {self.home}: {_last_words(ran, hide=word)}")
        _write_private(self.home / "password", word + "\n")

    def _run(self, command: list[str], keep_open: int, text: str = "") -> subprocess.CompletedProcess[str]:
        death_signal = set_death_signal()
        return subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            cwd=self.home,
            env=clean_environment(),
            pass_fds=(keep_open,),
            umask=0o077,
            preexec_fn=lambda: death_signal(9),
            check=False,
            **self.drop(),
        )

    def _make_socket_dir(self) -> None:
        make_directory(self.socket_dir)
        if self.account and self.socket_dir.stat().st_uid != self.account.uid:
            os.chown(self.socket_dir, self.account.uid, self.account.gid, follow_symlinks=False)

    def _write_configuration(self, major: int) -> None:
        tuning = {**TUNING, "shared_buffers": f"{shared_buffers(_memory()) >> 20}MB"}
        if major >= 18:
            tuning["io_method"] = "sync"  # three processes fewer; what is read here lies in the page cache
        if _shared_memory_is_small():
            tuning["dynamic_shared_memory_type"] = "mmap"
        text = "# Written at each start. Your own settings belong into custom.conf beside this file.\n"
        text += "".join(f"{name} = '{value}'\n" for name, value in tuning.items())
        text += "include_if_exists 'custom.conf'\n"
        _write_readable(self.home / "settings.conf", text)
        hba = f"local all {ROLE} scram-sha-256\n"
        if self.tcp_port:
            hba += f"host all {ROLE} 127.0.0.1/32 scram-sha-256\n"
        _write_readable(self.home / "hba.conf", hba)


def shared_buffers(memory: int) -> int:
    """The bytes of pages that a server keeps on a machine with so many bytes of memory."""
    return int(min(MOST_BUFFERS, max(LEAST_BUFFERS, memory * BUFFERS_SHARE)))


def _memory() -> int:
    """Bytes that this machine, or this container, has."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(machine, int(_CONTAINER_LIMIT.read_text()))
    except (OSError, ValueError):  # not there, or "max"
        return machine


def cluster_major(home: Path) -> int | None:
    """Major version of the cluster in ``home``; None if there is none yet.

    Raises:
        ClusterError: when its version cannot be read.
    """
    try:
        return int((home / "data" / "PG_VERSION").read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as wrong:
        raise ClusterError(f"{home / 'data'} is no PostgreSQL cluster that this user can read: {wrong}") from None


def read_password(home: Path) -> str:
    """The password of the role ``majordomo``.

    Raises:
        ClusterError: when there is none, or this user may not read it.
    """
    try:
        return (home / "password").read_text().strip()
    except OSError as wrong:
        raise ClusterError(
            f"cannot read the embedded database's password in {home}: {wrong.strerror}; run this as the user who "
            "runs majordomo"
        ) from None


def find_home(places: Places, account: Account | None) -> Path:
    """Where the cluster of this data directory lies, made if it is missing.

    Raises:
        ClusterError, PlacesError: when the account can reach no place that we may make.
    """
    wished = places.postgres_dir
    make_directory(wished, PASSABLE if account else PRIVATE)
    known = known_home(places)
    if known != wished:
        if not known.is_dir():
            raise ClusterError(
                f"the embedded database of {places.data_dir} should be in {known} (so says {wished / 'home'}), but "
                "that is gone; "
                f"restore it, or remove {wished / 'home'} to begin with an empty database"
            )
        return known
    if account is None or account.reaches(wished):
        return wished
    if (wished / "data").exists():
        raise ClusterError(
            f"{wished} holds the embedded database, but the account {account.name} that must run it cannot pass "
            "through one of "
            f"the directories above; make them passable (chmod o+x), or move the data directory and set --data-dir"
        )
    return _elsewhere(places, account)


def known_home(places: Places) -> Path:
    """Where the cluster of this data directory lies or would lie; touches nothing."""
    with contextlib.suppress(OSError):
        return Path((places.postgres_dir / "home").read_text().rstrip("\n"))
    return places.postgres_dir


def _elsewhere(places: Places, account: Account) -> Path:
    temporary = any(places.data_dir.is_relative_to(folder) for folder in _temporary_folders())
    base = TEMPORARY_STATE_DIR if temporary else STATE_DIR
    make_own_directory(base)
    if temporary:
        _sweep(base)
    # A fresh name each time: a data directory that was deleted and made anew must not find its old database again.
    home = base / f"postgres-{secrets.token_hex(6)}"
    make_directory(home, PASSABLE)
    if not account.reaches(home):
        home.rmdir()
        raise ClusterError(
            f"the account {account.name}, which PostgreSQL runs as, can reach neither {places.data_dir} nor {base}; "
            f"set --data-dir to a place it can pass through (such as /srv/majordomo), or set MAJORDOMO_DATABASE_URL"
        )
    _write_private(home / "belongs_to", f"{places.data_dir}\n")
    _write_private(places.postgres_dir / "home", f"{home}\n")
    return home


def orphans(base: Path) -> list[Path]:
    """Homes in ``base`` whose data directory is gone and whose server does not run."""
    return [home for home in base.glob("postgres-*") if not _belongs_to_something(home) and not _in_use(home)]


def _belongs_to_something(home: Path) -> bool:
    try:
        return Path((home / "belongs_to").read_text().rstrip("\n")).exists()
    except OSError:
        return True  # half made, or not ours to read


def _in_use(home: Path) -> bool:
    try:
        handle = os.open(home / "server.lock", os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _sweep(base: Path) -> None:
    """Remove what deleted temporary directories left. Only there: a disk that is not mounted looks deleted, too."""
    for home in orphans(base):
        shutil.rmtree(home, ignore_errors=True)


def _temporary_folders() -> set[Path]:
    return {Path(folder).resolve() for folder in (tempfile.gettempdir(), SHORT_BASE, "/var/tmp")}  # noqa: S108


def hand_over(folder: Path, account: Account) -> None:
    """Give ``folder`` and what is in it to ``account``; links are not followed."""
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(Path(place, name), account.uid, account.gid, follow_symlinks=False)
    os.chown(folder, account.uid, account.gid, follow_symlinks=False)


def clean_environment() -> dict[str, str]:
    """The environment for PostgreSQL's programs."""
    kept = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}


def _write_private(place: Path, text: str) -> None:
    _write(place, text, 0o600)


def _write_readable(place: Path, text: str) -> None:
    _write(place, text, 0o644)  # read by the account; holds no secret


def _write(place: Path, text: str, mode: int) -> None:
    fresh = place.with_name(f".{place.name}.new")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    with os.fdopen(handle, "w") as stream:
        os.fchmod(handle, mode)
        stream.write(text)
        stream.flush()
        os.fsync(handle)
    fresh.rename(place)


def _sync_directory(place: Path) -> None:
    handle = os.open(place, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _shared_memory_is_small() -> bool:
    try:
        return shutil.disk_usage(_SHARED_MEMORY).total < _LEAST_SHARED_MEMORY
    except OSError:
        return Path("/proc").is_dir()  # Linux without /dev/shm; macOS has shared memory but no such path


def _last_words(ran: subprocess.CompletedProcess[str], hide: str = "") -> str:
    words = [line for line in ran.stderr.splitlines() if line.strip()][-4:]
    text = " / ".join(words) or f"exit code {ran.returncode}, without a word"
    return text.replace(hide, "(hidden)") if hide else text
