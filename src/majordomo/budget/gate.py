"""The gate: a request that a budget governs leaves only when there is room for it. Decided in memory.

    govern (which budgets may concern it, from its head) -> ask (estimate, reserve) -> the request leaves -> settle

A request that nobody's budget concerns costs one look at a remembered answer. Whatever becomes of an admitted request,
its account's close settles its pass: so nothing stays reserved, and nothing is stopped in mid-stream.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec

from majordomo.admit.refusal import Refusal
from majordomo.apis import Api
from majordomo.budget import saying
from majordomo.budget.amounts import amount
from majordomo.budget.estimate import Ask, Estimate, Estimator
from majordomo.budget.matching import BudgetIndex, Cell, Governed, is_gated
from majordomo.budget.model import Unit
from majordomo.budget.purse import Purse
from majordomo.clock import WallClock, wall_us
from majordomo.meter.reading import RequestFacts
from majordomo.price.pricer import FREE_APIS
from majordomo.record.frames import Close, Opening

#: What nobody charges for, whatever it answers: no budget looks at it. Asking for a batch is another matter: its
#: results are charged for when they are fetched, but are paid for from the moment it is asked for.
FREE = FREE_APIS - {Api.ANTHROPIC_BATCHES}

#: What a request uses of these is known beforehand, in either mode.
_SURE = frozenset({Unit.REQUESTS, Unit.TURNS, Unit.CONCURRENT})

#: Cells of one process that are remembered: some 300 bytes each.
MAX_PURSES = 16_384


#: Heads and models whose purses are remembered, and for how long at most (microseconds).
MAX_FOUND = 4096
FOUND_FOR_US = 60_000_000

#: Times that a request asks for more room before it is treated as if nobody could be asked.
_MOST_ASKED = 16


class Treasury(Protocol):
    """Where purses are filled from."""

    def opened(self, purse: Purse) -> None:
        """A cell was seen for the first time, or the limit of its budget has changed."""

    def forgotten(self, purse: Purse) -> None:
        """The gate remembers this cell no more."""

    def exhausted(self, purse: Purse, amount: int) -> bool:
        """True if asking for so much more would be in vain."""

    async def more(self, short: Sequence[tuple[Purse, int]]) -> bool:
        """Ask for room for so much in each purse, for a bounded time; False if nobody could be asked.

        Where there is none for one of them, it is ``exhausted`` from then on.
        """


class OwnTreasury:
    """Budgets that only this process spends from: all of the limit is its own from the start."""

    def opened(self, purse: Purse) -> None:
        """Give it everything that is left."""
        purse.granted = purse.limit - purse.base

    def forgotten(self, purse: Purse) -> None:
        """Nothing was lent."""

    def exhausted(self, purse: Purse, amount: int) -> bool:
        """There is nobody to ask."""
        return True

    async def more(self, short: Sequence[tuple[Purse, int]]) -> bool:
        """Never comes to it."""
        return True


class Hold(msgspec.Struct, frozen=True, gc=False):
    """What one request reserves in one purse."""

    purse: Purse
    amount: int
    at_risk: int


class Pass:
    """Leave to go, with what was reserved for it. Settled once, by the close of the request's account."""

    __slots__ = ("_ask", "_estimator", "holds", "settled")

    def __init__(self, estimator: Estimator, ask: Ask, holds: list[Hold]) -> None:
        self._estimator = estimator
        self._ask = ask
        self.holds = holds
        self.settled = False

    def take(self) -> list[Hold]:
        """Reserve everything, or nothing where a purse is short; those that are."""
        # What reserves nothing passes even where more was used than there was: a free model, a side call of a turn.
        for hold in self.holds:
            if not _has_room(hold):
                return [hold for hold in self.holds if not _has_room(hold)]
        self.take_anyway()
        return []

    def take_anyway(self) -> None:
        """Reserve everything, room or not."""
        for hold in self.holds:
            hold.purse.reserve(hold.amount, hold.at_risk)

    def settle(self, close: Close) -> None:
        """The request has ended: count what it used instead of what was reserved, as the writer counts its row."""
        if self.settled:
            return
        self.settled = True
        self._estimator.learn(self._ask, close)
        opening = self._ask.opening
        for hold in self.holds:
            purse = hold.purse
            purse.settle(hold.amount, hold.at_risk, amount(purse.budget, opening, close))

    def cancel(self) -> None:
        """It never left: give back what was reserved."""
        if not self.settled:
            self.settled = True
            for hold in self.holds:
                hold.purse.settle(hold.amount, hold.at_risk, 0)

    def reply_lines(self) -> bytes:
        """What a caller is told of its budgets in the head of its reply: the tightest of them."""
        return saying.reply_lines([hold.purse for hold in self.holds])


