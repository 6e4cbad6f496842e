"""Files to take away hold every request once and exactly, harm nobody who opens them, and show nobody else's rows."""

import csv
import datetime as dt
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from recorded_rows import exchange, record, varied
from usage_book import COSTS, COUNTS, SPAN_US, START_US, WHOLE, Book, Row, money, passes

from majordomo.record import users
from majordomo.report.connections import MOST_EXPORTS
from majordomo.report.exports import parquet_file
from majordomo.report.exports.requests import COLUMNS

FILTERS: list[tuple[str, ...]] = [
    (),
    ("model:gpt-5", "-Feature:chat"),
    ("Feature:Ünïcode ☃", "-status"),
    ("query_class",),
]
HOSTILE = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\r=1", "＝1", "'=1", "'", '"=1"', "a,b", "a\nb", "ok", "a=1"]


def lines(book: Book, *filters: str, **parameters: Any) -> list[dict[str, str]]:
    """The lines of a CSV export by the header's names."""
    reply = book.get("export", *filters, **{**WHOLE, **parameters})
    assert reply.status == 200, reply.body
    assert reply.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(reply.body.decode(), newline="")))


def table(book: Book, *filters: str, **parameters: Any) -> pa.Table:
    """A Parquet export."""
    reply = book.get("export", *filters, **{"format": "parquet", **WHOLE, **parameters})
    assert reply.status == 200, reply.body
    assert reply.headers["content-type"] == "application/vnd.apache.parquet"
    return pq.read_table(pa.BufferReader(reply.body))


def oldest_first(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (row["requested_at"], row["id"]))


def plain(text: str) -> str:
    """A text without the apostrophe that makes it harmless."""
    return text.removeprefix("'")


@pytest.mark.parametrize("filters", FILTERS)
def test_a_csv_has_every_request_once_with_every_digit(book: Book, filters: tuple[str, ...]) -> None:
    expected = oldest_first([row for row in book.rows if passes(row, filters)])
    found = lines(book, *filters)
    assert [line["id"] for line in found] == [str(row["id"]) for row in expected]
    for line, row in zip(found, expected, strict=True):
        assert dt.datetime.fromisoformat(line["requested_at"]) == row["requested_at"]
        assert json.loads(line["raw_metadata"]) == row["raw_metadata"]
        for name in COSTS:
            assert line[name] == ("" if row[name] is None else money(row[name]))
        for name in (*COUNTS, "status_code", "response_time_ms"):
            assert line[name] == ("" if row[name] is None else str(row[name]))
        assert plain(line["model"]) == (row["model"] or "")


@pytest.mark.parametrize("name", COSTS)
def test_sums_of_both_files_are_the_sums_of_sql_to_the_last_digit(book: Book, name: str) -> None:
    wanted = book.api.database(lambda connection: connection.fetchval(f"SELECT sum({name}) FROM llm_requests"))
    assert wanted > 0
    assert sum(Decimal(line[name]) for line in lines(book) if line[name]) == wanted
    assert sum(cost for cost in table(book)[name].to_pylist() if cost is not None) == wanted


