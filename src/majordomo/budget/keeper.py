"""Fills the purses of one front desk from the database, so that a budget holds over all workers and replicas.

A front desk takes leases: amounts that are set apart for it in one atomic statement, and spends them without asking.
Rows lower the lease of the front desk that served them in the transaction that counts them. A lease is given back when
it lies idle or somebody else needs it, and runs out if its holder is not heard of: then what is free is what the rows
say. ``docs/decisions/budget-leases.md`` says what follows from that.

One task does all of it, on one connection; a request waits for it only when its purse is short, and not for long.
"""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from majordomo.budget import leases
from majordomo.budget.copy import restore, save
from majordomo.budget.gate import Gate
from majordomo.budget.leases import WANTED_CHANNEL, Held
from majordomo.budget.matching import BudgetIndex, Cell
from majordomo.budget.model import Unit
from majordomo.budget.purse import Purse
from majordomo.budget.store import load_index
from majordomo.budget.windows import Kind
from majordomo.clock import SteadyClock, WallClock, steady, wall_us
from majordomo.logs import logger
from majordomo.record.database import Connection

BUDGETS_CHANNEL = "majordomo_budgets"

#: How long a lease lasts without being renewed (s): so long is stranded what a front desk held that was killed and does
#: not come back. One that is started again frees it at once, when its journal is read.
LEASE_SECONDS = 30.0
#: A holder believes in its leases for so much shorter (s), counted from before it asked: clocks run differently.
_MARGIN = 2.0
#: How often leases are renewed, idle ones cut back and the sums of others looked at (s).
RENEW_SECONDS = 5.0
#: How long a request may wait for the database (s), as one with an unknown key may.
_WAIT_SECONDS = 3.0
#: How long it may wait for others to give back what they do not need (s), asking again after growing pauses.
_GIVE_BACK_SECONDS = 0.4
_FIRST_PAUSE = 0.02
#: For how long "no room" is believed for requests that need as much or more (s).
_EXHAUSTED_SECONDS = 1.0
_RETRY_SECONDS = (0.1, 0.2, 0.5, 1.0)
_QUERY_TIMEOUT = 3.0  # seconds
#: Times in a row that more is taken for one purse: nobody gets more than a quarter of what is left beyond its need.
_MOST_TAKINGS = 64
#: Requests' worth that is taken to spare; doubled for as long as more is needed within a second.
_FIRST_SLICE = 4
_LARGEST_SLICE = 1 << 16
#: Cells looked at in one renewal for what others have spent: for the headers of replies.
_MOST_LOOKS = 64

_log = logger("budgets")


class _Lease:
    """What the database has set apart for one purse. Amounts in the budget's own unit."""

    __slots__ = (
        "denied",
        "elsewhere",
        "exhausted_amount",
        "exhausted_until",
        "offset",
        "settled",
        "slice",
        "taken_at",
        "used",
    )

    def __init__(self) -> None:
        self.settled = 0  # of what this process used, what the database has counted: as last told, for this lease
        self.offset = 0  # the same of earlier leases for the purse
        self.elsewhere = 0  # what others hold, as last told
        self.denied: int | None = None  # what the database had not left when it was last asked; None: it had it
        self.exhausted_until = 0.0  # steady clock
        self.exhausted_amount = 0
        self.slice = _FIRST_SLICE
        self.taken_at = 0.0
        self.used = 0  # the purse's, when last renewed


class _Want(NamedTuple):
    """A request that waits for room."""

    needs: Sequence[tuple[Purse, int]]
    answered: "asyncio.Future[None]"


