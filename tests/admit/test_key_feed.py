"""The key ring follows a real ``api_keys`` table: new and revoked keys at once, and through the database's absence."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from majordomo.admit.key_feed import KeyFeed
from majordomo.admit.keys import Key, KeyRing
from majordomo.record import api_keys
from majordomo.record.api_keys import hash_of
from majordomo.record.migrate import migrate

#: What takes a moment on a machine with nothing else to do gets this long (s).
PATIENCE = 10.0

#: Changes made after this are not announced, as if the notice had been lost.
UNANNOUNCED = "ALTER TABLE api_keys DISABLE TRIGGER USER"


class Following:
    """A running feed, its ring, and a connection of the test's own to the same database."""

    def __init__(self, dsn: str, copy: Path) -> None:
        self.dsn = dsn
        self.ring = KeyRing()
        self.feed = KeyFeed(self.ring, dsn, copy)
        self.database: Any = None
        self.task: asyncio.Task[None]

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for what is certain to come."""
        async with asyncio.timeout(PATIENCE):
            while not holds():
                await asyncio.sleep(0.005)

    async def create(self, name: str, **more: Any) -> Any:
        return await api_keys.create(self.database, name, **more)

    def known(self, secret: str) -> Key | None:
        return self.ring.get(hash_of(secret))


@asynccontextmanager
async def following(dsn: str, copy: Path) -> AsyncIterator[Following]:
    now = Following(dsn, copy)
    task = now.task = asyncio.create_task(now.feed.run())
    with suppress(asyncpg.PostgresError):
        now.database = await asyncpg.connect(dsn)
    try:
        yield now
    finally:
        assert task.cancelled() or not task.done(), "the feed ended"
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        if now.database is not None:
            await now.database.close()


@pytest.fixture
def run(postgres_dsn: str, tmp_path: Path) -> Callable[[Callable[[Following], Awaitable[None]]], None]:
    """Runs a test's steps beside a feed that has caught up."""

    def go(steps: Callable[[Following], Awaitable[None]]) -> None:
        async def whole() -> None:
            async with following(postgres_dsn, tmp_path / "keys.copy") as now:
                await now.until(lambda: now.ring.fresh)
                await steps(now)

        asyncio.run(whole())

    return go


Run = Callable[[Callable[[Following], Awaitable[None]]], None]


class Outage:
    """The database refuses all connections, and ends those that are open."""

    def __init__(self, server_dsn: str, database: str) -> None:
        self._dsn, self._database = server_dsn, database

    async def begin(self) -> None:
        await self._run(
            f"ALTER DATABASE {self._database} ALLOW_CONNECTIONS false",
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self._database}'",
        )

    async def end(self) -> None:
        await self._run(f"ALTER DATABASE {self._database} ALLOW_CONNECTIONS true")

    async def execute_after(self, dsn: str, statement: str) -> None:
        """End the outage for one statement that the feed cannot have seen announced."""
        await self.end()
        connection = await asyncpg.connect(dsn)
        await connection.execute(UNANNOUNCED)
        await connection.execute(statement)
        await connection.close()

    async def _run(self, *statements: str) -> None:
        connection = await asyncpg.connect(self._dsn)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()


@pytest.fixture
def outage(postgres_server: Any, postgres_dsn: str) -> Outage:
    async def name() -> str:
        connection = await asyncpg.connect(postgres_dsn)
        try:
            return str(await connection.fetchval("SELECT current_database()"))
        finally:
            await connection.close()

    return Outage(postgres_server.dsn(), asyncio.run(name()))


def test_keys_that_were_there_before_are_loaded(postgres_dsn: str, run: Run) -> None:
    async def make() -> str:
        connection = await asyncpg.connect(postgres_dsn)
        made = await api_keys.create(connection, "before", on_hangup="cut")
        await connection.close()
        return made.secret

    secret = asyncio.run(make())

    async def steps(now: Following) -> None:
        key = now.known(secret)
        assert key is not None
        assert (key.active, key.on_hangup) == (True, "cut")

    run(steps)


def test_a_new_key_announces_itself(run: Run) -> None:
    async def steps(now: Following) -> None:
        made = await now.create("new")
        await now.until(lambda: now.known(made.secret) is not None)

    run(steps)


def test_a_new_key_can_be_used_at_once_whether_announced_or_not(run: Run) -> None:
    async def steps(now: Following) -> None:
        await now.database.execute(UNANNOUNCED)
        made = await now.create("unannounced")
        assert now.known(made.secret) is None
        found = await now.feed.lookup(hash_of(made.secret))
        assert found is not None
        assert found.id == made.key.id.bytes
        assert now.known(made.secret) == found

    run(steps)


