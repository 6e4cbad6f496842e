"""How budgets stand: what is spent, reserved and left, when it comes back, and when it is gone at the present rate."""

import datetime as dt
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from majordomo.budget.definition import described
from majordomo.budget.model import UNTOLD, Budget, Unit, from_unit, in_unit
from majordomo.budget.recount import used_between
from majordomo.budget.statements import statement
from majordomo.budget.windows import HOUR_US, SECOND_US, Kind, moment_of, stamp_us
from majordomo.record.database import Connection

#: Counts shown of a budget that has one for each value of something: the fullest.
MOST_COUNTS = 20
#: What the present rate is taken over (microseconds).
RATE_OVER_US = HOUR_US


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """One count of a budget in its present window, in USD or a number."""

    value: str  # of what is counted apart; empty if nothing is
    limit: Decimal  # with what it is raised by
    spent: Decimal
    reserved: Decimal  # leased by front desks: for requests under way, and to be spent without asking
    at_risk: Decimal  # what requests under way may use at worst beyond what is reserved: the largest possible overshoot
    remaining: Decimal  # of the limit, less what is spent; never below zero
    percent: Decimal  # of the limit that is spent
    requests: int
    unpriced: int
    resets_at: dt.datetime | None  # None: never
    rate_per_hour: Decimal | None = None  # over the last hour
    runs_out_at: dt.datetime | None = None  # at that rate, if that is before it resets


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A budget's fullest counts, and how many there are."""

    counts: list[Count]
    number: int


async def standing(
    connection: Connection, budget: Budget, now: int, *, most: int = MOST_COUNTS, value: str | None = None,
    rate: bool = False,
) -> Standing:  # fmt: skip
    """How a budget stands at ``now``, microseconds since the epoch; ``value``: this one count only.

    A budget that counts nothing apart has one count, even if nothing is spent. ``rate``: look at the rows of the last
    hour too, to tell how fast it goes.
    """
    window = budget.window
    span = window.span(now)
    rows = await connection.fetch(
        statement("standing"),
        UUID(bytes=budget.id),
        moment_of(max(window.counted_from(now), budget.counts_from)),
        moment_of(span.start),
        moment_of(window.lease_start(span.start)),
        value,
        most,
    )
    rates = await used_between(connection, budget, now - RATE_OVER_US, now) if rate else {}
    counts = [
        _count(
            budget,
            now,
            row["each_value"],
            spent=from_unit(budget.unit, row["spent"]),
            reserved=from_unit(budget.unit, row["leased"]),
            at_risk=from_unit(budget.unit, row["at_risk"]),
            requests=row["requests"],
            unpriced=row["unpriced"],
            first_start=None if row["first_start"] is None else stamp_us(row["first_start"]),
            rate=rates.get(row["each_value"], 0) if rate else None,
        )
        for row in rows
    ]
    if not counts and budget.scope.each is None and window.kind is not Kind.SESSION and value in (None, UNTOLD):
        counts.append(_count(budget, now, UNTOLD, rate=0 if rate else None))
    return Standing(counts=counts, number=rows[0]["counts"] if rows else len(counts))


def with_standing(budget: Budget, stands: Standing) -> dict[str, Any]:
    """A budget in plain values with how it stands: the figures of its fullest count, and the counts themselves.

    ``limit`` is what holds now; ``base_limit`` is it without raises.
    """
    told = described(budget)
    top = stands.counts[0] if stands.counts else None
    return {
        **told,
        "base_limit": told["limit"],
        "limit": told["limit"] if top is None else top.limit,
        "spent": Decimal(0) if top is None else top.spent,
        "reserved": Decimal(0) if top is None else top.reserved,
        "at_risk": Decimal(0) if top is None else top.at_risk,
        "remaining": Decimal(told["limit"]) if top is None else top.remaining,
        "resets_at": None if top is None else top.resets_at,
        "runs_out_at": None if top is None else top.runs_out_at,
        "raises": [
            {"amount": in_unit(budget.unit, one.amount), "until": moment_of(one.until), "reason": one.reason}
            for one in budget.raises
        ],
        "counts": stands.counts,
        "number_of_counts": stands.number,
    }


def resets_at(budget: Budget, now: int, first_start: int | None = None) -> int | None:
    """When something comes back: the window's end or, of one that rolls, when its oldest step that counts leaves."""
    window = budget.window
    if window.kind is Kind.ROLLING:
        return None if first_start is None else first_start + window.step + window.length * SECOND_US
    return window.span(now).end


def _count(
    budget: Budget,
    now: int,
    value: str,
    *,
    spent: int = 0,
    reserved: int = 0,
    at_risk: int = 0,
    requests: int = 0,
    unpriced: int = 0,
    first_start: int | None = None,
    rate: int | None = None,
) -> Count:
    limit = budget.limit_at(now)
    if budget.unit is Unit.CONCURRENT:
        spent = reserved  # what runs is all there is
    remaining = max(0, limit - spent)
    end = resets_at(budget, now, first_start)
    out = None
    if rate and remaining:
        out = now + remaining * RATE_OVER_US // rate
        if end is not None and budget.window.kind is not Kind.ROLLING and out >= end:
            out = None
    return Count(
        value=value,
        limit=in_unit(budget.unit, limit),
        spent=in_unit(budget.unit, spent),
        reserved=in_unit(budget.unit, reserved),
        at_risk=in_unit(budget.unit, at_risk),
        remaining=in_unit(budget.unit, remaining),
        percent=Decimal(spent * 1000 // limit) / 10,
        requests=requests,
        unpriced=unpriced,
        resets_at=None if end is None else moment_of(end),
        rate_per_hour=None if rate is None else in_unit(budget.unit, rate),
        runs_out_at=None if out is None else moment_of(min(out, stamp_us(dt.datetime(9999, 1, 1, tzinfo=dt.UTC)))),
    )
