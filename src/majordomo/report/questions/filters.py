"""Filters as people write them: ``model:gpt-5``, ``-team:legal``, ``team``, ``-team``.

``DIMENSION:VALUE`` keeps the requests with this value, a leading ``-`` leaves them out. Without ``:VALUE`` it is about
having any value at all. Several values of one dimension widen what is kept, or left out; several dimensions narrow it.
No dimension's name has a colon; everything behind the first one is the value, whatever it holds.
"""

from collections.abc import Collection, Sequence
from typing import Final
from uuid import UUID

import msgspec

from majordomo.report.questions.dimensions import Dimension, dimension

MOST_FILTERS: Final = 50
MOST_VALUE_CHARACTERS: Final = 8192  # longer than any metadata value that the gateway takes
_INT4_MAX: Final = 2**31 - 1


class Filter(msgspec.Struct, frozen=True):
    """One dimension's filter. None among the values stands for the requests that have none."""

    dimension: Dimension
    values: tuple[str | None, ...]
    leaves_out: bool = False


class FilterError(Exception):
    """A filter cannot be understood. The message says which and how it is written."""


def parse_filters(given: Sequence[str], metadata_keys: Collection[str]) -> tuple[Filter, ...]:
    """The filters of a request, those of one dimension and direction joined.

    Raises:
        FilterError: too many, or one is not understood.
        UnknownDimensionError: a dimension is not known.
    """
    if len(given) > MOST_FILTERS:
        raise FilterError(f"{len(given)} filters are more than the {MOST_FILTERS} that one question takes")
    found: dict[tuple[Dimension, bool], dict[str | None, None]] = {}
    for text in given:
        named, value, leaves_out = _parse(text, metadata_keys)
        found.setdefault((named, leaves_out), {})[value] = None
    return tuple(Filter(named, tuple(values), leaves_out) for (named, leaves_out), values in found.items())


def _parse(text: str, metadata_keys: Collection[str]) -> tuple[Dimension, str | None, bool]:
    minus = text.startswith("-")
    name, colon, value = text[minus:].partition(":")
    if not name or "\0" in text or len(value) > MOST_VALUE_CHARACTERS:
        raise FilterError(
            f"{text[:60]!r} is no filter; write DIMENSION:VALUE, -DIMENSION:VALUE to leave it out, "
            "DIMENSION for any value, -DIMENSION for none"
        )
    named = dimension(name, metadata_keys)
    if not colon:
        return named, None, not minus  # any value: those with none are left out
    return named, _checked(named, value), minus


def _checked(named: Dimension, value: str) -> str:
    if named.is_metadata:
        return value
    if named.name == "status" and not (value.isascii() and value.isdecimal() and int(value[:11]) <= _INT4_MAX):
        raise FilterError(f"status:{value[:20]} is no HTTP status; write status:429")
    if named.name == "session":
        return _uuid(value, "session")
    return value


def _uuid(value: str, what: str) -> str:
    try:
        return str(UUID(value))
    except ValueError:
        raise FilterError(f"{what}:{value[:60]} is no id; it is a UUID") from None
