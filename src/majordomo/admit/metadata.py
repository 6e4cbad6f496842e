"""``X-Majordomo-*`` headers: which are the gateway's own, and which are the caller's metadata.

No caller can switch off the accounting of its own request: what is over a limit is dropped and named in a warning,
what PostgreSQL could not hold is made safe.
"""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

#: Header names remembered with their canonical form; past this the store starts over.
_NAMES_KEPT = 4096

#: Names shown in one warning, and characters of each: a response header has to stay small.
_NAMES_SHOWN = 5
_SHOWN_CHARACTERS = 40

PREFIX = b"x-majordomo-"

#: Names behind the prefix that the gateway itself understands; all others are metadata.
OWN_NAMES = frozenset(
    {
        b"key",
        b"provider",
        b"provider-alias",
        b"client",
        b"claudecode-session-id",
        b"claudecode-session-name",
        b"trace-id",
        b"span-path",
        b"span-name",
    }
)


class Metadata(NamedTuple):
    """What is recorded of a request's metadata, and what had to be left out."""

    values: dict[str, str]
    warning: str | None = None  # one line for X-Majordomo-Warning
    dropped: int = 0


class MetadataLimits(NamedTuple):
    """Bounds on one request's metadata; keys and values in bytes as sent."""

    keys: int
    key_bytes: int
    value_bytes: int


_canonical_names: dict[bytes, str] = {}


def canonical(name: bytes) -> str:
    """The stored form of a metadata key: ``user-ID`` and ``USER-id`` are both ``User-Id``."""
    known = _canonical_names.get(name)
    if known is None:
        text = name.decode("ascii", "replace")
        known = "-".join(part[:1].upper() + part[1:].lower() for part in text.split("-"))
        if len(_canonical_names) >= _NAMES_KEPT:
            _canonical_names.clear()
        _canonical_names[name] = known
    return known


def metadata_name(given: str) -> str | None:
    """The stored form of a name that somebody typed; None if no header could have it, or it is the gateway's own."""
    name = given.strip().encode("ascii", "replace")
    usable = 0 < len(name) <= 255 and all(chr(c).isalnum() or c in b"!#$%&'*+-.^_`|~" for c in name)
    return canonical(name) if usable and name.lower() not in OWN_NAMES else None


def text(value: bytes) -> str:
    """A header value as text that PostgreSQL can hold: UTF-8, undecodable bytes replaced, no NUL."""
    return value.decode("utf-8", "replace").replace("\0", "\ufffd")


def collect(headers: list[tuple[bytes, bytes]], limits: MetadataLimits) -> Metadata:
    """Metadata from pairs of lower-cased name (without the prefix) and value, in the order sent; the last wins."""
    values: dict[str, str] = {}
    too_many: list[bytes] = []
    too_long: list[bytes] = []
    for name, value in headers:
        if not name or len(name) > limits.key_bytes or len(value) > limits.value_bytes:
            too_long.append(name)
            continue
        key = canonical(name)
        if key not in values and len(values) >= limits.keys:
            too_many.append(name)
            continue
        values[key] = text(value)
    if not too_many and not too_long:
        return Metadata(values)
    reasons = [
        f"{why}: {_named(names)}"
        for why, names in ((f"over {limits.keys} keys", too_many), ("empty or too long", too_long))
        if names
    ]
    return Metadata(values, "metadata dropped, " + "; ".join(reasons), len(too_many) + len(too_long))


def own_metadata(column: str) -> dict[str, str]:
    """A key's own metadata as ``api_keys`` has it, in JSON; anything else there must not keep the key from working."""
    try:
        return msgspec.json.decode(column, type=dict[str, str])
    except msgspec.MsgspecError:
        return {}


def bound(told: Mapping[str, str], owned: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """What is recorded where the gateway key has metadata of its own: that first; and what the caller said instead."""
    overridden = {name: value for name, value in told.items() if owned.get(name, value) != value}
    return {**told, **owned}, overridden


def _named(names: list[bytes]) -> str:
    shown = ", ".join(canonical(name)[:_SHOWN_CHARACTERS] or "(no name)" for name in names[:_NAMES_SHOWN])
    more = len(names) - _NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
