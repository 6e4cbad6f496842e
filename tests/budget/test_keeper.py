"""Budgets that hold over many front desks: as many requests leave as fit, and nothing is stranded or forgotten."""

import asyncio
import os
import random
from typing import Any

import msgspec
import pytest
from budget_books import Books
from tills import Admitted, Till, ask_all, body, tills, until

from majordomo.admit.refusal import Refusal
from majordomo.budget import keeper as keeping
from majordomo.budget.definition import Draft
from majordomo.budget.model import Budget, Unit, in_unit
from majordomo.budget.store import create, raise_limit
from majordomo.budget.windows import moment_of
from majordomo.clock import steady, wall_us
from majordomo.price.bill import FEMTO_PER_USD
from majordomo.record.database import connect

#: Random rounds: a few in the suite, 50 by ``make budget-campaign``.
SEEDS = range(int(os.environ.get("BUDGET_SEEDS", "3")))

#: The worst case of ``body()``: 163 bytes and 4,096 tokens at the dearest input rate, 100 tokens at the dearest output.
FIT = 37


async def make(books: Books, limit: int, unit: Unit = Unit.USD, **draft: Any) -> Budget:
    """A budget whose limit is so many femto-dollars, or a count."""
    connection = await connect(books.dsn, purpose="tests")
    try:
        made = Draft(name=draft.pop("name", "b"), limit=f"{in_unit(unit, limit):f}", unit=unit.value, **draft)
        return await create(connection, made, "a test")
    finally:
        await connection.close()


async def worst_case(books: Books) -> int:
    """What a strict budget reserves for one request."""
    budget = await make(books, 10**6 * FEMTO_PER_USD, mode="strict")
    async with tills(books.dsn, books.folder / "look", 1) as (till,):
        admitted = await till.ask()
        assert isinstance(admitted, Admitted)
        admitted.passing.cancel()
    connection = await connect(books.dsn, purpose="tests")
    await connection.execute("UPDATE budgets SET deleted_at = now()")
    await connection.close()
    assert budget.mode == "strict"
    return admitted.reserved


async def watch(books: Books, limit: int, stop: asyncio.Event) -> int:
    """Look again and again whether spent and leased together are within the limit; how often."""
    connection = await connect(books.dsn, purpose="tests")
    looks = 0
    try:
        while not stop.is_set():
            total = await connection.fetchval(
                "SELECT coalesce((SELECT sum(spent) FROM budget_cells), 0) + coalesce((SELECT sum(amount)"
                " FROM budget_leases JOIN budgets b ON b.id = budget_id WHERE b.deleted_at IS NULL), 0)"
            )
            assert total * FEMTO_PER_USD <= limit
            looks += 1
            await asyncio.sleep(0.005)
    finally:
        await connection.close()
    return looks


async def spent(books: Books) -> int:
    connection = await connect(books.dsn, purpose="tests")
    try:
        total = await connection.fetchval("SELECT coalesce(sum(spent), 0) FROM budget_cells")
        assert total == await connection.fetchval("SELECT coalesce(sum(total_cost), 0) FROM llm_requests")
        return int(total * FEMTO_PER_USD)
    finally:
        await connection.close()


