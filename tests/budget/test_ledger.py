"""What budgets have spent is the sum over their rows, whenever they are made and whatever becomes of the rows."""

import asyncio
import random
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from budget_books import NOW, Books
from recorded_rows import KEYS, Exchange, exchange, varied

from majordomo.budget.definition import Draft
from majordomo.budget.model import Unit
from majordomo.budget.store import create
from majordomo.meter.claude_code import ClaudeDetails
from majordomo.price.pricer import Pricer
from majordomo.record.database import connect
from majordomo.record.frames import Outcome
from majordomo.record.reprice import reprice_unpriced

DAY_US = 86_400_000_000
SESSIONS = [str(UUID(int=0x700 + number)) for number in range(5)]
NO_PRICE: dict[str, Any] = {"costs": None, "model": "new-1"}

#: One budget of every kind of scope, unit and window. All of them count the same rows, each its own.
DRAFTS: list[dict[str, Any]] = [
    {},
    {"window": "minute", "unit": "requests"},
    {"window": "hour", "time_zone": "Asia/Kathmandu"},
    {"window": "day", "time_zone": "America/St_Johns", "each": "User-Id"},
    {"window": "week", "week_start": "sunday", "each": "key", "unit": "tokens"},
    {"window": "quarter", "month_start": 31, "unit": "input_tokens", "providers": ["openai", "deepseek"]},
    {"window": "rolling:24h", "each": "model"},
    {"window": "rolling:90m", "unit": "output_tokens", "each": "Feature"},
    {"window": "session"},
    {"window": "day", "each": "session", "unit": "turns"},
    {"window": "lifetime", "keys": [str(KEYS[0])], "metadata": {"Feature": "chat"}},
    {"window": "lifetime", "models": ["gpt-5", "claude_*", "CLAUDE-?"], "each": "provider"},
    {"window": "lifetime", "on_unpriced": "ceiling:12.5", "sessions": SESSIONS[:2]},
    {"window": "month", "on_unpriced": "ceiling:0.000000001", "metadata": {"Feature": "Ünïcode ☃"}},
    {"window": "day", "unit": "uncached_tokens"},
    {"window": "day", "unit": "cache_read_tokens", "each": "provider"},
    {"window": "month", "unit": "cache_write_tokens"},
    {"window": "month", "unit": "reasoning_tokens", "each": "model"},
    {"window": "month", "metadata": {"Nobody": "sends this"}},
]


def drafts() -> list[dict[str, Any]]:
    return [{"name": f"{number}", **draft} for number, draft in enumerate(DRAFTS)]


def traffic(seed: int, count: int = 250) -> list[Exchange]:
    """Requests of the last days and the next hour, some with sessions, some free, some refused."""
    chance = random.Random(seed)
    made = []
    for opening, close in varied(count, NOW - 2 * DAY_US, 2 * DAY_US + 3_600_000_000, seed):
        changes: dict[str, Any] = {"claude_session": chance.choice([None, "no uuid", *SESSIONS])}
        if chance.random() < 0.1:
            changes |= chance.choice(
                [
                    {"method": "GET", "api": "openai.models", "path": "/v1/models"},
                    {"method": "GET", "api": "anthropic.batch_results", "path": "/v1/messages/batches/b/results"},
                    {"api": "anthropic.count_tokens", "path": "/v1/messages/count_tokens"},
                    {"api": "anthropic.batches", "path": "/v1/messages/batches/b/cancel"},
                ]
            )
        if close is not None and chance.random() < 0.1:
            close = msgspec.structs.replace(close, outcome=Outcome.REFUSED, status_code=402)
        if close is not None and chance.random() < 0.3:
            close = msgspec.structs.replace(close, requested_model=chance.choice(["best", "gpt-5", "Claude_x%", None]))
        if close is not None:
            close = msgspec.structs.replace(
                close, reasoning_tokens=chance.choice([None, 0, 7, (close.output_tokens or 0)])
            )
        made.append((msgspec.structs.replace(opening, **changes), close))
    return made


