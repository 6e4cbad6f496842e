"""Whose sessions are, as a front desk knows it: in memory within bounds, and near a real ``claude_sessions`` table."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from majordomo.admit import sessions
from majordomo.admit.key_feed import KeyFeed
from majordomo.admit.keys import KeyRing
from majordomo.admit.sessions import SessionOwners
from majordomo.record import api_keys

PATIENCE = 10.0
MINE, OTHERS = uuid4(), uuid4()


def numbered(number: int) -> bytes:
    return number.to_bytes(16)


def test_the_sessions_met_longest_ago_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are, so many are held; one that is met again stays."""
    monkeypatch.setattr(sessions, "MOST_SESSIONS", 3)
    owners = SessionOwners()
    for number in range(3):
        owners.put(numbered(number), MINE.bytes)
    owners.meet(numbered(0))
    for number in (3, 4):
        owners.put(numbered(number), MINE.bytes)
    assert len(owners) == 3
    assert [owners.is_foreign(numbered(number), OTHERS.bytes) for number in range(5)] == [
        True,
        False,
        False,
        True,
        True,
    ]
    assert not owners.is_foreign(numbered(0), MINE.bytes)


def test_an_unknown_session_is_wanted_once_and_again_only_after_a_while() -> None:
    """A session that does not exist yet is not asked about with each request that names it."""
    now = [100.0]
    wakes: list[float] = []
    owners = SessionOwners(lambda: now[0])
    owners.meet(numbered(1))
    assert owners.take_wanted() == []  # nobody would look it up
    owners.answered_by(lambda: wakes.append(now[0]))
    owners.meet(numbered(1))
    owners.meet(numbered(1))
    owners.meet(numbered(2))
    assert wakes == [100.0]
    assert sorted(owners.take_wanted()) == [numbered(1), numbered(2)]
    owners.missed([numbered(1), numbered(2)])
    now[0] += 1.0
    owners.meet(numbered(1))
    owners.put(numbered(2), MINE.bytes)
    owners.meet(numbered(2))
    assert owners.take_wanted() == []
    now[0] += 1.5
    owners.meet(numbered(1))
    assert owners.take_wanted() == [numbered(1)]


def test_a_flood_of_invented_sessions_is_not_a_flood_of_questions() -> None:
    owners = SessionOwners()
    owners.answered_by(lambda: None)
    for number in range(3 * sessions.MOST_WANTED):
        owners.meet(numbered(number))
    assert len(owners.take_wanted()) == sessions.MOST_WANTED


class Following:
    """A key feed that follows sessions, and a connection of the test's own."""

    def __init__(self, owners: SessionOwners, ring: KeyRing, database: Any) -> None:
        self.owners = owners
        self.ring = ring
        self.database = database

    async def add(self, owner: UUID, *, ended: bool = False) -> UUID:
        session = uuid4()
        insert = "INSERT INTO claude_sessions (id, majordomo_api_key_id, ended_at) VALUES ($1, $2, $3)"
        ended_at = await self.database.fetchval("SELECT now()") if ended else None
        await self.database.execute(insert, session, owner, ended_at)
        return session

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not holds():
                await asyncio.sleep(0.005)


@pytest.fixture
def follow(postgres_dsn: str, tmp_path: Path) -> Callable[..., None]:
    """Runs a test's steps beside a feed; ``before`` runs before it connects."""

    async def whole(before: Callable[[Following], Awaitable[Any]] | None, steps: Any) -> None:
        owners, ring = SessionOwners(), KeyRing()
        database = await asyncpg.connect(postgres_dsn)
        now = Following(owners, ring, database)
        made = None if before is None else await before(now)
        task = asyncio.create_task(KeyFeed(ring, postgres_dsn, tmp_path / "keys.copy", owners).run())
        try:
            await now.until(lambda: ring.fresh)
            await steps(now, made)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await database.close()

    def go(steps: Any, before: Any = None) -> None:
        asyncio.run(whole(before, steps))

    return go


def test_open_sessions_are_known_from_the_start_and_new_ones_as_they_are_made(follow: Callable[..., None]) -> None:
    async def before(now: Following) -> UUID:
        return await now.add(OTHERS)

    async def steps(now: Following, session: UUID) -> None:
        await now.until(lambda: now.owners.is_foreign(session.bytes, MINE.bytes))
        later = await now.add(OTHERS)
        await now.until(lambda: now.owners.is_foreign(later.bytes, MINE.bytes))

    follow(steps, before)


def test_a_session_that_is_not_known_is_looked_up_when_it_is_met(follow: Callable[..., None]) -> None:
    """One that has ended was not loaded; one that does not exist stays unknown, and keys are still followed."""

    async def before(now: Following) -> UUID:
        return await now.add(OTHERS, ended=True)

    async def steps(now: Following, ended: UUID) -> None:
        assert len(now.owners) == 0
        now.owners.meet(uuid4().bytes)
        now.owners.meet(ended.bytes)
        await now.until(lambda: now.owners.is_foreign(ended.bytes, MINE.bytes))
        assert len(now.owners) == 1
        made = await api_keys.create(now.database, "new")
        await now.until(lambda: now.ring.get(api_keys.hash_of(made.secret)) is not None)

    follow(steps, before)


def test_what_was_wanted_while_the_connection_was_cut_is_looked_up_after_it(follow: Callable[..., None]) -> None:
    async def before(now: Following) -> UUID:
        return await now.add(OTHERS, ended=True)

    async def steps(now: Following, ended: UUID) -> None:
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'majordomo front desk'"
        await now.database.execute(f"{cut} AND datname = current_database()")
        await now.until(lambda: not now.ring.fresh)
        now.owners.meet(ended.bytes)
        await now.until(lambda: now.owners.is_foreign(ended.bytes, MINE.bytes))

    follow(steps, before)


def test_a_table_that_cannot_be_read_costs_warnings_and_no_keys(follow: Callable[..., None]) -> None:
    async def before(now: Following) -> None:
        await now.database.execute("ALTER TABLE claude_sessions RENAME TO elsewhere")

    async def steps(now: Following, _: None) -> None:
        now.owners.meet(uuid4().bytes)
        await now.until(lambda: now.owners.take_wanted() == [])
        made = await api_keys.create(now.database, "new")
        await now.until(lambda: now.ring.get(api_keys.hash_of(made.secret)) is not None)

    follow(steps, before)
