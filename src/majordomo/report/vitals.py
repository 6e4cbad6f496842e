"""The state of each part, for ``/readyz``, the page and the metrics. No addresses, paths or foreign messages."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

import msgspec

from majordomo.record.stats import WriterStats
from majordomo.report.front_desks import FrontDesk


class State(StrEnum):
    """How a part is."""

    OK = "ok"
    DEGRADED = "degraded"  # works, and someone should look
    DOWN = "down"


class Vital(msgspec.Struct, frozen=True):
    """One part's state, one sentence about it, and its figures (seconds, bytes, counts)."""

    state: State
    note: str
    figures: Mapping[str, float | int | str | bool | None] = {}


class Vitals(msgspec.Struct, frozen=True):
    """All parts. Ready: none is down."""

    parts: dict[str, Vital]

    @property
    def ready(self) -> bool:
        """Whether this gateway can be sent traffic whose rows arrive in time."""
        return all(part.state is not State.DOWN for part in self.parts.values())


class JournalFigures(msgspec.Struct, frozen=True):
    """How far PostgreSQL is behind the journals."""

    lag_seconds: float  # how long what is not in PostgreSQL yet has waited; 0 when nothing waits
    waiting_bytes: int
    dead_letters: int  # rows that PostgreSQL refused, kept in files


class PriceFigures(msgspec.Struct, frozen=True):
    """Which prices are in use."""

    version: str
    age_seconds: float | None  # since the feed was last read and found good; None if never
    stale_after_seconds: float | None  # None: the feed is switched off
    error: bool  # the last refresh failed
    overlay_error: bool


class Sources(Protocol):
    """Where the report learns how the process fares. Nothing here raises; ``database`` waits a bounded time."""

    async def database(self) -> bool:
        """Whether PostgreSQL answers now."""

    def journal(self) -> JournalFigures:
        """How the writer fares."""

    def recorded(self) -> WriterStats:
        """What the writer has done."""

    def prices(self) -> PriceFigures:
        """How the prices fare."""

    def front_desks(self) -> list[FrontDesk]:
        """How the front desks fare."""


#: A finished request is promised in SQL within a second; this much later something is wrong.
LAG_DEGRADED_SECONDS = 5.0
LAG_DOWN_SECONDS = 300.0


async def take(sources: Sources) -> Vitals:
    """The state of every part, now."""
    return Vitals(
        {
            "database": _database(await sources.database()),
            "journal": _journal(sources.journal()),
            "prices": _prices(sources.prices()),
            "front_desks": _front_desks(sources.front_desks()),
        }
    )


def _database(answers: bool) -> Vital:
    if answers:
        return Vital(State.OK, "answers")
    return Vital(State.DOWN, "does not answer; requests are served and wait in the journal")


def _journal(figures: JournalFigures) -> Vital:
    told = msgspec.structs.asdict(figures) | {"lag_seconds": round(figures.lag_seconds, 3)}
    if figures.lag_seconds > LAG_DOWN_SECONDS:
        return Vital(State.DOWN, "finished requests have not reached the database for minutes", told)
    if figures.lag_seconds > LAG_DEGRADED_SECONDS:
        return Vital(State.DEGRADED, "finished requests reach the database late", told)
    if figures.dead_letters:
        return Vital(State.DEGRADED, "the database refused some rows; majordomo doctor says where they are", told)
    return Vital(State.OK, "finished requests reach the database within a second", told)


def _prices(figures: PriceFigures) -> Vital:
    age = figures.age_seconds
    stale = figures.stale_after_seconds is not None and (age is None or age > figures.stale_after_seconds)
    told = {"version": figures.version, "age_seconds": None if age is None else round(age), "stale": stale}
    if figures.overlay_error:
        return Vital(State.DEGRADED, "the price overlay has a mistake; its last good copy is in use", told)
    if stale:
        return Vital(State.DEGRADED, "the price feed has not been read lately; the last good prices are in use", told)
    if figures.error:
        return Vital(State.OK, "the last refresh failed; recent prices are in use", told)
    return Vital(State.OK, "recent" if figures.stale_after_seconds is not None else "the feed is switched off", told)


def _front_desks(desks: list[FrontDesk]) -> Vital:
    serving = sum(desk.serving for desk in desks)
    told: dict[str, float | int | str | bool | None] = {"serving": serving, "silent": len(desks) - serving}
    if desks and not serving:
        return Vital(State.DOWN, "none has given a sign of life lately", told)
    if serving < len(desks):
        return Vital(State.DEGRADED, "some have given no sign of life lately", told)
    if any(not desk.keys_fresh for desk in desks):
        return Vital(State.DEGRADED, "some serve from the keys they last knew", told)
    return Vital(State.OK, "serving" if desks else "none has reported yet", told)
