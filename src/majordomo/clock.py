"""Time, passed in rather than looked up, so that a test can turn the hands."""

import time
from collections.abc import Callable

#: Microseconds since the Unix epoch, UTC. What frames, rows and price dates are stamped with.
WallClock = Callable[[], int]

#: Seconds on a clock that never goes back. What time-outs and latencies are measured with.
SteadyClock = Callable[[], float]


def wall_us() -> int:
    """Now, in microseconds since the Unix epoch (UTC)."""
    return time.time_ns() // 1000


steady = time.monotonic
