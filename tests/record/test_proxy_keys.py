"""Proxy keys in the database: credentials encrypted, front desks told, nothing told twice."""

import asyncio
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import pytest

from majordomo.admit.key_feed import KeyFeed
from majordomo.admit.keys import Key, KeyRing
from majordomo.admit.proxy_key_feed import ProxyKeyFeed
from majordomo.admit.proxy_keys import UNKNOWN, ProxyKeys, no_credential
from majordomo.admit.vault import Vault, VaultError
from majordomo.record import api_keys, proxy_keys
from majordomo.record.api_keys import hash_of
from majordomo.record.database import Connection, connect
from majordomo.record.proxy_keys import ProxyKeyError, RevokedProxyKeyError, UnknownProxyKeyError
from majordomo.record.users import DEFAULT_ORG

REAL = "sk-ant-api03-the-real-one"


@asynccontextmanager
async def database(dsn: str) -> AsyncIterator[Connection]:
    connection = await connect(dsn, purpose="tests")
    try:
        yield connection
    finally:
        await connection.close()


def test_a_front_desk_follows_every_change(postgres_dsn: str, tmp_path: Path) -> None:
    """Made, given a credential, another, rotated, revoked: each is known without asking."""

    async def run() -> None:
        ring = KeyRing()
        held = ProxyKeys(ring)
        vault = Vault(tmp_path / "vault.secret")
        feed = KeyFeed(
            ring, postgres_dsn, tmp_path / "copy", None, ProxyKeyFeed(held, Vault(tmp_path / "vault.secret"))
        )
        task = asyncio.create_task(feed.run())
        async with database(postgres_dsn) as connection:
            gateway_key = await api_keys.create(connection, "tests")
            made = await proxy_keys.create(connection, "team")

            async def becomes(secret: str, expected: object) -> None:
                digest = sha256(secret.encode()).hexdigest()
                async with asyncio.timeout(20):
                    while held.credential(digest, hash_of(gateway_key.secret), "anthropic") != expected:
                        await asyncio.sleep(0.01)

            await becomes(made.secret, no_credential("anthropic"))
            key = await proxy_keys.put_credential(connection, made.key, "anthropic", f"{REAL}\n", vault)
            assert key.providers == ["anthropic"]
            await becomes(made.secret, REAL.encode())
            await proxy_keys.put_credential(connection, key, "anthropic", "another", vault)
            await becomes(made.secret, b"another")
            renewed = await proxy_keys.rotate(connection, key)
            await becomes(renewed.secret, b"another")
            await becomes(made.secret, UNKNOWN)
            await proxy_keys.drop_credential(connection, key, "anthropic")
            await becomes(renewed.secret, no_credential("anthropic"))
            await proxy_keys.revoke(connection, renewed.key)
            await becomes(renewed.secret, UNKNOWN)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())


def test_the_database_alone_tells_no_secret(postgres_dsn: str, tmp_path: Path) -> None:
    async def run() -> None:
        vault = Vault(tmp_path / "vault.secret")
        async with database(postgres_dsn) as connection:
            made = await proxy_keys.create(connection, "team")
            await proxy_keys.put_credential(connection, made.key, "anthropic", REAL, vault)
            stored = await connection.fetch("SELECT k.*, p.credential FROM proxy_keys k, proxy_key_providers p")
            assert made.secret not in str(stored) and REAL not in str(stored)
            sealed = stored[0]["credential"]
            assert vault.open(sealed, f"{made.key.id}/anthropic") == REAL.encode()
            for wrong in (f"{made.key.id}/openai", f"{uuid4()}/anthropic"):
                with pytest.raises(VaultError):
                    vault.open(sealed, wrong)
            with pytest.raises(VaultError):
                vault.open(sealed[:-1] + bytes([sealed[-1] ^ 1]), f"{made.key.id}/anthropic")
            revoked = await proxy_keys.revoke(connection, made.key)
            assert await connection.fetchval("SELECT count(*) FROM proxy_key_providers") == 0
            with pytest.raises(RevokedProxyKeyError):
                await proxy_keys.put_credential(connection, revoked, "anthropic", REAL, vault)

    asyncio.run(run())
    secret = tmp_path / "vault.secret"
    assert (stat.S_IMODE(secret.stat().st_mode), secret.stat().st_size) == (0o600, 32)
    assert [file.name for file in tmp_path.iterdir()] == ["vault.secret"]


def test_another_secret_opens_nothing_and_says_what_to_do(tmp_path: Path) -> None:
    sealed = Vault(tmp_path / "one").seal(b"x", "of")
    Vault(tmp_path / "two").seal(b"x", "of")
    with pytest.raises(VaultError, match="copy it from the machine"):
        Vault(tmp_path / "two").open(sealed, "of")
    with pytest.raises(VaultError, match="cannot read"):
        Vault(tmp_path / "none").open(sealed, "of")
    (tmp_path / "short").write_bytes(b"x")
    with pytest.raises(VaultError, match="no secret of 32 bytes"):
        Vault(tmp_path / "short").seal(b"x", "of")


@pytest.mark.parametrize("wrong", ["", "  ", "two words", "ünïcode", "x" * 5000, "a\nb", "mdm_pk_" + "P" * 43])
def test_what_can_be_no_credential_is_refused(postgres_dsn: str, tmp_path: Path, wrong: str) -> None:
    async def run() -> None:
        async with database(postgres_dsn) as connection:
            made = await proxy_keys.create(connection, "team")
            with pytest.raises(ProxyKeyError):
                await proxy_keys.put_credential(connection, made.key, "openai", wrong, Vault(tmp_path / "secret"))

    asyncio.run(run())


def test_an_organisation_finds_its_own_alone(postgres_dsn: str) -> None:
    async def run() -> None:
        async with database(postgres_dsn) as connection:
            made = await proxy_keys.create(connection, "team")
            assert (await proxy_keys.find(connection, "team", DEFAULT_ORG)).id == made.key.id
            for wanted in ("team", str(made.key.id), "te\0am"):
                with pytest.raises(UnknownProxyKeyError):
                    await proxy_keys.find(connection, wanted, uuid4())

    asyncio.run(run())


def test_a_gateway_key_of_another_organisation_may_not_use_it() -> None:
    ring = KeyRing()
    ring.put("gate", Key(b"k" * 16, b"o" * 16, active=True))
    held = ProxyKeys(ring)
    held.replace_all({})
    assert held.credential("proxy", "gate", "openai") is UNKNOWN