def _has_room(hold: Hold) -> bool:
    purse = hold.purse
    return not purse.enforced or hold.amount <= purse.granted - purse.used - purse.reserved or not hold.amount


class Waiting(NamedTuple):
    """There is no room here; somebody else may have some."""

    passing: Pass
    short: list[Hold]


class _Found(NamedTuple):
    """The purses of requests with one head and model, from ``since`` up to ``until``."""

    since: int
    until: int
    purses: list[Purse]


class Gate:
    """Decides for one front desk. ``budgets`` may be replaced at any time; running requests keep their passes."""

    def __init__(self, estimator: Estimator, treasury: Treasury, now: WallClock = wall_us) -> None:
        self.budgets = BudgetIndex()
        self.refused = 0
        self.let_through = 0  # because nobody could be asked
        self._estimator = estimator
        self._treasury = treasury
        self._now = now
        self._purses: dict[Cell, Purse] = {}
        self._found: dict[tuple[tuple[Governed, ...], str | None], _Found] = {}  # in the budgets of the moment
        self._found_in = self.budgets

    def ask(
        self,
        opening: Opening,
        governing: Sequence[Governed],
        facts: RequestFacts,
        body: bytes | bytearray,
        *,
        turn: bool = True,
    ) -> Pass | Waiting | Refusal | None:
        """May this request leave? None: no budget concerns it after all.

        ``opening``: what its row will say of its head; its id and time are not looked at. ``turn``: whether the main
        loop asks, as far as the client tells.
        """
        at_us = self._now()
        purses = self._purses_of(tuple(governing), facts.model, at_us)
        if not purses:
            return None
        ask = Ask(opening, facts, at_us, turn)
        if not is_gated(opening.method, opening.api, opening.path):
            # It tells of spending that was decided before: it passes whatever is left, and is counted.
            return Pass(self._estimator, ask, [Hold(purse, 0, 0) for purse in purses])
        estimate = self._estimator.estimate(ask, body)
        holds = []
        for purse in purses:
            hold = self._hold(purse, estimate)
            if isinstance(hold, Refusal):
                self.refused += 1
                return hold
            holds.append(hold)
        passing = Pass(self._estimator, ask, holds)
        short = passing.take()
        if not short:
            return passing
        if any(self._treasury.exhausted(hold.purse, hold.amount) for hold in short):
            return self._refuse(short)
        return Waiting(passing, short)

    async def wait(self, waiting: Waiting) -> Pass | Refusal:
        """Ask for more room, for a bounded time, and decide."""
        passing, short = waiting
        for _ in range(_MOST_ASKED):
            asked = await self._treasury.more([(hold.purse, hold.amount) for hold in short])
            short = passing.take()
            if not short:
                return passing
            if not asked:
                break
            if any(self._treasury.exhausted(hold.purse, hold.amount) for hold in short):
                return self._refuse(short)
            # While there was waiting for one purse, others have used up what was in another: that may have more, too.
        if all(hold.purse.budget.fail == "open" for hold in short):
            self.let_through += 1
            passing.take_anyway()
            return passing
        self.refused += 1
        return saying.undecided(short[0].purse)

    def purses(self) -> list[Purse]:
        """All cells of this process."""
        return list(self._purses.values())

    def _purses_of(self, governing: tuple[Governed, ...], model: str | None, at_us: int) -> list[Purse]:
        """The purses that a request for this model is paid from: looked up anew when anything about them has ended."""
        if self._found_in is not self.budgets:
            self._found_in = self.budgets
            self._found.clear()
        found = self._found.get((governing, model))
        if found is None or not found.since <= at_us < found.until:
            purses = [self._purse(cell, at_us) for cell in self.budgets.cells(governing, at_us, model)]
            since, until = self._valid(governing, at_us)
            found = _Found(since, until, purses)
            if len(self._found) >= MAX_FOUND:
                self._found.clear()
            if all(self._purses.get(purse.cell) is purse for purse in purses):  # none was forgotten for another one
                self._found[governing, model] = found
        return found.purses

    def _valid(self, governing: tuple[Governed, ...], at_us: int) -> tuple[int, int]:
        """From when until when these budgets have the windows and limits that they have at a moment."""
        since, until = 0, at_us + FOUND_FOR_US
        for budget, _ in governing:
            span = self.budgets.span(budget.window, at_us)
            ends = [raised.until for raised in budget.raises if raised.until > at_us]
            since = max(since, span.start)
            until = min(until, *ends, until if span.end is None else span.end)
        return since, until

    def _purse(self, cell: Cell, at_us: int) -> Purse:
        budget = self.budgets.by_id[cell.budget_id]
        span = self.budgets.span(budget.window, at_us)
        cell = cell._replace(start=budget.window.lease_start(cell.start))
        purse = self._purses.get(cell)
        if purse is None:
            if len(self._purses) >= MAX_PURSES:
                self._forget(at_us)
            purse = self._purses[cell] = Purse(budget, cell)
            self._treasury.opened(purse)
        purse.ends_us = span.end
        limit = budget.limit_at(at_us) if budget.raises else budget.limit
        if purse.budget is not budget or purse.limit != limit:
            purse.serve(budget, limit)  # it was changed; what was used stays
            self._treasury.opened(purse)
        return purse

    def _forget(self, at_us: int) -> None:
        """Make room for new cells: windows that are over go first, then what has been idle longest."""
        idle = [(cell, purse) for cell, purse in self._purses.items() if not purse.reserved]
        over = [cell for cell, purse in idle if purse.ends_us is not None and purse.ends_us <= at_us]
        self._found.clear()
        for cell in over or [cell for cell, _ in idle[: len(idle) // 2]]:
            self._treasury.forgotten(self._purses.pop(cell))

    def _hold(self, purse: Purse, estimate: Estimate) -> Hold | Refusal:
        budget = purse.budget
        likely = estimate.likely.of(budget)
        if likely is None:
            return saying.unpriced(purse, estimate.ask.facts.model) if purse.enforced else Hold(purse, 0, 0)
        if budget.unit in _SURE:
            return Hold(purse, likely, 0)
        if budget.mode != "strict" or not purse.enforced:
            beyond = (estimate.ceiling.of(budget) or 0) - likely
            return Hold(purse, likely, beyond if beyond > 0 else 0)
        bound = estimate.bound()
        if isinstance(bound, str):
            return saying.unbounded(purse, bound)
        return Hold(purse, bound.of(budget) or 0, 0)

    def _refuse(self, short: Sequence[Hold]) -> Refusal:
        self.refused += 1
        tightest = min(short, key=lambda hold: hold.purse.share_left)
        return saying.exceeded(tightest.purse, tightest.amount, self._now())


def must_be_recorded(governing: Sequence[Governed]) -> bool:
    """Whether a budget's owner wants nothing spent that cannot be counted."""
    return any(governed.budget.enforced and governed.budget.fail == "closed" for governed in governing)
