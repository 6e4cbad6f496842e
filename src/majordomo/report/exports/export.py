"""An export: which rows, in which form, as pieces of a file. Encoding runs in a thread; others are served meanwhile."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from enum import StrEnum
from typing import Final

import msgspec

from majordomo.price.pricer import Pricer
from majordomo.record.database import Connection
from majordomo.report.exports import breakdown, focus, focus_columns, requests
from majordomo.report.exports.columns import Column, Encoder, Row
from majordomo.report.exports.csv_file import CsvFile
from majordomo.report.exports.parquet_file import ParquetFile
from majordomo.report.questions.cells import Scope
from majordomo.report.questions.dimensions import Dimension
from majordomo.report.questions.periods import Period, time_zone

#: Longest time for one step of the database (ms): the first rows of a filtered export may have to be looked for.
STEP_TIMEOUT_MS: Final = 600_000


class Format(StrEnum):
    """What kind of file."""

    CSV = "csv"
    PARQUET = "parquet"
    FOCUS = "focus"  # as CSV
    FOCUS_PARQUET = "focus-parquet"

    @property
    def is_focus(self) -> bool:
        """Whether it has FOCUS' rows and columns."""
        return self in (Format.FOCUS, Format.FOCUS_PARQUET)

    @property
    def is_parquet(self) -> bool:
        """Whether it is Parquet, else CSV."""
        return self in (Format.PARQUET, Format.FOCUS_PARQUET)

    @property
    def suffix(self) -> str:
        """How such a file's name ends."""
        return "parquet" if self.is_parquet else "csv"

    @property
    def media_type(self) -> str:
        """What HTTP calls it."""
        return "application/vnd.apache.parquet" if self.is_parquet else "text/csv; charset=utf-8"


class Piece(msgspec.Struct, frozen=True):
    """Some bytes of a file, and how many rows went into it so far."""

    content: bytes
    rows: int


def file_name(period: Period, form: Format, by: Dimension | None) -> str:
    """A name for the file, of plain letters, with the period's bounds as its zone's calendar has them."""
    what = f"focus-{focus_columns.VERSION}" if form.is_focus else "usage" if by else "requests"
    since, until = (bound.astimezone(time_zone(period.zone)) for bound in (period.since, period.until))
    return f"majordomo-{what}-{since:%Y%m%d}-{until:%Y%m%d}.{form.suffix}"


async def export(
    connection: Connection, scope: Scope, form: Format, pricer: Pricer, by: Dimension | None = None
) -> AsyncGenerator[Piece, None]:
    """The file of ``scope``'s requests, or of its usage by a dimension, piece by piece; within a ``snapshot``."""
    await connection.execute(f"SET LOCAL statement_timeout = {STEP_TIMEOUT_MS}")
    columns, rows = _table(connection, scope, form, pricer, by)
    encoder: Encoder = await asyncio.to_thread(ParquetFile if form.is_parquet else CsvFile, columns)
    count = 0
    yield Piece(encoder.begin(), count)
    async for batch in rows:
        count += len(batch)
        yield Piece(await asyncio.to_thread(encoder.rows, batch), count)
    yield Piece(await asyncio.to_thread(encoder.end), count)


def _table(
    connection: Connection, scope: Scope, form: Format, pricer: Pricer, by: Dimension | None
) -> tuple[tuple[Column, ...], AsyncIterator[list[Row]]]:
    if form.is_focus:
        return focus_columns.COLUMNS, focus.focus_rows(connection, scope, pricer)
    if by is not None:
        return breakdown.COLUMNS, breakdown.breakdown_rows(connection, scope, by)
    return requests.COLUMNS, requests.request_rows(connection, scope)
