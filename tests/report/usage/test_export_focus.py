"""The FOCUS file: the columns and rules of version 1.2, and the very sums of the rows."""

import csv
import datetime as dt
import io
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from recorded_rows import exchange, record
from usage_book import START_US, WHOLE, Book

from majordomo.ids import new_uuid
from majordomo.meter.reading import Bucket, Part
from majordomo.price import adjustments
from majordomo.price.card import Kind as card_kind
from majordomo.price.card import PriceBook
from majordomo.price.pricer import Pricer
from majordomo.record.database import Connection
from majordomo.report.exports.columns import Kind
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
RegionId RegionName ResourceId ResourceType ServiceSubcategory SkuId SkuMeter SkuPriceDetails
SkuPriceId SubAccountId SubAccountName SubAccountType Tags
"""
FURTHER = set(_FURTHER.split())
KINDS = {column.name: column.kind for column in COLUMNS}
TYPES = {Kind.DECIMAL: Decimal, Kind.TIME: dt.datetime, Kind.TEXT: str, Kind.JSON: str, Kind.BOOLEAN: bool}
DAY = dt.timedelta(days=1)
UNIT = re.compile(r"(?:([1-9]\d*) )?(Tokens|Calls|Queries|Images|Characters|Seconds|Requests)")
#: Words that stand for something absent; FOCUS wants null.
PLACEHOLDERS = {"", "unknown", "unknown model", "none", "null", "n/a", "not_available", "not applicable"}


def charges(book: Book, *filters: str, **parameters: Any) -> list[dict[str, Any]]:
    """The rows of a FOCUS export, from its Parquet."""
    reply = book.get("export", *filters, format="focus-parquet", **{**WHOLE, **parameters})
    assert reply.status == 200, reply.body
    return pq.read_table(pa.BufferReader(reply.body)).to_pylist()


def breaches(rows: list[dict[str, Any]]) -> list[str]:
    """What in these rows is against FOCUS 1.2."""
    found = []
    for row in rows:
        rules = {**form(row), **cost_and_quantity(row), **charge_and_period(row), **what_and_whose(row)}
        found += [f"{name}: {row}" for name, kept in rules.items() if not kept]
    return found + among(rows)


def form(row: dict[str, Any]) -> dict[str, bool]:
    """Columns, nulls, types and formats."""
    texts = [value for value in row.values() if isinstance(value, str)]
    maps = [json.loads(row[name]) for name in ("Tags", "SkuPriceDetails") if row[name] is not None]
    return {
        "columns": all(name in MANDATORY | FURTHER or name.startswith("x_") for name in row),
        "nulls": all(row[name] is not None for name in MANDATORY - MAY_BE_NULL),
        "types": all(
            value is None or isinstance(value, TYPES.get(KINDS[name], int))
            for name, value in row.items()
            if name in KINDS
        ),
        "no placeholders": all(text.strip().lower() not in PLACEHOLDERS for text in texts),
        "key-value format": all(
            isinstance(one, dict) and not any(isinstance(value, dict | list) for value in one.values()) for one in maps
        ),
        "times are UTC": all(
            value.utcoffset() == dt.timedelta(0) for value in row.values() if isinstance(value, dt.datetime)
        ),
        "BillingCurrency": row["BillingCurrency"] == "USD",
    }


def cost_and_quantity(row: dict[str, Any]) -> dict[str, bool]:
    """Costs, unit prices, quantities, units, and how they hang together."""
    consumed, priced = (UNIT.fullmatch(row[name] or "") for name in ("ConsumedUnit", "PricingUnit"))
    if row["BilledCost"] is None or row["PricingQuantity"] is None or consumed is None or priced is None:
        return {"quantities and units of usage": False}
    prices = [row["ListUnitPrice"], row["ContractedUnitPrice"]]
    costs = [row[name] for name in ("ListCost", "ContractedCost", "EffectiveCost", "BilledCost")]
    return {
        "consumed quantity is positive": row["ConsumedQuantity"] > 0 and row["PricingQuantity"] > 0,
        "consumed unit has no quantity": consumed[1] is None,
        "same thing consumed and priced": consumed[2] == priced[2],
        "same amount consumed and priced": row["PricingQuantity"] * int(priced[1] or 1) == row["ConsumedQuantity"],
        "unit prices together": (prices[0] is None) == (prices[1] is None),
        "unit prices are not negative": all(price is None or price >= 0 for price in prices),
        "list product": prices[0] is None or prices[0] * row["PricingQuantity"] == row["ListCost"],
        "contracted product": prices[1] is None or prices[1] * row["PricingQuantity"] == row["ContractedCost"],
        "without a unit price costs are one": prices[0] is not None or len(set(costs)) == 1,
        "effective cost, as nothing is prepaid": row["EffectiveCost"] == row["BilledCost"],
        "a price that is known is told": row["x_PriceKnown"] or (prices[0] is None and costs[0] == 0),
        "PricingCategory": row["PricingCategory"] in ("Standard", "Dynamic", "Committed", "Other"),
    }


def charge_and_period(row: dict[str, Any]) -> dict[str, bool]:
    """Category, class, frequency; a charge's day in its month."""
    start, end = row["BillingPeriodStart"], row["BillingPeriodEnd"]
    midnight = dt.time(tzinfo=dt.UTC)
    return {
        "only usage has a consumed quantity": row["ChargeCategory"] == "Usage",
        "ChargeClass": row["ChargeClass"] is None,
        "usage is charged as it is used": row["ChargeFrequency"] == "Usage-Based",
        "charge period": row["ChargePeriodEnd"] - row["ChargePeriodStart"] == DAY,
        "day begins at midnight": row["ChargePeriodStart"].timetz() == midnight,
        "charge within its billing period": start <= row["ChargePeriodStart"] and row["ChargePeriodEnd"] <= end,
        "billing period is a month": (start.day, start.timetz(), end)
        == (1, midnight, (start + 31 * DAY).replace(day=1)),
    }