def test_spent_is_the_sum_over_the_rows_whenever_the_budget_was_made(books: Books) -> None:
    books.record(traffic(1))
    for draft in drafts():
        books.make(**draft)
    after_half = books.counts()
    assert after_half == books.sums()
    books.record(traffic(2))
    assert books.counts() == books.sums() != after_half
    counted = {name for name, _, _ in books.counts()}
    assert counted == {draft["name"] for draft in drafts()[:-1]}  # the last one's scope is met by nothing


def test_a_budget_made_before_its_rows_counts_as_one_made_after_them(books: Books) -> None:
    for draft in drafts():
        books.make(**draft)
    books.record(traffic(3))
    written = books.counts()
    books.sql("DELETE FROM budget_cells")
    assert written == books.sums()
    assert sum(requests for _, requests, _ in written.values()) > 500


def test_budgets_made_while_rows_are_written_miss_none_and_count_none_twice(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("majordomo.record.writer.BATCH_ROWS", 20)  # many transactions, for many seams
    monkeypatch.setattr("majordomo.record.drain.READ_BYTES", 8192)
    for seed in range(8):
        books.journal(traffic(10 + seed, 400))

    async def race() -> None:
        connection = await connect(books.dsn, purpose="tests")
        try:
            draining = asyncio.create_task(books.drain())
            made_meanwhile = 0
            for draft in drafts():
                await create(connection, Draft(limit="5", **draft), "a test", lambda: NOW)
                made_meanwhile += not draining.done()
            assert made_meanwhile > 5  # or it was no race
            await draining
        finally:
            await connection.close()

    asyncio.run(race())
    assert books.counts() == books.sums()


def reasoned(one: Exchange, tokens: int) -> Exchange:
    """The same, with so many of its output tokens for reasoning."""
    opening, close = one
    assert close is not None
    return opening, msgspec.structs.replace(close, reasoning_tokens=tokens)


def test_amounts_are_exact_and_each_unit_counts_its_own(books: Books) -> None:
    units = [unit.value for unit in Unit if unit is not Unit.CONCURRENT]
    for unit in units:
        books.make(unit, unit=unit)
    books.record(
        [
            reasoned(exchange(NOW, uncached=100, cached=20, written=7, output=10, costs=(25, 3, 0, 200, 0)), 4),
            exchange(NOW, uncached=1, output=2, costs=(1, 0, 0, 0, 0)),
            exchange(NOW, status=500, state="none", uncached=0, output=0, costs=None),  # type: ignore[arg-type]
        ]
    )
    found = {name: (spent, requests) for (name, _, _), (spent, requests, _) in books.counts().items()}
    assert found == {
        "usd": (Decimal("0.000000000000229"), 3),
        "tokens": (140, 3),
        "input_tokens": (128, 3),
        "uncached_tokens": (101, 3),
        "cache_read_tokens": (20, 3),
        "cache_write_tokens": (7, 3),
        "output_tokens": (12, 3),
        "reasoning_tokens": (5, 3),
        "requests": (3, 3),
        "turns": (2, 3),
    }


@pytest.mark.parametrize(("kind", "turns"), [("main", 1), (None, 1), ("title", 0), ("subagent", 0)])
def test_a_turn_is_a_request_of_the_main_loop(books: Books, kind: str | None, turns: int) -> None:
    books.make(unit="turns")
    opening, close = exchange(NOW)
    assert close is not None
    close.claude = ClaudeDetails(query_class=kind)
    books.record([(opening, close)])
    assert [spent for spent, _, _ in books.counts().values()] == [turns]


def test_a_request_that_is_lost_counts_as_one_and_a_refused_one_does_not(books: Books) -> None:
    books.make(unit="requests")
    books.record([exchange(NOW, outcome=Outcome.LOST), exchange(NOW, outcome=Outcome.REFUSED, status=402, costs=None)])
    assert list(books.counts().values()) == [(1, 1, 0)]


def test_what_came_before_the_window_of_its_making_is_not_counted(books: Books) -> None:
    books.make(window="day")
    midnight = NOW - NOW % DAY_US
    books.record([exchange(midnight - 1), exchange(midnight), exchange(midnight + DAY_US)])
    assert sorted(start for _, _, start in books.counts()) == [midnight, midnight + DAY_US]
    assert books.counts() == books.sums()


def test_a_request_without_a_price_counts_at_the_ceiling_or_is_told_apart(books: Books) -> None:
    books.make("allow", on_unpriced="allow")
    books.make("ceiling", on_unpriced="ceiling:12.5")
    books.record([exchange(NOW, uncached=1000, output=200, **NO_PRICE)])
    found = {name: count for (name, _, _), count in books.counts().items()}
    assert found == {"allow": (0, 1, 1), "ceiling": (Decimal("0.015"), 1, 1)}


def test_a_later_price_takes_the_place_of_what_was_counted_without_one(books: Books) -> None:
    overlay = books.folder / "overlay.toml"
    overlay.write_text(
        '[[rates]]\nprovider = "openai"\nmodels = ["new-1"]\nnew_model = true\nrates = { input = 2, output = 10 }\n'
    )
    for number, ceiling in enumerate(("allow", "ceiling:12.5", "ceiling:0.1")):
        books.make(str(number), on_unpriced=ceiling, each="User-Id")
    books.make("tokens", unit="tokens")
    rows = [exchange(NOW, uncached=1000, output=100, metadata={"User-Id": user}, **NO_PRICE) for user in "aab"]
    books.record(rows)

    async def price() -> None:
        from majordomo.budget.ledger import Ledger

        connection = await connect(books.dsn, purpose="tests")
        try:
            async for _ in reprice_unpriced(connection, Pricer.load(None, overlay), tally=Ledger(), batch_rows=2):
                pass
        finally:
            await connection.close()

    asyncio.run(price())
    found = books.counts()
    assert found == books.sums()
    assert {count for (name, value, _), count in found.items() if name != "tokens" and value == "a"} == {
        (Decimal("0.006"), 2, 0)
    }
    assert next(count for (name, _, _), count in found.items() if name == "tokens") == (3300, 3, 0)


def test_a_batch_that_must_be_halved_is_counted_once(books: Books) -> None:
    books.make(unit="requests")
    rows = [exchange(NOW) for _ in range(20)]
    twin = rows[7]  # the second row with its id is refused, and found by halving
    books.journal(rows)
    books.journal([twin])

    async def drain() -> None:
        from majordomo.budget.ledger import Ledger
        from majordomo.record.writer import Writer

        writer = Writer(books.dsn, books.folder / "journal", books.folder / "dead_letters", tally=Ledger())
        await writer.drain()
        await writer.close()
        assert writer.stats.dead_letters == 1

    asyncio.run(drain())
    assert list(books.counts().values()) == [(20, 20, 0)]
    assert books.counts() == books.sums()


def test_changing_what_is_counted_counts_anew_and_changing_the_limit_does_not(books: Books) -> None:
    from majordomo.budget.store import update

    budget = books.make(window="day", limit="5")
    books.record(traffic(5))
    before = books.counts()
    books.ask(lambda c: update(c, budget, {"limit": "7"}, "a test", clock=lambda: NOW + DAY_US))
    assert books.counts() == before
    books.ask(lambda c: update(c, budget, {"window": "week", "each": "Feature"}, "a test", clock=lambda: NOW))
    assert books.counts() == books.sums() != before
    assert {start for _, _, start in books.counts()} == {_us(2026, 9, 14)}


def _us(year: int, month: int, day: int) -> int:
    return int(datetime(year, month, day, tzinfo=UTC).timestamp()) * 1_000_000
