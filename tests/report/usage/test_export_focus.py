"""The FOCUS file: the columns and rules of version 1.2, and the very sums of the rows."""

import csv
import datetime as dt
import io
import json
import re
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from recorded_rows import exchange, record
from usage_book import START_US, WHOLE, Book

from majordomo.meter.reading import Bucket, Part
from majordomo.price import adjustments
from majordomo.price.card import PriceBook
from majordomo.price.pricer import Pricer
from majordomo.record.database import Connection
from majordomo.report.exports.focus import focus_rows
from majordomo.report.exports.focus_columns import COLUMNS
from majordomo.report.questions.cells import Scope
from majordomo.report.questions.snapshot import snapshot

_MANDATORY = """
BilledCost BillingAccountId BillingAccountName BillingCurrency BillingPeriodStart BillingPeriodEnd ChargeCategory
ChargeClass ChargeDescription ChargePeriodStart ChargePeriodEnd ContractedCost EffectiveCost InvoiceIssuerName
ListCost PricingQuantity PricingUnit ProviderName PublisherName ServiceCategory ServiceName
"""
MANDATORY = set(_MANDATORY.split())
MAY_BE_NULL = {"BillingAccountName", "ChargeClass", "ChargeDescription", "PricingQuantity", "PricingUnit"}
#: Columns of FOCUS 1.2 besides that we fill.
_FURTHER = """
BillingAccountType ChargeFrequency ConsumedQuantity ConsumedUnit ContractedUnitPrice ListUnitPrice PricingCategory
RegionId RegionName ResourceId ResourceName ResourceType ServiceSubcategory SkuId SkuMeter SkuPriceDetails
SkuPriceId SubAccountId SubAccountName SubAccountType Tags
"""
FURTHER = set(_FURTHER.split())
DAY = dt.timedelta(days=1)


def charges(book: Book, *filters: str, **parameters: Any) -> list[dict[str, Any]]:
    """The rows of a FOCUS export, from its Parquet."""
    reply = book.get("export", *filters, format="focus-parquet", **{**WHOLE, **parameters})
    assert reply.status == 200, reply.body
    return pq.read_table(pa.BufferReader(reply.body)).to_pylist()


def breaches(rows: Iterable[dict[str, Any]]) -> list[str]:
    """What in these rows is against FOCUS 1.2."""
    found = []
    for row in rows:
        found += [f"{name} is null" for name in MANDATORY - MAY_BE_NULL if row[name] is None]
        rules = {
            "costs are decimals": all(isinstance(row[name], Decimal) for name in row if name.endswith("Cost")),
            "ChargeCategory": row["ChargeCategory"] in ("Usage", "Purchase", "Tax", "Credit", "Adjustment"),
            "ChargeClass": row["ChargeClass"] in (None, "Correction"),
            "ChargeFrequency": row["ChargeFrequency"] in ("One-Time", "Recurring", "Usage-Based"),
            "PricingCategory": row["PricingCategory"] in ("Standard", "Dynamic", "Committed", "Other"),
            "BillingCurrency": row["BillingCurrency"] == "USD",
            "ServiceCategory": row["ServiceCategory"] == "AI and Machine Learning",
            "ServiceSubcategory": row["ServiceSubcategory"] == "Generative AI",
            "charge period": row["ChargePeriodEnd"] - row["ChargePeriodStart"] == DAY,
            "day begins at midnight": row["ChargePeriodStart"].timetz() == dt.time(tzinfo=dt.UTC),
            "billing period": row["BillingPeriodStart"] <= row["ChargePeriodStart"] < row["BillingPeriodEnd"],
            "month": row["BillingPeriodStart"].day == row["BillingPeriodEnd"].day == 1
            and 28 <= (row["BillingPeriodEnd"] - row["BillingPeriodStart"]).days <= 31,
            "unit with its quantity": (row["PricingQuantity"] is None) == (row["PricingUnit"] is None)
            and (row["ConsumedQuantity"] is None) == (row["ConsumedUnit"] is None),
            "price with its id": (row["ListUnitPrice"] is None) == (row["SkuPriceId"] is None),
            "unit prices together": (row["ListUnitPrice"] is None) == (row["ContractedUnitPrice"] is None),
            "list product": row["ListUnitPrice"] is None
            or row["ListUnitPrice"] * row["PricingQuantity"] == row["ListCost"],
            "contracted product": row["ContractedUnitPrice"] is None
            or row["ContractedUnitPrice"] * row["PricingQuantity"] == row["ContractedCost"],
            "names with ids": row["RegionName"] is None or row["RegionId"] is not None,
            "own columns": all(name in MANDATORY | FURTHER or name.startswith("x_") for name in row),
            "tags": isinstance(json.loads(row["Tags"]), dict),
        }
        found += [f"{name}: {row}" for name, kept in rules.items() if not kept]
    return found