def what_and_whose(row: dict[str, Any]) -> dict[str, bool]:
    """Service, SKU, resource, region, accounts: what comes together, and what not without another."""
    told, sku = row["SkuPriceId"], row["SkuId"]
    details = json.loads(row["SkuPriceDetails"] or "{}")
    return {
        "ServiceCategory": row["ServiceCategory"] == "AI and Machine Learning",
        "ServiceSubcategory": row["ServiceSubcategory"] == "Generative AI",
        "SKU and meter": sku is not None and row["SkuMeter"] is not None,
        "price with its id": (row["ListUnitPrice"] is None) == (told is None) == (row["SkuPriceDetails"] is None),
        "price of its SKU": told is None or told.startswith(f"{sku}/"),
        "no version in the price's id": told is None or row["x_PriceVersion"] not in told.split("/"),
        "own properties of a price": all(re.fullmatch(r"x_([A-Z][a-z]+)+", name) for name in details),
        "resource with its type": (row["ResourceId"] is None) == (row["ResourceType"] is None),
        "region with its name": (row["RegionId"] is None) == (row["RegionName"] is None),
        "account with its type": row["BillingAccountType"] is not None,
        "sub account with its type": (row["SubAccountId"] is None) == (row["SubAccountType"] is None),
        "sub account's name with its id": row["SubAccountName"] is None or row["SubAccountId"] is not None,
    }


def among(rows: list[dict[str, Any]]) -> list[str]:
    """A price has one SKU, and one set of properties; a SKU has one meter; a service one category."""
    pairs = (
        ("SkuPriceId", "SkuId"),
        ("SkuPriceId", "SkuPriceDetails"),
        ("SkuId", "SkuMeter"),
        ("SkuId", "PricingUnit"),
    )
    found = []
    for one, other in pairs:
        seen: dict[str, set[Any]] = {}
        for row in rows:
            if row[one] is not None:
                seen.setdefault(row[one], set()).add(row[other])
        found += [f"{one} {name} has several {other}: {others}" for name, others in seen.items() if len(others) > 1]
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
    times, numbers = ([name for name, kind in KINDS.items() if kind is one] for one in (Kind.TIME, Kind.DECIMAL))
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT00:00:00Z", line[name]) for line in lines for name in times)
    assert all(re.fullmatch(r"(-?\d+(\.\d+)?)?", line[name]) for line in lines for name in numbers)
    assert [dt.datetime.fromisoformat(line["ChargePeriodStart"]) for line in lines] == [
        row["ChargePeriodStart"] for row in found
    ]


def test_a_break_of_the_rules_would_be_found(book: Book) -> None:
    """The check of this file can fail: a null, a wrong word, a wrong product, a foreign column."""
    sound = next(row for row in charges(book) if row["ListUnitPrice"] is not None)
    assert breaches([sound]) == []
    for wrong in (
        {"BilledCost": None},
        {"BilledCost": 1.5},
        {"EffectiveCost": sound["EffectiveCost"] + 1},
        {"ChargeCategory": "usage"},
        {"ChargeCategory": "Tax"},
        {"ChargeClass": "Correction"},
        {"ChargeFrequency": "One-Time"},
        {"ListUnitPrice": Decimal(1), "ContractedUnitPrice": sound["ContractedUnitPrice"]},
        {"ContractedUnitPrice": None},
        {"ListUnitPrice": None, "ContractedUnitPrice": None},
        {"PricingQuantity": None, "PricingUnit": None},
        {"PricingUnit": "Tokens"},
        {"PricingUnit": "1M Tokens"},
        {"ConsumedQuantity": Decimal(0)},
        {"ConsumedUnit": None},
        {"SkuPriceId": f"{sound['SkuId']}/{sound['x_PriceVersion']}"},
        {"SkuPriceDetails": '{"ServiceTier": ["batch"]}'},
        {"SkuId": "unknown model"},
        {"ResourceId": None},
        {"RegionName": "us"},
        {"SubAccountId": None, "SubAccountName": "x"},
        {"BillingAccountName": ""},
        {"BillingCurrency": "usd"},
        {"BillingPeriodEnd": sound["BillingPeriodEnd"] - DAY},
        {"Tags": '{"Team": {"of": "legal"}}'},
        {"OwnColumn": 1},
        {"ChargePeriodEnd": sound["ChargePeriodStart"]},
    ):
        assert breaches([{**sound, **wrong}]), wrong
    assert breaches([sound, {**sound, "SkuMeter": "another"}])


