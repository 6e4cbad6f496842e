"""One thing looked at, and what came of it."""

from enum import StrEnum

import msgspec


class State(StrEnum):
    """How it is."""

    OK = "ok"
    WARN = "warn"  # works, and somebody should look
    FAIL = "fail"  # something that was asked for does not work


class Finding(msgspec.Struct, frozen=True):
    """``advice`` says what to do; it is empty only where nothing is wrong."""

    check: str
    state: State
    message: str
    advice: str = ""


def ok(check: str, message: str) -> Finding:
    """Nothing wrong."""
    return Finding(check, State.OK, message)


def warn(check: str, message: str, advice: str) -> Finding:
    """It works, and somebody should look."""
    return Finding(check, State.WARN, message, advice)


def fail(check: str, message: str, advice: str) -> Finding:
    """It does not work."""
    return Finding(check, State.FAIL, message, advice)
