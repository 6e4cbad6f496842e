"""What people sign in with: one-time links, passwords, sessions, tokens.

Links, sessions and tokens are 32 random bytes of which only the SHA-256 is kept: there is nothing to guess, so nothing
to stretch. Passwords can be guessed and are kept as argon2id, which takes some 50 ms and 64 MiB: away from the event
loop, and only so many at a time.
"""

import asyncio
import base64
import datetime as dt
import hashlib
import os
from typing import Final
from uuid import UUID

import argon2
import msgspec

from majordomo.clock import WallClock, wall_us
from majordomo.ids import new_uuid
from majordomo.record.database import Connection
from majordomo.record.statements import statement
from majordomo.record.users import User, UserError, update

TOKEN_PREFIX: Final = "mdm_ut_"  # noqa: S105 - what a token begins with, no secret
SECRET_BYTES: Final = 32

#: A link is for being followed now; a lost one is replaced by `majordomo users link`.
LINK_LIFE: Final = dt.timedelta(days=3)
#: Two weeks of work without signing in again; whoever steals a browser has no longer than that.
SESSION_LIFE: Final = dt.timedelta(days=14)
MOST_TOKENS: Final = 100  # of one user: more are a mistake
MOST_TOKEN_NAME: Final = 255

#: NIST SP 800-63B asks for 8 and for no rules of composition; a longer one costs nobody anything with a manager.
SHORTEST_PASSWORD: Final = 10
LONGEST_PASSWORD: Final = 1024

#: Password checks at one time: each takes 64 MiB.
_AT_ONE_TIME: Final = 2

_HASHER: Final = argon2.PasswordHasher()
#: Checked where there is no such user, so that the time of an answer does not tell who exists.
_NOBODY: Final = _HASHER.hash(base64.b64encode(os.urandom(SECRET_BYTES)))


class SignInError(UserError):
    """Not signed in. The message says why, and nothing that would help to guess."""


class WrongPasswordError(UserError):
    """A new password that is too short or too long."""


