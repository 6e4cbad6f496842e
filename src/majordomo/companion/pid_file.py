"""The PID file of a proxy that was left running: locked by its process for as long as that lives.

So a file whose process is gone is known for what it is, even when its number belongs to another process by now.
"""

import contextlib
import fcntl
import os
from pathlib import Path

from majordomo.companion.errors import CompanionError

_MAX_DIGITS = 10


class PidFile:
    """Our own, held."""

    def __init__(self, path: Path) -> None:
        """Write this process's id.

        Raises:
            CompanionError: there is a file already, or it cannot be written.
        """
        self.path = path.absolute()
        try:
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            raise _in_the_way(path) from None
        except OSError as wrong:
            raise CompanionError(f"the PID file {path} cannot be written: {wrong.strerror}") from None
        fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(self._descriptor, b"%d\n" % os.getpid())

    def release(self) -> None:
        """Remove it, unless somebody put another in its place."""
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(self._descriptor), self.path.lstat()):
                self.path.unlink()
        os.close(self._descriptor)


class FoundPidFile:
    """One that some companion wrote."""

    def __init__(self, path: Path) -> None:
        """Read it.

        Raises:
            CompanionError: there is none, or it is something else.
        """
        self.path = path
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            raise CompanionError(
                f"there is no PID file {path}: the companion has stopped, or was started with another one"
            ) from None
        except OSError as wrong:
            raise CompanionError(f"the PID file {path} cannot be read: {wrong.strerror}") from None
        try:
            text = os.read(self._descriptor, _MAX_DIGITS + 2).decode("ascii", "replace").strip()
        except OSError:  # a directory
            text = ""
        if not text.isascii() or not text.isdigit() or len(text) > _MAX_DIGITS:
            os.close(self._descriptor)
            raise CompanionError(f"{path} is not the PID file of a companion; name the one given to `start`")
        self.pid = int(text)

    def lives(self) -> bool:
        """Whether the process that wrote it still lives."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        return False

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)


def require_free(path: Path) -> None:
    """Return if there is no such file yet.

    Raises:
        CompanionError: there is one; the message says whose, and what to do.
    """
    if path.is_symlink() or path.exists():
        raise _in_the_way(path)


def _in_the_way(path: Path) -> CompanionError:
    try:
        found = FoundPidFile(path)
    except CompanionError as wrong:
        return wrong
    try:
        if found.lives():
            return CompanionError(
                f"a companion (process {found.pid}) runs already with the PID file {path}; "
                f"stop it with `majordomo-companion stop --pid-file {path}`, or name another file"
            )
        return CompanionError(
            f"the PID file {path} is left from a companion that is gone; "
            f"`majordomo-companion stop --pid-file {path}` removes it, then start again"
        )
    finally:
        found.close()
