"""Writes finished requests and everything that is counted from them, so that one bad row costs only itself."""

from collections import Counter
from collections.abc import AsyncIterator
from typing import NamedTuple, Protocol
from uuid import UUID

import asyncpg
import msgspec

from majordomo.clock import WallClock
from majordomo.logs import logger
from majordomo.record.billed_once import bill_once
from majordomo.record.claude_rows import DETAIL_COLUMNS, detail_line
from majordomo.record.claude_sessions import admit_sessions
from majordomo.record.database import Connection
from majordomo.record.latency import Latencies
from majordomo.record.news import News
from majordomo.record.registry import MetadataKey, Observed, Registry
from majordomo.record.rollup import ModelCell, Rollup, amounts
from majordomo.record.rows import COLUMNS, Finished, line
from majordomo.record.tally import Tally
from majordomo.record.totals import Totals

log = logger("writer")

LINES_A_CHUNK = 250  # lines joined at a time: a chunk of COPY of some 150 KB

#: What a row's own content may cause: it will be refused again, whenever and by whichever server.
REFUSALS = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
    asyncpg.RaiseError,
    ValueError,
    TypeError,
    AttributeError,
)


class Stored:
    """What one transaction stored, to be told once it is committed."""

    def __init__(self) -> None:
        self.rows = 0
        self.refused = 0
        self.by_model: list[dict[ModelCell, tuple[int, ...]]] = []
        self.endings: Counter[tuple[str, str, int | None]] = Counter()  # provider, outcome, status
        self.ignored_sessions: Counter[str] = Counter()  # problem code
        self.news = News()


class Refusals(Protocol):
    """What becomes of rows that PostgreSQL refuses: dead letters, for the writer."""

    def put(self, *, now_us: int, reason: str, opening: msgspec.Struct, close: msgspec.Struct) -> None:
        """Keep one; OSError if that cannot be done."""


class Store:
    """Puts rows into PostgreSQL, inside the caller's transaction."""

    def __init__(
        self,
        registry: Registry,
        refusals: Refusals,
        clock: WallClock,
        tally: Tally | None = None,
        *,
        delivered_from: UUID | None = None,
    ) -> None:
        """``delivered_from``: the companion's journal that all rows come from; None for those of the gateway's own."""
        self._registry = registry
        self._refusals = refusals
        self._tally = tally
        self._clock = clock
        self._columns = COLUMNS if delivered_from is None else [*COLUMNS, "delivered_from"]
        self._line_end = "\n" if delivered_from is None else f"\t{delivered_from.hex}\n"

    async def put(self, connection: Connection, rows: list[Finished], stored: Stored) -> None:
        """Store all rows; one that PostgreSQL refuses becomes a dead letter, found by halving.

        Raises:
            asyncpg.PostgresError, OSError: the database, or the disk of the dead letters, cannot be used now.
        """
        try:
            async with connection.transaction():
                written = await self._write(connection, rows)
        except REFUSALS as wrong:
            self._registry.forget()
            await self._registry.refresh(connection)
            if len(rows) == 1:
                self._refuse(rows[0], wrong)
                stored.refused += 1
                return
            half = len(rows) // 2
            await self.put(connection, rows[:half], stored)
            await self.put(connection, rows[half:], stored)
            return
        stored.rows += len(rows)
        stored.by_model.append(written.rollup.by_model)
        stored.endings.update(written.endings)
        stored.ignored_sessions.update(written.ignored_sessions)
        stored.news.add(rows)

    def _refuse(self, row: Finished, wrong: BaseException) -> None:
        reason = f"{type(wrong).__name__}: {wrong}"
        self._refusals.put(now_us=self._clock(), reason=reason, opening=row.opening, close=row.close)
        log.error("row refused", reason=type(wrong).__name__, request_id=row.opening.id.hex())

    async def _write(self, connection: Connection, rows: list[Finished]) -> "_Written":
        # Always in this order: replicas that write at once lock tables and rows in the same sequence.
        rows = await bill_once(connection, rows)
        rows, ignored_sessions = await admit_sessions(connection, rows)
        rollup = Rollup()
        latencies = Latencies()
        totals = Totals()
        seen: dict[MetadataKey, Observed] = {}
        endings: Counter[tuple[str, str, int | None]] = Counter()
        details: list[str] = []
        registry = self._registry
        end = self._line_end

        def count(row: Finished) -> None:
            opening, close, _ = row
            endings[opening.provider, close.outcome.value, close.status_code] += 1
            rollup.add(row, registry.rolled_up(opening.api_key_id), amounts(row))
            if opening.metadata:
                registry.observe(seen, row)
            latencies.add(row)
            totals.add(row)
            if close.claude is not None:
                details.append(detail_line(row, close.claude))

        async def lines() -> AsyncIterator[bytes]:
            """The server reads one chunk while we count and write the next."""
            for start in range(0, len(rows), LINES_A_CHUNK):
                chunk = rows[start : start + LINES_A_CHUNK]
                for row in chunk:
                    count(row)
                text = end.join([line(row, registry.active(row.opening.api_key_id)) for row in chunk])
                yield (text + end).encode()

        await connection.copy_to_table("llm_requests", source=lines(), columns=self._columns, format="text")
        if details:
            await connection.copy_to_table(
                "claude_request_details", source=_chunks(details), columns=DETAIL_COLUMNS, format="text"
            )
        await rollup.write(connection)
        await latencies.write(connection)
        await registry.write(connection, seen)
        await totals.write(connection)
        if self._tally is not None:
            await self._tally.add(connection, rows)
        return _Written(rollup, endings, ignored_sessions)


class _Written(NamedTuple):
    """What became of some rows, if their transaction does."""

    rollup: Rollup
    endings: Counter[tuple[str, str, int | None]]
    ignored_sessions: Counter[str]


async def _chunks(lines: list[str]) -> AsyncIterator[bytes]:
    for start in range(0, len(lines), LINES_A_CHUNK):
        yield ("\n".join(lines[start : start + LINES_A_CHUNK]) + "\n").encode()
