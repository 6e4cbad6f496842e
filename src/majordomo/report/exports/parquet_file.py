"""Parquet, row group by row group: exact decimals as decimal128, times as microseconds in UTC, ZSTD.

What grows with the file is its footer alone: the place and bounds of every row group, some kilobytes for 10,000 rows.
"""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from majordomo.report.exports.columns import Column, Kind, Row

#: Rows that are held until they are a row group: some megabytes, and enough for columns to compress well.
GROUP_ROWS: Final = 10_000
PRECISION: Final = 38
SCALE: Final = 15  # a femto-dollar


class _Sink:
    """A file that only remembers what was written to it since it was last taken."""

    closed = False

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def write(self, piece: Any) -> int:
        """Keep a copy: the buffer is the writer's."""
        copy = bytes(piece)
        self._pieces.append(copy)
        self._size += len(copy)
        return len(copy)

    def tell(self) -> int:
        """Bytes written in all."""
        return self._size

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Nothing is open."""

    def writable(self) -> bool:
        """Always."""
        return True

    def take(self) -> bytes:
        """What has come since the last time."""
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


class ParquetFile:
    """Writes rows as row groups. Loads pyarrow, which takes a moment and some 60 MB, when it is made."""

    def __init__(self, columns: Sequence[Column]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._pa = pa
        kinds = {
            Kind.TEXT: pa.string(),
            Kind.JSON: pa.string(),
            Kind.INTEGER: pa.int64(),
            Kind.DECIMAL: pa.decimal128(PRECISION, SCALE),
            Kind.TIME: pa.timestamp("us", tz="UTC"),
            Kind.BOOLEAN: pa.bool_(),
        }
        self._schema = pa.schema([(column.name, kinds[column.kind]) for column in columns])
        self._sink = _Sink()
        self._writer = pq.ParquetWriter(pa.PythonFile(self._sink, mode="w"), self._schema, compression="zstd")
        self._waiting: list[Row] = []

    def begin(self) -> bytes:
        """The magic bytes."""
        return self._sink.take()

    def rows(self, rows: Sequence[Row]) -> bytes:
        """Whole row groups, as soon as there are rows for one."""
        self._waiting += rows
        while len(self._waiting) >= GROUP_ROWS:
            self._write(self._waiting[:GROUP_ROWS])
            del self._waiting[:GROUP_ROWS]
        return self._sink.take()

    def end(self) -> bytes:
        """The last row group, and the footer."""
        if self._waiting:
            self._write(self._waiting)
            self._waiting = []
        self._writer.close()
        return self._sink.take()

    def _write(self, rows: Sequence[Row]) -> None:
        columns = zip(*rows, strict=True)
        arrays = [
            self._pa.array(list(map(_whole, values)), type=field.type)
            for field, values in zip(self._schema, columns, strict=True)
        ]
        self._writer.write_table(self._pa.Table.from_arrays(arrays, schema=self._schema), row_group_size=len(rows))


def _whole(value: Any) -> Any:
    """Text without halves of surrogate pairs, and times of UTC; Arrow takes neither."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC)
    if isinstance(value, Decimal):
        return value.normalize() if value else Decimal(0)
    return value
