"""How budgets stand, what a limit would have done, and whom one refused."""

import datetime as dt
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from budget_books import NOW, Books
from recorded_rows import KEYS, exchange

from majordomo.budget.definition import BudgetError, Draft, define
from majordomo.budget.leases import renew, take
from majordomo.budget.matching import BudgetIndex, Cell
from majordomo.budget.sight import refusals
from majordomo.budget.simulate import Simulation, simulate
from majordomo.budget.standing import Standing, standing, with_standing
from majordomo.budget.windows import moment_of
from majordomo.record.frames import Outcome
from majordomo.record.rows import NIL_ORG

DIME = (10**14, 0, 0, 0, 0)  # ten cents
HOUR = 3_600_000_000


def stands(books: Books, budget: Any, now: int = NOW, **given: Any) -> Standing:
    return books.ask(lambda c: standing(c, budget, now, **given))


def replayed(books: Books, since: int, until: int, **draft: Any) -> Simulation:
    tried = define(Draft(**{"name": "tried", "limit": "1", **draft}), bytes(16), NIL_ORG)
    return books.ask(lambda c: simulate(c, tried, since, until))


def test_a_budget_tells_what_is_spent_reserved_and_left_and_when_it_is_gone(books: Books) -> None:
    budget = books.make(limit="2", window="day")
    books.record([exchange(NOW - minute * 60_000_000, costs=DIME) for minute in range(4)])
    books.ask(
        lambda c: take(c, budget, Cell(budget.id, "", NOW - 10 * HOUR), NOW, b"d" * 16, 10**14, 10**14, seconds=60)
    )
    [one] = stands(books, budget, NOW + 1, rate=True).counts
    assert (one.spent, one.reserved, one.limit, one.remaining) == (Decimal("0.4"), Decimal("0.1"), 2, Decimal("1.6"))
    assert (one.percent, one.requests, one.at_risk) == (20, 4, 0)
    assert one.resets_at == dt.datetime(2026, 9, 17, tzinfo=dt.UTC)
    assert one.rate_per_hour == Decimal("0.4")
    assert one.runs_out_at == moment_of(NOW + 1 + 4 * HOUR)
    [other] = stands(books, budget, NOW + 11 * HOUR, rate=True).counts
    assert (other.rate_per_hour, other.runs_out_at) == (0, None)
    [tomorrow] = stands(books, budget, NOW + 24 * HOUR).counts
    assert (tomorrow.spent, tomorrow.reserved) == (0, 0)


def test_it_tells_by_how_much_requests_under_way_may_exceed_it(books: Books) -> None:
    budget = books.make(limit="2", window="day")
    cell = Cell(budget.id, "", NOW - 10 * HOUR)
    for holder, at_risk in ((b"d" * 16, 3 * 10**14), (b"e" * 16, 10**14)):
        books.ask(lambda c, holder=holder: take(c, budget, cell, NOW, holder, 10**14, 10**14, seconds=60))
        books.ask(
            lambda c, holder=holder, at_risk=at_risk: renew(
                c, BudgetIndex([budget]), holder, {cell: at_risk}, seconds=60
            )
        )
    found = stands(books, budget)
    assert found.counts[0].at_risk == Decimal("0.4")
    assert with_standing(budget, found)["at_risk"] == Decimal("0.4")


def test_the_fullest_counts_come_first_and_the_others_are_numbered(books: Books) -> None:
    budget = books.make(each="User-Id")
    books.record([exchange(NOW, metadata={"User-Id": f"u{n}"}, costs=(n, 0, 0, 0, 0)) for n in range(1, 31)])
    found = stands(books, budget)
    assert found.number == 30
    assert [one.value for one in found.counts] == [f"u{n}" for n in range(30, 10, -1)]
    assert [one.value for one in stands(books, budget, value="u3").counts] == ["u3"]


def test_a_rolling_budget_says_when_its_oldest_part_comes_back(books: Books) -> None:
    budget = books.make(window="rolling:60m")
    books.record([exchange(NOW - 30 * 60_000_000, costs=DIME)])
    [one] = stands(books, budget).counts
    assert one.resets_at == moment_of(NOW + 31 * 60_000_000)
    [gone] = stands(books, budget, NOW + 31 * 60_000_000).counts
    assert (gone.spent, gone.resets_at) == (0, None)


def test_a_replay_refuses_what_has_no_room_and_lets_smaller_ones_through(books: Books) -> None:
    costs = [6, 3, 2, 1, 5]  # of a limit of 1: 0.6 and 0.3 pass, 0.2 does not, 0.1 does, 0.5 does not
    books.record([exchange(NOW + n, costs=(cost * 10**14, 0, 0, 0, 0)) for n, cost in enumerate(costs)])
    came = replayed(books, NOW, NOW + 10, window="day")
    assert (came.requests, came.used) == (5, Decimal("1.7"))
    assert (came.refused, came.refused_used) == (2, Decimal("0.7"))
    assert [one.spent for one in came.first_refused] == [Decimal("0.9"), 1]
    assert (came.windows, came.windows_exhausted, came.highest) == (1, 1, Decimal("1.7"))
    [whose] = came.whose
    assert (whose.api_key_id, whose.requests, whose.used) == (KEYS[0], 2, Decimal("0.7"))


def test_a_replay_knows_windows_values_and_rolling_ones(books: Books) -> None:
    rows = [
        exchange(NOW + hour * HOUR, key=KEYS[hour % 2], costs=(6 * 10**14, 0, 0, 0, 0), metadata={"T": str(hour % 2)})
        for hour in range(0, 48, 6)
    ]
    books.record(rows)
    until = NOW + 48 * HOUR
    assert replayed(books, NOW, until, window="lifetime").refused == 7
    assert replayed(books, NOW, until, window="day").refused == 5  # three days are touched
    assert replayed(books, NOW, until, window="hour").refused == 0
    assert (
        replayed(books, NOW, until, window="rolling:12h").refused == 5
    )  # one passes, the two within 12 h after do not
    assert replayed(books, NOW, until, window="lifetime", each="T").refused == 7
    assert replayed(books, NOW, until, window="lifetime", keys=[str(KEYS[1])]).requests == 0
    assert replayed(books, NOW, NOW, window="lifetime").requests == 0


def test_what_ran_at_one_time_cannot_be_replayed(books: Books) -> None:
    with pytest.raises(BudgetError, match="concurrent"):
        replayed(books, NOW, NOW + 1, unit="concurrent")


def test_refusals_are_found_by_the_budgets_name_and_told_by_key(books: Books) -> None:
    now = int(dt.datetime.now(dt.UTC).timestamp()) * 1_000_000

    def refused(name: str, key: UUID, code: str = "budget_exceeded", words: str = "The budget") -> Any:
        opening, close = exchange(now, key=key, outcome=Outcome.REFUSED, status=402, costs=None)
        told = msgspec.structs.replace(close, error_type=code, error_message=f"{words} {name!r} has no room")
        return opening, told

    books.record(
        [
            refused("it's", KEYS[0]),
            refused("it's", KEYS[0]),
            refused("it's", KEYS[1], "rate_limited", "The rate limit"),
            refused("another", KEYS[0]),
            refused("it's", KEYS[0], "overloaded"),
        ]
    )
    named = books.make("it's")
    found = books.ask(lambda c: refusals(c, named))
    assert [(one.api_key_id, one.requests) for one in found] == [(KEYS[0], 2), (KEYS[1], 1)]
    shorter = books.make("it")
    assert books.ask(lambda c: refusals(c, shorter)) == []
