"""The people of an organisation: made, listed, changed. A user without a password has yet to follow a link.

What a user signs in with is in ``sign_in``; what a user may do is decided where it is asked for (``report.identity``).
"""

import datetime as dt
import re
from typing import Final, Literal
from uuid import UUID

import asyncpg
import msgspec

from majordomo.clock import WallClock, wall_us
from majordomo.ids import new_uuid
from majordomo.record.database import Connection
from majordomo.record.statements import statement

#: The organisation of an installation that knows no others.
DEFAULT_ORG: Final = UUID(int=0)

MOST_NAME_CHARACTERS: Final = 255
#: RFC 5321 allows no longer address.
MOST_EMAIL_CHARACTERS: Final = 254

Role = Literal["admin", "member"]

#: One `@` with something printable on both sides: what is right beyond that only its mail server knows.
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")

_FIRST_USER_LOCK: Final = int.from_bytes(b"firstusr", signed=True)
_FIRST_EMAIL: Final = "owner@localhost"
_FIRST_NAME: Final = "Owner"


class UserError(Exception):
    """A user or organisation cannot be found or changed. The message says why and what to do."""


class UnknownUserError(UserError):
    """Nobody has this id or address."""


class WrongUserError(UserError):
    """A name, address or role that cannot be stored."""


class TakenError(UserError):
    """Somebody has this address, or some organisation this name."""


class LastAdminError(UserError):
    """The organisation would be left without anybody who may change it."""


class User(msgspec.Struct, frozen=True, kw_only=True):
    """One person. Times are UTC."""

    id: UUID
    org_id: UUID
    email: str
    name: str
    role: Role
    is_active: bool
    has_password: bool
    created_at: dt.datetime
    last_sign_in_at: dt.datetime | None


class Org(msgspec.Struct, frozen=True):
    """One organisation."""

    id: UUID
    name: str
    created_at: dt.datetime


async def create(
    connection: Connection, org_id: UUID, email: str, name: str, role: Role, clock: WallClock = wall_us
) -> User:
    """Make a user, who cannot sign in before following a link (``sign_in.make_link``).

    Raises:
        WrongUserError: address or name is empty, too long or not printable.
        TakenError: somebody has this address.
        UnknownUserError: there is no such organisation.
    """
    try:
        row = await connection.fetchrow(
            statement("user_create"), new_uuid(clock()), org_id, _email(email), _name(name), role
        )
    except asyncpg.UniqueViolationError:
        raise TakenError(f"somebody has the address {email!r} already; see: majordomo users list") from None
    except asyncpg.ForeignKeyViolationError:
        raise UnknownUserError(f"there is no organisation {org_id}; see: majordomo orgs list") from None
    return _user(row)


async def create_first(connection: Connection, clock: WallClock = wall_us) -> User | None:
    """The first user of an installation that has none, an admin of the default organisation; else None.

    Address and name are placeholders: whoever follows the first link says who they are.
    """
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _FIRST_USER_LOCK)
        if await connection.fetchval("SELECT EXISTS (SELECT FROM users)"):
            return None
        return await create(connection, DEFAULT_ORG, _FIRST_EMAIL, _FIRST_NAME, "admin", clock)


async def list_all(connection: Connection, org_id: UUID | None = None) -> list[User]:
    """Every user (of one organisation), oldest first."""
    return [_user(row) for row in await connection.fetch(statement("user_list"), org_id)]


async def find(connection: Connection, id_or_email: str, org_id: UUID | None = None) -> User:
    """The user with this id or address (in one organisation).

    Raises:
        UnknownUserError: nobody has it there.
    """
    row = None
    if "\0" not in id_or_email:
        row = await connection.fetchrow(statement("user_find"), id_or_email.strip().lower(), org_id)
    if row is None:
        raise UnknownUserError(f"nobody has the id or address {id_or_email!r}; see: majordomo users list")
    return _user(row)


async def update(
    connection: Connection,
    user: User,
    *,
    email: str | None = None,
    name: str | None = None,
    role: Role | None = None,
    is_active: bool | None = None,
) -> User:
    """Change what is given; a user who is no longer active is signed out everywhere.

    Raises:
        WrongUserError, TakenError: as ``create``.
        LastAdminError: nobody else is an active admin of the organisation.
        UnknownUserError: the user has gone meanwhile.
    """
    async with connection.transaction():
        await connection.execute("SELECT FROM orgs WHERE id = $1 FOR UPDATE", user.org_id)  # two changes in turn
        try:
            row = await connection.fetchrow(
                statement("user_update"),
                user.id,
                None if email is None else _email(email),
                None if name is None else _name(name),
                role,
                is_active,
            )
        except asyncpg.UniqueViolationError:
            raise TakenError(f"somebody has the address {email!r} already; see: majordomo users list") from None
        if row is None:
            raise UnknownUserError(f"the user {user.id} is gone; see: majordomo users list")
        changed = _user(row)
        if not await connection.fetchval(statement("org_has_admin"), user.org_id):
            raise LastAdminError("nobody else is an admin of this organisation; make another one first")
        if not changed.is_active:
            await connection.execute(statement("user_sign_out"), user.id)
        return changed


async def create_org(connection: Connection, name: str, clock: WallClock = wall_us) -> Org:
    """Make an organisation.

    Raises:
        WrongUserError: the name is empty, too long or not printable.
        TakenError: another one has this name.
    """
    try:
        row = await connection.fetchrow(
            "INSERT INTO orgs (id, name) VALUES ($1, $2) RETURNING *", new_uuid(clock()), _name(name)
        )
    except asyncpg.UniqueViolationError:
        raise TakenError(f"an organisation is named {name!r} already; see: majordomo orgs list") from None
    assert row is not None
    return Org(**row)


async def list_orgs(connection: Connection) -> list[Org]:
    """Every organisation, oldest first."""
    return [Org(**row) for row in await connection.fetch("SELECT * FROM orgs ORDER BY created_at, id")]


async def find_org(connection: Connection, id_or_name: str) -> Org:
    """The organisation with this id or name.

    Raises:
        UnknownUserError: none has it.
    """
    row = None
    if "\0" not in id_or_name:
        row = await connection.fetchrow("SELECT * FROM orgs WHERE id::text = $1 OR name = $1", id_or_name.strip())
    if row is None:
        raise UnknownUserError(f"no organisation has the id or name {id_or_name!r}; see: majordomo orgs list")
    return Org(**row)


def _email(email: str) -> str:
    email = email.strip().lower()
    if len(email) > MOST_EMAIL_CHARACTERS or not email.isprintable() or not _EMAIL.fullmatch(email):
        raise WrongUserError(f"{email[:80]!r} is no mail address, such as alice@example.com")
    return email


def _name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > MOST_NAME_CHARACTERS or not name.isprintable():
        raise WrongUserError(f"a name has 1 to {MOST_NAME_CHARACTERS} printable characters")
    return name


def _user(row: asyncpg.Record | None) -> User:
    assert row is not None
    return User(**row)
