"""People and organisations: made once, found, changed, and never without an admin."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from majordomo.record import sign_in, users
from majordomo.record.database import Connection, connect
from majordomo.record.users import DEFAULT_ORG, LastAdminError, TakenError, UnknownUserError, User, WrongUserError

Answer = TypeVar("Answer")


def run(dsn: str, part: Callable[[Connection], Awaitable[Answer]]) -> Answer:
    async def inner() -> Answer:
        connection = await connect(dsn, purpose="test")
        try:
            return await part(connection)
        finally:
            await connection.close()

    return asyncio.run(inner())


async def alice(connection: Connection, **more: Any) -> User:
    return await users.create(connection, DEFAULT_ORG, "Alice@Example.com", "Alice", "admin", **more)


def test_the_first_user_is_made_once_by_whoever_comes_first(postgres_dsn: str) -> None:
    """Ten gateways that start at once make one user, an admin; nobody makes another later."""

    async def one() -> User | None:
        connection = await connect(postgres_dsn, purpose="test")
        try:
            return await users.create_first(connection)
        finally:
            await connection.close()

    async def all_at_once() -> list[User | None]:
        return await asyncio.gather(*(one() for _ in range(10)))

    made = [user for user in asyncio.run(all_at_once()) if user is not None]
    assert [(user.role, user.org_id, user.has_password) for user in made] == [("admin", DEFAULT_ORG, False)]
    assert run(postgres_dsn, users.create_first) is None


def test_a_user_is_found_by_id_and_by_address_in_any_spelling(postgres_dsn: str) -> None:
    async def part(connection: Connection) -> None:
        made = await alice(connection)
        assert made.email == "alice@example.com"
        for given in (str(made.id), "ALICE@example.com ", "alice@example.com"):
            assert await users.find(connection, given) == made
        for given in ("bob@example.com", "", "\0", "alice"):
            with pytest.raises(UnknownUserError, match="majordomo users list"):
                await users.find(connection, given)

    run(postgres_dsn, part)


@pytest.mark.parametrize("email", ["", "alice", "a@", "@b", "a b@c", "a@b\0", "a\n@b", "x" * 250 + "@example.com"])
def test_what_is_no_address_is_refused(postgres_dsn: str, email: str) -> None:
    with pytest.raises(WrongUserError):
        run(postgres_dsn, lambda connection: users.create(connection, DEFAULT_ORG, email, "A", "member"))


def test_an_address_belongs_to_one_user_over_all_organisations(postgres_dsn: str) -> None:
    async def part(connection: Connection) -> None:
        await alice(connection)
        other = await users.create_org(connection, "other")
        with pytest.raises(TakenError):
            await users.create(connection, other.id, "alice@example.com", "A", "member")
        bob = await users.create(connection, other.id, "bob@example.com", "Bob", "admin")
        with pytest.raises(TakenError):
            await users.update(connection, bob, email="ALICE@example.com")
        with pytest.raises(TakenError):
            await users.create_org(connection, "other")

    run(postgres_dsn, part)


def test_a_user_is_not_found_in_another_organisation(postgres_dsn: str) -> None:
    async def part(connection: Connection) -> None:
        made = await alice(connection)
        other = await users.create_org(connection, "other")
        assert await users.list_all(connection, other.id) == []
        with pytest.raises(UnknownUserError):
            await users.find(connection, made.email, other.id)

    run(postgres_dsn, part)


@pytest.mark.parametrize("change", [{"role": "member"}, {"is_active": False}])
def test_the_last_admin_stays(postgres_dsn: str, change: dict[str, Any]) -> None:
    async def part(connection: Connection) -> None:
        first = await alice(connection)
        with pytest.raises(LastAdminError):
            await users.update(connection, first, **change)
        assert await users.find(connection, str(first.id)) == first
        await users.create(connection, DEFAULT_ORG, "bob@example.com", "Bob", "admin")
        assert await users.update(connection, first, **change) != first

    run(postgres_dsn, part)


def test_two_admins_who_take_each_other_down_at_once_leave_one(postgres_dsn: str) -> None:
    async def part(connection: Connection) -> tuple[User, User]:
        return await alice(connection), await users.create(connection, DEFAULT_ORG, "b@example.com", "Bob", "admin")

    both = run(postgres_dsn, part)

    async def down(user: User) -> bool:
        connection = await connect(postgres_dsn, purpose="test")
        try:
            await users.update(connection, user, is_active=False)
        except LastAdminError:
            return False
        finally:
            await connection.close()
        return True

    async def at_once() -> list[bool]:
        return await asyncio.gather(*map(down, both))

    assert sorted(asyncio.run(at_once())) == [False, True]


def test_who_is_no_longer_active_is_signed_out_everywhere(postgres_dsn: str) -> None:
    async def part(connection: Connection) -> None:
        await alice(connection)
        bob = await users.create(connection, DEFAULT_ORG, "bob@example.com", "Bob", "member")
        session = await sign_in.begin_session(connection, bob.id)
        token, _ = await sign_in.make_token(connection, bob, "ci")
        link = await sign_in.make_link(connection, bob)
        assert await sign_in.session(connection, session)
        assert await sign_in.token_user(connection, token)
        await users.update(connection, bob, is_active=False)
        assert await sign_in.session(connection, session) is None
        assert await sign_in.token_user(connection, token) is None
        with pytest.raises(sign_in.SignInError):
            await sign_in.follow_link(connection, link, "hash")

    run(postgres_dsn, part)
