"""What goes on just now: rates of the last moments, the foremost models, keys and features, who is near a limit."""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import msgspec

from majordomo.budget import sight, store
from majordomo.record.database import Connection
from majordomo.report.front_desks import FrontDesk
from majordomo.report.questions.requests import RequestLine, requests
from majordomo.report.questions.scope import Scope
from majordomo.report.sql import question

#: Rows of each list.
MOST_ROWS: Final = 10
#: How long before the window a request may have begun and still be counted in it when it ends.
_LONGEST: Final = dt.timedelta(minutes=15)
_HOUR_SECONDS: Final = 3600

_SINCE_MIDNIGHT: Final = """
SELECT coalesce(sum(requests), 0)::bigint AS requests, coalesce(sum(total_cost), 0)::numeric AS total_cost
FROM usage_by_model_hourly WHERE bucket_start >= $1
"""


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """What ended in the window, of all or of one value. Costs are USD; ``value`` is empty for requests without one."""

    value: str
    requests: int
    errors: int
    prompt_tokens: int
    output_tokens: int
    total_cost: Decimal
    unpriced: int  # requests whose cost nobody knows


class NearLimit(msgspec.Struct, frozen=True):
    """A budget's count that is near its limit. ``spent`` and ``limit`` in its unit."""

    budget: str
    value: str
    unit: str
    percent: Decimal
    spent: Decimal
    limit: Decimal


class Top(msgspec.Struct, frozen=True, kw_only=True):
    """One look. Rates are over the last ``window_seconds``; ``running`` and ``callers`` are this machine's."""

    at: dt.datetime
    window_seconds: int
    total: Rate
    requests_per_second: float
    prompt_tokens_per_second: float
    output_tokens_per_second: float
    usd_per_hour: Decimal  # what an hour like this window costs
    today_requests: int  # since midnight, UTC
    today_cost: Decimal
    running: int | None  # requests under way at the front desks; None: none of them tells
    callers: int | None  # open connections
    by_model: list[Rate]
    by_key: list[Rate]
    by_feature: list[Rate]
    metadata_key: str  # what by_feature is by
    latest: list[RequestLine]
    near_limits: list[NearLimit]


async def top(
    connection: Connection, desks: Sequence[FrontDesk], now: dt.datetime, window: dt.timedelta, metadata_key: str
) -> Top:
    """A look at ``now``. ``desks``: what the front desks of this machine tell."""
    since = now - window
    found: dict[str, list[Rate]] = {"total": [], "model": [], "key": [], "feature": []}
    for row in await connection.fetch(question("top"), since, since - _LONGEST, metadata_key):
        amounts = {name: row[name] for name in Rate.__struct_fields__ if name != "value"}
        found[row["by"]].append(Rate(value=row["value"] or "", **amounts))
    total = found["total"][0]
    today = await connection.fetchrow(_SINCE_MIDNIGHT, now.replace(hour=0, minute=0, second=0, microsecond=0))
    assert today is not None
    seconds = window.total_seconds()
    return Top(
        at=now,
        window_seconds=int(seconds),
        total=total,
        requests_per_second=round(total.requests / seconds, 3),
        prompt_tokens_per_second=round(total.prompt_tokens / seconds, 3),
        output_tokens_per_second=round(total.output_tokens / seconds, 3),
        usd_per_hour=round(total.total_cost * _HOUR_SECONDS / int(seconds), 6),
        today_requests=today["requests"],
        today_cost=today["total_cost"],
        running=_sum(desks, "running"),
        callers=_sum(desks, "callers"),
        by_model=found["model"][:MOST_ROWS],
        by_key=found["key"][:MOST_ROWS],
        by_feature=found["feature"][:MOST_ROWS],
        metadata_key=metadata_key,
        latest=await requests(connection, Scope(since=now - dt.timedelta(days=1)), MOST_ROWS),
        near_limits=await _near_limits(connection, now),
    )


async def _near_limits(connection: Connection, now: dt.datetime) -> list[NearLimit]:
    budgets = [budget for budget in await store.load(connection) if not budget.paused]
    near = await sight.near(connection, budgets, int(now.timestamp() * 1_000_000))
    return [
        NearLimit(
            one.budget.name, one.count.value, one.budget.unit, one.count.percent, one.count.spent, one.count.limit
        )
        for one in near[:MOST_ROWS]
    ]


def _sum(desks: Sequence[FrontDesk], gauge: str) -> int | None:
    told = [desk.gauges[gauge] for desk in desks if desk.serving and gauge in desk.gauges]
    return int(sum(told)) if told else None