def test_the_columns_are_those_of_the_specification() -> None:
    names = {column.name for column in COLUMNS}
    assert names >= MANDATORY
    assert names == MANDATORY | FURTHER | {name for name in names if name.startswith("x_")}


@pytest.mark.parametrize("filters", [(), ("provider:openai", "-Feature:chat"), ("Feature",)])
def test_every_row_keeps_the_rules_and_the_costs_add_up_to_the_rows(book: Book, filters: tuple[str, ...]) -> None:
    found = charges(book, *filters)
    usage = book.ask("summary", *filters, **WHOLE)["usage"]
    assert found and breaches(found) == []
    for name in ("BilledCost", "EffectiveCost", "ContractedCost", "ListCost"):
        assert sum(row[name] for row in found) == Decimal(usage["total_cost"]), name
    tokens = sum(row["ConsumedQuantity"] for row in found if row["ConsumedUnit"] == "Tokens")
    assert tokens == usage["prompt_tokens"] + usage["output_tokens"]
    places = [(row["ChargePeriodStart"], row["SubAccountId"], row["SkuId"], row["Tags"]) for row in found]
    assert places != [] and [place[0] for place in places] == sorted(place[0] for place in places)


def test_the_csv_has_the_same_rows(book: Book) -> None:
    reply = book.get("export", format="focus", **WHOLE)
    lines = list(csv.DictReader(io.StringIO(reply.body.decode(), newline="")))
    found = charges(book)
    assert [line["SkuId"] for line in lines] == [row["SkuId"] for row in found]
    assert [Decimal(line["BilledCost"]) for line in lines] == [row["BilledCost"] for row in found]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT00:00:00Z", line["ChargePeriodStart"]) for line in lines)
    assert [dt.datetime.fromisoformat(line["ChargePeriodStart"]) for line in lines] == [
        row["ChargePeriodStart"] for row in found
    ]


def test_a_break_of_the_rules_would_be_found(book: Book) -> None:
    """The check of this file can fail: a null, a wrong word, a wrong product, a foreign column."""
    sound = charges(book)[0]
    for wrong in (
        {"BilledCost": None},
        {"ChargeCategory": "usage"},
        {"ListUnitPrice": Decimal(1), "SkuPriceId": "x", "ContractedUnitPrice": sound["ContractedUnitPrice"]},
        {"OwnColumn": 1},
        {"ChargePeriodEnd": sound["ChargePeriodStart"]},
    ):
        assert breaches([{**sound, **wrong}])


def priced(book: Book, at_us: int, counts: dict[Bucket, int], model: str = "claude-opus-4-5", **given: Any) -> Any:
    """A request billed by the packaged prices."""
    opening, close = exchange(at_us, provider="anthropic", model=model, **given)
    assert close is not None
    part = Part(model, counts)
    costs = [0, 0, 0, 0, 0]
    from majordomo.price.card import Kind

    card = Pricer.load(None, None).card(Kind("anthropic", model, None, None, None, False), at_us)
    for bucket, count in counts.items():
        slot, rate = card.rates[bucket]
        costs[slot] += rate * count
    i, r, w, o, t = costs
    bill = msgspec.structs.replace(
        close.bill, input_cost=i, cache_read_cost=r, cache_creation_cost=w, output_cost=o, tool_cost=t,
        total_cost=sum(costs), model_found=True, problems=(),
    )  # fmt: skip
    return opening, msgspec.structs.replace(close, parts=(part,), bill=bill)


@pytest.fixture
def cached(member: Any, postgres_dsn: str, tmp_path: Path) -> Book:
    """Two requests of one day that write to a cache for both times, one with searches, and one of the next day."""
    writes = {Bucket.INPUT: 10, Bucket.CACHE_WRITE_5M: 1000, Bucket.CACHE_WRITE_1H: 500, Bucket.OUTPUT: 20}
    team = {"metadata": {"Team": "legal"}}
    book = Book(member, [])
    made = [
        priced(book, START_US, writes, **team),
        priced(book, START_US + 1, {**writes, Bucket.WEB_SEARCH: 3}, **team),
        priced(book, START_US + 86_400_000_000, writes, **team),
    ]
    record(postgres_dsn, tmp_path, made)
    return book


