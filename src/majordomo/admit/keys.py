"""Gateway keys, in memory: the gate never waits for a query about a key it knows."""

from collections.abc import Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import Literal, NamedTuple

#: Digests kept, so that a caller's next request does not hash again. Past this the store starts over.
_DIGESTS_KEPT = 4096

#: A gateway key has 50 characters; anything far longer is not hashed at all.
KEY_MAX_BYTES = 512


class Key(NamedTuple):
    """One gateway key as the gate needs it. The secret itself is nowhere: only its SHA-256."""

    id: bytes  # 16 bytes
    org_id: bytes | None
    active: bool
    on_hangup: Literal["drain", "cut"] | None = None  # None: as the setting says
    metadata: Mapping[str, str] = MappingProxyType({})  # its owner's, above whatever the caller says


class DigestCache:
    """SHA-256 hex of credentials, remembered. Holds secrets in memory only, as the requests themselves do."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[bytes, str] = {}

    def hex(self, secret: bytes) -> str:
        """The SHA-256 of ``secret`` as 64 hex digits."""
        digest = self._known.get(secret)
        if digest is None:
            digest = sha256(secret).hexdigest()
            if len(self._known) >= _DIGESTS_KEPT:
                self._known.clear()
            self._known[secret] = digest
        return digest


class KeyRing:
    """Every key of this gateway by the SHA-256 of its secret.

    Looking a digest up in a dict leaks no more than the digest's own bucket: a caller who could steer it would have
    to invert SHA-256, so no constant-time comparison of secrets is needed or made.
    """

    __slots__ = ("_by_hash", "_hash_of", "fresh")

    def __init__(self) -> None:
        self._by_hash: dict[str, Key] = {}
        self._hash_of: dict[bytes, str] = {}
        #: True while the ring follows the database, so that a key it lacks can be asked for.
        self.fresh = False

    def __len__(self) -> int:
        return len(self._by_hash)

    def get(self, key_hash: str) -> Key | None:
        """The key with this hash, active or revoked; None if the ring does not hold it."""
        return self._by_hash.get(key_hash)

    def put(self, key_hash: str, key: Key) -> None:
        """Add a key, or replace what was known of it (a rotated key loses its old hash)."""
        old = self._hash_of.get(key.id)
        if old is not None and old != key_hash:
            self._by_hash.pop(old, None)
        self._by_hash[key_hash] = key
        self._hash_of[key.id] = key_hash

    def drop(self, key_id: bytes) -> None:
        """Forget a key that no longer exists."""
        key_hash = self._hash_of.pop(key_id, None)
        if key_hash is not None:
            self._by_hash.pop(key_hash, None)

    def replace_all(self, keys: dict[str, Key]) -> None:
        """Hold exactly these keys."""
        self._by_hash = dict(keys)
        self._hash_of = {key.id: key_hash for key_hash, key in keys.items()}

    def items(self) -> list[tuple[str, Key]]:
        """All keys with their hashes."""
        return list(self._by_hash.items())