class Session(msgspec.Struct, frozen=True):
    """A browser's session: its user, and what its pages repeat with every change."""

    user: User
    csrf_token: str
    expires_at: dt.datetime


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token for programs, without its secret."""

    id: UUID
    name: str
    created_at: dt.datetime
    expires_at: dt.datetime | None
    last_used_at: dt.datetime | None


class Passwords:
    """Makes and checks password hashes in threads."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(_AT_ONE_TIME)

    async def hash(self, password: str) -> str:
        """The argon2id hash of a new password.

        Raises:
            WrongPasswordError: it is too short or too long.
        """
        if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
            raise WrongPasswordError(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
        async with self._turn:
            return await asyncio.to_thread(_HASHER.hash, password.encode("utf-8", "replace"))

    async def matches(self, password_hash: str | None, password: str) -> bool:
        """Whether it is the right one; takes as long where there is none to compare with."""
        async with self._turn:
            right = await asyncio.to_thread(_matches, password_hash or _NOBODY, password[: LONGEST_PASSWORD + 1])
        return right and password_hash is not None


def _matches(password_hash: str, password: str) -> bool:
    try:
        return _HASHER.verify(password_hash, password.encode("utf-8", "replace"))
    except argon2.exceptions.Argon2Error:
        return False


async def make_link(connection: Connection, user: User, clock: WallClock = wall_us) -> str:
    """A one-time secret with which the user sets a password; those made before for the user no longer work."""
    secret = _secret()
    async with connection.transaction():
        await connection.execute("DELETE FROM sign_in_links WHERE user_id = $1 OR expires_at < now()", user.id)
        await connection.execute(
            "INSERT INTO sign_in_links (token_hash, user_id, expires_at) VALUES ($1, $2, $3)",
            _hash(secret),
            user.id,
            _now(clock) + LINK_LIFE,
        )
    return secret


async def follow_link(
    connection: Connection,
    secret: str,
    password_hash: str,
    *,
    email: str | None = None,
    name: str | None = None,
    clock: WallClock = wall_us,
) -> User:
    """Use a link up: its user has this password from now on, and every older session ends.

    Raises:
        SignInError: the link is unknown, used up or too old.
        WrongUserError, TakenError: ``email`` or ``name`` cannot be taken; the link stays good.
    """
    async with connection.transaction():
        row = await connection.fetchrow(statement("link_follow"), _hash(secret), _now(clock), password_hash)
        if row is None:
            raise SignInError("this link was used already or is too old; make another: majordomo users link ADDRESS")
        await connection.execute(statement("user_sign_out"), row["id"])
        return await update(connection, User(**row), email=email, name=name)


async def sign_in(
    connection: Connection, passwords: Passwords, email: str, password: str, clock: WallClock = wall_us
) -> str:
    """A new session's secret.

    Raises:
        SignInError: the address or the password is wrong, or the user is not active.
    """
    row = None
    if "\0" not in email:
        row = await connection.fetchrow(
            "SELECT id, password_hash FROM users WHERE email = $1 AND is_active", email.strip().lower()
        )
    if not await passwords.matches(None if row is None else row["password_hash"], password):
        raise SignInError("the address or the password is wrong")
    assert row is not None
    return await begin_session(connection, row["id"], clock)


async def begin_session(connection: Connection, user_id: UUID, clock: WallClock = wall_us) -> str:
    """Sign a user in; returns the session's secret."""
    secret, now = _secret(), _now(clock)
    async with connection.transaction():
        await connection.execute("DELETE FROM user_sessions WHERE expires_at < $1", now)
        await connection.execute("UPDATE users SET last_sign_in_at = $2 WHERE id = $1", user_id, now)
        await connection.execute(
            "INSERT INTO user_sessions (token_hash, user_id, csrf_token, expires_at) VALUES ($1, $2, $3, $4)",
            _hash(secret),
            user_id,
            _secret(),
            now + SESSION_LIFE,
        )
    return secret


async def session(connection: Connection, secret: str, clock: WallClock = wall_us) -> Session | None:
    """The session that this secret opens; None if there is none, it has run out, or its user is not active."""
    row = await connection.fetchrow(statement("user_session"), _hash(secret), _now(clock))
    if row is None:
        return None
    fields = dict(row)
    csrf_token, expires_at = fields.pop("csrf_token"), fields.pop("expires_at")
    return Session(User(**fields), csrf_token, expires_at)


async def end_session(connection: Connection, secret: str) -> None:
    """Sign out."""
    await connection.execute("DELETE FROM user_sessions WHERE token_hash = $1", _hash(secret))


async def make_token(
    connection: Connection,
    user: User,
    name: str,
    expires_at: dt.datetime | None = None,
    clock: WallClock = wall_us,
) -> tuple[str, Token]:
    """A token that may do what its user may; its secret is told this once.

    Raises:
        UserError: the name is empty, too long or not printable; or the user has ``MOST_TOKENS``.
    """
    name = name.strip()
    if not name or len(name) > MOST_TOKEN_NAME or not name.isprintable():
        raise UserError(f"a token's name has 1 to {MOST_TOKEN_NAME} printable characters")
    secret = TOKEN_PREFIX + _secret()
    row = await connection.fetchrow(
        statement("user_token_create"), new_uuid(clock()), user.id, name, _hash(secret), expires_at, MOST_TOKENS
    )
    if row is None:
        raise UserError(f"a user has at most {MOST_TOKENS} tokens; take one back first")
    return secret, Token(**row)


async def tokens(connection: Connection, user: User) -> list[Token]:
    """The user's tokens, oldest first."""
    rows = await connection.fetch(statement("user_token_list"), user.id)
    return [Token(**row) for row in rows]


async def end_token(connection: Connection, user: User, token_id: UUID) -> bool:
    """Take a token back; False if the user has no such token."""
    done = await connection.execute("DELETE FROM user_tokens WHERE id = $1 AND user_id = $2", token_id, user.id)
    return bool(done == "DELETE 1")


async def token_user(connection: Connection, secret: str, clock: WallClock = wall_us) -> User | None:
    """Whose token this is; None if it is nobody's, has run out, or its user is not active."""
    row = await connection.fetchrow(statement("user_token_use"), _hash(secret), _now(clock))
    return None if row is None else User(**row)


def _secret() -> str:
    return base64.urlsafe_b64encode(os.urandom(SECRET_BYTES)).rstrip(b"=").decode()


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _now(clock: WallClock) -> dt.datetime:
    return dt.datetime.fromtimestamp(clock() / 1e6, dt.UTC)
