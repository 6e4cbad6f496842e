"""What failed: every kind with its count and its newest request."""

import usage_book
from usage_book import WHOLE, Book


def test_every_kind_of_failure_is_counted_with_its_newest_request(book: Book) -> None:
    filters = ("-provider:deepseek",)
    rows = [row for row in book.rows if usage_book.passes(row, filters)]
    names = ("error_type", "status_code", "outcome", "provider", "model")
    expected = usage_book.by(
        [row for row in rows if usage_book.failed(row)], lambda row: tuple(row[name] for name in names)
    )
    told = book.ask("errors", *filters, **WHOLE)
    assert {tuple(kind[name] for name in names): kind["requests"] for kind in told["rows"]} == {
        kind: len(those) for kind, those in expected.items()
    }
    for kind in told["rows"]:
        those = expected[tuple(kind[name] for name in names)]
        last = max(those, key=lambda row: row["requested_at"])
        assert kind["sample"]["id"] == str(last["id"])
    counts = [kind["requests"] for kind in told["rows"]]
    assert counts == sorted(counts, reverse=True)
    assert (told["requests"], told["kinds"]) == (len(rows), len(expected))
    assert told["errors"] == sum(counts) > 0


def test_a_limit_leaves_the_totals_whole(book: Book) -> None:
    whole, short = book.ask("errors", **WHOLE), book.ask("errors", limit=2, **WHOLE)
    assert short["rows"] == whole["rows"][:2]
    assert (short["errors"], short["kinds"]) == (whole["errors"], whole["kinds"])


def test_nothing_failed_is_an_empty_list(book: Book) -> None:
    told = book.ask("errors", "outcome:none-such", **WHOLE)
    assert (told["rows"], told["errors"], told["kinds"]) == ([], 0, 0)