def priced(
    book: Book, at_us: int, counts: dict[Bucket, int], model: str = "claude-opus-4-5", long: bool = False, **given: Any
) -> Any:
    """A request billed by the packaged prices; ``long``: by those of the longest prompts."""
    opening, close = exchange(at_us, provider="anthropic", model=model, **given)
    assert close is not None
    part = Part(model, counts)
    costs = [0, 0, 0, 0, 0]
    card = Pricer.load(None, None).card(card_kind("anthropic", model, None, None, None, False), at_us)
    for bucket, count in counts.items():
        slot, rate = (card.longer[0][1] if long else card.rates)[bucket]
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
    assert (prices["input"], prices["web_search"]) == (5, 10)  # USD for a million tokens, for a thousand searches
    assert prices["cache_write_1h"] == 2 * prices["input"]
    assert prices["cache_write_5m"] * 4 == 5 * prices["input"]
    assert {json.loads(row["Tags"])["Team"] for row in found} == {"legal"}
    assert len(found) == len(first) + 4
    [total] = cached.api.database(lambda connection: connection.fetch("SELECT sum(total_cost) FROM llm_requests"))
    assert sum(row["BilledCost"] for row in found) == total["sum"]


def test_whatever_was_recorded_keeps_the_rules(member: Any, postgres_dsn: str, tmp_path: Path) -> None:
    """No model, no price, a cost without a count, a count of nothing, long prompts, regions and none, batches."""
    book = Book(member, [])
    plain = priced(book, START_US, {Bucket.INPUT: 10, Bucket.OUTPUT: 20}, "claude-sonnet-4-5")
    made = [
        plain,
        priced_again(
            plain, parts=(Part("claude-sonnet-4-5", {Bucket.INPUT: 10, Bucket.OUTPUT: 20, Bucket.CACHE_READ: 0}),)
        ),
        priced_again(plain, geo="not_available"),
        priced_again(plain, geo="us", speed="fast", service_tier="priority"),
        priced_again(plain, batch=True),
        (msgspec.structs.replace(plain[0], id=new_uuid(START_US).bytes, provider_key_alias=""), None),
        priced(book, START_US, {Bucket.INPUT: 300_000, Bucket.OUTPUT: 20}, "claude-sonnet-4-5", long=True),
        exchange(START_US, model=None, costs=None),
        exchange(START_US, model="house", provider="baseten", costs=(500, 0, 0, 20, 7)),
        priced_again(exchange(START_US, model="voice", uncached=0, output=0, costs=(9, 0, 0, 0, 0)), parts=()),
    ]
    record(postgres_dsn, tmp_path, made)
    found = charges(book)
    assert breaches(found) == []
    [total] = member.database(lambda connection: connection.fetch("SELECT sum(total_cost) FROM llm_requests"))
    assert sum(row["BilledCost"] for row in found) == total["sum"]
    told = {row["SkuPriceId"]: row["SkuPriceDetails"] for row in found}
    assert told["claude-sonnet-4-5/input/standard"] == '{"x_ServiceTier":"standard"}'
    assert json.loads(told["claude-sonnet-4-5/input/standard/>200000"])["x_PromptTokens"] == ">200000"
    prices = {row["SkuPriceId"]: row["ListUnitPrice"] for row in found}
    assert prices["claude-sonnet-4-5/input/standard/>200000"] == 2 * prices["claude-sonnet-4-5/input/standard"] == 6
    assert {row["RegionId"] for row in found} == {None, "us"}
    assert {(row["SkuMeter"], row["PricingUnit"], row["ResourceId"]) for row in found} >= {
        ("input", "1000000 Tokens", None),
        ("tools", "Requests", "house"),
        ("input_by_request", "Requests", "voice"),
    }


def priced_again(made: Any, **changed: Any) -> Any:
    """Another request like this one, with other parts or terms."""
    opening, close = made
    request_id = new_uuid(START_US).bytes
    return msgspec.structs.replace(opening, id=request_id), msgspec.structs.replace(close, id=request_id, **changed)


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
