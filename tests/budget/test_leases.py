"""Leases: what front desks take of a limit never comes to more than there is, together with what is spent."""

import asyncio
import random
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from budget_books import NOW, Books
from recorded_rows import exchange

from majordomo.budget.leases import Lease, give_back, renew, take
from majordomo.budget.matching import Cell
from majordomo.budget.model import Budget
from majordomo.budget.store import delete, load_index, raise_limit
from majordomo.record.database import connect, open_pool

FEMTO = 10**15
DESKS = [UUID(int=0xD00 + number) for number in range(8)]


def cell(budget: Budget, value: str = "") -> Cell:
    return Cell(budget.id, value, budget.window.span(NOW).start)


def lease(books: Books, budget: Budget, least: int, want: int | None = None, **given: Any) -> Lease:
    return books.ask(lambda c: taking(c, budget, least, want, **given))


async def taking(connection: Any, budget: Budget, least: int, want: int | None = None, *, desk: UUID = DESKS[0],
                 value: str = "", step: int = 0, seconds: float = 60, at: int = NOW) -> Lease:  # fmt: skip
    start = budget.window.span(at).start
    return await take(connection, budget, Cell(budget.id, value, start), at, desk.bytes, least, want or least,
                      step=step, seconds=seconds)  # fmt: skip


def renewed(books: Books, seconds: float) -> dict[Cell, int]:
    async def renewing(connection: Any) -> dict[Cell, int]:
        held = await renew(connection, await load_index(connection), DESKS[0].bytes, {}, seconds=seconds)
        return {cell: one.amount for cell, one in held.items()}

    return books.ask(renewing)


async def giving_back(connection: Any, budget: Budget, amount: int) -> None:
    await give_back(connection, await load_index(connection), DESKS[0].bytes, {cell(budget): amount})


def held(books: Books) -> Decimal:
    return books.sql("SELECT coalesce(sum(amount), 0) FROM budget_leases WHERE expires_at > now()")[0][0]


