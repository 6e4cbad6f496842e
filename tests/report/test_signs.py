"""What the back office knows of itself: lag, prices, dead letters, and whether the database answers."""

import asyncio
import datetime as dt
from pathlib import Path

import asyncpg
import msgspec
import pytest

from majordomo.price.feed import FeedStatus
from majordomo.price.pricer import Pricer
from majordomo.record.dead_letter import DeadLetters
from majordomo.record.stats import WriterStats
from majordomo.report.signs import PROBE_KEPT, Signs


class Hands:
    """A steady clock that a test turns."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hands() -> Hands:
    return Hands()


def make(folder: Path, hands: Hands, dsn: str = "postgresql://nobody@127.0.0.1:1/none") -> Signs:
    return Signs(
        dsn,
        folder,
        folder,
        folder / "dead",
        stats=WriterStats(),
        pricer=Pricer.load(None, None),
        refresh_seconds=3600.0,
        clock=lambda: 1_800_000_000_000_000,
        steadily=hands,
    )


def test_lag_grows_while_something_waits_and_ends_when_nothing_does(tmp_path: Path, hands: Hands) -> None:
    """Bytes that wait while the database is away are late since everything was last written."""
    signs = make(tmp_path, hands)
    stats = signs.recorded()
    asyncio.run(signs.look())
    stats.lag_bytes = 500
    hands.now += 40
    asyncio.run(signs.look())
    assert signs.journal().lag_seconds == 40
    assert signs.journal().waiting_bytes == 500
    stats.connected, stats.lag_seconds = True, 0.3  # it moves: a steady stream is not late
    assert signs.journal().lag_seconds == 0.3
    stats.lag_bytes = 0
    assert signs.journal().lag_seconds == 0


def test_dead_letters_are_counted_as_they_come(tmp_path: Path, hands: Hands) -> None:
    """What is in the files counts, also from before this process."""
    letters = DeadLetters(tmp_path / "dead")
    signs = make(tmp_path, hands)
    asyncio.run(signs.look())
    assert signs.journal().dead_letters == 0
    for _ in range(3):
        letters.put(now_us=1, reason="refused", frame=b"x")
    asyncio.run(signs.look())
    assert signs.journal().dead_letters == 3


def test_prices_are_as_old_as_the_last_good_refresh(tmp_path: Path, hands: Hands) -> None:
    """A failed refresh is told and does not make prices younger."""
    good = dt.datetime.fromtimestamp(1_800_000_000 - 7200, dt.UTC)
    (tmp_path / "feed.json").write_bytes(msgspec.json.encode(FeedStatus(succeeded=good, error="unreachable")))
    prices = make(tmp_path, hands).prices()
    assert prices.age_seconds == 7200
    assert prices.error
    assert prices.stale_after_seconds == 6 * 3600


def test_the_database_is_asked_and_its_loss_is_noticed(postgres_dsn: str, tmp_path: Path, hands: Hands) -> None:
    """An answer stands for a second; a cut connection is made anew; a database that is gone is noticed."""

    async def part() -> None:
        signs = make(tmp_path, hands, postgres_dsn)
        assert await signs.database()
        other = await asyncpg.connect(postgres_dsn)
        await other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'majordomo readiness'"
        )
        hands.now += PROBE_KEPT + 0.1
        assert await signs.database()
        name = await other.fetchval("SELECT current_database()")
        await other.close()
        elsewhere = await asyncpg.connect(postgres_dsn.replace(f"/{name}", "/postgres"))
        await elsewhere.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        await elsewhere.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        assert await signs.database()  # the answer of a moment ago
        hands.now += PROBE_KEPT + 0.1
        assert not await signs.database()
        await elsewhere.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        await elsewhere.close()
        await signs.close()

    asyncio.run(part())


def test_a_database_that_is_not_there_is_no_error(tmp_path: Path, hands: Hands) -> None:
    """It is simply not answering."""
    assert asyncio.run(make(tmp_path, hands).database()) is False
