"""Failed sign-ins, remembered for a while, so that passwords cannot be guessed at any speed."""

from collections import OrderedDict

from majordomo.clock import SteadyClock, steady

#: Failures of one address within ``WINDOW_SECONDS`` after which it has to wait: people mistype a few times, guessers
#: need millions.
MOST_FAILURES = 10
WINDOW_SECONDS = 15 * 60.0
#: Addresses remembered. Beyond that the oldest is forgotten: whoever sprays over more of them is slowed by argon2.
_ADDRESSES_KEPT = 10_000


class Attempts:
    """Counts failures by address, in memory: a restart forgives."""

    def __init__(self, clock: SteadyClock = steady) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, list[float]] = OrderedDict()

    def wait_seconds(self, address: str) -> float:
        """How long this address has to wait before the next try; 0 if it need not."""
        failures = self._recent(address)
        if len(failures) < MOST_FAILURES:
            return 0.0
        return max(0.0, failures[-MOST_FAILURES] + WINDOW_SECONDS - self._clock())

    def failed(self, address: str) -> None:
        """A try with a wrong password."""
        failures = self._recent(address)
        failures.append(self._clock())
        self._failures[address] = failures[-MOST_FAILURES:]
        self._failures.move_to_end(address)
        if len(self._failures) > _ADDRESSES_KEPT:
            self._failures.popitem(last=False)

    def succeeded(self, address: str) -> None:
        """Signed in: what failed before was mistyped."""
        self._failures.pop(address, None)

    def _recent(self, address: str) -> list[float]:
        since = self._clock() - WINDOW_SECONDS
        return [at for at in self._failures.get(address, ()) if at > since]
