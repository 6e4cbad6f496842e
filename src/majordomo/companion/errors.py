"""What ends a command of the companion with one line on standard error."""


class CompanionError(Exception):
    """Something is wrong that the user can put right. The message says what, why, and what to do."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code
