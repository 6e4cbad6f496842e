"""Gateway keys: their life, and that everyone who listens hears of each change at once."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import asyncpg
import pytest

from majordomo.record import api_keys
from majordomo.record.api_keys import (
    AmbiguousKeyError,
    ApiKeyError,
    RevokedKeyError,
    UnknownKeyError,
    WrongKeyError,
    hash_of,
)
from majordomo.record.database import Connection, connect

Answer = TypeVar("Answer")
PATIENCE = 30.0  # seconds; a busy machine is no failure


def run(dsn: str, part: Callable[[Connection], Awaitable[Answer]]) -> Answer:
    async def inner() -> Answer:
        connection = await connect(dsn, purpose="test")
        try:
            return await part(connection)
        finally:
            await connection.close()

    return asyncio.run(inner())


def test_a_secret_is_32_random_bytes_and_only_its_hash_is_kept(postgres_dsn: str) -> None:
    """The key has the documented form; nothing in the row holds it; its SHA-256 does."""

    async def part(connection: Connection) -> None:
        made = await api_keys.create(connection, "legal", "for the lawyers", "cut")
        assert re.fullmatch(r"mdm_sk_[A-Za-z0-9_-]{43}", made.secret)
        row = await connection.fetchrow("SELECT k::text AS whole, key_hash FROM api_keys k")
        assert row is not None
        assert row["key_hash"] == hash_of(made.secret)
        assert made.secret not in row["whole"]
        assert (made.key.name, made.key.description, made.key.on_hangup) == ("legal", "for the lawyers", "cut")
        assert made.key.is_active

    run(postgres_dsn, part)
    assert len({api_keys.new_secret() for _ in range(100)}) == 100


def test_the_first_key_is_made_once_by_whoever_comes_first(postgres_dsn: str) -> None:
    """Ten gateways that start at once on one empty database make one key; none makes another later."""

    async def one() -> str | None:
        connection = await connect(postgres_dsn, purpose="test")
        try:
            return await api_keys.create_first(connection)
        finally:
            await connection.close()

    async def all_at_once() -> list[str | None]:
        return await asyncio.gather(*(one() for _ in range(10)))

    told = [secret for secret in asyncio.run(all_at_once()) if secret is not None]
    assert len(told) == 1
    kept = run(postgres_dsn, lambda connection: connection.fetch("SELECT key_hash FROM api_keys"))
    assert [row["key_hash"] for row in kept] == [hash_of(told[0])]
    assert asyncio.run(one()) is None


def test_every_change_that_decides_is_heard_by_listeners(postgres_dsn: str) -> None:
    """Made, rotated, told to cut, revoked: each is one notice with the key's id; a new description is none."""

    async def part(connection: Connection) -> None:
        heard: asyncio.Queue[str] = asyncio.Queue()

        def hear(_connection: Any, _pid: int, _channel: str, payload: Any) -> None:
            heard.put_nowait(payload)

        listening = await asyncpg.connect(postgres_dsn)
        await listening.add_listener("majordomo_keys", hear)
        key = (await api_keys.create(connection, "one")).key

        async def notice() -> str:
            return await asyncio.wait_for(heard.get(), PATIENCE)

        assert await notice() == str(key.id)
        await api_keys.update(connection, key, description="quiet", name="other")
        await api_keys.rotate(connection, key)
        assert await notice() == str(key.id)
        await api_keys.update(connection, key, on_hangup="cut")
        assert await notice() == str(key.id)
        await api_keys.revoke(connection, key)
        assert await notice() == str(key.id)
        await connection.execute("SELECT pg_notify('majordomo_keys', 'end')")
        assert await notice() == "end"  # and nothing came between
        await listening.close()

    run(postgres_dsn, part)


def test_rotation_replaces_the_secret_and_keeps_the_id(postgres_dsn: str) -> None:
    """The old hash is gone, the new one is there, name and counts stay."""

    async def part(connection: Connection) -> None:
        old = await api_keys.create(connection, "one")
        new = await api_keys.rotate(connection, old.key)
        assert new.secret != old.secret
        assert new.key == old.key
        hashes = [row["key_hash"] for row in await connection.fetch("SELECT key_hash FROM api_keys")]
        assert hashes == [hash_of(new.secret)]

    run(postgres_dsn, part)


def test_revoking_is_for_good_and_says_so(postgres_dsn: str) -> None:
    """A second revocation and a rotation are refused with the time of the first; that time does not change."""

    async def part(connection: Connection) -> None:
        key = (await api_keys.create(connection, "one")).key
        revoked = await api_keys.revoke(connection, key)
        assert not revoked.is_active
        assert revoked.revoked_at is not None
        for again in (api_keys.revoke, api_keys.rotate):
            with pytest.raises(RevokedKeyError, match=f"{revoked.revoked_at:%Y-%m-%d %H:%M}"):
                await again(connection, key)
        assert (await api_keys.find(connection, str(key.id))).revoked_at == revoked.revoked_at

    run(postgres_dsn, part)


def test_a_key_is_found_by_id_or_by_a_name_that_only_one_has(postgres_dsn: str) -> None:
    """Two of one name are told apart by id; a revoked one does not stand in an active one's way."""

    async def part(connection: Connection) -> None:
        one = (await api_keys.create(connection, "twin")).key
        two = (await api_keys.create(connection, "twin")).key
        assert (await api_keys.find(connection, str(one.id).upper())).id == one.id
        with pytest.raises(AmbiguousKeyError, match=str(two.id)):
            await api_keys.find(connection, "twin")
        await api_keys.revoke(connection, one)
        assert (await api_keys.find(connection, "twin")).id == two.id
        await api_keys.revoke(connection, two)
        with pytest.raises(AmbiguousKeyError):
            await api_keys.find(connection, "twin")
        for unknown in ("nobody", "", "00000000-0000-0000-0000-000000000000", "a\0b", "'; DROP TABLE api_keys; --"):
            with pytest.raises(UnknownKeyError, match="keys list"):
                await api_keys.find(connection, unknown)

    run(postgres_dsn, part)


def test_an_update_changes_what_is_given_and_nothing_else(postgres_dsn: str) -> None:
    """None takes a description or hang-up rule away; what is not given stays."""

    async def part(connection: Connection) -> None:
        key = (await api_keys.create(connection, "one", "text", "drain")).key
        assert (await api_keys.update(connection, key, name="two")).description == "text"
        changed = await api_keys.update(connection, key, description=None, on_hangup=None)
        assert (changed.name, changed.description, changed.on_hangup) == ("two", None, None)
        assert [each.name for each in await api_keys.list_all(connection)] == ["two"]

    run(postgres_dsn, part)


@pytest.mark.parametrize("name", ["", "   ", "x" * 256, "line\nbreak", "nul\0", "\x1b[31mred"])
def test_names_that_cannot_be_shown_are_refused(postgres_dsn: str, name: str) -> None:
    """A name is printable and of a sensible length; the message says so."""

    async def part(connection: Connection) -> None:
        with pytest.raises(WrongKeyError, match="printable"):
            await api_keys.create(connection, name)
        assert await api_keys.list_all(connection) == []

    run(postgres_dsn, part)


def test_a_description_has_an_end(postgres_dsn: str) -> None:
    """Too long a description is refused as one of the errors of keys."""

    async def part(connection: Connection) -> None:
        with pytest.raises(ApiKeyError, match="at most"):
            await api_keys.create(connection, "one", "x" * 5000)

    run(postgres_dsn, part)
