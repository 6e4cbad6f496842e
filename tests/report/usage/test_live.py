"""Live requests: everybody sees their own organisation's, in bounded memory, and nothing twice after a resume."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from recorded_rows import exchange, record

from majordomo.clock import wall_us
from majordomo.record.database import Connection, connect
from majordomo.record.users import DEFAULT_ORG
from majordomo.report import live
from majordomo.report.connections import Connections
from majordomo.report.errors import ApiError
from majordomo.report.live import CrowdedError, Event, Live, View, Watcher
from majordomo.report.questions import latest
from majordomo.report.questions.dimensions import Dimension
from majordomo.report.questions.filters import Filter
from majordomo.report.usage.live import event_text

NOW_US = 1_764_000_000_000_000
PATIENCE = 20.0

Looking = Callable[[Live], Coroutine[Any, Any, Any]]


@pytest.fixture
def looking(postgres_dsn: str) -> Callable[[Looking], Any]:
    """Run something with everybody who looks on at a fresh database."""

    def run(part: Looking) -> Any:
        async def inner() -> Any:
            made = Live(Connections(postgres_dsn), event_text)
            try:
                return await part(made)
            finally:
                made.close()

        return asyncio.run(inner())

    return run


async def taken(watcher: Watcher, count: int) -> list[UUID]:
    """The next ``count`` ids that a watcher is told."""
    ids: list[UUID] = []
    async with asyncio.timeout(PATIENCE):
        while len(ids) < count:
            events, missed = await watcher.take(PATIENCE)
            assert missed == 0
            ids += [event.request_id for event in events]
    return ids


def test_a_watcher_is_told_what_is_stored_and_passes_its_filter(
    looking: Callable[[Looking], Any], postgres_dsn: str, tmp_path: Path
) -> None:
    made = [exchange(NOW_US + n, metadata={"Team": "legal" if n % 2 else "ops"}) for n in range(6)]
    legal = Filter(Dimension("Team", is_metadata=True), ("legal",))

    async def look(among: Live) -> tuple[list[UUID], list[UUID]]:
        everything = await among.watch(View(DEFAULT_ORG), uuid4())
        some = await among.watch(View(DEFAULT_ORG, (legal,)), uuid4())
        await asyncio.to_thread(record, postgres_dsn, tmp_path, made)
        return await taken(everything, 6), await taken(some, 3)

    everything, some = looking(look)
    ids = [UUID(bytes=opening.id) for opening, _ in made]
    assert (everything, some) == (ids, ids[1::2])


def test_another_organisations_requests_are_not_told(
    looking: Callable[[Looking], Any], postgres_dsn: str, tmp_path: Path
) -> None:
    async def look(among: Live) -> list[Event]:
        foreign = await among.watch(View(uuid4()), uuid4())
        own = await among.watch(View(DEFAULT_ORG), uuid4())
        await asyncio.to_thread(record, postgres_dsn, tmp_path, [exchange(NOW_US)])
        await taken(own, 1)
        return (await foreign.take(0.5))[0]

    assert looking(look) == []


def test_who_does_not_take_holds_no_more_than_so_many_and_is_told_how_many_went_by() -> None:
    watcher = Watcher(View(DEFAULT_ORG), uuid4())
    events = [Event(uuid4(), b"x" * 100) for _ in range(live.MOST_EVENTS + 50)]
    watcher.tell(events[:100])
    watcher.tell(events[100:], 7)
    found, missed = asyncio.run(watcher.take(0))
    assert (found, missed) == (events[50:], 57)
    watcher.tell([Event(uuid4(), b"x" * live.MOST_BYTES), *events[:3]])
    found, missed = asyncio.run(watcher.take(0))
    assert (found, missed) == (events[:3], 1)
    assert asyncio.run(watcher.take(0)) == ([], 0)


def test_a_large_batch_is_told_by_its_latest_and_a_count(
    looking: Callable[[Looking], Any], postgres_dsn: str, tmp_path: Path
) -> None:
    made = [exchange(NOW_US + n) for n in range(250)]

    async def look(among: Live) -> tuple[list[Event], int | None]:
        watcher = await among.watch(View(DEFAULT_ORG), uuid4())
        await asyncio.to_thread(record, postgres_dsn, tmp_path, made)
        return await watcher.take(PATIENCE)

    events, missed = looking(look)
    assert [event.request_id.bytes for event in events] == [opening.id for opening, _ in made[-100:]]
    assert missed == 150


def test_one_person_looks_on_a_limited_number_of_times(looking: Callable[[Looking], Any]) -> None:
    async def look(among: Live) -> None:
        person = uuid4()
        for _ in range(live.MOST_OF_ONE):
            last = await among.watch(View(DEFAULT_ORG), person)
        with pytest.raises(CrowdedError, match="your pages"):
            await among.watch(View(DEFAULT_ORG), person)
        await among.watch(View(DEFAULT_ORG), uuid4())
        among.leave(last)
        await among.watch(View(DEFAULT_ORG), person)

    looking(look)


def test_a_lost_connection_is_told_as_a_gap_and_got_over(
    looking: Callable[[Looking], Any], postgres_dsn: str, tmp_path: Path
) -> None:
    async def look(among: Live) -> list[UUID]:
        watcher = await among.watch(View(DEFAULT_ORG), uuid4())
        await kill_listener(postgres_dsn)
        assert await watcher.take(PATIENCE) == ([], None)
        await asyncio.to_thread(record, postgres_dsn, tmp_path, [exchange(NOW_US)])
        return await taken(watcher, 1)

    assert len(looking(look)) == 1


async def kill_listener(dsn: str) -> None:
    connection = await connect(dsn, purpose="tests")
    try:
        ended = await connection.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'majordomo live' AND datname = current_database()"
        )
    finally:
        await connection.close()
    assert len(ended) == 1


def test_without_a_database_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_START_SECONDS", 0.2)

    async def look() -> None:
        among = Live(Connections("postgresql://nobody@127.0.0.1:1/none"), event_text)
        with pytest.raises(ApiError, match="does not answer"):
            await among.watch(View(DEFAULT_ORG), uuid4())
        among.close()

    asyncio.run(look())


def test_what_is_behind_a_request_is_told_once_in_the_order_of_storing(
    postgres_dsn: str, tmp_path: Path, database: Callable[[Callable[[Connection], Awaitable[Any]]], Any]
) -> None:
    """One that began earlier and was stored later is behind, too."""
    began_early, first, second = (exchange(wall_us() + at) for at in (0, 10, 20))
    record(postgres_dsn, tmp_path / "1", [first, second])
    record(postgres_dsn, tmp_path / "2", [began_early])
    ids = {name: UUID(bytes=one[0].id) for name, one in (("early", began_early), ("1", first), ("2", second))}

    def behind(last: UUID, org: UUID = DEFAULT_ORG, limit: int = 10) -> Any:
        async def ask(connection: Connection) -> Any:
            stored = await connection.fetchval("SELECT max(created_at) FROM llm_requests")
            return await latest.behind(connection, org, (), last, stored, limit)

        found = database(ask)
        return found and ([line.request.id for line in found.lines], found.more)

    assert behind(ids["1"]) == ([ids["2"], ids["early"]], False)
    assert behind(ids["1"], limit=1) == ([ids["early"]], True)
    assert behind(ids["early"]) == ([], False)
    assert behind(ids["1"], org=uuid4()) is None
    assert behind(uuid4()) is None


@pytest.fixture
def database(postgres_dsn: str) -> Callable[[Callable[[Connection], Awaitable[Any]]], Any]:
    """Ask the database something."""

    def run(part: Callable[[Connection], Awaitable[Any]]) -> Any:
        async def inner() -> Any:
            connection = await connect(postgres_dsn, purpose="tests")
            try:
                return await part(connection)
            finally:
                await connection.close()

        return asyncio.run(inner())

    return run
