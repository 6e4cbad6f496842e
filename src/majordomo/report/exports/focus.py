"""FOCUS 1.2: what was spent as FinOps tools read it, a row a day, provider account, key, model, meter, rate and tags.

Requests are read in that order, a day at a time, and added up as they come: what is held is one group's meters.
``BilledCost`` over all rows is the sum of ``total_cost``. Usage whose price nobody knows is a row with a cost of 0, as
FOCUS has no empty cost, and ``x_PriceKnown`` false.
"""

import datetime as dt
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any, Final

import msgspec

from majordomo.price.pricer import Pricer
from majordomo.record.database import Connection
from majordomo.report.exports.columns import Row, Value
from majordomo.report.exports.cursor import batches
from majordomo.report.exports.focus_columns import COLUMNS, FIXED, provider_name, service_name, units
from majordomo.report.exports.meters import Metered, Meters
from majordomo.report.questions import cells
from majordomo.report.questions.cells import Scope
from majordomo.report.questions.requests import decoded
from majordomo.report.questions.scope import DAY, Stretch
from majordomo.report.sql import question

_NAMES: Final = tuple(column.name for column in COLUMNS)
_GROUP: Final = (
    "org_id", "key", "provider", "account", "account_name", "model", "service_tier", "speed", "price_version", "geo",
    "tags", "is_batch", "is_priced",
)  # fmt: skip
_BATCH_ROWS: Final = 1000

_Place = tuple[str | None, str, int, Decimal | None, Decimal | None]  # model, meter, bracket, rate, list rate


class _Sum:
    """What one row is of: counts and costs added up."""

    def __init__(self) -> None:
        self.count = 0
        self.requests = 0
        self.cost = Decimal(0)
        self.list_cost = Decimal(0)

    def add(self, one: Metered) -> None:
        """One request's reading."""
        self.count += one.count
        self.cost += one.cost or 0
        self.list_cost += one.list_cost or 0


async def focus_rows(connection: Connection, scope: Scope, pricer: Pricer) -> AsyncIterator[list[Row]]:
    """Every charge of ``scope``, in batches that grow with no more than one group; within a ``snapshot``."""
    meters = Meters(pricer)
    waiting: list[Row] = []
    async for day, requests in _days(connection, scope):
        group: _Group | None = None
        async for row in requests:
            key = tuple(row[name] for name in _GROUP)
            if group is None or group.key != key:
                waiting += group.rows(day, scope) if group else []
                group = _Group(key)
                if len(waiting) >= _BATCH_ROWS:
                    yield waiting
                    waiting = []
            group.take(meters.read(row))
        waiting += group.rows(day, scope) if group else []
    yield waiting


async def _days(
    connection: Connection, scope: Scope
) -> AsyncIterator[tuple[dt.datetime, AsyncIterator[dict[str, Any]]]]:
    """Each UTC day of the scope that may have requests, and these."""
    bounds, values = cells.over_rows(scope, question("bounds"))
    found = await connection.fetchrow(bounds, *values)
    if found is None or found["first_at"] is None:
        return
    day = found["first_at"].astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    while day <= found["last_at"]:
        since, until = scope.stretch
        yield day, _requests(connection, scope, (max(since, day), min(until, day + DAY)))
        day += DAY


async def _requests(connection: Connection, scope: Scope, stretch: Stretch) -> AsyncIterator[dict[str, Any]]:
    within = msgspec.structs.replace(scope, since=stretch[0], until=stretch[1], running=False)
    statement, parameters = cells.over_rows(within, question("export_focus"))
    async for found in batches(connection, "export_focus", statement, parameters):
        for row in found:
            yield decoded(row)


class _Group:
    """The requests that differ in their meters only."""

    def __init__(self, key: tuple[Any, ...]) -> None:
        self.key = key
        self._sums: dict[_Place, _Sum] = {}

    def take(self, readings: list[Metered]) -> None:
        """Add one request. Several readings of one meter are one request of it."""
        touched = {}
        for one in readings:
            place = (one.model, one.meter, one.above, one.rate, one.list_rate)
            touched[place] = found = self._sums.setdefault(place, _Sum())
            found.add(one)
        for found in touched.values():
            found.requests += 1

    def rows(self, day: dt.datetime, scope: Scope) -> Iterator[Row]:
        """A row for each meter and rate."""
        told = dict(zip(_GROUP, self.key, strict=True))
        shared = {**FIXED, **_of_group(told, day, scope)}
        for (model, meter, above, rate, list_rate), found in self._sums.items():
            values = {**shared, **_of_meter(told, model or told["model"], meter), **_amounts(meter, found)}
            if rate is not None and list_rate is not None:
                size = units(meter).priced_size
                values |= {"ContractedUnitPrice": rate * size, "ListUnitPrice": list_rate * size}
                values |= _of_price(told, str(values["SkuId"]), above)
            yield tuple(values.get(name) for name in _NAMES)


def _of_group(told: dict[str, Any], day: dt.datetime, scope: Scope) -> dict[str, Value]:
    month = day.replace(day=1)
    provider = provider_name(told["provider"])
    return {
        "BillingAccountId": told["account"] or told["provider"],
        "BillingAccountName": told["account_name"],
        "BillingPeriodStart": month,
        "BillingPeriodEnd": (month + 31 * DAY).replace(day=1),
        "ChargePeriodStart": day,
        "ChargePeriodEnd": day + DAY,
        "InvoiceIssuerName": provider,
        "ProviderName": provider,
        "PublisherName": provider,
        "RegionId": told["geo"],
        "RegionName": told["geo"],
        "ServiceName": service_name(told["provider"]),
        "SubAccountId": told["key"],
        "SubAccountName": scope.known.keys.get(told["key"]),
        "Tags": told["tags"],
        "x_OrganisationId": told["org_id"],
        "x_PriceKnown": told["is_priced"],
        "x_PriceVersion": told["price_version"],
    }


def _of_meter(told: dict[str, Any], model: str | None, meter: str) -> dict[str, Value]:
    named = [model] if model else []
    return {
        "ChargeDescription": ", ".join([*named, meter.replace("_", " "), service_name(told["provider"])]),
        "ResourceId": model or None,
        "ResourceType": "Model" if model else None,
        "SkuId": "/".join([*named, meter]),
        "SkuMeter": meter,
    }


def _amounts(meter: str, found: _Sum) -> dict[str, Value]:
    of = units(meter)
    return {
        "BilledCost": found.cost,
        "EffectiveCost": found.cost,
        "ContractedCost": found.cost,
        "ListCost": found.list_cost,
        "ConsumedQuantity": Decimal(found.count) / of.consumed_size,
        "ConsumedUnit": of.consumed,
        "PricingQuantity": Decimal(found.count) / of.priced_size,
        "PricingUnit": of.priced,
        "x_Requests": found.requests,
    }


def _of_price(told: dict[str, Any], sku: str, above: int) -> dict[str, Value]:
    """Which of a SKU's prices it is. Neither amount nor version is in the id: it is the same whenever they change."""
    details = {"x_ServiceTier": "batch" if told["is_batch"] else told["service_tier"] or "standard"}
    if told["speed"]:
        details["x_Speed"] = told["speed"]
    if told["geo"]:
        details["x_Region"] = told["geo"]
    if above:
        details["x_PromptTokens"] = f">{above}"
    return {
        "SkuPriceDetails": msgspec.json.encode(details).decode(),
        "SkuPriceId": "/".join([sku, *details.values()]),
    }