class Keeper:
    """A ``gate.Treasury`` over PostgreSQL. ``run`` keeps it going; ``holder`` is the front desk's journal id."""

    def __init__(
        self, dsn: str, holder: bytes, *, copy: Path | None = None, clock: SteadyClock = steady,
        now: WallClock = wall_us,
    ) -> None:  # fmt: skip
        """``copy``: where budgets are kept for a start without the database."""
        self.known = asyncio.Event()  # budgets have been seen: those of the database, or of the copy
        self._copy = copy
        self._dsn = dsn
        self._holder = holder
        self._clock = clock
        self._now = now
        self._connection: Connection | None = None
        self._index = BudgetIndex()
        self._leases: dict[Purse, _Lease] = {}
        self._wants: list[_Want] = []
        self._wake = asyncio.Event()
        self._changed = False
        self._wanted_back: set[bytes] = set()
        #: Set once budgets follow the database, or that was found to be away.
        self.looked = asyncio.Event()
        self._valid_until = 0.0  # leases are believed in until then, on the steady clock

    @property
    def fresh(self) -> bool:
        """True while budgets and leases follow the database."""
        return self._connection is not None

    # -- what the gate asks -------------------------------------------------------------------------------------------

    def opened(self, purse: Purse) -> None:
        """A cell was seen for the first time, or its limit has changed: what was answered before no longer holds."""
        self._lease(purse).exhausted_until = 0.0

    def forgotten(self, purse: Purse) -> None:
        """The gate remembers this cell no more."""
        self._leases.pop(purse, None)

    def exhausted(self, purse: Purse, amount: int) -> bool:
        """True if the database has just said that there is not so much left."""
        lease = self._lease(purse)
        return amount >= lease.exhausted_amount and self._clock() < lease.exhausted_until

    async def more(self, short: Sequence[tuple[Purse, int]]) -> bool:
        """Wait until there is room for these, or it is known that there is none; False if the database is away."""
        begun = self._clock()
        pause = _FIRST_PAUSE
        while self._connection is not None:
            want = _Want(short, asyncio.get_running_loop().create_future())
            self._wants.append(want)
            self._wake.set()
            try:
                async with asyncio.timeout(max(0.0, begun + _WAIT_SECONDS - self._clock())):
                    await want.answered
            except (TimeoutError, ConnectionError):
                return False
            lacking = [(purse, amount) for purse, amount in short if purse.budget.enforced and amount > purse.room]
            if not lacking:
                return True
            denied = [self._lease(purse) for purse, amount in lacking if self._is_denied(purse, amount)]
            if not denied:
                continue  # others who came later have used up what was taken: there may be more
            may_come = all(lease.elsewhere for lease in denied)
            if not may_come or self._clock() - begun > _GIVE_BACK_SECONDS:
                self._remember_exhausted(one for one in lacking if self._is_denied(*one))
                return True
            await asyncio.sleep(pause)
            pause *= 2
        return False

    def _lease(self, purse: Purse) -> _Lease:
        lease = self._leases.get(purse)
        if lease is None:
            lease = self._leases[purse] = _Lease()
        return lease

    def _is_denied(self, purse: Purse, amount: int) -> bool:
        """Whether the database has just said that it has no more for so much."""
        denied = self._lease(purse).denied
        return denied is not None and amount - purse.room >= denied

    def _remember_exhausted(self, lacking: Iterable[tuple[Purse, int]]) -> None:
        now = self._clock()
        for purse, amount in lacking:
            lease = self._lease(purse)
            if now >= lease.exhausted_until or amount < lease.exhausted_amount:
                lease.exhausted_amount = amount
            lease.exhausted_until = now + _EXHAUSTED_SECONDS

    # -- the task -----------------------------------------------------------------------------------------------------

    async def run(self, gate: Gate) -> None:
        """Keep the gate's budgets and purses in step with the database until cancelled; never raises for its faults."""
        kept = restore(self._copy) if self._copy is not None else None
        if kept is not None:
            self._index = gate.budgets = kept
            self.known.set()
        attempt = 0
        while True:
            try:
                await self._follow(gate)
            except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError):
                attempt = -1  # the tables of a first start, or of a new version, are being made this moment
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as lost:
                self.looked.set()
                if attempt == 0:
                    _log.warning("budgets away, spending what is leased", reason=type(lost).__name__)
            except Exception:
                # Anything else is a fault of ours or of the driver's; budgets that nobody follows would hold nothing.
                _log.exception("following the budgets failed")
            attempt = 0 if self._connection is not None else attempt + 1
            self._connection = None
            self._fail_all()
            self._let_run_out()
            await asyncio.sleep(_RETRY_SECONDS[min(attempt, len(_RETRY_SECONDS) - 1)])

    async def _follow(self, gate: Gate) -> None:
        connection: asyncpg.Connection[Any] = await asyncpg.connect(
            self._dsn,
            timeout=_QUERY_TIMEOUT,
            command_timeout=_QUERY_TIMEOUT,
            server_settings={"application_name": "majordomo front desk budgets"},
        )
        try:
            await connection.add_listener(BUDGETS_CHANNEL, self._heard_change)
            await connection.add_listener(WANTED_CHANNEL, self._heard_want)
            connection.add_termination_listener(self._broke)
            self._changed = True
            await self._look(connection, gate)
            await self._renew(connection)  # what was taken before an outage, before others take it
            renewed_at = self._clock()
            self._connection = connection
            self.looked.set()
            _log.info("following the budgets", budgets=len(gate.budgets))
            while True:
                with suppress(TimeoutError):
                    # Not wait_for: it can lose a cancellation that comes together with the event.
                    async with asyncio.timeout(max(0.0, renewed_at + RENEW_SECONDS - self._clock())):
                        await self._wake.wait()
                if connection.is_closed():
                    raise ConnectionResetError
                await self._look(connection, gate)
                if self._clock() - renewed_at >= RENEW_SECONDS:
                    renewed_at = self._clock()
                    await self._renew(connection)
        finally:
            with suppress(Exception):
                connection.terminate()

    async def _look(self, connection: Connection, gate: Gate) -> None:
        """Do what there is to do."""
        self._wake.clear()
        if self._changed:
            self._changed = False
            self._index = gate.budgets = await load_index(connection)
            self.known.set()
            if self._copy is not None:
                await asyncio.to_thread(save, self._copy, self._index)
            for lease in self._leases.values():
                lease.exhausted_until = 0.0
        if self._wanted_back:
            wanted, self._wanted_back = self._wanted_back, set()
            held = [purse for purse in self._leases if purse.cell.budget_id in wanted and purse.room > 0]
            await self._give_back(connection, {purse: purse.room for purse in held})
        if self._wants:
            wants, self._wants = self._wants, []
            try:
                await self._take_for(connection, wants)
            except BaseException:
                self._wants += wants  # whoever waits is told that the database is away
                raise
            for want in wants:
                if not want.answered.done():
                    want.answered.set_result(None)
            await asyncio.sleep(0)  # they reserve what was taken for them before anybody sees it lie idle

    async def _take_for(self, connection: Connection, wants: Iterable[_Want]) -> None:
        needs: dict[Purse, list[int]] = {}
        for want in wants:
            if not want.answered.done():
                for purse, amount in want.needs:
                    needs.setdefault(purse, []).append(amount)
        for purse, amounts in needs.items():
            amounts.sort()
            for _ in range(_MOST_TAKINGS):
                if not await self._take(connection, purse, amounts):
                    break

    async def _take(self, connection: Connection, purse: Purse, amounts: Sequence[int]) -> bool:
        """Take room for some of these, smallest first; True if that went well and more is needed."""
        least, total = 0, 0
        for amount in amounts:
            total += amount
            if not least and total > purse.room:
                least = total - purse.room
        if not least:
            return False
        lease, asked_at = self._lease(purse), self._clock()
        lasted = asked_at - lease.taken_at
        if lasted > RENEW_SECONDS:
            lease.slice = _FIRST_SLICE
        elif lasted <= 1.0 and lease.slice < _LARGEST_SLICE:
            lease.slice *= 2  # one that lasts for a second or more is large enough
        budget = purse.budget
        spare = 0 if budget.unit is Unit.CONCURRENT else lease.slice * amounts[0]
        got = await leases.take(
            connection, budget, *self._place(purse), self._holder, least, total - purse.room + spare,
            step=amounts[0] if budget.mode == "strict" else 0, seconds=LEASE_SECONDS,
        )  # fmt: skip
        lease.denied = None if got is not None and got.granted else least
        if got is None:
            return False  # it was deleted; the news of that is on its way
        lease.taken_at = asked_at
        lease.elsewhere = got.leased - got.held
        self._take_word(purse, lease, Held(got.held, got.settled), got.spent)
        return got.granted > 0 and total > purse.room

    def _place(self, purse: Purse) -> tuple[Cell, int]:
        """The purse's cell and a moment in it; of a window that rolls, the present step and moment."""
        window, cell = purse.budget.window, purse.cell
        if window.kind is not Kind.ROLLING:
            return cell, cell.start
        at = self._now()
        return cell._replace(start=window.span(at).start), at

    def _take_word(self, purse: Purse, lease: _Lease, held: Held, spent: int | None = None) -> None:
        """The database has told what is set apart for a purse, and what was spent in its cell by everybody."""
        if held.settled < lease.settled:
            lease.offset += lease.settled  # another lease than before, which counts anew
        lease.settled = held.settled
        purse.granted = held.amount + held.settled + lease.offset
        if spent is not None:
            purse.base = spent - held.settled - lease.offset

    async def _renew(self, connection: Connection) -> None:
        """Make leases last, look at what others have spent, and give back what lies idle."""
        asked_at, at = self._clock(), self._now()
        purses = {purse.cell: purse for purse in self._leases}
        at_risk = {cell: purse.at_risk for cell, purse in purses.items() if purse.at_risk}
        held = await leases.renew(connection, self._index, self._holder, at_risk, seconds=LEASE_SECONDS)
        self._valid_until = asked_at + LEASE_SECONDS - _MARGIN
        idle: dict[Purse, int] = {}
        done: list[Cell] = []
        looks = 0
        for cell, purse in purses.items():
            lease = self._leases.get(purse)
            if lease is None:
                continue
            self._take_word(purse, lease, held.get(cell, Held(0, 0)))
            used, lease.used = purse.used - lease.used, purse.used
            if used and looks < _MOST_LOOKS:
                looks += 1
                await self._see_spent(connection, purse, lease)
            if purse.room > 2 * used:
                idle[purse] = purse.room - 2 * used
            if cell in held and self._is_done(purse, lease, at):
                done.append(cell)
        await self._give_back(connection, idle)
        if done:
            await leases.drop(connection, self._holder, done)

    def _is_done(self, purse: Purse, lease: _Lease, at: int) -> bool:
        """Whether nothing will be spent or settled in this cell any more."""
        over = purse.ends_us is not None and purse.ends_us < at and purse.budget.window.kind is not Kind.ROLLING
        return over and not purse.reserved and purse.used == lease.settled + lease.offset

    async def _see_spent(self, connection: Connection, purse: Purse, lease: _Lease) -> None:
        seen = await leases.take(
            connection, purse.budget, *self._place(purse), self._holder, 0, 0, seconds=LEASE_SECONDS
        )
        if seen is not None:
            lease.elsewhere = seen.leased - seen.held
            self._take_word(purse, lease, Held(seen.held, seen.settled), seen.spent)

    def _let_run_out(self) -> None:
        """What could not be renewed in time is not ours any more; what is under way goes on."""
        if self._clock() > self._valid_until:
            for purse in self._leases:
                purse.granted = min(purse.granted, purse.used + purse.reserved)

    async def _give_back(self, connection: Connection, amounts: dict[Purse, int]) -> None:
        if not amounts:
            return
        for purse, amount in amounts.items():
            purse.granted -= amount  # first, so that nobody spends it meanwhile
        told = {purse.cell: amount for purse, amount in amounts.items()}
        await leases.give_back(connection, self._index, self._holder, told)

    def _fail_all(self) -> None:
        wants, self._wants = self._wants, []
        for want in wants:
            if not want.answered.done():
                want.answered.set_exception(ConnectionError("the database is away"))

    def _heard_change(self, _connection: object, _pid: int, _channel: str, _payload: object) -> None:
        self._changed = True
        self._wake.set()

    def _heard_want(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        with suppress(ValueError):
            self._wanted_back.add(UUID(str(payload)).bytes)
            self._wake.set()

    def _broke(self, _connection: object) -> None:
        self._wake.set()
