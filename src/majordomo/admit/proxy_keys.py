"""Proxy keys, in memory: what a caller sends as its provider's credential, and the real ones that stand behind it."""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from majordomo.admit.keys import KeyRing
from majordomo.admit.refusal import Refusal

PREFIX: Final = "mdm_pk_"
#: A whole one, and what must never reach a provider.
PATTERN: Final = re.compile(rb"mdm_pk_[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])")
MARK: Final = PREFIX.encode()

UNKNOWN: Final = Refusal(
    401,
    "proxy_key_unknown",
    "The proxy key sent as the provider's credential is not known here, or was revoked; `majordomo proxy-keys list` "
    "shows which exist.",
)
AWAY: Final = Refusal(
    503,
    "proxy_keys_unavailable",
    "The gateway does not know this proxy key or gateway key yet; try again in a second.",
    {"Retry-After": "1"},
)


def no_credential(provider: str) -> Refusal:
    """The proxy key stands for nothing at this provider."""
    return Refusal(
        401,
        "proxy_key_without_provider",
        f"The proxy key holds no credential for {provider}; `majordomo proxy-keys set KEY {provider}` stores one.",
    )


class ProxyKey(NamedTuple):
    """One active proxy key: whose it is, and the real credentials by provider."""

    org_id: bytes
    credentials: Mapping[str, bytes]


class ProxyKeys:
    """All active proxy keys by the SHA-256 of each, and the gateway keys that may use them: those of the same owner."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring
        self._by_hash: dict[str, ProxyKey] = {}
        self.loaded = False

    def replace_all(self, keys: dict[str, ProxyKey]) -> None:
        """Hold exactly these."""
        self._by_hash = keys
        self.loaded = True

    def credential(self, proxy_hash: str, key_hash: str, provider: str) -> bytes | Refusal:
        """What to send instead, for a request with this gateway key to this provider."""
        key = self._ring.get(key_hash)
        if key is None or not self.loaded:
            return AWAY  # a gateway key that exists is in the ring when the request is repeated
        found = self._by_hash.get(proxy_hash)
        if found is None or found.org_id != (key.org_id or bytes(16)):
            return UNKNOWN
        return found.credentials.get(provider) or no_credential(provider)
