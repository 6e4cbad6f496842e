"""How fast a sum grows at present: over the last minutes, not since the beginning."""

from collections import deque

#: What the pace is taken over (s), and at most so many looks of it.
OVER_SECONDS = 300.0
_LOOKS = 128


class Pace:
    """Looks at a sum that grows, in its own unit; times are those of a steady clock, in seconds."""

    def __init__(self, begun: float) -> None:
        self._looks = deque([(begun, 0)])

    def per_hour(self, used: int, now: float) -> float:
        """How much an hour, if it goes on as in the last five minutes."""
        looks = self._looks
        while len(looks) > 1 and looks[1][0] <= now - OVER_SECONDS:
            looks.popleft()
        at, before = looks[0]
        if now - looks[-1][0] >= OVER_SECONDS / _LOOKS:
            looks.append((now, used))
        return (used - before) / max(1.0, now - at) * 3600
