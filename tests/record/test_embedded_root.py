"""The embedded PostgreSQL under root, which PostgreSQL refuses: what it drops to, and what it leaves untouched.

Run by an ordinary user this file holds the tests of an ordinary user only; under root it holds both.
"""

import asyncio
import os
import pwd
import shutil
import stat
import subprocess
import traceback
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from majordomo.checkup import machine
from majordomo.places import Places
from majordomo.record import embedded, postgres_cluster
from majordomo.record.postgres_account import AccountError, choose_account
from majordomo.record.postgres_binaries import Binaries, BinariesError, find_binaries
from majordomo.record.postgres_cluster import ClusterError
from majordomo.settings import Settings

AS_ROOT = os.geteuid() == 0


def settings_for(data_dir: Path, **more: object) -> Settings:
    return Settings(**{"data_dir": data_dir, "database_url": None, **more})


def answer(dsn: str) -> object:
    async def ask() -> object:
        connection = await asyncpg.connect(dsn)
        try:
            return await connection.fetchval("SELECT 42")
        finally:
            await connection.close()

    return asyncio.run(ask())


def modes(place: Path) -> dict[Path, int]:
    """Permissions of a directory and of all above it."""
    return {folder: stat.S_IMODE(folder.stat().st_mode) for folder in (place, *place.parents)}


