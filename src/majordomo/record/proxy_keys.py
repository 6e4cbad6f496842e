"""Proxy keys: made, listed, changed, revoked, rotated, and given providers' credentials, which are stored encrypted.

Neither a key's own secret nor a credential is ever told again: the first is kept as SHA-256, the second is opened by
front desks alone.
"""

import base64
import datetime as dt
import hashlib
import os
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec

from majordomo.admit.proxy_keys import PREFIX
from majordomo.admit.vault import Vault
from majordomo.clock import WallClock, wall_us
from majordomo.ids import new_uuid, read_uuid
from majordomo.record.database import Connection
from majordomo.record.users import DEFAULT_ORG

SECRET_BYTES: Final = 32
MOST_NAME_CHARACTERS: Final = 255
MOST_DESCRIPTION_CHARACTERS: Final = 4_000
MOST_CREDENTIAL_CHARACTERS: Final = 4_096

_FIELDS: Final = """
SELECT k.id, k.org_id, k.name, k.description, k.is_active, k.created_at, k.revoked_at,
    ARRAY(SELECT provider FROM proxy_key_providers p WHERE p.proxy_key_id = k.id ORDER BY 1)::text[] AS providers
FROM proxy_keys k
"""
_PUT: Final = """
INSERT INTO proxy_key_providers (proxy_key_id, provider, credential) VALUES ($1, $2, $3)
ON CONFLICT (proxy_key_id, provider) DO UPDATE SET credential = excluded.credential, updated_at = now()
"""


class ProxyKeyError(Exception):
    """A proxy key cannot be found or changed. The message says why and what to do."""


class UnknownProxyKeyError(ProxyKeyError):
    """There is none such."""


class RevokedProxyKeyError(ProxyKeyError):
    """It is revoked, which is for good."""


class ProxyKey(msgspec.Struct, frozen=True):
    """One proxy key, without any secret. ``providers``: for which it holds a credential."""

    id: UUID
    org_id: UUID
    name: str
    description: str | None
    is_active: bool
    created_at: dt.datetime
    revoked_at: dt.datetime | None
    providers: list[str]


class NewProxyKey(msgspec.Struct, frozen=True):
    """One whose secret was just made: the only time it can be shown."""

    secret: str
    key: ProxyKey


async def create(
    connection: Connection,
    name: str,
    description: str | None = None,
    org_id: UUID = DEFAULT_ORG,
    clock: WallClock = wall_us,
) -> NewProxyKey:
    """Make one; it stands for nothing yet.

    Raises:
        ProxyKeyError: a name or description that is empty, too long or not printable.
    """
    secret = _new_secret()
    key_id = new_uuid(clock())
    await connection.execute(
        "INSERT INTO proxy_keys (id, org_id, name, description, key_hash) VALUES ($1, $2, $3, $4, $5)",
        key_id, org_id, _name(name), _description(description), _hash(secret),
    )  # fmt: skip
    return NewProxyKey(secret, await find(connection, str(key_id), org_id))


async def list_all(connection: Connection, org_id: UUID | None = None) -> list[ProxyKey]:
    """All (of one organisation), revoked ones included, oldest first."""
    rows = await connection.fetch(
        f"{_FIELDS} WHERE $1::uuid IS NULL OR k.org_id = $1 ORDER BY k.created_at, k.id", org_id
    )
    return [_key(row) for row in rows]


async def find(connection: Connection, id_or_name: str, org_id: UUID | None = None) -> ProxyKey:
    """The one with this id, or the only active one with this name (in one organisation).

    Raises:
        UnknownProxyKeyError: none, or several.
    """
    wanted = read_uuid(id_or_name)
    which = "k.id = $2" if wanted is not None else "k.name = $2 AND k.is_active"
    rows = (
        []
        if "\0" in id_or_name
        else await connection.fetch(
            f"{_FIELDS} WHERE ($1::uuid IS NULL OR k.org_id = $1) AND {which}", org_id, wanted or id_or_name
        )
    )
    if len(rows) > 1:
        raise UnknownProxyKeyError(f"{len(rows)} proxy keys are named {id_or_name!r}; name one by its id")
    if not rows:
        raise UnknownProxyKeyError(f"no proxy key has the id or name {id_or_name!r}; see: majordomo proxy-keys list")
    return _key(rows[0])


