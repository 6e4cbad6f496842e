"""How much memory processes take, watched over a while."""

import statistics
import time
from collections.abc import Callable

import psutil

MIB = 1024 * 1024

#: Seconds between two looks, at most; a long watch looks less often.
_LOOK = 0.25
_LOOKS = 3000


def resident(pid: int) -> int:
    """Bytes of memory that a process has to itself or shares."""
    return int(psutil.Process(pid).memory_info().rss)


class Watch:
    """The resident sizes of some processes over time (bytes), and how many files they have open."""

    def __init__(self, pids: dict[str, int]) -> None:
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}
        self.sizes: dict[str, list[int]] = {name: [] for name in pids}
        self.files: dict[str, list[int]] = {name: [] for name in pids}

    def look(self) -> None:
        """Look once."""
        for name, process in self._processes.items():
            self.sizes[name].append(process.memory_info().rss)
            self.files[name].append(process.num_fds())

    def watch(self, seconds: float) -> None:
        """Look again and again, for so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.look()
            time.sleep(max(_LOOK, seconds / _LOOKS))

    def growth(self, name: str) -> float:
        """From the median of the first third to that of the last (bytes)."""
        return _growth(self.sizes[name])

    def files_growth(self, name: str) -> float:
        """The same of open files."""
        return _growth(self.files[name])

    def told(self) -> str:
        """All of it in a line each."""
        lines = []
        for name, sizes in self.sizes.items():
            third = len(sizes) // 3
            parts = (sizes[:third], sizes[third : 2 * third], sizes[2 * third :])
            medians = ", ".join(f"{statistics.median(part) / MIB:.1f}" for part in parts)
            lines.append(
                f"{name}: medians of thirds {medians} MiB, peak {max(sizes) / MIB:.1f}; "
                f"{len(sizes)} looks; open files {self.files_growth(name):+.0f}"
            )
        return "\n".join(lines)


def _growth(values: list[int]) -> float:
    third = len(values) // 3
    return statistics.median(values[-third:]) - statistics.median(values[:third])


def peak(pids: list[int], until: Callable[[], bool]) -> int:
    """The largest sum of resident sizes (bytes) seen before ``until`` holds."""
    largest = 0
    while not until():
        largest = max(largest, sum(resident(pid) for pid in pids))
        time.sleep(0.02)
    return largest
