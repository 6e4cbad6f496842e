"""What deliveries need of the process that takes them: prices, limits, counters, and turns."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from majordomo.admit.metadata import MetadataLimits
from majordomo.clock import WallClock, wall_us
from majordomo.price.pricer import Pricer
from majordomo.record.intake import Terms
from majordomo.record.stats import WriterStats
from majordomo.record.tally import Tally
from majordomo.report.auth import KeyOwner
from majordomo.report.errors import ApiError

#: Deliveries read, judged and stored at once. Each holds some ten times its bytes while it is.
AT_ONCE = 4
#: Of these, of one key: whoever sends slowly must not keep all others waiting.
AT_ONCE_OF_A_KEY = 2
#: How long one waits for its turn (s).
TURN_SECONDS = 10.0
#: Deliveries that wait, in all; further ones are sent away at once.
MOST_WAITING = 64

RETRY = {"Retry-After": "2"}

_BUSY = ApiError(503, "busy", "other deliveries are under way; try again in a moment", headers=RETRY)


class Intake:
    """One for the process."""

    def __init__(
        self,
        pricer: Pricer,
        limits: MetadataLimits,
        stats: WriterStats,
        tally: Tally | None = None,
        clock: WallClock = wall_us,
    ) -> None:
        """``tally``: what else is counted from rows, as the writer has it."""
        self.stats = stats
        self.tally = tally
        self._pricer = pricer
        self._limits = limits
        self._clock = clock
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._of_key: Counter[UUID] = Counter()
        self._waiting = 0

    def terms(self, caller: KeyOwner) -> Terms:
        """Under which a delivery of this key is taken now."""
        return Terms(caller.key_id, caller.org_id, self._clock(), self._pricer, self._limits, caller.metadata)

    @asynccontextmanager
    async def turn(self, key_id: UUID) -> AsyncIterator[None]:
        """Wait for a turn, and hold it.

        Raises:
            ApiError: 503, too many are under way, in all or of this key.
        """
        if self._of_key[key_id] >= AT_ONCE_OF_A_KEY or self._waiting >= MOST_WAITING:
            raise _BUSY
        self._of_key[key_id] += 1
        try:
            await self._wait()
            try:
                yield
            finally:
                self._slots.release()
        finally:
            self._of_key[key_id] -= 1
            if not self._of_key[key_id]:
                del self._of_key[key_id]

    async def _wait(self) -> None:
        self._waiting += 1
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await self._slots.acquire()
        except TimeoutError:
            raise _BUSY from None
        finally:
            self._waiting -= 1