def test_a_revoked_key_is_inactive_within_moments(run: Run) -> None:
    async def steps(now: Following) -> None:
        made = await now.create("to be revoked")
        await now.until(lambda: now.known(made.secret) is not None)
        await api_keys.revoke(now.database, made.key)
        await now.until(lambda: not now.known(made.secret).active)  # type: ignore[union-attr]

    run(steps)


def test_a_rotated_key_has_its_new_secret_alone(run: Run) -> None:
    async def steps(now: Following) -> None:
        made = await now.create("to be rotated")
        await now.until(lambda: now.known(made.secret) is not None)
        rotated = await api_keys.rotate(now.database, made.key)
        await now.until(lambda: now.known(rotated.secret) is not None)
        assert now.known(made.secret) is None

    run(steps)


def test_a_changed_and_a_deleted_key_are_followed(run: Run) -> None:
    async def steps(now: Following) -> None:
        made = await now.create("to be changed")
        await now.until(lambda: now.known(made.secret) is not None)
        await now.database.execute("UPDATE api_keys SET on_hangup = 'cut' WHERE id = $1", made.key.id)
        await now.until(lambda: now.known(made.secret).on_hangup == "cut")  # type: ignore[union-attr]
        await now.database.execute("DELETE FROM api_keys WHERE id = $1", made.key.id)
        await now.until(lambda: now.known(made.secret) is None)

    run(steps)


def test_hundreds_of_changes_at_once_are_all_followed(run: Run) -> None:
    async def steps(now: Following) -> None:
        made = [await now.create(f"key {i}") for i in range(200)]
        await now.database.execute("UPDATE api_keys SET is_active = false, revoked_at = now() WHERE name LIKE '%7'")
        await now.until(
            lambda: all(
                (key := now.known(one.secret)) is not None and key.active != one.key.name.endswith("7") for one in made
            )
        )

    run(steps)


def test_an_unknown_key_is_asked_for_once_in_a_while_and_found_when_it_is_made(run: Run) -> None:
    async def steps(now: Following) -> None:
        secret = api_keys.new_secret()
        for _ in range(100):
            assert await now.feed.lookup(hash_of(secret)) is None
        other = await now.create("another")  # any change makes the feed forget what it did not find
        await now.until(lambda: now.known(other.secret) is not None)
        await now.database.execute(UNANNOUNCED)
        await now.database.execute(
            "INSERT INTO api_keys (id, name, key_hash) VALUES (gen_random_uuid(), 'late', $1)", hash_of(secret)
        )
        assert await now.feed.lookup(hash_of(secret)) is not None

    run(steps)


def test_notices_that_are_none_of_ours_are_passed_over(run: Run) -> None:
    async def steps(now: Following) -> None:
        for payload in ("", "nonsense", "x" * 7000, "00000000-0000-0000-0000-000000000000"):
            await now.database.execute("SELECT pg_notify('majordomo_keys', $1)", payload)
        made = await now.create("after")
        await now.until(lambda: now.known(made.secret) is not None)

    run(steps)


def test_a_stop_that_comes_together_with_a_change_is_not_lost(run: Run) -> None:
    async def steps(now: Following) -> None:
        await now.database.execute("SELECT pg_notify('majordomo_keys', 'x')")
        await asyncio.sleep(0.05)  # the feed waits for the next change
        now.feed._heard(None, 0, "majordomo_keys", "x")
        now.task.cancel()
        done, _ = await asyncio.wait([now.task], timeout=PATIENCE)
        assert now.task in done

    run(steps)


def test_while_the_database_is_away_known_keys_serve_and_unknown_ones_are_not_judged(run: Run, outage: Outage) -> None:
    async def steps(now: Following) -> None:
        made = await now.create("known")
        await now.until(lambda: now.known(made.secret) is not None)
        await outage.begin()
        await now.until(lambda: not now.ring.fresh)
        key = now.known(made.secret)
        assert key is not None
        assert key.active
        with pytest.raises(ConnectionError):
            await now.feed.lookup(hash_of("mdm_sk_unknown"))
        await outage.end()
        await now.until(lambda: now.ring.fresh)
        assert await now.feed.lookup(hash_of("mdm_sk_unknown")) is None

    run(steps)


