"""Who is near a limit, and what budgets refused, over all of them."""

import datetime as dt
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from budget_books import NOW, Books
from recorded_rows import KEYS, Exchange, exchange

from majordomo.budget import saying, sight
from majordomo.budget.matching import Cell
from majordomo.budget.model import Budget
from majordomo.budget.purse import Purse
from majordomo.budget.store import load
from majordomo.budget.windows import moment_of
from majordomo.clock import wall_us
from majordomo.record.frames import Outcome

HOUR = 3_600_000_000
DIME = (10**14, 0, 0, 0, 0)


def near(books: Books, percent: int) -> list[tuple[str, str, Decimal]]:
    async def look(connection: Any) -> list[sight.Near]:
        return await sight.near(connection, await load(connection), NOW + 1, percent)

    return [(one.budget.name, one.count.value, one.count.percent) for one in books.ask(look)]


def test_counts_near_their_limits_are_found_over_all_budgets_fullest_first(books: Books) -> None:
    books.make("a", limit="1", window="day")
    books.make("each", limit="0.3", window="day", each="User-Id")
    books.make("far", limit="100", window="day")
    books.record(
        [exchange(NOW, costs=DIME, metadata={"User-Id": user}) for user in ("ann", "ann", "ann", "bob", "cy", "cy")]
    )
    assert near(books, 60) == [("each", "ann", 100), ("each", "cy", Decimal("66.6")), ("a", "", 60)]
    assert near(books, 90) == [("each", "ann", 100)]


def test_they_are_told_with_rate_and_forecast(books: Books) -> None:
    books.make("a", limit="1", window="day")
    books.record([exchange(NOW - n, costs=DIME) for n in range(8)])

    async def look(connection: Any) -> Any:
        return await sight.near(connection, await load(connection), NOW + 1)

    [one] = books.ask(look)
    assert one.count.rate_per_hour == Decimal("0.8")
    assert one.count.runs_out_at == moment_of(NOW + 1 + HOUR // 4)


def refused(budget: Budget, value: str, key: int = 0) -> Exchange:
    """A request as a gate refuses it."""
    opening, close = exchange(wall_us(), key=KEYS[key], outcome=Outcome.REFUSED, status=402)
    assert close is not None
    refusal = saying.exceeded(Purse(budget, Cell(budget.id, value, 0)), 1, wall_us())
    return opening, msgspec.structs.replace(close, error_type=refusal.code, error_message=refusal.message)


@pytest.mark.parametrize("name", ["plain", "it's", 'said "so"', """both ' and " """.strip(), "back\\slash", "für alle"])
def test_refusals_are_told_by_the_budget_s_name_whatever_it_is(books: Books, name: str) -> None:
    budget, other = (
        books.make(name, window="day", each="User-Id"),
        books.make("other", unit="requests", window="minute"),
    )
    books.record([refused(budget, "ann"), refused(budget, "ann"), refused(budget, "it's"), refused(other, "", 1)])
    found = books.ask(sight.all_refusals)
    assert {(one.budget, one.value, one.code, one.requests) for one in found} == {
        (name, "ann", "budget_exceeded", 2),
        (name, "it's", "budget_exceeded", 1),
        ("other", "", "rate_limited", 1),
    }
    assert found[0].requests == 2
    assert [one.requests for one in books.ask(lambda c: sight.refusals(c, budget))] == [3]
    assert books.ask(lambda c: sight.all_refusals(c, b"o" * 16)) == []
    assert books.ask(lambda c: sight.all_refusals(c, since=dt.timedelta(0))) == []
