"""Text from outside, made fit for a row: bounded, no NUL, no lone surrogate, no credential."""

import re
from hashlib import blake2b
from typing import Any, Final

#: Longest name (model, tier, region, stop reason, error type) that is kept. Real ones stay under 100 characters.
NAME_LIMIT: Final = 255
#: Longest error message that is kept: enough for every real one, small enough for a row and a table on a screen.
MESSAGE_LIMIT: Final = 1_000

#: Credentials that providers repeat in "invalid key" messages: our own, OpenAI-, Google-, xAI- and Groq-like ones, and
#: whatever follows "Bearer".
_CREDENTIAL: Final = re.compile(
    r"(?:mdm_[a-z]{2}_|\bsk-|\bAIza|\bxai-|\bgsk_|\bfw_|\bkey-|\bya29\.)[\w.*\-]{6,}|\bBearer\s+[^\s\"',;]{6,}",
    re.IGNORECASE,
)


def safe_text(value: str, limit: int) -> str:
    """``value`` as PostgreSQL can store it: NUL and lone surrogates become U+FFFD; at most ``limit`` characters."""
    value = value[:limit]
    if value.isascii():
        return value.replace("\x00", "\ufffd")
    return value.encode("utf-8", "replace").decode("utf-8").replace("\x00", "\ufffd")


def name(value: Any) -> str | None:
    """A name such as a model's, or None if ``value`` is not one."""
    if value is None or value.__class__ is not str:
        return None
    return _names[value]


class _Names(dict[str, str | None]):
    """Names already judged: a gateway sees few, each of them in every request."""

    _KEPT: Final = 4096

    def __missing__(self, value: str) -> str | None:
        if len(value) > NAME_LIMIT or not value:
            return safe_text(value, NAME_LIMIT) or None
        if len(self) >= self._KEPT:
            self.clear()
        made = self[value] = value if value.isascii() and value.isprintable() else safe_text(value, NAME_LIMIT)
        return made


_names = _Names()


def mark(kind: str, identity: str) -> str:
    """The name of something that several requests can be told of, such as ``batch:msgbatch_1``."""
    if len(identity) > NAME_LIMIT:  # cut, two would become one and the second go unbilled
        identity = blake2b(identity.encode("utf-8", "replace"), digest_size=16).hexdigest()
    return f"{kind}:{safe_text(identity, NAME_LIMIT)}"


def message(value: str) -> str:
    """An error message for a row: credentials masked, at most ``MESSAGE_LIMIT`` characters, safe for PostgreSQL."""
    head = value[: 2 * MESSAGE_LIMIT]  # a credential that straddles the limit is masked whole, then cut
    return safe_text(_CREDENTIAL.sub("[credential]", head), MESSAGE_LIMIT)
