"""Numbers and tables of a usage object. All of it comes from outside and may be anything."""

from collections.abc import Mapping
from typing import Any, Final

#: Largest count that a PostgreSQL ``integer`` column holds; no real reply comes near it.
MAX_COUNT: Final = 2**31 - 1
#: Most problem codes of one reading. There are fewer kinds than that; the bound is against hostile streams.
MAX_PROBLEMS: Final = 24

_EMPTY: Final[Mapping[str, Any]] = {}


def note(problems: list[str], code: str) -> None:
    """Add a problem once."""
    if code not in problems and len(problems) < MAX_PROBLEMS:
        problems.append(code)


def count(usage: Mapping[str, Any], key: str, problems: list[str]) -> int | None:
    """The whole number at ``key``; None if it is missing or null, and None with a problem if it is no count."""
    value = usage.get(key)
    if value is None:
        return None
    if value.__class__ is int and 0 <= value <= MAX_COUNT:
        return value
    note(problems, "bad_count:" + key)
    return None


def table(usage: Mapping[str, Any], key: str, problems: list[str]) -> Mapping[str, Any]:
    """The object at ``key``; empty if it is missing or null, and empty with a problem if it is no object."""
    value = usage.get(key)
    if value.__class__ is dict:
        return value
    if value is not None:
        note(problems, "bad_table:" + key)
    return _EMPTY


def rows(usage: Mapping[str, Any], key: str, problems: list[str]) -> list[dict[str, Any]]:
    """The objects in the array at ``key``; whatever else stands there is a problem and left out."""
    value = usage.get(key)
    if value is None:
        return []
    if value.__class__ is not list:
        note(problems, "bad_list:" + key)
        return []
    tables = [item for item in value if item.__class__ is dict]
    if len(tables) != len(value):
        note(problems, "bad_list:" + key)
    return tables