@pytest.mark.parametrize("seed", SEEDS)
def test_strict_lets_out_exactly_as_many_as_fit_and_never_passes_the_limit(books: Books, seed: int) -> None:
    """200 requests at once on eight front desks, room for 37; they settle at random; and again, until nothing fits."""
    chance = random.Random(seed)

    async def run() -> None:
        one = await worst_case(books)
        limit = one * FIT + chance.randrange(one)
        await make(books, limit, mode="strict")
        stop = asyncio.Event()
        watching = asyncio.create_task(watch(books, limit, stop))
        async with tills(books.dsn, books.folder, 8) as made:
            total, left = 0, limit
            while left >= one:
                admitted, refused = await ask_all(made, 200)
                assert len(admitted) == min(200, left // one), f"{left / one:.2f} fit"
                assert {refusal.code for refusal in refused} == {"budget_exceeded"}
                chance.shuffle(admitted)
                for till, request in admitted:
                    cost = chance.randrange(one // 2, one + 1)
                    total += cost
                    till.settle(request, cost)
                await books.drain()
                left = limit - await spent(books)
                assert left == limit - total >= 0
                await asyncio.sleep(keeping._EXHAUSTED_SECONDS)
        stop.set()
        assert await watching > 0

    asyncio.run(run())


@pytest.mark.parametrize("seed", SEEDS)
def test_balanced_stays_within_its_stated_overshoot(books: Books, seed: int) -> None:
    chance = random.Random(seed)

    async def run() -> None:
        limit = FEMTO_PER_USD // 2
        await make(books, limit)
        async with tills(books.dsn, books.folder, 8) as made:
            admitted, refused = await ask_all(made, 200)
            assert admitted and refused
            assert sum(request.reserved for _, request in admitted) <= limit
            stated = sum(purse.at_risk for till in made for purse in till.gate.purses())
            assert stated == sum(request.worst - request.reserved for _, request in admitted)
            for till, request in admitted:
                till.settle(request, chance.randrange(request.worst + 1))
            await books.drain()
            assert await spent(books) <= limit + stated
            assert sum(purse.at_risk + purse.reserved for till in made for purse in till.gate.purses()) == 0

    asyncio.run(run())


def test_a_killed_front_desk_strands_nothing_longer_than_its_lease(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies with everything reserved; the other gets it all once the lease has run out."""
    monkeypatch.setattr(keeping, "LEASE_SECONDS", 0.6)
    monkeypatch.setattr(keeping, "RENEW_SECONDS", 0.1)

    async def run() -> None:
        one = await worst_case(books)
        await make(books, one * 3, mode="strict")
        first, second = Till(books.dsn, books.folder), Till(books.dsn, books.folder)
        await first.open()
        await second.open()
        settled = await first.ask()
        assert isinstance(settled, Admitted)
        first.settle(settled, one)
        for _ in range(2):
            assert isinstance(await first.ask(), Admitted)
        refused = await second.ask()
        assert isinstance(refused, Refusal)
        await first.die()
        died = steady()
        await asyncio.sleep(keeping.LEASE_SECONDS + keeping._EXHAUSTED_SECONDS + 0.2)
        taken = [await second.ask() for _ in range(4)]
        assert steady() - died < 5
        assert [isinstance(answer, Admitted) for answer in taken] == [True, True, True, False]
        await second.die()

    asyncio.run(run())


def test_a_front_desk_whose_journal_was_read_to_its_end_frees_what_it_held_at_once(books: Books) -> None:
    async def run() -> None:
        one = await worst_case(books)
        await make(books, one * 3, mode="strict")
        first, second = Till(books.dsn, books.folder), Till(books.dsn, books.folder)
        await first.open()
        await second.open()
        settled = await first.ask()
        assert isinstance(settled, Admitted)
        first.settle(settled, one // 2)
        for _ in range(2):
            assert isinstance(await first.ask(), Admitted)
        await first.die()
        await books.drain()
        taken = [await second.ask() for _ in range(3)]
        assert [isinstance(answer, Admitted) for answer in taken] == [True, True, False]
        await second.die()

    asyncio.run(run())


def test_what_one_front_desk_does_not_need_another_gets(books: Books) -> None:
    async def run() -> None:
        await make(books, 100, unit=Unit.REQUESTS)
        async with tills(books.dsn, books.folder, 4) as made:
            for till in made:
                assert isinstance(await till.ask(), Admitted)  # each has some to spare now
            admitted, _ = await ask_all(made[:1], 96)
            assert len(admitted) == 96
            assert isinstance(await made[0].ask(), Refusal)

    asyncio.run(run())


@pytest.mark.parametrize("others", [0, 2], ids=["one budget", "three budgets"])
def test_nobody_is_refused_while_there_is_room_however_many_come_meanwhile(books: Books, others: int) -> None:
    """Who waits finds that others, who came later, have used up the room, in this purse or another: he asks again."""

    async def run() -> None:
        await make(books, 10**6 * FEMTO_PER_USD)
        for number in range(others):
            await make(books, 10**9, unit=Unit.TOKENS, name=f"b{number}", window=f"rolling:{number + 1}h")
        async with tills(books.dsn, books.folder, 1) as (till,):

            async def caller() -> None:
                for _ in range(50):
                    answer = await till.ask()
                    assert isinstance(answer, Admitted), answer
                    till.settle(answer, answer.worst)
                    await asyncio.sleep(0)

            await asyncio.gather(*(caller() for _ in range(16)))

    asyncio.run(run())


def test_a_raised_limit_lets_the_next_request_out_on_every_front_desk(books: Books) -> None:
    async def run() -> None:
        budget = await make(books, 1, unit=Unit.REQUESTS)
        async with tills(books.dsn, books.folder, 2) as made:
            assert isinstance(await made[0].ask(), Admitted)
            assert isinstance(await made[1].ask(), Refusal)
            connection = await connect(books.dsn, purpose="tests")
            tomorrow = moment_of(wall_us() + 86_400_000_000)
            await raise_limit(connection, budget, "1", tomorrow, "a test", "more")
            await connection.close()
            await until(lambda: all(next(iter(till.gate.budgets.by_id.values())).raises for till in made))
            assert isinstance(await made[1].ask(), Admitted)
            assert isinstance(await made[0].ask(), Refusal)

    asyncio.run(run())


@pytest.mark.parametrize(("fail", "after"), [("open", Admitted), ("closed", Refusal)])
def test_while_the_database_is_away_the_lease_is_used_up_first_then_the_budget_decides(
    books: Books, fail: str, after: type
) -> None:
    async def run() -> None:
        await make(books, 100, unit=Unit.REQUESTS, fail=fail)
        async with tills(books.dsn, books.folder, 1) as (till,):
            assert isinstance(await till.ask(), Admitted)
            (purse,) = till.gate.purses()
            leased = purse.room
            assert leased > 0
            till.keeper._dsn = "postgresql://nobody@127.0.0.1:1/none"
            assert till.keeper._connection is not None
            till.keeper._connection.terminate()
            await until(lambda: not till.keeper.fresh)
            for _ in range(leased):
                assert isinstance(await till.ask(), Admitted)
            assert till.gate.let_through == 0
            answer = await till.ask()
            assert isinstance(answer, after)
            if isinstance(answer, Refusal):
                assert (answer.status, answer.code) == (503, "budget_undecided")
            else:
                assert till.gate.let_through == 1
            till.keeper._dsn = books.dsn
            await until(lambda: till.keeper.fresh)
            admitted = [await till.ask() for _ in range(120)]
            assert sum(isinstance(answer, Admitted) for answer in admitted) == 100 - purse_taken(leased, fail)

    asyncio.run(run())


@pytest.mark.parametrize(("fail", "answer"), [("open", Admitted), ("closed", Refusal)])
def test_a_front_desk_that_starts_without_the_database_holds_to_the_budgets_it_knew(
    books: Books, fail: str, answer: type
) -> None:
    copy = books.folder / "budgets.copy"

    async def run() -> None:
        scope = {"metadata": {"T": "x"}, "models": ["claude-*"], "each": "User-Id", "window": "rolling:24h"}
        budget = await make(books, 10**15, fail=fail, mode="strict", warn_at=[50], **scope)
        connection = await connect(books.dsn, purpose="tests")
        await raise_limit(connection, budget, "1", moment_of(wall_us() + 86_400_000_000), "a test", "more")
        await connection.close()
        before = Till(books.dsn, books.folder, copy=copy)
        await before.open()
        [known] = before.gate.budgets.by_id.values()
        await until(copy.exists)
        await before.die()
        assert copy.stat().st_mode & 0o777 == 0o600
        after = Till("postgresql://nobody@127.0.0.1:1/none", books.folder, copy=copy)
        after.start()
        await after.keeper.known.wait()
        [kept] = after.gate.budgets.by_id.values()
        assert msgspec.structs.asdict(kept) == msgspec.structs.asdict(known)
        assert isinstance(await after.ask(metadata={"T": "x"}), answer)
        await after.die()

    asyncio.run(run())


@pytest.mark.parametrize("damage", [b"", b"\x00", b"\x92\x01\x91\x80", None])
def test_a_copy_that_cannot_be_read_is_none(books: Books, damage: bytes | None) -> None:
    copy = books.folder / "budgets.copy"
    if damage is not None:
        copy.write_bytes(damage)

    async def run() -> None:
        till = Till("postgresql://nobody@127.0.0.1:1/none", books.folder, copy=copy)
        till.start()
        await asyncio.sleep(0.05)
        assert not till.keeper.known.is_set()
        assert len(till.gate.budgets) == 0
        await till.die()

    asyncio.run(run())


def purse_taken(leased: int, fail: str) -> int:
    """What was let out before: the first, the lease, and the one that nobody could decide."""
    return 1 + leased + (1 if fail == "open" else 0)


def test_no_drift_after_many_mixed_requests(books: Books) -> None:
    """Served, failed, cancelled and refused, on four front desks, with rows written meanwhile."""
    chance = random.Random(7)
    count = int(os.environ.get("BUDGET_REQUESTS", "1500"))

    async def run() -> None:
        await make(books, 10**9 * FEMTO_PER_USD)
        async with tills(books.dsn, books.folder, 4) as made:
            running: list[tuple[Till, Admitted]] = []
            total = 0
            for number in range(count):
                till = chance.choice(made)
                answer = await till.ask(body(chance.randrange(2000), chance.randrange(1, 4000)))
                assert isinstance(answer, Admitted)
                running.append((till, answer))
                while running and chance.random() < 0.6:
                    ended, request = running.pop(chance.randrange(len(running)))
                    cost = chance.choice([0, chance.randrange(FEMTO_PER_USD)])
                    total += cost
                    ended.settle(request, cost)
                if number % 500 == 499:
                    await books.drain()
            for ended, request in running:
                ended.settle(request, 1)
                total += 1
            await books.drain()
            assert await spent(books) == total
            for till in made:
                async with asyncio.timeout(10):
                    await till.keeper._renew(till.keeper._connection)  # type: ignore[arg-type]
            for purse in (purse for till in made for purse in till.gate.purses()):
                assert (purse.reserved, purse.at_risk) == (0, 0)
                assert purse.spent <= total
            assert sum(purse.used for till in made for purse in till.gate.purses()) == total

    asyncio.run(run())
