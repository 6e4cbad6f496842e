"""Thresholds that are reached are told once, and what is old is cleared away."""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from budget_books import NOW, Books
from recorded_rows import exchange

from majordomo.budget.leases import take
from majordomo.budget.matching import Cell
from majordomo.budget.watch import Watch

DAY_US = 86_400_000_000
DIME = (10**14, 0, 0, 0, 0)


class Hook:
    """A webhook on loopback that answers as it is told."""

    def __init__(self) -> None:
        self.took: list[Any] = []
        self.status = 204
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if hook.status < 300:
                    hook.took.append(json.loads(body))
                self.send_response(hook.status)
                self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def hook() -> Iterator[Hook]:
    """A webhook."""
    running = Hook()
    yield running
    running.server.shutdown()
    running.server.server_close()


class Watching:
    """A watch whose clock the test turns."""

    def __init__(self, books: Books, url: str | None = None) -> None:
        self.books = books
        self.at = NOW
        self.told: Counter[tuple[str, int]] = Counter()
        self._watch = Watch(self.told, url, lambda: self.at)

    def look(self, at: int = NOW) -> dict[tuple[str, int], int]:
        self.at = at
        self.books.ask(self._watch.look)
        return dict(self.told)


def test_each_threshold_is_told_once_for_each_count_and_window(books: Books) -> None:
    books.make(limit="1", window="day", each="User-Id", warn_at=[50, 80])
    watching = Watching(books)
    assert watching.look() == {}
    books.record([exchange(NOW, costs=DIME, metadata={"User-Id": "a"}) for _ in range(4)])
    assert watching.look() == {}
    books.record([exchange(NOW, costs=DIME, metadata={"User-Id": "a"})])
    assert watching.look() == watching.look() == {("b", 50): 1}
    books.record([exchange(NOW, costs=DIME, metadata={"User-Id": user}) for user in "aaaaabbbbb"])
    assert watching.look() == {("b", 50): 2, ("b", 80): 1, ("b", 100): 1}
    assert Watching(books).look() == {}  # another back office finds them noted
    books.record([exchange(NOW + DAY_US, costs=(5 * 10**14, 0, 0, 0, 0), metadata={"User-Id": "a"})])
    assert watching.look(NOW + DAY_US) == {("b", 50): 3, ("b", 80): 1, ("b", 100): 1}
    rows = books.sql("SELECT each_value, threshold FROM budget_alerts ORDER BY id")
    assert sorted(map(tuple, rows)) == [("a", 50), ("a", 50), ("a", 80), ("a", 100), ("b", 50)]


def test_a_rolling_window_is_told_of_again_only_when_what_was_told_no_longer_counts(books: Books) -> None:
    books.make(limit="1", window="rolling:60m")
    minute = 60_000_000
    watching = Watching(books)
    for at in (0, 10, 20):
        books.record([exchange(NOW + at * minute, costs=(10**15, 0, 0, 0, 0))])
        assert watching.look(NOW + at * minute) == {("b", 100): 1}
    books.record([exchange(NOW + 90 * minute, costs=(10**15, 0, 0, 0, 0))])
    assert watching.look(NOW + 90 * minute) == {("b", 100): 2}


def test_two_back_offices_that_look_at_once_tell_once(books: Books) -> None:
    books.make(limit="1")
    books.record([exchange(NOW, costs=(10**15, 0, 0, 0, 0))])
    told: Counter[tuple[str, int]] = Counter()

    async def both() -> None:
        from majordomo.record.database import connect

        connections = [await connect(books.dsn, purpose="tests") for _ in range(4)]
        await asyncio.gather(*(Watch(told, None, lambda: NOW).look(connection) for connection in connections))
        for connection in connections:
            await connection.close()

    asyncio.run(both())
    assert told == {("b", 100): 1}


@pytest.mark.parametrize("trouble", [500, 302])
def test_a_webhook_is_told_until_it_takes_it_and_never_elsewhere(books: Books, hook: Hook, trouble: int) -> None:
    books.make("legal", limit="1", contact="finance")
    watching = Watching(books, hook.url)
    hook.status = trouble
    books.record([exchange(NOW, costs=(10**15, 0, 0, 0, 0))])
    watching.look()
    assert hook.took == []
    hook.status = 204
    watching.look()
    watching.look()
    [took] = hook.took
    assert {name: took[name] for name in ("budget", "threshold_percent", "spent", "limit", "unit", "contact")} == {
        "budget": "legal", "threshold_percent": 100, "spent": "1", "limit": "1", "unit": "usd", "contact": "finance",
    }  # fmt: skip


def test_old_counts_of_short_windows_go_and_the_sum_over_what_counts_stays_right(books: Books) -> None:
    short = books.make("short", window="hour")
    books.make("rolling", window="rolling:24h")
    books.make("long", window="day")
    books.record([exchange(NOW + day * DAY_US, costs=DIME) for day in range(10)])
    books.ask(lambda c: take(c, short, Cell(short.id, "", NOW), NOW, b"d" * 16, 10**14, 10**14, seconds=60))
    books.sql("UPDATE budget_leases SET expires_at = now() - interval '2 hours'")
    before = books.counts()
    Watching(books).look(NOW + 9 * DAY_US)
    after = books.counts()
    assert Counter(name for name, _, _ in before) == {"short": 10, "rolling": 10, "long": 10}
    assert Counter(name for name, _, _ in after) == {"short": 8, "rolling": 9, "long": 10}
    assert after == books.sums()
    assert books.sql("SELECT * FROM budget_leases") == []
    late = [exchange(NOW, costs=DIME)]  # recorded when its hour is no longer counted
    books.record(late)
    assert books.counts() == books.sums()