def test_a_lease_is_a_part_of_what_is_left_and_never_more(books: Books) -> None:
    budget = books.make(limit="1")
    first = lease(books, budget, FEMTO // 100, FEMTO)
    assert first == Lease(granted=FEMTO // 4, spent=0, leased=FEMTO // 4, limit=FEMTO, held=FEMTO // 4, settled=0)
    second = lease(books, budget, FEMTO // 100, FEMTO, desk=DESKS[1])
    assert second.granted == FEMTO * 3 // 16
    assert lease(books, budget, FEMTO, desk=DESKS[2]).granted == 0
    assert lease(books, budget, FEMTO - second.leased, desk=DESKS[2]).granted == FEMTO - second.leased  # to the last
    assert lease(books, budget, 1, desk=DESKS[3]) == Lease(0, spent=0, leased=FEMTO, limit=FEMTO, held=0, settled=0)


def test_counts_are_leased_whole(books: Books) -> None:
    budget = books.make(unit="requests", limit="10")
    assert lease(books, budget, 1, 10).granted == 2
    assert lease(books, budget, 1, 10, desk=DESKS[1]).granted == 2


def test_whole_steps_leave_no_remainder_that_is_of_no_use(books: Books) -> None:
    budget = books.make(limit="1")
    step = FEMTO // 37
    assert lease(books, budget, step, FEMTO, step=step).granted == 9 * step


def test_many_who_take_at_once_get_exactly_what_there_is(books: Books) -> None:
    """Eight takers on their own connections, pieces of different sizes, until nobody gets any more."""
    budget = books.make(limit="1")

    async def one(connection: Any, desk: UUID, chance: random.Random) -> int:
        total = 0
        while True:
            least = chance.randrange(1, FEMTO // 50)
            got = (await taking(connection, budget, least, least * 3, desk=desk)).granted
            total += got
            if not got:
                final = await taking(connection, budget, 1, FEMTO, desk=desk)
                while final.granted:
                    total += final.granted
                    final = await taking(connection, budget, 1, FEMTO, desk=desk)
                assert final.leased == FEMTO
                return total

    async def race() -> list[int]:
        pool = await open_pool(books.dsn, purpose="tests")
        try:
            connections = [await pool.acquire() for _ in DESKS]
            return await asyncio.gather(
                *(one(c, desk, random.Random(n)) for n, (c, desk) in enumerate(zip(connections, DESKS, strict=True)))
            )
        finally:
            pool.terminate()

    taken = asyncio.run(race())
    assert sum(taken) == FEMTO
    assert held(books) == 1


def test_rows_lower_their_holders_lease_by_what_they_spend(books: Books) -> None:
    budget = books.make(limit="1", window="rolling:24h")
    rows = [exchange(NOW, costs=(FEMTO // 100, 0, 0, 0, 0)) for _ in range(3)]
    journal = books.journal(rows)
    lease(books, budget, FEMTO // 10, desk=journal)
    lease(books, budget, FEMTO // 10, desk=DESKS[1])

    async def add() -> None:
        """As the writer does, but for the end of the journal."""
        from majordomo.budget.ledger import Ledger
        from majordomo.record.rows import Finished

        connection = await connect(books.dsn, purpose="tests")
        async with connection.transaction():
            await Ledger().add(connection, [Finished(*row, journal.bytes) for row in rows])  # type: ignore[arg-type]
        await connection.close()

    asyncio.run(add())
    left = books.sql("SELECT holder, amount FROM budget_leases ORDER BY amount")
    assert [tuple(row) for row in left] == [(journal, Decimal("0.07")), (DESKS[1], Decimal("0.1"))]
    after = lease(books, budget, 0)
    assert (after.spent, after.leased) == (3 * FEMTO // 100, 17 * FEMTO // 100)


def test_what_a_dead_front_desk_held_is_free_once_its_journal_is_counted(books: Books) -> None:
    budget = books.make(limit="1")
    journal = books.journal([exchange(NOW, costs=(FEMTO // 10, 0, 0, 0, 0))])
    assert lease(books, budget, FEMTO, desk=journal).granted == FEMTO
    assert lease(books, budget, 1, desk=DESKS[1]).granted == 0
    asyncio.run(books.drain())
    assert lease(books, budget, FEMTO * 9 // 10, desk=DESKS[1]).granted == FEMTO * 9 // 10
    assert lease(books, budget, 1, desk=DESKS[2]).granted == 0


def test_a_lease_that_nobody_renews_runs_out_and_cannot_be_renewed_after(books: Books) -> None:
    budget = books.make(limit="1")
    assert lease(books, budget, FEMTO, seconds=0.05).granted == FEMTO
    assert renewed(books, 0.05) == {cell(budget): FEMTO}
    books.sql("SELECT pg_sleep(0.06)")
    assert lease(books, budget, FEMTO, desk=DESKS[1], seconds=0.01).granted == FEMTO
    assert renewed(books, 60) == {}


def test_what_has_run_out_and_nobody_took_can_be_renewed(books: Books) -> None:
    budget = books.make(limit="1")
    lease(books, budget, FEMTO, seconds=0.01)
    books.sql("SELECT pg_sleep(0.02)")
    assert renewed(books, 60) == {cell(budget): FEMTO}
    assert lease(books, budget, 1, desk=DESKS[1], seconds=0.01).granted == 0


def test_a_server_that_was_away_leaves_holders_the_time_to_come_back(books: Books) -> None:
    budget = books.make(limit="1")
    lease(books, budget, FEMTO, seconds=0.01)
    books.sql("SELECT pg_sleep(0.02)")
    days = 86_400 * 365
    assert lease(books, budget, 1, desk=DESKS[1], seconds=days).granted == 0  # it started less than a lease ago
    assert lease(books, budget, 1, desk=DESKS[1], seconds=0.01).granted == 1


def test_a_lease_tells_what_of_it_is_counted(books: Books) -> None:
    budget = books.make(limit="1")
    desk = UUID(int=0xABC)
    lease(books, budget, FEMTO // 2, desk=desk)
    books.sql("UPDATE budget_leases SET amount = amount - 0.2, settled = settled + 0.2")
    looked = lease(books, budget, 0, desk=desk)
    assert (looked.granted, looked.held, looked.settled) == (0, FEMTO * 3 // 10, FEMTO // 5)


def test_what_is_given_back_can_be_taken_by_others(books: Books) -> None:
    budget = books.make(limit="1", unit="usd")
    lease(books, budget, FEMTO)
    books.ask(lambda c: giving_back(c, budget, FEMTO // 2))
    assert lease(books, budget, FEMTO // 2, desk=DESKS[1]).granted == FEMTO // 2
    assert lease(books, budget, 1, desk=DESKS[1]).granted == 0


def test_who_finds_nothing_left_asks_those_who_hold_some(books: Books) -> None:
    budget = books.make(limit="1")
    lease(books, budget, FEMTO)
    heard: list[object] = []

    async def listen() -> None:
        connection = await connect(books.dsn, purpose="tests")
        try:
            await connection.add_listener("majordomo_leases_wanted", lambda *told: heard.append(told[3]))
            assert (await taking(connection, budget, 1, desk=DESKS[1])).granted == 0
            await connection.execute("SELECT 1")
        finally:
            await connection.close()

    asyncio.run(listen())
    assert heard == [str(UUID(bytes=budget.id))]


def test_values_and_windows_are_leased_apart(books: Books) -> None:
    budget = books.make(limit="1", window="day", each="User-Id")
    assert lease(books, budget, FEMTO, value="a").granted == FEMTO
    assert lease(books, budget, FEMTO, value="b").granted == FEMTO
    assert lease(books, budget, FEMTO, value="a", at=NOW + 86_400_000_000).granted == FEMTO
    assert lease(books, budget, 1, value="a").granted == 0


def test_a_rolling_limit_counts_every_step_of_its_window_and_all_leases(books: Books) -> None:
    budget = books.make(limit="1", window="rolling:60m")
    minute = 60_000_000
    books.record([exchange(NOW + minute * at, costs=(FEMTO // 10, 0, 0, 0, 0)) for at in (0, 30, 59)])
    at_end = lease(books, budget, FEMTO // 10, at=NOW + 60 * minute)
    assert (at_end.spent, at_end.leased) == (3 * FEMTO // 10, FEMTO // 10)
    later = lease(books, budget, FEMTO // 10, at=NOW + 61 * minute)
    assert (later.spent, later.leased) == (2 * FEMTO // 10, 2 * FEMTO // 10)


def test_a_raise_holds_until_it_ends_and_a_deleted_budget_grants_nothing(books: Books) -> None:
    budget = books.make(limit="1")
    until = books.sql("SELECT clock_timestamp() + interval '0.4 seconds'")[0][0]
    books.ask(lambda c: raise_limit(c, budget, "1", until, "a test", "launch day"))
    assert lease(books, budget, FEMTO * 3 // 2).limit == 2 * FEMTO
    books.sql("SELECT pg_sleep(0.5)")
    assert lease(books, budget, 1).limit == FEMTO
    books.ask(lambda c: delete(c, budget, "a test"))
    assert lease(books, budget, 1) is None


@pytest.mark.parametrize("seed", range(2))
def test_a_strict_limit_holds_at_every_moment_while_desks_take_and_rows_settle(books: Books, seed: int) -> None:
    """Spent and leased together, in one snapshot, are never above the limit; at the end nothing of it is stranded."""
    from majordomo.budget.ledger import Ledger
    from majordomo.record.rows import Finished

    budget = books.make(limit="1", mode="strict")
    chance = random.Random(seed)
    finished = asyncio.Event()
    highest = Decimal(0)

    async def desk(holder: UUID) -> None:
        connection = await connect(books.dsn, purpose="tests")
        ledger, room = Ledger(), 0
        while True:
            worst = chance.randrange(1, FEMTO // 20)
            if room < worst:
                room += (await taking(connection, budget, worst - room, FEMTO // 10, desk=holder)).granted
            if room < worst:
                break
            used = chance.randrange(worst + 1)
            room -= used
            row = exchange(NOW, costs=(used, 0, 0, 0, 0))
            async with connection.transaction():
                await ledger.add(connection, [Finished(*row, holder.bytes)])  # type: ignore[arg-type]
        await give_back(connection, await load_index(connection), holder.bytes, {cell(budget): room})
        await connection.close()

    async def watch() -> None:
        nonlocal highest
        connection = await connect(books.dsn, purpose="tests")
        while not finished.is_set():
            highest = max(highest, await connection.fetchval(
                "SELECT coalesce((SELECT sum(spent) FROM budget_cells), 0)"
                " + coalesce((SELECT sum(amount) FROM budget_leases), 0)"
            ))  # fmt: skip
        await connection.close()

    async def race() -> None:
        watching = asyncio.create_task(watch())
        await asyncio.gather(*map(desk, DESKS[:4]))
        finished.set()
        await watching

    asyncio.run(race())
    assert Decimal("0.8") < highest <= 1
    assert held(books) == 0