async def update(connection: Connection, key: ProxyKey, **changed: str | None) -> ProxyKey:
    """Change ``name`` or ``description``; a description of None is taken away.

    Raises:
        ProxyKeyError: as ``create``.
    """
    name = key.name if changed.get("name") is None else _name(str(changed["name"]))
    description = _description(changed["description"]) if "description" in changed else key.description
    query = "UPDATE proxy_keys SET name = $2, description = $3 WHERE id = $1"
    await connection.execute(query, key.id, name, description)
    return await find(connection, str(key.id))


async def revoke(connection: Connection, key: ProxyKey) -> ProxyKey:
    """Take it back, for good, and forget its credentials; front desks refuse it within a second.

    Raises:
        RevokedProxyKeyError: it is revoked already.
    """
    _must_be_active(key)
    async with connection.transaction():
        await connection.execute("UPDATE proxy_keys SET is_active = false, revoked_at = now() WHERE id = $1", key.id)
        await connection.execute("DELETE FROM proxy_key_providers WHERE proxy_key_id = $1", key.id)
    return await find(connection, str(key.id))


async def rotate(connection: Connection, key: ProxyKey) -> NewProxyKey:
    """A new secret under the same id, with the same credentials; the old one is refused within a second.

    Raises:
        RevokedProxyKeyError: it is revoked.
    """
    _must_be_active(key)
    secret = _new_secret()
    await connection.execute("UPDATE proxy_keys SET key_hash = $2 WHERE id = $1 AND is_active", key.id, _hash(secret))
    return NewProxyKey(secret, await find(connection, str(key.id)))


async def put_credential(
    connection: Connection, key: ProxyKey, provider: str, credential: str, vault: Vault
) -> ProxyKey:
    """Store what the key stands for at a provider, in place of what was there.

    Raises:
        RevokedProxyKeyError: the key is revoked.
        ProxyKeyError: the credential cannot be one.
        VaultError: it cannot be encrypted.
    """
    _must_be_active(key)
    credential = credential.strip()
    sound = credential.isascii() and credential.isprintable() and " " not in credential
    if not sound or not 0 < len(credential) <= MOST_CREDENTIAL_CHARACTERS or PREFIX in credential:
        raise ProxyKeyError("a provider's credential is one word of printable ASCII, as the provider gave it")
    sealed = vault.seal(credential.encode(), f"{key.id}/{provider}")
    await connection.execute(_PUT, key.id, provider, sealed)
    return await find(connection, str(key.id))


async def drop_credential(connection: Connection, key: ProxyKey, provider: str) -> ProxyKey:
    """Forget what the key stands for at a provider.

    Raises:
        UnknownProxyKeyError: it holds no credential for it.
    """
    query = "DELETE FROM proxy_key_providers WHERE proxy_key_id = $1 AND provider = $2"
    if "\0" in provider or await connection.execute(query, key.id, provider) != "DELETE 1":
        raise UnknownProxyKeyError(f"the proxy key {key.name!r} holds no credential for {provider}")
    return await find(connection, str(key.id))


def _new_secret() -> str:
    return PREFIX + base64.urlsafe_b64encode(os.urandom(SECRET_BYTES)).rstrip(b"=").decode()


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _must_be_active(key: ProxyKey) -> None:
    if not key.is_active:
        raise RevokedProxyKeyError(f"the proxy key {key.name!r} ({key.id}) is revoked, which is for good; make another")


def _name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > MOST_NAME_CHARACTERS or not name.isprintable():
        raise ProxyKeyError(f"a proxy key's name has 1 to {MOST_NAME_CHARACTERS} printable characters")
    return name


def _description(description: str | None) -> str | None:
    if description is None or not description.strip():
        return None
    if len(description) > MOST_DESCRIPTION_CHARACTERS or "\0" in description:
        raise ProxyKeyError(f"a description has at most {MOST_DESCRIPTION_CHARACTERS} characters, and no NUL")
    return description.strip()


def _key(row: asyncpg.Record) -> ProxyKey:
    fields: dict[str, Any] = dict(row)
    return ProxyKey(**fields)