def test_a_lost_connection_is_noticed_at_once(run: Run, outage: Outage) -> None:
    """Not only at the next probe: a revocation must not wait for it."""

    async def steps(now: Following) -> None:
        before = asyncio.get_running_loop().time()
        await outage.begin()
        await now.until(lambda: not now.ring.fresh)
        # Half of the probe's interval; noticing takes milliseconds.
        assert asyncio.get_running_loop().time() - before < 2.5
        await outage.end()
        await now.until(lambda: now.ring.fresh)

    run(steps)


def test_a_key_revoked_during_an_outage_is_inactive_after_it(postgres_dsn: str, run: Run, outage: Outage) -> None:
    async def steps(now: Following) -> None:
        made = await now.create("revoked unseen")
        await now.until(lambda: now.known(made.secret) is not None)
        await outage.begin()
        await now.until(lambda: not now.ring.fresh)
        statement = f"UPDATE api_keys SET is_active = false, revoked_at = now() WHERE id = '{made.key.id}'"
        await outage.execute_after(postgres_dsn, statement)
        await now.until(lambda: not now.known(made.secret).active)  # type: ignore[union-attr]

    run(steps)


def test_a_restart_while_the_database_is_away_serves_from_the_copy_on_disk(
    postgres_dsn: str, run: Run, outage: Outage, tmp_path: Path
) -> None:
    made: list[Any] = []

    async def before(now: Following) -> None:
        made.append(await now.create("kept", on_hangup="cut", metadata={"Team": "legal"}))
        revoked = await now.create("revoked")
        await api_keys.revoke(now.database, revoked.key)
        made.append(revoked)
        await now.until(lambda: all(now.known(one.secret) is not None for one in made))
        await now.until(lambda: not now.known(revoked.secret).active)  # type: ignore[union-attr]

    run(before)
    copy = tmp_path / "keys.copy"
    assert copy.stat().st_mode & 0o777 == 0o600
    assert not any(one.secret.encode() in copy.read_bytes() for one in made)

    async def after() -> None:
        await outage.begin()
        async with following(postgres_dsn, copy) as now:
            await now.until(lambda: len(now.ring) == 2)
            assert not now.ring.fresh
            kept, revoked = (now.known(one.secret) for one in made)
            assert kept == Key(made[0].key.id.bytes, kept.org_id if kept else None, True, "cut", {"Team": "legal"})
            assert revoked is not None
            assert not revoked.active
            await outage.end()
            await now.until(lambda: now.ring.fresh)

    asyncio.run(after())


@pytest.mark.parametrize("damage", [b"", b"\x93\x01", b"nonsense", b"\x91\x91\x01"])
def test_a_damaged_copy_is_as_good_as_none(postgres_dsn: str, outage: Outage, tmp_path: Path, damage: bytes) -> None:
    copy = tmp_path / "keys.copy"
    copy.write_bytes(damage)

    async def steps() -> None:
        async with following(postgres_dsn, copy) as now:
            await now.until(lambda: now.ring.fresh)
            assert len(now.ring) == 0

    asyncio.run(steps())


def test_a_copy_that_cannot_be_written_costs_nothing_else(postgres_dsn: str, tmp_path: Path) -> None:
    async def steps() -> None:
        async with following(postgres_dsn, tmp_path / "not there" / "keys.copy") as now:
            await now.until(lambda: now.ring.fresh)
            made = await now.create("new")
            await now.until(lambda: now.known(made.secret) is not None)

    asyncio.run(steps())


def test_a_database_that_is_not_migrated_yet_is_waited_for(empty_dsn: str, tmp_path: Path) -> None:
    async def steps() -> None:
        async with following(empty_dsn, tmp_path / "keys.copy") as now:
            await asyncio.sleep(0.2)
            assert not now.ring.fresh
            await migrate(empty_dsn)
            await now.until(lambda: now.ring.fresh)

    asyncio.run(steps())


def test_a_database_that_cannot_be_found_is_tried_for_ever(tmp_path: Path) -> None:
    async def steps() -> None:
        for dsn in (
            "postgresql:///x?host=/nowhere",
            "postgresql://127.0.0.1:1/x",
            "not a dsn",
            "postgresql://u@h:port/x",
        ):
            feed = KeyFeed(KeyRing(), dsn, tmp_path / "keys.copy")
            task = asyncio.create_task(feed.run())
            await asyncio.sleep(0.25)
            assert not task.done()
            with pytest.raises(ConnectionError):
                await feed.lookup("0" * 64)
            task.cancel()

    asyncio.run(steps())
