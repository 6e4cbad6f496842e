"""How long requests took, by hour and day: histograms that add up, written with the rows.

A histogram's steps grow by 5 %. It is kept as one number: ``DIGITS`` decimal digits say how many requests fell into a
step, the lowest step last. So adding numbers adds histograms, which PostgreSQL does exactly and fast, and no step can
overflow into the next below 10^12 requests.

Kept for all requests of an organisation and by one built-in dimension at a time; questions that combine several, or are
about metadata, read the rows.
"""

from collections import Counter
from collections.abc import Iterable
from math import ceil, log
from typing import Final
from uuid import UUID

from majordomo.record.database import Connection
from majordomo.record.rollup import HOUR_US
from majordomo.record.rows import NIL_ORG, Finished
from majordomo.record.safe_text import text_array
from majordomo.record.statements import statement

#: How much wider each step is than the one before; step 0 is everything up to 1 ms.
STEP: Final = 1.05
DIGITS: Final = 12
#: What the histograms are kept by; "" is all requests.
DIMENSIONS: Final = ("", "provider", "model", "key")

_LOG_STEP: Final = log(STEP)

_Cell = tuple[int, bytes, bytes, str, str]  # hour, org, key, provider, model
_Sum = tuple[int, bytes, str, str]  # hour, org, dimension, value


def step_of(ms: int) -> int:
    """The step that so many milliseconds fall into."""
    return 0 if ms <= 1 else ceil(log(ms) / _LOG_STEP)


def to_number(steps: Iterable[int]) -> str:
    """The histogram of some requests' steps, as PostgreSQL reads a ``numeric``."""
    counts = Counter(steps)
    if not counts:
        return "0"
    lowest = min(counts)
    digits = "".join(f"{counts[step]:0{DIGITS}d}" for step in range(max(counts), lowest - 1, -1))
    return f"{digits}e{DIGITS * lowest}"


def from_number(number: str) -> Counter[int]:
    """The histogram that a ``numeric`` is, in plain digits: step, and how many requests."""
    ends = range(len(number), 0, -DIGITS)
    counts = (int(number[max(0, end - DIGITS) : end]) for end in ends)
    return Counter({step: count for step, count in enumerate(counts) if count})


class Latencies:
    """What a batch adds, cell by cell."""

    def __init__(self) -> None:
        self._times: dict[_Cell, tuple[list[int], list[int]]] = {}

    def add(self, finished: Finished) -> None:
        """Count one request, if it was timed."""
        opening, close, _ = finished
        first = close.time_to_first_byte_ms
        if close.response_time_ms < 0 and first is None:
            return
        hour = opening.requested_at // HOUR_US
        cell = (hour, opening.org_id or NIL_ORG, opening.api_key_id, opening.provider, close.model or "")
        times = self._times.get(cell)
        if times is None:
            times = self._times[cell] = ([], [])
        if close.response_time_ms >= 0:
            times[0].append(step_of(close.response_time_ms))
        if first is not None:
            times[1].append(step_of(first))

    async def write(self, connection: Connection) -> None:
        """Add everything to the hourly and daily tables, in the caller's transaction."""
        sums = self._sums()
        if not sums:
            return
        ordered = sorted(sums)  # in one order for all writers: two never wait for each other in a ring
        hours, orgs, dimensions, values = zip(*ordered, strict=True)
        await connection.execute(
            statement("add_latency"),
            [hour * 3600 for hour in hours],
            [UUID(bytes=org) for org in orgs],
            list(dimensions),
            text_array(values),
            text_array([to_number(sums[cell][0]) for cell in ordered]),
            text_array([to_number(sums[cell][1]) for cell in ordered]),
        )

    def _sums(self) -> dict[_Sum, tuple[list[int], list[int]]]:
        sums: dict[_Sum, tuple[list[int], list[int]]] = {}
        for (hour, org, key, provider, model), times in self._times.items():
            of_each = ("", provider, model, str(UUID(bytes=key)))
            for dimension, value in zip(DIMENSIONS, of_each, strict=True):
                place = (hour, org, dimension, value)
                present = sums.get(place)
                if present is None:
                    present = sums[place] = ([], [])
                present[0].extend(times[0])
                present[1].extend(times[1])
        return sums
