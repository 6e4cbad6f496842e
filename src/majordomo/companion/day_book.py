"""What all runs of this user on this machine have used today: one small file, read and added to under a lock.

Lost or damaged, it starts anew: a limit per day is a help to its owner, not a wall against anybody.
"""

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path

#: More than anybody's runs of one day need; a file that is larger is not ours.
_LARGEST = 64 * 1024


class DayBook:
    """Sums by unit for the day that began at a moment; another day's are let go."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, day: int, used: Mapping[str, int]) -> dict[str, int]:
        """Add what was used in the day that began then (microseconds since the epoch); all sums of that day.

        Raises:
            OSError: the file cannot be used.
        """
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            sums = _sums(file.read(_LARGEST), day)
            for unit, amount in used.items():
                sums[unit] = sums.get(unit, 0) + amount
            if any(used.values()):
                file.seek(0)
                file.truncate()
                file.write(json.dumps({"day": day, "used": sums}).encode())
        return sums


def _sums(text: bytes, day: int) -> dict[str, int]:
    try:
        told = json.loads(text)
        if told["day"] != day:
            return {}
        return {str(unit): amount for unit, amount in told["used"].items() if type(amount) is int and amount >= 0}
    except (ValueError, LookupError, TypeError, AttributeError):
        return {}
