"""The file to be read with ``source``: where the proxy is. No key is in it."""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from majordomo.companion.errors import CompanionError

_BEGINNING = "export ANTHROPIC_"
_MAX_BYTES = 64 * 1024


class EnvFile:
    """Our own."""

    def __init__(self, path: Path, lines: Sequence[str]) -> None:
        """Write it, in place of one that an earlier companion left.

        Raises:
            CompanionError: there is something else, or it cannot be written.
        """
        self.path = path.absolute()
        require_replaceable(path)
        self._text = "".join(f"{line}\n" for line in lines)
        partial = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(self._text)
            partial.replace(self.path)
        except OSError as wrong:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise CompanionError(f"the env file {path} cannot be written: {wrong.strerror}") from None

    def remove(self) -> None:
        """Remove it, unless another companion has written it since."""
        with contextlib.suppress(OSError, UnicodeDecodeError):
            if self.path.read_text("utf-8") == self._text:
                self.path.unlink()


def require_replaceable(path: Path) -> None:
    """Return if there is nothing, or a companion's env file.

    Raises:
        CompanionError: something else is there, which we shall not overwrite.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES).decode("utf-8", "replace")
    except FileNotFoundError:
        return
    except OSError as wrong:
        raise CompanionError(f"the env file {path} cannot be written: {wrong.strerror}") from None
    if text.strip() and not text.startswith(_BEGINNING):
        raise CompanionError(f"{path} exists and is not the env file of a companion; name another one")
