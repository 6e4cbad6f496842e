"""The gateway's gate, fed with a run's own limits: no database, nobody else who spends but today's other runs."""

import asyncio
import os
from zoneinfo import ZoneInfo

from majordomo.budget.estimate import Estimator, Prices
from majordomo.budget.gate import Gate, OwnTreasury
from majordomo.budget.matching import BudgetIndex
from majordomo.budget.model import Budget, Scope, Unit
from majordomo.budget.purse import Purse
from majordomo.budget.windows import UTC_NAME, Kind, Window
from majordomo.clock import steady
from majordomo.companion.caps import Cap, Caps
from majordomo.companion.day_book import DayBook
from majordomo.companion.journal import companion_dir
from majordomo.companion.pace import Pace
from majordomo.logs import logger
from majordomo.meter import claude_display
from majordomo.places import PlacesError, make_directory
from majordomo.price.bill import FEMTO_PER_USD
from majordomo.record.rows import NIL_ORG

#: How often runs of one day tell each other what they have used (s).
SHARE_SECONDS = 1.0

_log = logger("companion")


class CapGate:
    """Holds a run's limits, and says how they stand."""

    def __init__(self, caps: Caps, prices: Prices) -> None:
        self._warn_at = caps.warn_at
        zone = local_zone()
        self._budgets = [_budget(number, cap, zone) for number, cap in enumerate(caps.limits)]
        self._treasury = _Treasury(DayBook(companion_dir() / "today.json"))
        self.gate = Gate(Estimator(prices), self._treasury)
        self.gate.budgets = BudgetIndex(self._budgets)
        self._begun = steady()
        self._paces: dict[Purse, Pace] = {}

    async def share(self) -> None:
        """Tell other runs of the day what this one uses, and hear of theirs, until cancelled."""
        while any(budget.window.kind is Kind.DAY for budget in self._budgets):
            self._treasury.share()
            await asyncio.sleep(SHARE_SECONDS)

    def close(self) -> None:
        """Tell the rest."""
        self._treasury.share()

    def status(self, *, notional: bool = False) -> str | None:
        """How the tightest limit stands, in a few words; None before the first request, or where there is no limit.

        ``notional``: a subscription pays, so that money is only what the tokens would cost.
        """
        purses = self.gate.purses()
        if not purses:
            return None
        purse = min(purses, key=lambda one: one.share_left)
        used = 100 - round(100 * purse.share_left)
        warned = self._warn_at is not None and used >= self._warn_at
        rate = self._paces.setdefault(purse, Pace(self._begun)).per_hour(purse.used, steady())
        words = f"{_shown(purse, purse.remaining)} of {_shown(purse, purse.limit)} left"
        if purse.budget.unit is not Unit.TURNS:
            words += f", {_shown(purse, round(rate))} an hour"
        words += f" ({purse.budget.name}{', notional' if notional and purse.budget.unit is Unit.USD else ''})"
        return f"! {words}" if warned else words

    def closing_words(self) -> list[str]:
        """What is to be said at the end: every limit that was passed, refused by, or warned of."""
        words = []
        for purse in self.gate.purses():
            used = 100 - round(100 * purse.share_left)
            if self._warn_at is not None and used >= self._warn_at:
                words.append(f"{_shown(purse, purse.spent)} of {purse.budget.name} {_shown(purse, purse.limit)} used")
        if self.gate.refused:
            words.append(f"{self.gate.refused} refused by a limit")
        return words


class _Treasury(OwnTreasury):
    """All of a limit is this run's, less what today's other runs have used."""

    def __init__(self, book: DayBook) -> None:
        self._book = book
        self._told: dict[Purse, int] = {}  # what of this run's use is in the book
        self._broken = False

    def opened(self, purse: Purse) -> None:
        """A new day, or the first request."""
        if purse.budget.window.kind is Kind.DAY:
            self._told.setdefault(purse, 0)
            self.share()
        super().opened(purse)

    def forgotten(self, purse: Purse) -> None:
        """A day long gone."""
        self._told.pop(purse, None)

    def share(self) -> None:
        """Put into the book what is new, and take from it what others have used."""
        days: dict[int, dict[str, int]] = {}
        for purse, told in self._told.items():
            days.setdefault(purse.cell.start, {})[purse.budget.unit.value] = purse.used - told
        # The latest day alone: the book holds one.
        for day, used in sorted(days.items())[-1:]:
            try:
                make_directory(companion_dir())
                sums = self._book.add(day, used)
            except (OSError, PlacesError) as failed:
                if not self._broken:
                    _log.warning("limits per day count this run alone", reason=str(failed))
                self._broken = True
                return
            for purse in self._told:
                if purse.cell.start == day:
                    self._told[purse] = purse.used
                    purse.base = max(0, sums.get(purse.budget.unit.value, 0) - purse.used)
                    purse.granted = purse.limit - purse.base


def _budget(number: int, cap: Cap, zone: str) -> Budget:
    return Budget(
        id=number.to_bytes(16),
        org_id=NIL_ORG,
        name=cap.option,
        scope=Scope(),
        unit=Unit(cap.unit),
        limit=cap.amount,
        window=Window(kind=Kind.DAY, zone=zone) if cap.per_day else Window(kind=Kind.LIFETIME),
        contact=f"whoever started majordomo-companion with {cap.option}",
    )


def local_zone() -> str:
    """The name of the machine's time zone; UTC where it cannot be told."""
    told = os.environ.get("TZ", "").removeprefix(":")
    if not told:
        try:
            told = os.path.realpath("/etc/localtime").rpartition("zoneinfo/")[2]
        except OSError:
            told = ""
    try:
        return ZoneInfo(told).key if told else UTC_NAME
    except (ValueError, OSError, LookupError):
        return UTC_NAME


def _shown(purse: Purse, amount: int) -> str:
    if purse.budget.unit is Unit.USD:
        return claude_display.money(amount / FEMTO_PER_USD)
    if purse.budget.unit is Unit.TURNS:
        return f"{amount} turns"
    return f"{claude_display.tokens(amount)} tokens"