def test_meters_that_are_billed_apart_are_rows_of_their_own_with_their_rates(cached: Book) -> None:
    """A cache written for five minutes and for an hour costs different rates; searches are no tokens."""
    found = charges(cached)
    assert breaches(found) == []
    first = [row for row in found if row["ChargePeriodStart"] == min(row["ChargePeriodStart"] for row in found)]
    told = {row["SkuMeter"]: (row["ConsumedQuantity"], row["ConsumedUnit"], row["x_Requests"]) for row in first}
    assert told == {
        "input": (20, "Tokens", 2),
        "cache_write_5m": (2000, "Tokens", 2),
        "cache_write_1h": (1000, "Tokens", 2),
        "output": (40, "Tokens", 2),
        "web_search": (3, "Calls", 1),
    }
    prices = {row["SkuMeter"]: row["ListUnitPrice"] for row in found}
    assert prices["cache_write_1h"] == 2 * prices["input"]
    assert prices["cache_write_5m"] * 4 == 5 * prices["input"]
    assert {json.loads(row["Tags"])["Team"] for row in found} == {"legal"}
    assert len(found) == len(first) + 4
    [total] = cached.api.database(lambda connection: connection.fetch("SELECT sum(total_cost) FROM llm_requests"))
    assert sum(row["BilledCost"] for row in found) == total["sum"]


def test_a_discount_is_between_list_and_contracted_cost(cached: Book) -> None:
    """A quarter off: the rows were billed with it, and the list price is what it would have cost without."""
    overlay = adjustments.parse(b'[[discount]]\nprovider = "anthropic"\npercent = 25\n', "overlay.toml").rules
    book = Pricer.load(None, None).book
    pricer = Pricer(PriceBook(book.catalogue, (*book.layers, overlay)), "discounted")

    async def ask(connection: Connection) -> list[Any]:
        token_costs = ("input_cost", "cache_read_cost", "cache_creation_cost", "output_cost")
        cheaper = ", ".join(f"{name} = {name} * 0.75" for name in token_costs)
        await connection.execute(f"UPDATE llm_requests SET {cheaper}")
        await connection.execute(f"UPDATE llm_requests SET total_cost = {' + '.join(token_costs)} + tool_cost")
        async with snapshot(connection):
            return [row async for rows in focus_rows(connection, Scope(org_id=None), pricer) for row in rows]

    names = [column.name for column in COLUMNS]
    found = [dict(zip(names, row, strict=True)) for row in cached.api.database(ask)]
    assert {row["SkuMeter"] for row in found} >= {"cache_write_1h", "web_search"}
    for row in found:
        share = 1 if row["SkuMeter"] == "web_search" else Decimal("0.75")
        assert row["BilledCost"] == row["ContractedCost"] == row["ListCost"] * share
        assert row["ContractedUnitPrice"] == row["ListUnitPrice"] * share


def test_usage_without_a_known_price_is_there_and_says_so(book: Book) -> None:
    unpriced = [row for row in charges(book) if not row["x_PriceKnown"]]
    wanted = [row for row in book.rows if row["total_cost"] is None and row["usage_state"] != "none"]
    assert wanted
    assert sum(row["ConsumedQuantity"] for row in unpriced) == sum(
        row["prompt_tokens"] + row["output_tokens"] for row in wanted
    )
    assert {(row["BilledCost"], row["ListUnitPrice"]) for row in unpriced} == {(0, None)}


def test_a_day_is_utcs_whatever_the_period_was_asked_in(book: Book) -> None:
    """A period in another zone cuts no request out or in; the days of its charges are UTC's."""
    bounds = {"since": "2026-10-25", "until": "2026-10-27", "timezone": "Asia/Kolkata"}
    found = charges(book, **bounds)
    assert sum(row["BilledCost"] for row in found) == Decimal(book.ask("summary", **bounds)["usage"]["total_cost"])
    days = {row["ChargePeriodStart"] for row in found}
    assert days == {dt.datetime(2026, 10, day, tzinfo=dt.UTC) for day in (24, 25, 26)}
