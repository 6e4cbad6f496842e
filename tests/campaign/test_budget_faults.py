"""Budgets while things fall: limits hold, nothing is stranded for longer than a lease, and nothing is counted wrong."""

import asyncio
import time
from collections.abc import Iterator
from uuid import UUID

import pytest
from campaign.holding import until
from campaign.replicas import FIT, Replicas, answer, one, running_replicas, strict_budget, watched
from campaign.sizes import OUTAGE_SECONDS, tell

from majordomo.budget.model import Unit
from majordomo.record import embedded

#: For how long a front desk believes that there is no room, and then some (s).
_BELIEVED = 1.2

_DAY = 86_400


@pytest.fixture(scope="module")
def replicas(external_postgres) -> Iterator[Replicas]:
    """With clocks that can be turned, and leases that last six seconds; nothing else of them differs."""
    with running_replicas(external_postgres.dsn(), lease_seconds=6.0) as both:
        yield both


@pytest.mark.slow
def test_a_replica_that_is_killed_for_ever_strands_what_it_held_no_longer_than_a_lease(replicas: Replicas) -> None:
    """It falls with requests under way; until its leases have run out the other gets nothing of them, then all."""

    async def run() -> None:
        async with replicas.open(), watched(replicas):
            budget = await strict_budget(replicas, "killed")
            wave = await replicas.wave("killed")
            assert len(wave.left) == FIT
            replicas.gateways[0].kill_everything()
            killed = time.monotonic()
            await until(lambda: not wave.waiting(0), lambda: "callers of a dead replica still wait")
            survive = wave.waiting(1)
            tell(f"{FIT - survive} of {FIT} requests fell with their replica")
            assert 0 < survive < FIT
            assert not (await replicas.wave("killed", replica=1)).left
            answer(wave)
            await wave.ended()
            assert await replicas.spent(budget) == survive * one()
            await asyncio.sleep(replicas.lease_seconds + _BELIEVED - (time.monotonic() - killed))
            again = await replicas.wave("killed", replica=1)
            assert len(again.left) == FIT - survive
            answer(again)
            await again.ended()
            replicas.gateways[0].start_again()
            replicas.gateways[0].wait_until_sound()
            assert await replicas.spent(budget) == FIT * one()
            assert not (await replicas.wave("killed")).left

    asyncio.run(run())


@pytest.mark.slow
@pytest.mark.parametrize("away", ["shorter than a lease", "longer than a lease"])
def test_while_postgresql_is_away_leases_are_used_up_and_then_each_budget_decides(
    external_postgres, replicas: Replicas, away: str
) -> None:
    """It is killed with requests under way, and comes back; the closed budget is kept, the open one counted."""

    async def run() -> None:
        async with replicas.open():
            closed = await strict_budget(replicas, f"closed, away {away}", fail="closed")
            open_ = await replicas.budget(f"open, away {away}", one() * FIT, Unit.TOKENS)
            before = [await replicas.wave(budget.name, 16) for budget in (closed, open_)]
            assert [len(wave.left) for wave in before] == [16, 16]
            external_postgres.process.kill()
            external_postgres.process.wait()
            if away == "longer than a lease":
                await asyncio.sleep(replicas.lease_seconds + 1)
            shut = await replicas.wave(closed.name)
            tell(f"closed: {len(shut.left)} left on what was leased, {[one.status for one in shut.refused[:1]]}")
            assert len(shut.left) <= FIT - 16
            assert {answer.status for answer in shut.refused} <= {402, 503}
            assert away == "shorter than a lease" or not shut.left
            passed = await replicas.wave(open_.name)
            assert not passed.refused
            for wave in (*before, shut, passed):
                answer(wave)
                await wave.ended()
            await asyncio.sleep(OUTAGE_SECONDS)
            embedded.start(external_postgres, lambda line: None)
            await replicas.reconnect()
            for gateway in replicas.gateways:
                gateway.wait_until_sound()
            async with watched(replicas, closed):
                assert await replicas.spent(closed) == (16 + len(shut.left)) * one()
                assert await replicas.spent(open_) == (16 + 200) * one()
                await asyncio.sleep(_BELIEVED)
                rest = await replicas.wave(closed.name)
                assert len(rest.left) == FIT - 16 - len(shut.left)
                assert {answer.status for answer in rest.refused} == {402}
                assert not (await replicas.wave(open_.name)).left
                answer(rest)
                await rest.ended()
                assert await replicas.spent(closed) == FIT * one()

    asyncio.run(run())


_BY_DAY = """
SELECT c.spent, coalesce(sum(prompt_tokens + output_tokens), 0) AS summed
FROM budget_cells c LEFT JOIN llm_requests r ON raw_metadata->>'Round' = $2
    AND r.requested_at >= c.window_start AND r.requested_at < c.window_start + interval '1 day'
WHERE c.budget_id = $1 GROUP BY c.window_start, c.spent ORDER BY c.window_start
"""


@pytest.mark.slow
def test_a_replica_whose_clock_jumps_keeps_the_limit_of_each_day_that_it_believes_in(replicas: Replicas) -> None:
    """A day, a year and a bit ahead, and back: each day's count is whole, and today's is not opened again."""

    async def run() -> None:
        async with replicas.open(), watched(replicas):
            hour = time.gmtime().tm_hour
            noon = f"Etc/GMT{hour - 12:+d}"  # where it is about noon, so that no day ends meanwhile
            budget = await strict_budget(replicas, "days", window="day", time_zone=noon)
            for days in (0, 1, 0, 400, 0.2, 1, -0.2):
                replicas.turn_clock(0, days * _DAY)
                fresh = days == int(days) and days not in seen
                seen.add(days)
                wave = await replicas.wave("days")
                assert len(wave.left) == (FIT if fresh else 0), f"{days} days"
                assert days == 0 or wave.waiting(0) == len(wave.left)
                answer(wave)
                await wave.ended()
                await replicas.settled()
                await asyncio.sleep(_BELIEVED)
            told = await replicas.connection.fetch(_BY_DAY, UUID(bytes=budget.id), "days")
            assert [tuple(row) for row in told] == [(FIT * one(), FIT * one())] * 3

    seen: set[float] = set()
    asyncio.run(run())
