"""Gateway keys: made, listed, changed, revoked, rotated. A secret exists only in what ``create`` and ``rotate`` return.

Every change that decides anything is told to the front desks by the trigger on ``api_keys``, within the transaction.
"""

import base64
import datetime as dt
import hashlib
import os
from collections.abc import Mapping
from typing import Final, Literal
from uuid import UUID

import asyncpg
import msgspec

from majordomo.admit.metadata import metadata_name
from majordomo.clock import WallClock, wall_us
from majordomo.ids import new_uuid
from majordomo.record.database import Connection
from majordomo.record.statements import statement
from majordomo.record.users import DEFAULT_ORG

KEY_PREFIX = "mdm_sk_"
SECRET_BYTES = 32  # 256 bits of chance: hashed without salt or stretching, as there is nothing to guess
FIRST_KEY_NAME = "first key"
MOST_NAME_CHARACTERS = 255  # fits a table's column and every label it becomes
MOST_DESCRIPTION_CHARACTERS = 4_000
MOST_METADATA = 32  # of a key's own: they go into every row
MOST_VALUE_CHARACTERS = 1_000

#: Taken by whoever makes the first key: two gateways on one empty database must not both make a first key.
_FIRST_KEY_LOCK = int.from_bytes(b"firstkey", signed=True)

OnHangup = Literal["drain", "cut"]

#: For ``update``: leave this field as it is. None means "none" there.
UNCHANGED: Final = msgspec.UNSET


class ApiKeyError(Exception):
    """A key cannot be found or changed. The message says why and what to do."""


class UnknownKeyError(ApiKeyError):
    """No key has this id or name."""


class AmbiguousKeyError(ApiKeyError):
    """Several keys have this name."""


class RevokedKeyError(ApiKeyError):
    """The key is revoked, which is for good."""


class WrongKeyError(ApiKeyError):
    """A name or description that cannot be stored."""


class ApiKey(msgspec.Struct, frozen=True):
    """One gateway key, without its secret. Times are UTC."""

    id: UUID
    org_id: UUID
    name: str
    description: str | None
    is_active: bool
    on_hangup: OnHangup | None  # None: as the setting of this name says
    metadata: dict[str, str]  # its owner's, above whatever callers say
    created_at: dt.datetime
    revoked_at: dt.datetime | None
    last_used_at: dt.datetime | None
    request_count: int


class NewKey(msgspec.Struct, frozen=True):
    """A key whose secret was just made: the only time it can be shown."""

    secret: str
    key: ApiKey


def new_secret() -> str:
    """``mdm_sk_`` and 43 base64url characters: 32 bytes from the kernel."""
    return KEY_PREFIX + base64.urlsafe_b64encode(os.urandom(SECRET_BYTES)).rstrip(b"=").decode()


def hash_of(secret: str) -> str:
    """SHA-256 of a key as 64 hex digits: what ``api_keys.key_hash`` holds."""
    return hashlib.sha256(secret.encode()).hexdigest()


async def create(
    connection: Connection,
    name: str,
    description: str | None = None,
    on_hangup: OnHangup | None = None,
    clock: WallClock = wall_us,
    *,
    metadata: Mapping[str, str] | None = None,
    org_id: UUID = DEFAULT_ORG,
) -> NewKey:
    """Make a key.

    Raises:
        WrongKeyError: a name, description or metadata that is empty, too long or not printable; no such organisation.
    """
    secret = new_secret()
    key_id = new_uuid(clock())
    row = await connection.fetchrow(
        statement("api_key_create"),
        key_id,
        org_id,
        _name(name),
        _description(description),
        hash_of(secret),
        on_hangup,
        _metadata(metadata or {}),
    )
    if row is None:
        raise WrongKeyError(f"there is no organisation {org_id}; see: majordomo orgs list")
    return NewKey(secret, _key(row))


async def create_first(connection: Connection, clock: WallClock = wall_us) -> str | None:
    """Make the first key of an installation that has none; returns its secret, or None where there are keys."""
    secret = new_secret()
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _FIRST_KEY_LOCK)
        made = await connection.fetchval(
            statement("api_key_create_first"), new_uuid(clock()), FIRST_KEY_NAME, hash_of(secret)
        )
    return secret if made is not None else None


async def list_all(
    connection: Connection,
    org_id: UUID | None = None,
    *,
    after: tuple[dt.datetime, UUID] | None = None,
    limit: int | None = None,
) -> list[ApiKey]:
    """Every key (of one organisation), revoked ones included, oldest first; those behind ``after`` (made at, id)."""
    at, last = after or (None, None)
    return [_key(row) for row in await connection.fetch(statement("api_key_list"), org_id, at, last, limit)]


