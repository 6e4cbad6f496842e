"""What ends a command of the companion with one line on standard error, and the line itself."""

import contextlib
import os


class CompanionError(Exception):
    """Something is wrong that the user can put right. The message says what, why, and what to do."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def tell(line: str) -> None:
    """One line on standard error. The terminal may have gone: that is no error of ours."""
    with contextlib.suppress(OSError):
        os.write(2, f"majordomo-companion: {line}\n".encode("utf-8", "replace"))
