"""What usage can be grouped and filtered by: columns of the rows, and the metadata keys that callers send."""

from collections.abc import Collection
from typing import Final

import msgspec

from majordomo.admit.metadata import metadata_name

#: Dimensions that every request may have a value of, and what each is, for people.
BUILT_IN: Final[dict[str, str]] = {
    "provider": "the provider that served it",
    "model": "the model, as the reply names it",
    "key": "the gateway key, by its id",
    "status": "the HTTP status; none where no reply began",
    "outcome": "how it ended: completed, client_closed, provider_broke, ...",
    "error_type": "the provider's own word for what went wrong",
    "client": "the client that said who it is, such as claude-code",
    "query_class": "what Claude Code asked for: its main loop, a sub-agent, a title, ...",
    "session": "the Claude Code session, by its id",
    "run": "the agent run, by its X-Majordomo-Trace-Id",
}

#: Before a metadata key whose name is a built-in dimension's too.
METADATA_PREFIX: Final = "metadata."
#: Longest name that is looked at; a metadata key has at most 255 characters.
MOST_NAME_CHARACTERS: Final = 300


class Dimension(msgspec.Struct, frozen=True):
    """One dimension: built in, or a metadata key in its canonical spelling."""

    name: str
    is_metadata: bool = False


class UnknownDimensionError(Exception):
    """There is no such dimension. The message names those there are."""


def dimension(given: str, metadata_keys: Collection[str]) -> Dimension:
    """The dimension that somebody named: ``model``, ``Feature``, ``user-id``, ``metadata.Model``.

    ``metadata_keys``: the keys that the organisation's callers have sent.

    Raises:
        UnknownDimensionError: neither built in nor sent by anybody.
    """
    if given in BUILT_IN:
        return Dimension(given)
    if len(given) <= MOST_NAME_CHARACTERS:
        name = metadata_name(given.removeprefix(METADATA_PREFIX))
        if name in metadata_keys:
            assert name is not None
            return Dimension(name, is_metadata=True)
    raise UnknownDimensionError(f"there is no dimension {given[:60]!r}; {_allowed(metadata_keys)}")


def _allowed(metadata_keys: Collection[str]) -> str:
    shown = sorted(metadata_keys)[:50]
    more = f" and {len(metadata_keys) - 50} more" if len(metadata_keys) > 50 else ""
    sent = f", and the metadata keys {', '.join(shown)}{more}" if shown else "; no metadata key was sent yet"
    return f"there are {', '.join(BUILT_IN)}{sent}"
