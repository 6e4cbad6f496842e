"""What the front desks publish of themselves: one small JSON file each, replaced every second."""

from pathlib import Path
from typing import Any

import msgspec

#: A front desk whose file is older (s) hangs or is gone; it writes one every second.
STALE_SECONDS = 5.0

_MOST_BYTES = 64 * 1024  # a status has some 500 bytes


class FrontDesk(msgspec.Struct, frozen=True):
    """One front desk's status. ``gauges`` and ``counters`` are whatever numbers it gave, by name."""

    worker: str
    age: float  # seconds since it wrote
    keys_fresh: bool
    gauges: dict[str, float]
    counters: dict[str, float]

    @property
    def serving(self) -> bool:
        """Whether it has written lately."""
        return self.age <= STALE_SECONDS


def read_front_desks(run_dir: Path, now_us: int) -> list[FrontDesk]:
    """The status of every front desk that left one. A file that cannot be read is left out, whatever is in it."""
    found = []
    for path in sorted(run_dir.glob("front-desk-*.json")):
        try:
            with path.open("rb") as file:
                status = msgspec.json.decode(file.read(_MOST_BYTES))
        except (OSError, msgspec.DecodeError):
            continue
        if isinstance(status, dict):
            found.append(_front_desk(path.stem.removeprefix("front-desk-"), status, now_us))
    return found


def _front_desk(worker: str, status: dict[str, Any], now_us: int) -> FrontDesk:
    at = status.get("at")
    age = (now_us - at) / 1e6 if isinstance(at, int) else float("inf")
    counters = status.get("counters")
    own = {name: value for name, value in status.items() if name not in ("at", "pid", "worker")}
    return FrontDesk(worker, max(0.0, age), status.get("keys_fresh") is not False, _numbers(own), _numbers(counters))


def _numbers(values: object) -> dict[str, float]:
    if not isinstance(values, dict):
        return {}
    return {name: float(value) for name, value in values.items() if type(value) in (int, float) and name.isidentifier()}
