"""What the dashboard asks, with periods, zones and filters drawn by lot, and how soon it must be answered."""

import datetime as dt
import random
from collections.abc import Callable
from typing import Final
from urllib.parse import urlencode

import msgspec

from bench.reports.data import Made

_ZONES: Final = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata")
_DAYS: Final = (1, 7, 30, 30, 90)  # thirty is what nobody chose
_MODELS: Final = ("claude-sonnet-4-5", "claude-haiku-4-5", "gpt-5-mini", "gpt-5", "gemini-2.5-flash")

Parameters = list[tuple[str, str]]


class Panel(msgspec.Struct, frozen=True):
    """One panel's question; ``of`` are the parameters of its own."""

    name: str
    path: str
    of: Parameters = []


_BEFORE: Final = [("compare", "previous")]

#: All that the Overview asks at once.
OVERVIEW: Final = (
    Panel("figures", "summary", _BEFORE),
    Panel(
        "trend by model",
        "timeseries",
        [("group_by", "model"), ("limit", "7"), ("compare", "previous"), ("metric", "total_cost")],
    ),
    Panel("top models", "breakdown", [("group_by", "model"), ("limit", "8"), *_BEFORE]),
    Panel("top features", "breakdown", [("group_by", "Feature"), ("limit", "8"), *_BEFORE]),
    Panel("latency", "latency"),
    Panel("errors", "errors", [("limit", "7")]),
)
#: Asked by the Overview before and after.
DIMENSIONS: Final = Panel("dimensions", "dimensions")
EARLIER_LATENCY: Final = Panel("latency of the time before", "latency", [("granularity", "month")])
OTHERS: Final = (
    Panel("top keys", "breakdown", [("group_by", "key"), ("limit", "8"), *_BEFORE]),
    Panel("top teams", "breakdown", [("group_by", "Team"), ("limit", "8"), *_BEFORE]),
    Panel("latency by model", "latency", [("group_by", "model"), ("limit", "8")]),
    Panel("requests, a page", "requests"),
    Panel("runs, a page", "runs"),
)


class Filters(msgspec.Struct, frozen=True):
    """A kind of filters: how many, and what they are about."""

    name: str
    limit_ms: float
    draw: Callable[[random.Random], list[str]]
    days: tuple[int, ...] = _DAYS


def _feature(dice: random.Random) -> str:
    return f"Feature:feature-{int(20 * dice.random() ** 2)}"


def _team(dice: random.Random) -> str:
    return f"Team:team-{dice.randrange(8)}"


def _model(dice: random.Random) -> str:
    return f"model:{dice.choice(_MODELS)}"


NONE: Final = Filters("no filter", 100, lambda dice: [])
MODEL: Final = Filters("one: model", 100, lambda dice: [_model(dice)])
KEY: Final = Filters("one: key", 100, lambda dice: [f"key:key 0.{dice.randrange(12)}"])
FEATURE: Final = Filters("one: Feature", 100, lambda dice: [_feature(dice)])
FINE: Final = Filters("one: User-Id", 100, lambda dice: [f"User-Id:user-{int(60_000 * dice.random() ** 1.8)}"])
TWO: Final = Filters("two, 30 days", 1000, lambda dice: [_feature(dice), dice.choice((_team, _model))(dice)], (30,))
ALL_FILTERS: Final = (NONE, MODEL, KEY, FEATURE, FINE, TWO)


def question(panel: Panel, common: Parameters) -> str:
    """The path with its query."""
    return f"/api/v1/usage/{panel.path}" + ("?" + urlencode(common + panel.of) if panel is not DIMENSIONS else "")


def drawn(dice: random.Random, filters: Filters, made: Made) -> Parameters:
    """What all questions of one page share: a period, a time zone, filters.

    Most periods reach up to the last hour, as the dashboard's own do; some are cut at any minute.
    """
    days = dice.choice(filters.days)
    until = made.until
    if dice.random() < 0.3:
        until -= dt.timedelta(minutes=dice.randrange(24 * 60 * max(1, 90 - days) or 1))
    since = max(until - dt.timedelta(days=days), made.since)
    period = [("from", since.isoformat()), ("to", until.isoformat()), ("timezone", dice.choice(_ZONES))]
    return [*period, *(("filter", one) for one in filters.draw(dice))]
