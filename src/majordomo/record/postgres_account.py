"""Whom the embedded PostgreSQL runs as.

An ordinary user's server runs as that user. PostgreSQL refuses root, so root's server runs as another account: the one
named in the settings, else ``majordomo``, else ``postgres``, else ``nobody``, the first that exists. ``majordomo`` is
what a package or an administrator would make for it, and is shared with nothing; ``postgres`` is trusted with databases
on this machine already; ``nobody`` always exists but may be shared with other services, so it comes last and ``doctor``
says so. No account is ever created, and no permission of a directory that we did not make is ever changed.
"""

import os
import pwd
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PREFERRED = ("majordomo", "postgres", "nobody")


class AccountError(Exception):
    """No account to run PostgreSQL as. The message says what to do."""


@dataclass(frozen=True)
class Account:
    """A user and its primary group, which a child process drops to."""

    name: str
    uid: int
    gid: int

    def drop(self) -> dict[str, Any]:
        """Arguments for ``subprocess``: user, group and no further groups. Without the group the child keeps root's."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def reaches(self, place: Path) -> bool:
        """Whether this account can enter the directory ``place``: tried, not guessed, so ACLs and mounts count too."""
        return self._manages(lambda: os.chdir(place))

    def runs(self, program: Path) -> bool:
        """Whether this account can run ``program``."""
        try:
            ran = subprocess.run(
                [program, "--version"], capture_output=True, cwd="/", timeout=20, check=False, **self.drop()
            )
        except (OSError, subprocess.SubprocessError):
            return False
        return ran.returncode == 0

    def _manages(self, attempt: Callable[[], None]) -> bool:
        child = os.fork()
        if child == 0:
            try:
                os.setgroups([])
                os.setgid(self.gid)
                os.setuid(self.uid)
                attempt()
                os._exit(0)
            finally:
                os._exit(1)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def choose_account(named: str | None = None, owner: int | None = None) -> Account | None:
    """The account to drop to; None for an ordinary user, whose own account serves.

    ``named``: from the settings. ``owner``: owner's id of an existing cluster, kept unless another is named.

    Raises:
        AccountError: when there is none, or the named one does not exist or is root.
    """
    if os.geteuid() != 0:
        _need_passwd_entry()
        return None
    if named is not None:
        return _named(named)
    if owner:
        try:
            entry = pwd.getpwuid(owner)
            return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
        except KeyError:
            pass  # the account is gone: choose anew, the files are handed over
    for name in PREFERRED:
        try:
            return _named(name)
        except AccountError:
            continue
    raise AccountError(
        "PostgreSQL refuses to run as root, and none of the accounts majordomo, postgres and nobody exists; create one "
        "(`useradd --system majordomo`), name one in MAJORDOMO_POSTGRES_USER, or set MAJORDOMO_DATABASE_URL"
    )


def _named(name: str) -> Account:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise AccountError(
            f"MAJORDOMO_POSTGRES_USER: there is no account {name!r}; create it (`useradd --system {name}`) or name "
            "another"
        ) from None
    if entry.pw_uid == 0:
        raise AccountError(
            f"MAJORDOMO_POSTGRES_USER: {name!r} is root, as which PostgreSQL refuses to run; name another account"
        )
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _need_passwd_entry() -> None:
    # Containers that run under an arbitrary user id: initdb asks for the name of its user and stops without one.
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        raise AccountError(
            f"PostgreSQL needs a user with a name, but user id {os.geteuid()} has no entry in /etc/passwd; add one, "
            "run "
            f"under a named user, or set MAJORDOMO_DATABASE_URL to a server elsewhere"
        ) from None


assert sys.platform != "win32", "majordomo runs on Linux and macOS"
