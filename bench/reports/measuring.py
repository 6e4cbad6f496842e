"""The parts of the report benchmark: panels one by one and several at once, the Overview whole, the documented SQL."""

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import msgspec

from bench.contender import ROOT
from bench.reports.asking import Asker, Browser, Times
from bench.reports.data import Made
from bench.reports.panels import (
    ALL_FILTERS,
    DIMENSIONS,
    EARLIER_LATENCY,
    FEATURE,
    KEY,
    MODEL,
    NONE,
    OTHERS,
    OVERVIEW,
    TWO,
    Filters,
    Panel,
    drawn,
    question,
)
from majordomo.record.database import connect

AT_ONCE: Final = 4
#: A question that is far too slow is not asked forty times.
_PATIENCE_SECONDS: Final = 12.0
_LEAST: Final = 3
_SEEDS: Final = ROOT / "tests" / "seeds" / "sql"


class Gateway(msgspec.Struct, frozen=True):
    """A running gateway and who asks it."""

    port: int
    token: str


class Figure(msgspec.Struct, frozen=True):
    """One panel under one kind of filters."""

    panel: str
    filters: str
    alone: Times
    at_once: Times | None
    limit_ms: float


def panels(gateway: Gateway, made: Made, rounds: int, tell: Callable[[str], None]) -> list[Figure]:
    """Every panel under every kind of filters."""
    figures = []
    for panel in (*OVERVIEW, *OTHERS, DIMENSIONS):
        for filters in ALL_FILTERS if panel is not DIMENSIONS else (NONE,):
            figure = _panel(gateway, panel, filters, made, rounds)
            tell(f"{panel.name}, {filters.name}: p50 {figure.alone.p50:,.0f}, p95 {figure.alone.p95:,.0f} ms")
            figures.append(figure)
    return figures


def _panel(gateway: Gateway, panel: Panel, filters: Filters, made: Made, rounds: int) -> Figure:
    dice = random.Random(f"{panel.name} {filters.name}")
    asked = [question(panel, drawn(dice, filters, made)) for _ in range(rounds)]
    alone = _ask(Asker(gateway.port, gateway.token), asked)
    at_once = None
    if len(alone) == rounds:
        with ThreadPoolExecutor(AT_ONCE) as threads:
            parts = [
                threads.submit(_ask, Asker(gateway.port, gateway.token), asked[number::AT_ONCE])
                for number in range(AT_ONCE)
            ]
            at_once = Times.of(seconds for part in parts for seconds in part.result())
    return Figure(panel.name, filters.name, Times.of(alone), at_once, filters.limit_ms)


def _ask(asker: Asker, paths: list[str]) -> list[float]:
    begin, times = time.perf_counter(), list[float]()
    for path in paths:
        if len(times) >= _LEAST and time.perf_counter() - begin > _PATIENCE_SECONDS:
            break
        times.append(asker.ask(path))
    return times


def overview(gateway: Gateway, made: Made, rounds: int) -> dict[str, Times]:
    """The Overview until its last panel is there, under some kinds of filters."""
    browser = Browser(gateway.port, gateway.token)
    found = {}
    for filters in (NONE, MODEL, KEY, FEATURE, TWO):
        dice, times, begin = random.Random(filters.name), list[float](), time.perf_counter()
        while len(times) < rounds and (len(times) < _LEAST or time.perf_counter() - begin < _PATIENCE_SECONDS):
            first, then = page(drawn(dice, filters, made))
            times.append(browser.load(first, then))
        found[filters.name] = Times.of(times)
    return found


def page(common: list[tuple[str, str]]) -> tuple[list[str], list[str]]:
    """What the Overview asks at once, and then."""
    first = [question(panel, common) for panel in (DIMENSIONS, *OVERVIEW)]
    return first, [question(EARLIER_LATENCY, common)]


async def documented_sql(dsn: str, tell: Callable[[str], None]) -> dict[str, float]:
    """Seconds of each statement of the documentation's, which read the rows."""
    connection = await connect(dsn, purpose="bench", statement_timeout_ms=0)
    found: dict[str, Any] = {}
    try:
        session = await connection.fetchval("SELECT id FROM claude_sessions LIMIT 1")
        for file in sorted(Path(_SEEDS).glob("*.sql")):
            statement = file.read_text("utf-8").replace("your-session-uuid-here", str(session))
            begin = time.perf_counter()
            await connection.fetch(statement)
            found[file.stem] = time.perf_counter() - begin
            tell(f"{file.stem}: {found[file.stem]:.2f} s")
    finally:
        await connection.close()
    return found
