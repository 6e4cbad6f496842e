"""What the writer did and how far behind it is: the source of its metrics."""

from collections import Counter
from dataclasses import dataclass, field

from majordomo.record.store import Stored

#: Positions in a rollup's amounts.
_UNPRICED = 2
_TOKENS = {"input": 5, "output": 6, "cached": 7, "cache_creation": 8, "reasoning": 9, "prompt": 10}
_TOTAL_COST = 16


@dataclass(slots=True)
class WriterStats:
    """Counters since the process began, and gauges as of the last look."""

    rows: int = 0
    batches: int = 0
    dead_letters: int = 0  # rows that PostgreSQL refused, and frames that nobody could read
    damaged_bytes: int = 0  # of journals, passed over
    damages: int = 0
    failures: int = 0  # rounds that came to nothing and were tried again
    unpriced: int = 0
    requests: Counter[tuple[str, str, int | None]] = field(default_factory=Counter)  # provider, outcome, status
    tokens: Counter[tuple[str, str]] = field(default_factory=Counter)  # provider, class
    cost_femto: Counter[str] = field(default_factory=Counter)  # provider; femto-USD
    ignored_sessions: Counter[str] = field(default_factory=Counter)  # problem code of the rows
    periods_to_sum: int = 0  # hours and days that have ended and are not summed by two dimensions, as last counted
    open_sessions: int | None = None  # Claude Code sessions without an end, as last counted; None: not yet
    budget_alerts: Counter[tuple[str, int]] = field(default_factory=Counter)  # budget, per cent of its limit
    connected: bool = False
    last_error: str | None = None
    journals: int = 0
    lag_bytes: int = 0  # written by front desks, not yet in PostgreSQL
    lag_seconds: float = 0.0  # age of the newest row stored, while there is a lag; else 0

    def add(self, stored: Stored) -> None:
        """Count a committed batch."""
        self.batches += 1
        self.rows += stored.rows
        self.dead_letters += stored.refused
        self.requests.update(stored.endings)
        self.ignored_sessions.update(stored.ignored_sessions)
        for cells in stored.by_model:
            for (_, _, _, provider, _), amount in cells.items():
                self.unpriced += amount[_UNPRICED]
                self.cost_femto[provider] += amount[_TOTAL_COST]
                for kind, position in _TOKENS.items():
                    self.tokens[provider, kind] += amount[position]
