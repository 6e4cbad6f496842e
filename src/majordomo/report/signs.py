"""What the running back office knows of itself and its neighbours: the sources of readiness, page and metrics."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from majordomo.clock import SteadyClock, WallClock, steady, wall_us
from majordomo.price.feed import FeedStatus, read_status
from majordomo.price.pricer import Pricer
from majordomo.record.database import Connection, connect
from majordomo.record.dead_letter import SUFFIX, dead_letters
from majordomo.record.stats import WriterStats
from majordomo.report.front_desks import FrontDesk, read_front_desks
from majordomo.report.vitals import JournalFigures, PriceFigures

PROBE_TIMEOUT = 2.0  # seconds for PostgreSQL to answer a readiness check
PROBE_KEPT = 1.0  # seconds that an answer stands: checks may come from many sides
LOOK_SECONDS = 1.0

#: A feed that was not read for this many of its periods is stale.
STALE_PERIODS = 6


class Signs:
    """Answers from memory, but for the database, which is asked once a second at most."""

    def __init__(
        self,
        dsn: str,
        run_dir: Path,
        prices_dir: Path,
        dead_letter_dir: Path,
        *,
        stats: WriterStats,
        pricer: Pricer,
        refresh_seconds: float | None,
        clock: WallClock = wall_us,
        steadily: SteadyClock = steady,
    ) -> None:
        """``refresh_seconds``: how often the price feed is read; None if it is switched off."""
        self._dsn = dsn
        self._run_dir = run_dir
        self._prices_dir = prices_dir
        self._dead_letter_dir = dead_letter_dir
        self._stats = stats
        self._pricer = pricer
        self._refresh_seconds = refresh_seconds
        self._clock = clock
        self._steadily = steadily
        self._connection: Connection | None = None
        self._asking = asyncio.Lock()
        self._answered: tuple[float, bool] | None = None
        self._caught_up = steadily()
        self._dead_letters = 0
        self._dead_letter_files: object = None
        self._feed = read_status(prices_dir)

    async def keep_looking(self) -> None:
        """Follow what lies in files, for ever."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Take one look at lag, feed and dead letters."""
        if not self._stats.lag_bytes:
            self._caught_up = self._steadily()
        self._feed = await asyncio.to_thread(read_status, self._prices_dir)
        files = [(path, path.stat().st_size) for path in sorted(self._dead_letter_dir.glob(f"*{SUFFIX}"))]
        if files != self._dead_letter_files:
            self._dead_letters = await asyncio.to_thread(lambda: sum(1 for _ in dead_letters(self._dead_letter_dir)))
            self._dead_letter_files = files

    async def database(self) -> bool:
        """Whether PostgreSQL answers, as of at most ``PROBE_KEPT`` seconds ago."""
        async with self._asking:
            now = self._steadily()
            if self._answered is None or now - self._answered[0] > PROBE_KEPT:
                self._answered = (now, await self._ask())
            return self._answered[1]

    async def _ask(self) -> bool:
        kept = self._connection is not None
        try:
            async with asyncio.timeout(PROBE_TIMEOUT):
                if self._connection is None:
                    self._connection = await connect(self._dsn, purpose="readiness", timeout=PROBE_TIMEOUT)
                await self._connection.execute("SELECT 1")
        except Exception:  # a driver cut off amid a statement fails in ways of its own
            await self.close()
            return await self._ask() if kept else False  # one connection may be cut without the server being away
        return True

    async def close(self) -> None:
        """Let the connection go."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    def recorded(self) -> WriterStats:
        """What the writer has done."""
        return self._stats

    def journal(self) -> JournalFigures:
        """How far the database is behind; a steady stream is never wholly written, and yet not late."""
        stats = self._stats
        lag = self._steadily() - self._caught_up if stats.lag_bytes else 0.0
        if stats.connected:
            lag = min(lag, stats.lag_seconds)
        return JournalFigures(lag, stats.lag_bytes, self._dead_letters)

    def prices(self) -> PriceFigures:
        """Which prices are in use, and since when they are known to be right."""
        return PriceFigures(
            version=self._pricer.version,
            age_seconds=_age(self._feed, self._clock()),
            stale_after_seconds=None if self._refresh_seconds is None else self._refresh_seconds * STALE_PERIODS,
            error=self._feed.error is not None,
            overlay_error=self._pricer.overlay_error is not None,
        )

    def front_desks(self) -> list[FrontDesk]:
        """How the front desks fare."""
        return read_front_desks(self._run_dir, self._clock())


def _age(feed: FeedStatus, now_us: int) -> float | None:
    if feed.succeeded is None:
        return None
    return max(0.0, (datetime.fromtimestamp(now_us / 1e6, UTC) - feed.succeeded).total_seconds())
