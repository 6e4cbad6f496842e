"""``ANTHROPIC_CUSTOM_HEADERS``: one ``Name: value`` per line, read as Claude Code reads it, and changed with care.

Lines end with LF or CRLF. A line without a colon is dropped, spaces around name and value are trimmed, and of two equal
names the last one wins. A backslash and an ``n``, as a shell leaves them between quotes, end no line.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

VARIABLE = "ANTHROPIC_CUSTOM_HEADERS"

PREFIX = "x-majordomo-"
KEY = "X-Majordomo-Key"
CLIENT = "X-Majordomo-Client"
CLIENT_NAME = "claude-code"

#: What a header's name may consist of (RFC 9110, token).
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Header(NamedTuple):
    """One header as it will be sent."""

    name: str
    value: str

    @property
    def ours(self) -> bool:
        """Whether the gateway takes it off."""
        return self.name.lower().startswith(PREFIX)


def parse(text: str) -> list[Header]:
    """The headers that Claude Code makes of ``text``, in order; of equal names all are given."""
    found = []
    for line in re.split(r"\r?\n", text):
        name, colon, value = line.partition(":")
        if colon and name.strip():
            found.append(Header(name.strip(), value.strip()))
    return found


def value_of(headers: Iterable[Header], name: str) -> str | None:
    """The value that counts: the last one's. Names differing in case only are one to a gateway."""
    found = None
    for header in headers:
        if header.name.lower() == name.lower():
            found = header.value
    return found


def mistakes(text: str) -> list[str]:
    """What in ``text`` Claude Code would drop or send otherwise than meant. No value is repeated here."""
    found = []
    if re.search(r"\\n\s*X-Majordomo-", text, re.IGNORECASE):
        found.append("holds a backslash and an n where a new line is meant, so that all is one header")
    for number, line in enumerate(re.split(r"\r?\n", text), 1):
        name, colon, _ = line.partition(":")
        if line.strip() and not colon:
            found.append(f"line {number} has no colon and is dropped")
        elif colon and not _NAME.fullmatch(name.strip()):
            found.append(f"line {number} has no valid header name before its colon")
    return found


def merged(text: str, given: Iterable[Header]) -> str:
    """``text`` with ``given`` headers in place of those of the same names; every other line stays as it is."""
    given = list(given)
    replaced = {header.name.lower() for header in given}
    kept = [line for line in re.split(r"\r?\n", text) if line.strip() and _name(line) not in replaced]
    return "\n".join([*kept, *(f"{header.name}: {header.value}" for header in given)])


def without_ours(text: str) -> str:
    """``text`` without any of Majordomo's headers; every other line stays as it is."""
    kept = [line for line in re.split(r"\r?\n", text) if line.strip() and not _name(line).startswith(PREFIX)]
    return "\n".join(kept)


def _name(line: str) -> str:
    return line.partition(":")[0].strip().lower()
