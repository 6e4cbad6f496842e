"""Links work once, passwords are checked alike for everybody, sessions and tokens end."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from majordomo.record import sign_in, users
from majordomo.record.database import Connection, connect
from majordomo.record.sign_in import LINK_LIFE, SESSION_LIFE, Passwords, SignInError, WrongPasswordError
from majordomo.record.users import DEFAULT_ORG, TakenError, User, UserError

Answer = TypeVar("Answer")
PASSWORD = "correct horse battery staple"
NOW_US = 1_790_000_000_000_000


def run(dsn: str, part: Callable[[Connection], Awaitable[Answer]]) -> Answer:
    async def inner() -> Answer:
        connection = await connect(dsn, purpose="test")
        try:
            return await part(connection)
        finally:
            await connection.close()

    return asyncio.run(inner())


async def someone(connection: Connection, email: str = "alice@example.com") -> User:
    return await users.create(connection, DEFAULT_ORG, email, "Alice", "admin")


def after(life: Any) -> Callable[[], int]:
    """A clock that shows the moment at which what was made at ``NOW_US`` has run out."""
    return lambda: NOW_US + int(life.total_seconds() * 1e6)


def test_a_link_sets_name_address_and_password_once(postgres_dsn: str) -> None:
    async def part(connection: Connection) -> None:
        made = await someone(connection)
        old_session = await sign_in.begin_session(connection, made.id)
        link = await sign_in.make_link(connection, made)
        passwords = Passwords()
        hashed = await passwords.hash(PASSWORD)
        owner = await sign_in.follow_link(connection, link, hashed, email="New@example.com", name="New")
        assert (owner.id, owner.email, owner.name, owner.has_password) == (made.id, "new@example.com", "New", True)
        assert await sign_in.session(connection, old_session) is None
        with pytest.raises(SignInError, match="users link"):
            await sign_in.follow_link(connection, link, hashed)
        secret = await sign_in.sign_in(connection, passwords, "NEW@example.com", PASSWORD)
        found = await sign_in.session(connection, secret)
        assert found is not None and found.user.id == made.id

    run(postgres_dsn, part)


def test_a_link_that_could_not_be_used_stays_good(postgres_dsn: str) -> None:
    async def part(connection: Connection) -> None:
        made = await someone(connection)
        await someone(connection, "bob@example.com")
        link = await sign_in.make_link(connection, made)
        with pytest.raises(TakenError):
            await sign_in.follow_link(connection, link, "hash", email="bob@example.com")
        assert (await sign_in.follow_link(connection, link, "hash")).id == made.id

    run(postgres_dsn, part)


def test_links_run_out_and_a_new_one_replaces_the_old(postgres_dsn: str) -> None:
    async def part(connection: Connection) -> None:
        made = await someone(connection)
        first = await sign_in.make_link(connection, made, lambda: NOW_US)
        with pytest.raises(SignInError):
            await sign_in.follow_link(connection, first, "hash", clock=after(LINK_LIFE))
        second = await sign_in.make_link(connection, made, lambda: NOW_US)
        with pytest.raises(SignInError):
            await sign_in.follow_link(connection, first, "hash", clock=lambda: NOW_US)
        await sign_in.follow_link(connection, second, "hash", clock=lambda: NOW_US)

    run(postgres_dsn, part)


def test_a_wrong_password_an_unknown_address_and_no_password_are_refused_alike(postgres_dsn: str) -> None:
    async def part(connection: Connection) -> set[str]:
        passwords = Passwords()
        made = await someone(connection)
        link = await sign_in.make_link(connection, made)
        await sign_in.follow_link(connection, link, await passwords.hash(PASSWORD))
        await someone(connection, "never@example.com")
        told = set()
        for email, password in (
            ("alice@example.com", "wrong"),
            ("alice@example.com", PASSWORD + "x" * 3000),
            ("nobody@example.com", PASSWORD),
            ("never@example.com", ""),
            ("\0", PASSWORD),
        ):
            with pytest.raises(SignInError) as refused:
                await sign_in.sign_in(connection, passwords, email, password)
            told.add(str(refused.value))
        return told

    assert len(run(postgres_dsn, part)) == 1


@pytest.mark.parametrize("password", ["", "short", "x" * 1025])
def test_a_password_has_a_length(password: str) -> None:
    with pytest.raises(WrongPasswordError):
        asyncio.run(Passwords().hash(password))


def test_a_session_ends_by_itself_and_by_signing_out(postgres_dsn: str) -> None:
    async def part(connection: Connection) -> None:
        made = await someone(connection)
        secret = await sign_in.begin_session(connection, made.id, lambda: NOW_US)
        found = await sign_in.session(connection, secret, lambda: NOW_US)
        assert found is not None and len(found.csrf_token) == 43
        assert await sign_in.session(connection, secret, after(SESSION_LIFE)) is None
        await sign_in.end_session(connection, secret)
        assert await sign_in.session(connection, secret, lambda: NOW_US) is None

    run(postgres_dsn, part)


def test_a_token_does_what_its_user_may_until_it_ends(postgres_dsn: str) -> None:
    async def part(connection: Connection) -> None:
        made = await someone(connection)
        until = after(SESSION_LIFE)
        secret, token = await sign_in.make_token(connection, made, "ci", sign_in._now(until))
        assert secret.startswith("mdm_ut_")
        found = await sign_in.token_user(connection, secret, lambda: NOW_US)
        assert found is not None and found.id == made.id
        assert await sign_in.token_user(connection, secret, until) is None
        assert (await sign_in.tokens(connection, made))[0].last_used_at is not None
        assert await sign_in.end_token(connection, made, token.id)
        assert not await sign_in.end_token(connection, made, token.id)
        assert await sign_in.token_user(connection, secret, lambda: NOW_US) is None
        for name in ("", "\n", "x" * 256):
            with pytest.raises(UserError):
                await sign_in.make_token(connection, made, name)

    run(postgres_dsn, part)


def test_no_secret_is_kept(postgres_dsn: str) -> None:
    """Links, sessions, tokens and passwords stand in no table as they are."""

    async def part(connection: Connection) -> None:
        made = await someone(connection)
        link = await sign_in.make_link(connection, made)
        session = await sign_in.begin_session(connection, made.id)
        token, _ = await sign_in.make_token(connection, made, "ci")
        hashed = await Passwords().hash(PASSWORD)
        assert hashed.startswith("$argon2id$")
        for name in ("sign_in_links", "user_sessions", "user_tokens", "users"):
            whole = str(await connection.fetch(f"SELECT t::text FROM {name} t"))
            assert len(whole) > 40
            for secret in (link, session, token, token.removeprefix(sign_in.TOKEN_PREFIX), PASSWORD):
                assert secret not in whole

    run(postgres_dsn, part)
