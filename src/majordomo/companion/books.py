"""The companion's books: everything is counted, and journaled only what the gateway does not record."""

from collections.abc import Sequence

from majordomo.admit.keys import Key
from majordomo.companion.drift import Booking
from majordomo.companion.journal import LocalJournal
from majordomo.forward.books import Books, Prices
from majordomo.forward.plan import Plan
from majordomo.logs import logger
from majordomo.meter.reading import UsageState
from majordomo.places import PlacesError
from majordomo.record.frames import Close, Outcome
from majordomo.record.journal import JournalFull

#: Femto-dollars in one dollar.
_FEMTO = 10**15

_log = logger("companion")


class Tally:
    """What a session has used so far, without asking the gateway."""

    def __init__(self) -> None:
        self.requests = 0
        self.prompt_tokens = 0  # cached ones included
        self.output_tokens = 0
        self.cost = 0  # femto-dollars
        self.usage_cost = 0.0  # USD, as Claude Code adds it up
        self.unpriced = 0  # requests whose cost is unknown
        self.estimated = 0  # requests cut off before their usage was told
        self.recorded_here = 0  # requests in the local journal
        self.flat_rate = False  # a subscription pays: the money is notional
        self.bookings: list[Booking] = []  # what Claude Code itself counts, in the order of its booking
        self.client_version: str | None = None  # Claude Code's own version

    def add(self, close: Close, client_session: str | None) -> None:
        """Count one request that has ended; one that was refused here was none."""
        if close.outcome is Outcome.REFUSED:
            return
        self.requests += 1
        self.prompt_tokens += close.prompt_tokens or 0
        self.output_tokens += close.output_tokens or 0
        if close.bill.total_cost is None:
            self.unpriced += 1
        else:
            self.cost += close.bill.total_cost
        if close.usage_state is UsageState.ESTIMATED:
            self.estimated += 1
        if close.claude is not None:
            self.usage_cost += close.claude.usage_cost
            self.bookings.append(Booking(client_session, close.requested_model or "", close.claude.usage_cost))

    @property
    def dollars(self) -> float:
        """The cost in USD, for showing."""
        return self.cost / _FEMTO


class LocalBooks(Books):
    """Shared by all accounts of one companion."""

    __slots__ = ("_client_sessions", "_here", "tally")

    def __init__(self, journal: LocalJournal, pricer: Prices, max_reading_bytes: int) -> None:
        super().__init__(journal, pricer, max_reading_bytes)
        self.tally = Tally()
        self._here: set[bytes] = set()  # requests whose opening is in the journal
        self._client_sessions: dict[bytes, str | None] = {}  # of requests that are under way

    def opening(self, plan: Plan, key: Key, request_id: bytes, requested_at: int) -> bytes:
        """As the gateway's; empty if the gateway records it."""
        self._client_sessions[request_id] = plan.labels.client_session
        self.tally.client_version = plan.labels.client_version or self.tally.client_version
        if plan.recorded_there or plan.refusal is not None:
            return b""
        self._here.add(request_id)
        return super().opening(plan, key, request_id, requested_at)

    def open(self, frames: Sequence[bytes]) -> None:
        """Journal the openings. A disk that is full or a directory that cannot be made stops nobody's work."""
        try:
            super().open(frames)
        except (JournalFull, OSError, PlacesError) as failed:
            if not self.counters.unrecorded:
                _log.warning("requests are not recorded on this machine", reason=str(failed))
            self.counters.unrecorded += len(frames)

    def close(self, closes: Sequence[Close]) -> None:
        """Count how requests ended, and journal those that the gateway knows nothing of."""
        for close in closes:
            self.tally.add(close, self._client_sessions.pop(close.id, None))
        here = [close for close in closes if close.id in self._here]
        if here:
            self.tally.recorded_here += len(here)
            self._here.difference_update(close.id for close in here)
            super().close(here)