def as_account(name: str, act: Callable[[], None]) -> str:
    """Run ``act`` in a child process as another account; its traceback, empty if it went well."""
    entry = pwd.getpwnam(name)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(entry.pw_gid)
            os.setuid(entry.pw_uid)
            act()
        except BaseException:
            os.write(writing, traceback.format_exc().encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        text = told.read()
    os.waitpid(child, 0)
    return text


@pytest.fixture
def private(short_tmp):
    """A directory that only its owner can enter, as /root is."""
    folder = short_tmp / "home"
    folder.mkdir(mode=0o700)
    return folder


def test_an_ordinary_user_stays_what_it_is(short_tmp):
    """Without root nothing is dropped: the server runs as the user who started it, and the whole way works."""
    user = "nobody" if AS_ROOT else pwd.getpwuid(os.geteuid()).pw_name
    folder = short_tmp / "ordinary"
    folder.mkdir(mode=0o700)
    if AS_ROOT:
        shutil.chown(folder, user, pwd.getpwnam(user).pw_gid)
    find_binaries()  # what an account without access to the interpreter's library needs is imported by now

    def start_and_ask() -> None:
        with embedded.database_for(settings_for(folder / "d"), lambda line: None, migrated=False) as dsn:
            assert answer(dsn) == 42
            assert (folder / "d" / "postgres" / "data").stat().st_uid == os.geteuid()
            assert stat.S_IMODE((folder / "d").stat().st_mode) == 0o700

    if AS_ROOT:
        assert as_account(user, start_and_ask) == ""
    else:
        start_and_ask()


if AS_ROOT:

    def test_root_drops_user_group_and_all_groups(postgres_server):
        """The server has neither root's user id nor root's group, nor any further group."""
        status = Path(f"/proc/{postgres_server.process.pid}/status").read_text()
        fields = dict(line.split(":", 1) for line in status.splitlines())
        account = postgres_server.cluster.account
        assert fields["Uid"].split() == [str(account.uid)] * 4
        assert fields["Gid"].split() == [str(account.gid)] * 4
        assert fields["Groups"].split() == []

    def test_another_account_cannot_connect(postgres_server):
        """A user of this machine who is neither root nor the server's account does not reach the socket."""
        dsn = postgres_server.dsn()
        told = as_account("nobody", lambda: answer(dsn))
        assert "PermissionError" in told

    def test_the_server_cannot_write_what_root_reads(postgres_server):
        """Password, access rules, settings and locks belong to root, so a broken-in server cannot steer the gateway."""
        home = postgres_server.cluster.home
        for name in ("password", "hba.conf", "settings.conf", "owner.lock", "server.lock", "."):
            found = (home / name).stat()
            assert found.st_uid == 0, name
            assert not found.st_mode & 0o022, name

    def test_a_private_home_stays_private(private, short_tmp, monkeypatch):
        """The account cannot pass through: the cluster goes to a place of its own, and no directory is opened."""
        monkeypatch.setattr(postgres_cluster, "TEMPORARY_STATE_DIR", short_tmp / "state")
        before = modes(private)
        data_dir = private / "data"
        for _ in range(2):
            with embedded.database_for(settings_for(data_dir), lambda line: None, migrated=False) as dsn:
                assert answer(dsn) == 42
                assert embedded.running_dsn(data_dir) == dsn
        assert modes(private) == before
        [home] = (short_tmp / "state").iterdir()
        assert (home / "belongs_to").read_text().strip() == str(data_dir)
        assert stat.S_IMODE((home / "data").stat().st_mode) == 0o700

    def test_a_new_data_directory_never_finds_an_old_database(private, short_tmp, monkeypatch):
        """Deleted and made anew under the same name, it begins empty, wherever the cluster lies."""
        monkeypatch.setattr(postgres_cluster, "TEMPORARY_STATE_DIR", short_tmp / "state")
        account = choose_account()
        places = Places(private / "data")
        first = postgres_cluster.find_home(places, account)
        assert postgres_cluster.find_home(places, account) == first
        shutil.rmtree(places.data_dir)
        assert postgres_cluster.find_home(places, account) != first

    def test_what_a_deleted_temporary_directory_left_is_removed(private, short_tmp, monkeypatch):
        """The next such start removes it; clusters whose data directory exists stay."""
        monkeypatch.setattr(postgres_cluster, "TEMPORARY_STATE_DIR", short_tmp / "state")
        account = choose_account()
        left = postgres_cluster.find_home(Places(private / "deleted"), account)
        kept = postgres_cluster.find_home(Places(private / "kept"), account)
        shutil.rmtree(private / "deleted")
        fresh = postgres_cluster.find_home(Places(private / "new"), account)
        assert not left.exists()
        assert kept.exists()
        assert fresh.exists()

    def test_elsewhere_what_is_left_is_named_not_removed(private, short_tmp, monkeypatch):
        """A disk that is not mounted looks as if it was deleted; `doctor` says what lies where."""
        monkeypatch.setattr(postgres_cluster, "_temporary_folders", set)
        monkeypatch.setattr(postgres_cluster, "STATE_DIR", short_tmp / "state")
        monkeypatch.setattr(machine, "STATE_DIR", short_tmp / "state")
        account = choose_account()
        left = postgres_cluster.find_home(Places(private / "deleted"), account)
        shutil.rmtree(private / "deleted")
        postgres_cluster.find_home(Places(private / "new"), account)
        assert left.exists()
        [finding] = machine.left_databases()
        assert str(left) in finding.message

    def test_a_lost_cluster_is_reported_not_replaced(private, short_tmp, monkeypatch):
        """If the place that the data directory points to is gone, nobody silently begins with an empty database."""
        monkeypatch.setattr(postgres_cluster, "TEMPORARY_STATE_DIR", short_tmp / "state")
        account = choose_account()
        places = Places(private / "data")
        shutil.rmtree(postgres_cluster.find_home(places, account))
        with pytest.raises(ClusterError, match="gone"):
            postgres_cluster.find_home(places, account)

    def test_without_any_reachable_place_it_says_so(private, monkeypatch):
        """Neither data directory nor state directory can be reached: a message, and no directory is opened."""
        monkeypatch.setattr(postgres_cluster, "TEMPORARY_STATE_DIR", private / "state")
        before = modes(private)
        with pytest.raises(ClusterError, match="can reach neither"):
            postgres_cluster.find_home(Places(private / "data"), choose_account())
        assert modes(private) == before

    def test_programs_in_a_private_environment_are_copied(private, short_tmp):
        """A virtual environment under /root: the programs are copied, its directories stay closed."""
        found = find_binaries()
        package = found.bin_dir.parent.parent
        hidden = private / package.name / found.bin_dir.parent.name
        hidden.parent.mkdir()
        subprocess.run(["cp", "-al", found.bin_dir.parent, hidden], check=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            subprocess.run(["cp", "-al", libraries, private / libraries.name], check=True)
        before = modes(hidden / "bin")
        account = choose_account()
        home = short_tmp / "home-of-cluster"
        home.mkdir(mode=0o711)
        closed = Binaries(hidden / "bin", packaged=True)
        copied = embedded.reachable(closed, home, account)
        assert copied.bin_dir.is_relative_to(home)
        assert account.runs(copied.initdb)
        assert embedded.reachable(closed, home, account) == copied  # copied once
        assert modes(hidden / "bin") == before
        with pytest.raises(BinariesError, match="cannot run the programs"):
            embedded.reachable(Binaries(hidden / "bin"), home, account)

    def test_reachable_programs_are_not_copied(short_tmp):
        """Where the account can run them, they stay where they are."""
        found = find_binaries()
        assert embedded.reachable(found, short_tmp, choose_account()) == found

    def test_a_cluster_keeps_the_account_it_was_made_with(own_data_dir):
        """Another account that appears later, or sudo, does not change whose files these are."""
        nobody = pwd.getpwnam("nobody")
        cluster = Places(own_data_dir).postgres_dir / "data"
        subprocess.run(["chown", "-R", f"{nobody.pw_uid}:{nobody.pw_gid}", cluster], check=True)
        server = embedded.open_server(settings_for(own_data_dir))
        try:
            embedded.start(server, embedded.say)
            assert server.cluster.account.name == "nobody"
            assert answer(server.dsn()) == 42
        finally:
            server.release()

    def test_a_named_account_takes_the_cluster_over(own_data_dir):
        """MAJORDOMO_POSTGRES_USER decides; the files are handed over."""
        server = embedded.open_server(settings_for(own_data_dir, postgres_user="nobody"))
        try:
            embedded.start(server, embedded.say)
            assert (server.cluster.data / "PG_VERSION").stat().st_uid == pwd.getpwnam("nobody").pw_uid
            assert answer(server.dsn()) == 42
        finally:
            server.release()

    def test_an_account_that_does_not_exist_is_named(short_tmp):
        """A typing error in the account's name is an error at once."""
        with pytest.raises(AccountError, match="no account 'majrdomo'"):
            choose_account("majrdomo")

    def test_root_is_no_account_for_postgresql(short_tmp):
        """PostgreSQL would refuse it anyway, with a less helpful message."""
        with pytest.raises(AccountError, match="is root"):
            choose_account("root")