def test_a_parquet_has_exact_decimals_and_times_in_utc(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same rows as the CSV, over several row groups."""
    monkeypatch.setattr(parquet_file, "GROUP_ROWS", 100)
    found = table(book)
    assert found.schema.names == [column.name for column in COLUMNS]
    assert found.schema.field("total_cost").type == pa.decimal128(38, 15)
    assert found.schema.field("requested_at").type == pa.timestamp("us", tz="UTC")
    expected = oldest_first(book.rows)
    assert len(expected) > 300
    for line, row in zip(found.to_pylist(), expected, strict=True):
        assert line["id"] == str(row["id"])
        assert (line["requested_at"], line["responded_at"]) == (row["requested_at"], row["responded_at"])
        assert (line["total_cost"], line["output_tokens"]) == (row["total_cost"], row["output_tokens"])
        assert json.loads(line["raw_metadata"]) == row["raw_metadata"]


def test_every_column_of_the_table_is_in_the_file_or_left_out_on_purpose(book: Book) -> None:
    left_out = {"request_body", "response_body", "body_s3_key", "created_at", "synced_to_butler", "delivered_from"}
    in_table = book.api.database(
        lambda connection: connection.fetch(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'llm_requests'::regclass AND attnum > 0"
        )
    )
    names = {row["attname"] for row in in_table}
    assert names - left_out - {"indexed_metadata"} == {column.name for column in COLUMNS} - {"key_name"}


@pytest.mark.parametrize("dimension", ["model", "key", "Feature", "query_class"])
def test_usage_by_a_dimension_adds_up_to_the_summary(book: Book, dimension: str) -> None:
    total = book.ask("summary", **WHOLE)["usage"]
    told = book.ask("breakdown", group_by=dimension, limit=1000, **WHOLE)
    found = lines(book, group_by=dimension)
    for name in ("requests", *COUNTS):
        assert sum(int(line[name]) for line in found) == total[name]
    for name in COSTS:
        assert money(sum((Decimal(line[name]) for line in found), Decimal(0))) == total[name]
    assert [plain(line["value"]) for line in found] == [row["value"] or "" for row in told["rows"]]
    assert table(book, group_by=dimension)["requests"].to_pylist() == [row["usage"]["requests"] for row in told["rows"]]


def test_no_text_in_a_csv_is_a_formula_and_each_can_be_had_back(member: Any, postgres_dsn: str, tmp_path: Path) -> None:
    """Whoever may name a model or a metadata value must not run anything in the spreadsheet of who pays."""
    made = [exchange(START_US + number, model=text, metadata={"Tag": text}) for number, text in enumerate(HOSTILE)]
    record(postgres_dsn, tmp_path, made)
    book = Book(member, [])
    stored = member.database(
        lambda connection: connection.fetch("SELECT model FROM llm_requests ORDER BY requested_at")
    )
    for texts, wanted in (
        ([line["model"] for line in lines(book)], [row["model"] for row in stored]),
        ([line["value"] for line in lines(book, group_by="Tag")], HOSTILE),
    ):
        assert sorted(map(plain, texts)) == sorted(wanted)
        for text in texts:
            assert text.strip()[0] not in "=+-@＝\t\r", text
    for line in lines(book, format="focus"):
        assert line["SkuId"].strip()[0] not in "=+-@＝\t\r"


def test_an_empty_text_is_not_a_missing_one(book: Book) -> None:
    body = book.get("export", group_by="Feature", **WHOLE).body.decode().splitlines()
    assert sum(line.startswith('"",') for line in body) == 1
    assert sum(line.startswith(",,false") for line in body) == 1


def test_nobody_else_sees_a_row(book: Book) -> None:
    assert len(lines(book)) == len(book.rows)
    other = book.api.database(lambda connection: users.create_org(connection, "Acme"))
    book.api.sign_in(other.id, "other@example.com")
    assert lines(book) == lines(book, format="focus") == lines(book, group_by="model") == []
    assert table(book).num_rows == 0
    book.api.cookies.clear()
    assert book.get("export").status == 401


@pytest.mark.parametrize(
    ("parameters", "word"),
    [
        ({"format": "xlsx"}, "focus-parquet"),
        ({"format": "focus", "group_by": "model"}, "group_by"),
        ({"group_by": "Nonsense"}, "Feature"),
        ({"period": "ever"}, "this_month"),
    ],
)
def test_what_is_no_export_is_refused_with_what_there_is(book: Book, parameters: dict[str, str], word: str) -> None:
    reply = book.get("export", **parameters)
    assert (reply.status, reply.json["error"]["code"]) == (422, "invalid")
    assert word in reply.body.decode()


def test_the_file_has_a_name_with_its_time(book: Book) -> None:
    reply = book.get("export", format="focus-parquet", since="2026-11-01", until="2026-12-01")
    assert (
        reply.headers["content-disposition"] == 'attachment; filename="majordomo-focus-1.2-20261101-20261201.parquet"'
    )


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/New_York", "Pacific/Apia"])
def test_the_name_has_the_days_of_the_zone_that_was_asked_in(book: Book, zone: str) -> None:
    """Not UTC's, on which the midnights of these zones are another day."""
    reply = book.get("export", since="2026-10-25", until="2026-11-01", timezone=zone)
    assert reply.headers["content-disposition"] == 'attachment; filename="majordomo-requests-20261025-20261101.csv"'


def test_requests_that_arrive_meanwhile_are_not_in_a_file_that_was_begun(
    member: Any, postgres_dsn: str, tmp_path: Path
) -> None:
    """One moment of the database, however long the caller takes."""
    record(postgres_dsn, tmp_path / "1", varied(1500, START_US, SPAN_US))

    async def slowly(connection: Any) -> int:
        from majordomo.report.exports.requests import request_rows
        from majordomo.report.questions.cells import Scope
        from majordomo.report.questions.snapshot import snapshot

        count = 0
        async with snapshot(connection):
            async for batch in request_rows(connection, Scope(org_id=None)):
                if not count:
                    other = await member.connections._opened()
                    await other.execute("DELETE FROM llm_requests")
                count += len(batch)
        return count

    assert member.database(slowly) == 1500
    assert member.database(lambda connection: connection.fetchval("SELECT count(*) FROM llm_requests")) == 0


def test_more_exports_than_there_may_be_at_one_time_are_told_to_wait(book: Book) -> None:
    connections = book.api.connections
    connections._exports = MOST_EXPORTS
    reply = book.get("export", **WHOLE)
    assert (reply.status, reply.json["error"]["code"], reply.headers["retry-after"]) == (429, "exports_busy", "10")
    connections._exports = 0
    assert msgspec.json.decode(book.get("summary", **WHOLE).body)["usage"]["requests"] == len(lines(book))
    assert connections._exports == 0
