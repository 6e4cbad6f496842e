"""The explorer: every request once, in order, whatever arrives meanwhile; and one with its cost bucket by bucket."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import usage_book
from recorded_rows import exchange, record, varied
from usage_book import SPAN_US, START_US, WHOLE, Book, Row

from majordomo.record import users


def newest_first(rows: list[Row]) -> list[str]:
    return [str(row["id"]) for row in sorted(rows, key=lambda row: (row["requested_at"], row["id"]), reverse=True)]


def pages(book: Book, *filters: str, meanwhile: Any = None, **parameters: Any) -> list[Any]:
    """All requests of a question, page by page; ``meanwhile`` is called between pages."""
    found, cursor = [], None
    while True:
        told = book.ask("requests", *filters, cursor=cursor, **WHOLE, **parameters)
        found += told["requests"]
        cursor = told["next_cursor"]
        if cursor is None:
            return found
        if meanwhile:
            meanwhile()


@pytest.mark.parametrize(
    "filters",
    [
        (),
        ("model:gpt-5", "-Feature:chat"),
        ("Feature:chat",),
        (f"session:{usage_book.SESSION}",),
        ("run:run-1", "-run:x"),
    ],
)
def test_pages_hold_every_request_once_and_in_order(book: Book, filters: tuple[str, ...]) -> None:
    found = pages(book, *filters, limit=37)
    assert [one["id"] for one in found] == newest_first([r for r in book.rows if usage_book.passes(r, filters)])
    by_id = {str(row["id"]): row for row in book.rows}
    for one in found:
        row = by_id[one["id"]]
        assert one["metadata"] == row["raw_metadata"] and one["output_tokens"] == row["output_tokens"]
        assert one["total_cost"] == (None if row["total_cost"] is None else usage_book.money(row["total_cost"]))
        assert one["key"] == str(row["majordomo_api_key_id"]) and one["run"] == row["trace_id"]


def test_only_failed_or_unpriced_ones(book: Book) -> None:
    failed = [row for row in book.rows if usage_book.failed(row)]
    unpriced = [row for row in book.rows if row["total_cost"] is None and row["usage_state"] != "none"]
    assert failed and unpriced
    assert [one["id"] for one in pages(book, errors="true", limit=20)] == newest_first(failed)
    assert [one["id"] for one in pages(book, unpriced="true", limit=20)] == newest_first(unpriced)


def test_requests_that_arrive_meanwhile_change_no_page_behind_a_cursor(
    book: Book, postgres_dsn: str, tmp_path: Path
) -> None:
    """Equal moments included, a walk through the pages sees exactly what was there when it began."""
    same_moment = [exchange(START_US, request_id=UUID(int=number).bytes) for number in range(1, 30)]
    record(postgres_dsn, tmp_path / "same", same_moment)
    before = usage_book.rows_of(book.api, users.DEFAULT_ORG)
    arrivals = iter(range(100))

    def arrive() -> None:
        number = next(arrivals)
        newer = varied(5, START_US + SPAN_US + number * 1_000_000, 900_000, seed=number)
        record(postgres_dsn, tmp_path / f"new{number}", newer)

    found = [one["id"] for one in pages(book, limit=100, meanwhile=arrive)]
    assert next(arrivals) > 2
    assert found == newest_first(before)


def test_one_request_has_every_field_and_its_cost_by_bucket(member: Any, postgres_dsn: str, tmp_path: Path) -> None:
    """A request at real prices: the buckets' costs add up to the cost that was recorded."""
    # gpt-5-mini: 0.25 USD a million input tokens, 2 for output: in femto-dollars a token
    costs = (100 * 250_000_000, 0, 0, 10 * 2_000_000_000, 0)
    record(postgres_dsn, tmp_path, [exchange(START_US, costs=costs, metadata={"Team": "legal"})])
    found = Book(member, []).ask("requests", **WHOLE)["requests"][0]
    told = Book(member, []).ask(f"requests/{found['id']}")
    assert told["request"]["raw_metadata"] == {"Team": "legal"}
    assert told["request"]["total_cost"] == found["total_cost"] == "0.000045"
    assert {(b["bucket"], b["unit"], b["count"], b["cost"]) for b in told["buckets"]} == {
        ("input", "tokens", 100, "0.000025"),
        ("output", "tokens", 10, "0.00002"),
    }
    assert told["price_version"] == "v1"


def test_another_organisations_request_is_not_there(book: Book) -> None:
    request_id = book.rows[0]["id"]
    assert book.ask(f"requests/{request_id}")["request"]["id"] == str(request_id)
    other = book.api.database(lambda connection: users.create_org(connection, "Acme"))
    book.api.sign_in(other.id, "other@example.com")
    assert pages(book) == []
    for unknown in (request_id, UUID(int=1), "nonsense", "' OR 1=1"):
        reply = book.api("GET", f"/usage/requests/{unknown}")
        assert (reply.status, reply.json["error"]["code"]) == (404, "request_not_found")


def test_what_is_no_cursor_is_refused(book: Book) -> None:
    runs_cursor = book.ask("runs", limit=1, **WHOLE)["next_cursor"]
    for wrong in ("x", "AAAA", "A" * 44, "' OR 1=1", runs_cursor):
        reply = book.get("requests", cursor=wrong, **WHOLE)
        assert (reply.status, "cursor" in reply.json["error"]["message"]) == (422, True), wrong
    assert book.get("requests", limit=10**6).status == 422