async def find(connection: Connection, id_or_name: str, org_id: UUID | None = None) -> ApiKey:
    """The key with this id, or the only one with this name among active keys, if any is (in one organisation).

    Raises:
        UnknownKeyError: none has it.
        AmbiguousKeyError: several have this name.
    """
    if "\0" in id_or_name:
        raise UnknownKeyError("no key has a NUL character in its name; see: majordomo keys list")
    found = [_key(row) for row in await connection.fetch(statement("api_key_find"), id_or_name, org_id)]
    if not found:
        raise UnknownKeyError(f"no key has the id or name {id_or_name!r}; see: majordomo keys list")
    if str(found[0].id) == id_or_name.lower():
        return found[0]
    wanted = [key for key in found if key.is_active] or found
    if len(wanted) > 1:
        ids = ", ".join(str(key.id) for key in wanted)
        raise AmbiguousKeyError(f"{len(wanted)} keys are named {id_or_name!r}; name one by its id: {ids}")
    return wanted[0]


async def update(
    connection: Connection,
    key: ApiKey,
    *,
    name: str | msgspec.UnsetType = UNCHANGED,
    description: str | msgspec.UnsetType | None = UNCHANGED,
    on_hangup: OnHangup | msgspec.UnsetType | None = UNCHANGED,
    metadata: Mapping[str, str] | msgspec.UnsetType = UNCHANGED,
) -> ApiKey:
    """Change what is given; an ``on_hangup`` or ``description`` of None takes it away. ``metadata`` is the whole of it.

    Raises:
        WrongKeyError: as ``create``.
        UnknownKeyError: the key has gone meanwhile.
    """
    new_name = key.name if isinstance(name, msgspec.UnsetType) else _name(name)
    new_description = None if isinstance(description, msgspec.UnsetType) else _description(description)
    row = await connection.fetchrow(
        statement("api_key_update"),
        key.id,
        name is not UNCHANGED,
        new_name,
        description is not UNCHANGED,
        new_description,
        on_hangup is not UNCHANGED,
        None if isinstance(on_hangup, msgspec.UnsetType) else on_hangup,
        metadata is not UNCHANGED,
        "{}" if isinstance(metadata, msgspec.UnsetType) else _metadata(metadata),
    )
    if row is None:
        raise UnknownKeyError(f"the key {key.id} is gone; see: majordomo keys list")
    return _key(row)


async def revoke(connection: Connection, key: ApiKey) -> ApiKey:
    """Take a key back, for good; front desks refuse it within a second.

    Raises:
        RevokedKeyError: it is revoked already; the message says since when.
    """
    row = await connection.fetchrow(statement("api_key_revoke"), key.id)
    if row is None:
        raise await _why_not(connection, key)
    return _key(row)


async def rotate(connection: Connection, key: ApiKey) -> NewKey:
    """Give a key a new secret under the same id; the old secret is refused within a second.

    Raises:
        RevokedKeyError: it is revoked, and stays so; make a new key instead.
    """
    secret = new_secret()
    row = await connection.fetchrow(statement("api_key_rotate"), key.id, hash_of(secret))
    if row is None:
        raise await _why_not(connection, key)
    return NewKey(secret, _key(row))


async def _why_not(connection: Connection, key: ApiKey) -> ApiKeyError:
    present = await find(connection, str(key.id))  # raises UnknownKeyError if it has gone
    since = f" since {present.revoked_at:%Y-%m-%d %H:%M:%S} UTC" if present.revoked_at else ""
    return RevokedKeyError(
        f"the key {present.name!r} ({present.id}) is revoked{since}, which is for good; "
        "make another: majordomo keys create"
    )


def _name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > MOST_NAME_CHARACTERS or not name.isprintable():
        raise WrongKeyError(f"a key's name has 1 to {MOST_NAME_CHARACTERS} printable characters")
    return name


def _description(description: str | None) -> str | None:
    if description is None or not description.strip():
        return None
    if len(description) > MOST_DESCRIPTION_CHARACTERS or "\0" in description:
        raise WrongKeyError(f"a key's description has at most {MOST_DESCRIPTION_CHARACTERS} characters, and no NUL")
    return description.strip()


def _metadata(metadata: Mapping[str, str]) -> str:
    """As JSON, under canonical names."""
    if len(metadata) > MOST_METADATA:
        raise WrongKeyError(f"a key has at most {MOST_METADATA} metadata values, not {len(metadata)}")
    bound = {}
    for given, value in metadata.items():
        name = metadata_name(given)
        if name is None:
            raise WrongKeyError(f"{given!r} cannot be a metadata key: expected the name of a header, such as Team")
        if not value or len(value) > MOST_VALUE_CHARACTERS or not value.isprintable():
            raise WrongKeyError(f"{name}: a metadata value has 1 to {MOST_VALUE_CHARACTERS} printable characters")
        bound[name] = value
    return msgspec.json.encode(bound).decode()


def _key(row: asyncpg.Record | None) -> ApiKey:
    assert row is not None
    return ApiKey(**{**row, "metadata": msgspec.json.decode(row["metadata"], type=dict[str, str])})
