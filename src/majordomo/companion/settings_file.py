"""One settings file of Claude Code, changed without risk: a backup first, then the whole file replaced at once."""

import contextlib
import os
import stat
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from majordomo.companion.claude_files import ClaudeFileError, parse_object, read_text
from majordomo.companion.json_member import with_member, without_member

_NEW_FILE = "{}\n"
_PRIVATE = 0o600
_READABLE_BY_OTHERS = 0o044
_BACKUPS_IN_ONE_SECOND = 100


class SettingsFile:
    """The file as it was when it was read; ``replace`` refuses if somebody changed it since."""

    def __init__(self, path: Path) -> None:
        """Read it; a missing file counts as an empty object.

        Raises:
            ClaudeFileError: when it is not a JSON object in UTF-8, or ``env`` in it is not an object.
        """
        self.path = path
        try:
            #: Where the content really lies: a link stays a link.
            self.target = path.resolve()
        except (OSError, RuntimeError):
            raise ClaudeFileError(f"{path} is a link that leads round in a circle") from None
        self._text = read_text(self.target)
        values = parse_object(self._text, path)
        env = values.get("env", {})
        if not isinstance(env, dict):
            raise ClaudeFileError(f'{path}: "env" must be an object, {{...}}')
        self.env: dict[str, Any] = env

    def readable_by_others(self) -> bool:
        """Whether other users of this machine may read it."""
        try:
            return bool(self.target.stat().st_mode & _READABLE_BY_OTHERS)
        except OSError:
            return False

    def repository(self) -> Path | None:
        """The Git repository that the file lies in."""
        for folder in self.target.parents:
            if (folder / ".git").exists():
                return folder
        return None

    def replace(self, env: dict[str, Any]) -> Path | None:
        """Write the file anew with this ``env``, all else of it byte for byte as it was; gives the backup's path.

        Raises:
            ClaudeFileError: when it cannot be written, or was changed meanwhile. It is as it was, then.
        """
        text = self._text if self._text.strip("\N{ZERO WIDTH NO-BREAK SPACE} \t\r\n") else self._text + _NEW_FILE
        text = with_member(text, "env", env) if env else without_member(text, "env")
        if read_text(self.target) != self._text:
            raise ClaudeFileError(
                f"{self.path} was changed by somebody else meanwhile; nothing was written, run this again"
            )
        try:
            backup = self._back_up() if self.target.exists() else None
            self._write(text)
        except OSError as wrong:
            raise ClaudeFileError(f"{self.path} cannot be written: {wrong.strerror}; it is as it was") from None
        return backup

    def _back_up(self) -> Path:
        content = self.target.read_bytes()
        stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        for number in range(_BACKUPS_IN_ONE_SECOND):
            backup = self.target.with_name(f"{self.target.name}.{stamp}{f'-{number}' if number else ''}.bak")
            try:
                descriptor = os.open(backup, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE)
            except FileExistsError:
                continue
            with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            return backup
        raise FileExistsError(17, "too many backups of this second are there")

    def _write(self, text: str) -> None:
        self.target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, made = tempfile.mkstemp(prefix=f".{self.target.name}.", dir=self.target.parent)  # 0600
        try:
            with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
                file.write(text.encode("utf-8"))
                file.flush()
                with contextlib.suppress(FileNotFoundError):
                    found = self.target.stat()
                    with contextlib.suppress(PermissionError):  # only root may give a file away
                        os.fchown(file.fileno(), found.st_uid, found.st_gid)
                    os.fchmod(file.fileno(), stat.S_IMODE(found.st_mode))
                os.fsync(file.fileno())
            Path(made).replace(self.target)
        except BaseException:
            Path(made).unlink(missing_ok=True)
            raise
