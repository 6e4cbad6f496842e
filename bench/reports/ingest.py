"""How fast journals become rows while nobody, or ten people, look at the dashboard."""

import random
import tempfile
import threading
import time
from pathlib import Path
from typing import Final

import asyncpg
import msgspec

from bench.journal_to_postgres import fill
from bench.processes import BenchmarkError
from bench.reports.asking import Browser
from bench.reports.data import Made
from bench.reports.measuring import Gateway, page
from bench.reports.panels import FEATURE, KEY, MODEL, NONE, drawn

PEOPLE: Final = 10
#: Mean pause of a person between two clicks, each of which loads a whole page.
PAUSE_SECONDS: Final = 5.0
_MOST_SECONDS: Final = 300.0
_STORED = "SELECT coalesce(sum(requests), 0)::bigint FROM usage_by_model_hourly WHERE bucket_start >= $1"


class Ingest(msgspec.Struct, frozen=True):
    """Rows a second, and pages that were loaded meanwhile."""

    rows_per_second: float
    pages: int
    failures: int = 0  # pages of which an answer was refused for taking too long


async def ingest(dsn: str, journal_dir: Path, gateway: Gateway | None, made: Made, rows: int) -> Ingest:
    """Hand a journal of ``rows`` requests to the back office; with ``gateway``, people click meanwhile."""
    connection = await asyncpg.connect(dsn)
    stop = threading.Event()
    people: list[_Person] = []
    try:
        keys = [row["id"].bytes for row in await connection.fetch("SELECT id FROM api_keys WHERE name LIKE 'key %'")]
        with tempfile.TemporaryDirectory(dir=journal_dir.parent) as folder:
            fill(Path(folder), rows, keys)
            (journal,) = [one for one in Path(folder).iterdir() if one.is_dir()]
            if gateway is not None:
                people = [_Person(number, gateway, made, stop) for number in range(PEOPLE)]
                for person in people:
                    person.start()
                time.sleep(PAUSE_SECONDS)
            before = await connection.fetchval(_STORED, made.until)
            for person in people:
                person.pages = person.failures = 0
            begin = time.perf_counter()
            journal.rename(journal_dir / journal.name)
            while await connection.fetchval(_STORED, made.until) < before + rows:
                if time.perf_counter() - begin > _MOST_SECONDS:
                    raise BenchmarkError("the journal was not drained")
                time.sleep(0.05)
            seconds = time.perf_counter() - begin
    finally:
        stop.set()
        await connection.close()
    pages, failures = (sum(getattr(one, what) for one in people) for what in ("pages", "failures"))
    return Ingest(rows / seconds, pages, failures)


class _Person(threading.Thread):
    """Loads the Overview, looks at it for a while, filters it, and so on."""

    def __init__(self, number: int, gateway: Gateway, made: Made, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._dice = random.Random(number)
        self._browser = Browser(gateway.port, gateway.token)
        self._made = made
        self._stopping = stop
        self.pages = 0
        self.failures = 0

    def run(self) -> None:
        while not self._stopping.wait(self._dice.expovariate(1 / PAUSE_SECONDS)):
            filters = self._dice.choice((NONE, NONE, MODEL, KEY, FEATURE))
            try:
                self._browser.load(*page(drawn(self._dice, filters, self._made)))
            except BenchmarkError:  # an answer took too long: told as a page that never came
                self.failures += 1
            else:
                self.pages += 1
