"""Change one member of a JSON object in its text, and leave every other byte of it as somebody wrote it."""

import json
import re
from typing import Any, NamedTuple

_SPACE = re.compile(r"[ \t\r\n]*")
_DEFAULT_INDENT = "  "

_decoder = json.JSONDecoder()


class _Member(NamedTuple):
    """Where a member stands in the text: its name begins at ``start``, its value reaches from ``value`` to ``end``."""

    name: str
    start: int
    value: int
    end: int


def with_member(text: str, name: str, value: dict[str, Any]) -> str:
    """``text``, an object, with ``value`` as its member ``name``: in the old one's place, else as the last one."""
    members, opening, closing = _members(text)
    indent, newline = _layout(text, members)
    written = json.dumps(value, indent=indent, ensure_ascii=False).replace("\n", newline + indent)
    found = [member for member in members if member.name == name]
    if found:  # of two with the same name, readers take the last
        return text[: found[-1].value] + written + text[found[-1].end :]
    entry = f"{newline}{indent}{json.dumps(name)}: {written}"
    if not members:
        return f"{text[: opening + 1]}{entry}{newline}{text[closing:]}"
    last = members[-1].end
    return f"{text[:last]},{entry}{text[last:]}"


def without_member(text: str, name: str) -> str:
    """``text``, an object, without its member ``name``."""
    members, opening, closing = _members(text)
    for index in reversed(range(len(members))):
        if members[index].name != name:
            continue
        if len(members) == 1:
            return text[: opening + 1] + text[closing:]
        if index + 1 < len(members):
            text = text[: members[index].start] + text[members[index + 1].start :]
        else:
            text = text[: members[index - 1].end] + text[members[index].end :]
        members, opening, closing = _members(text)
    return text


def _members(text: str) -> tuple[list[_Member], int, int]:
    """The members of the outermost object, and where its braces stand. ``text`` is known to be valid."""
    opening = text.index("{")
    members: list[_Member] = []
    at = _past_space(text, opening + 1)
    while text[at] != "}":
        start = at
        name, at = _decoder.raw_decode(text, start)
        value = _past_space(text, _past_space(text, at) + 1)  # past the colon
        _, end = _decoder.raw_decode(text, value)
        members.append(_Member(name, start, value, end))
        at = _past_space(text, end)
        if text[at] == ",":
            at = _past_space(text, at + 1)
    return members, opening, at


def _past_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _layout(text: str, members: list[_Member]) -> tuple[str, str]:
    """The indentation and the line ending that the writer of ``text`` uses."""
    newline = "\r\n" if "\r\n" in text else "\n"
    if members:
        before = text[: members[0].start].rpartition("\n")
        if before[1] and before[2].strip(" \t") == "" and before[2]:
            return before[2], newline
    return _DEFAULT_INDENT, newline
