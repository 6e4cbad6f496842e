"""Agent runs: what each cost, and a tree of its parts that adds up."""

from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import usage_book
from recorded_rows import exchange, record
from usage_book import START_US, WHOLE, Book, agrees

from majordomo.record import users

SPANS = (("plan", 1), ("plan/search", 2), ("plan/search", 4), ("plan/read/page", 8), ("", 16), ("write", 32))


def record_run(dsn: str, folder: Path, run: str, spans: tuple[tuple[str | None, int], ...]) -> None:
    """A run whose requests cost so many millionths."""
    made = []
    for number, (path, cost) in enumerate(spans):
        opening, close = exchange(START_US + number * 1_000_000, costs=(cost * 10**9, 0, 0, 0, 0), ms=500)
        made.append((msgspec.structs.replace(opening, trace_id=run, span_path=path, span_name=None), close))
    record(dsn, folder, made)


def test_runs_are_listed_with_their_sums_last_seen_first(book: Book) -> None:
    expected = usage_book.by([row for row in book.rows if row["trace_id"]], lambda row: row["trace_id"])
    told = book.ask("runs", **WHOLE)["runs"]
    assert {run["run"] for run in told} == expected.keys() == {"run-0", "run-1"}
    for run in told:
        rows = expected[run["run"]]
        assert agrees(run["usage"], rows)
        first = min(row["requested_at"] for row in rows)
        last = max(row["responded_at"] or row["requested_at"] for row in rows)
        assert run["duration_ms"] == (last - first).total_seconds() * 1000 // 1
        assert run["spans"] == len({row["span_path"] for row in rows})
    assert [run["last_at"] for run in told] == sorted((run["last_at"] for run in told), reverse=True)


def test_pages_of_runs_hold_each_once(member: Any, postgres_dsn: str, tmp_path: Path) -> None:
    for number in range(7):
        record_run(postgres_dsn, tmp_path / str(number), f"run {number}/☃", SPANS[: 1 + number % 2])
    book, found, cursor = Book(member, []), [], None
    while cursor or not found:
        page = book.ask("runs", limit=3, cursor=cursor, **WHOLE)
        found += [run["run"] for run in page["runs"]]
        cursor = page["next_cursor"]
    assert sorted(found) == [f"run {number}/☃" for number in range(7)]


def test_pages_of_long_runs_hold_each_once_with_all_its_requests(
    member: Any, postgres_dsn: str, tmp_path: Path
) -> None:
    """The newest run alone has more requests than are looked at for a page at first."""
    for number, length in enumerate((3, 70, 1, 250)):
        record_run(postgres_dsn, tmp_path / str(number), f"run {number}", (("a", 1),) * length)
    book, found, cursor = Book(member, []), [], None
    while cursor or not found:
        page = book.ask("runs", limit=1, cursor=cursor, **WHOLE)
        found += [(run["run"], run["usage"]["requests"]) for run in page["runs"]]
        cursor = page["next_cursor"]
    assert found == [("run 3", 250), ("run 1", 70), ("run 0", 3), ("run 2", 1)]


def test_a_tree_adds_up_from_its_leaves(member: Any, postgres_dsn: str, tmp_path: Path) -> None:
    """Each part alone and with all below it; a part that only has others below it is made; the run is the sum."""
    record_run(postgres_dsn, tmp_path, "nightly/7", SPANS)
    told = member("GET", f"/usage/runs/{quote('nightly/7')}").json
    costs = {
        span["path"]: tuple(int(Decimal(span[part]["total_cost"]) * 10**6) for part in ("own", "total"))
        for span in told["spans"]
    }
    assert costs == {
        "": (16, 63),
        "plan": (1, 15),
        "plan/search": (6, 6),
        "plan/read": (0, 8),
        "plan/read/page": (8, 8),
        "write": (32, 32),
    }
    assert [span["path"] for span in told["spans"]][:3] == ["", "plan", "plan/search"]
    assert {(span["path"], span["parent"], span["depth"]) for span in told["spans"]} >= {
        ("", None, 0), ("plan", "", 1), ("plan/read/page", "plan/read", 3),
    }  # fmt: skip
    assert told["spans"][0]["duration_ms"] == 5500


def test_a_path_of_endless_depth_ends(member: Any, postgres_dsn: str, tmp_path: Path) -> None:
    record_run(postgres_dsn, tmp_path, "deep", (("a/" * 2000, 1), ("//x//", 2)))
    told = member("GET", "/usage/runs/deep").json
    assert max(span["depth"] for span in told["spans"]) == 32
    assert told["spans"][0]["total"]["requests"] == 2


def test_another_organisations_run_is_not_there(book: Book) -> None:
    assert book.ask("runs/run-1")["spans"]
    other = book.api.database(lambda connection: users.create_org(connection, "Acme"))
    book.api.sign_in(other.id, "other@example.com")
    assert book.ask("runs", **WHOLE)["runs"] == []
    for unknown in ("run-1", "none", "%00"):
        reply = book.api("GET", f"/usage/runs/{unknown}")
        assert (reply.status, reply.json["error"]["code"]) == (404, "run_not_found")
