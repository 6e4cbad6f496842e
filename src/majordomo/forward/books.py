"""What the accounts of one front desk share: journal, pricer, ids and counters."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from majordomo.admit.keys import Key
from majordomo.apis import Api
from majordomo.forward.plan import Plan
from majordomo.ids import IdMaker
from majordomo.meter.claude_cost import NO_PRICES
from majordomo.meter.claude_plan_mode import SessionModes
from majordomo.meter.claude_release import Price
from majordomo.meter.reading import Reading, RequestFacts
from majordomo.price.bill import Bill
from majordomo.price.dearest import Dearest
from majordomo.price.text_rates import TextRates
from majordomo.record.frames import Close
from majordomo.record.journal import JournalFull


class Prices(Protocol):
    """The pricer, as far as a front desk asks it."""

    def bill(self, provider: str, api: Api, reading: Reading, facts: RequestFacts, at_us: int) -> Bill:
        """What a reading costs."""

    def dearest(self, provider: str, model: str, at_us: int) -> Dearest | None:
        """The highest rates that a request for a model can be billed at."""

    def text_rates(self, provider: str, model: str, tier: str | None, at_us: int) -> TextRates | None:
        """What plain text costs, where its tokens alone tell."""


class Record(Protocol):
    """The journal, as far as books write in it."""

    def append_openings(self, frames: Sequence[bytes]) -> None:
        """As ``Journal``'s."""

    def append_closes(self, closes: Sequence[Close]) -> None:
        """As ``Journal``'s."""

    def settle(self) -> None:
        """As ``Journal``'s."""


class Counters(msgspec.Struct):
    """What a front desk counts; published every second for the metrics page."""

    requests: int = 0
    refused: int = 0
    malformed: int = 0
    unrecorded: int = 0  # served while the disk was full, by setting
    closes_given_up: int = 0  # their rows say `lost`
    meter_failures: int = 0
    faults: int = 0  # exchanges that a fault of the gateway's ended
    metadata_dropped: int = 0
    drained: int = 0
    drain_cut: int = 0
    upstream_retries: int = 0


class Books:
    """Shared by all accounts of one front desk."""

    __slots__ = ("claude_modes", "claude_prices", "counters", "ids", "journal", "max_reading_bytes", "pricer")

    def __init__(self, journal: Record, pricer: Prices, max_reading_bytes: int) -> None:
        self.journal = journal
        self.pricer = pricer
        self.ids = IdMaker()
        self.counters = Counters()
        self.claude_modes = SessionModes()
        #: What Anthropic told the CLI of models that its table lacks; only beside the CLI this can be known.
        self.claude_prices: Mapping[str, Price] = NO_PRICES
        self.max_reading_bytes = max_reading_bytes

    def opening(self, plan: Plan, key: Key, request_id: bytes, requested_at: int) -> bytes:
        """The frame that the journal gets before a request leaves; empty where nothing is to be journaled."""
        return plan.opening_mould(key).frame(request_id, requested_at)

    def open(self, frames: Sequence[bytes]) -> None:
        """Journal that requests are about to leave.

        Raises:
            JournalFull: none of them is written.
        """
        self.journal.append_openings(frames)

    def close(self, closes: Sequence[Close]) -> None:
        """Journal how requests ended. While the disk is full the journal keeps it in memory, within bounds."""
        try:
            self.journal.append_closes(closes)
        except JournalFull:
            self.counters.closes_given_up += len(closes)

    def settle(self) -> None:
        """Write what a full disk refused before; called every second, cheap when nothing is owed."""
        try:
            self.journal.settle()
        except JournalFull:
            return
