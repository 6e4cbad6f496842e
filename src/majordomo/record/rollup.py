"""Usage by hour and day: what a batch of rows adds to the rollups, and the statements that add it.

One dimension at a time (key x provider x model; key x active metadata key x value): see
``docs/decisions/one-dimension-rollups.md``.
"""

from collections.abc import Iterable
from hashlib import blake2b
from operator import add

from majordomo.meter.reading import UsageState
from majordomo.record.database import Connection
from majordomo.record.frames import Outcome
from majordomo.record.rows import NIL_ORG, Finished, usd_text
from majordomo.record.safe_text import text_array
from majordomo.record.statements import statement

HOUR_US = 3_600_000_000
VALUE_LIMIT = 256  # characters of a value in a rollup's key: a btree entry must stay far below a third of a page
FAILED = frozenset({Outcome.PROVIDER_BROKE, Outcome.REFUSED, Outcome.GATEWAY_STOPPED, Outcome.LOST})

#: What is added up, in the order of the tables' columns: requests, errors, unpriced, timed_requests, response_time_ms,
#: six counts of tokens, six costs in femto-dollars.
Amounts = tuple[int, ...]
#: How many of them come before the costs.
COUNTS = 11

ModelCell = tuple[int, bytes, bytes, str, str]  # hour, org, key, provider, model
MetadataCell = tuple[int, bytes, bytes, str, str]  # hour, org, key, name, value


def amounts(finished: Finished) -> Amounts:
    """What one request adds to every cell it belongs to."""
    close = finished.close
    bill = close.bill
    status = close.status_code
    timed = close.response_time_ms >= 0
    return (
        1,
        1 if (status is not None and status >= 400) or close.outcome in FAILED else 0,
        1 if bill.total_cost is None and close.usage_state is not UsageState.NONE else 0,
        1 if timed else 0,
        close.response_time_ms if timed else 0,
        close.input_tokens or 0,
        close.output_tokens or 0,
        close.cached_tokens or 0,
        close.cache_creation_tokens or 0,
        close.reasoning_tokens or 0,
        close.prompt_tokens or 0,
        bill.input_cost or 0,
        bill.output_cost or 0,
        bill.cache_read_cost or 0,
        bill.cache_creation_cost or 0,
        bill.tool_cost or 0,
        bill.total_cost or 0,
    )


def value_in_rollup(value: str) -> str:
    """A metadata value as it stands in a rollup: whole, or cut with a digest that keeps different ones apart."""
    if len(value) <= VALUE_LIMIT:
        return value
    digest = blake2b(value.encode("utf-8", "replace"), digest_size=8).hexdigest()
    return f"{value[: VALUE_LIMIT - 17]}…{digest}"


class Rollup:
    """What a batch adds, cell by cell."""

    def __init__(self) -> None:
        self.by_model: dict[ModelCell, Amounts] = {}
        self.by_metadata: dict[MetadataCell, Amounts] = {}

    def add(self, finished: Finished, rolled_up: frozenset[str], amount: Amounts) -> None:
        """Count one request; ``rolled_up``: the metadata keys of its API key that have rollups."""
        opening = finished.opening
        hour = opening.requested_at // HOUR_US
        org = opening.org_id or NIL_ORG
        key = opening.api_key_id
        _put(self.by_model, (hour, org, key, opening.provider, finished.close.model or ""), amount)
        if rolled_up:
            for name, value in opening.metadata.items():
                if name in rolled_up:
                    _put(self.by_metadata, (hour, org, key, name, value_in_rollup(value)), amount)

    def add_value(self, hour: int, org: bytes, key: bytes, name: str, value: str, amount: Amounts) -> None:
        """Count one request, for one metadata key's value alone; ``hour`` since the epoch."""
        _put(self.by_metadata, (hour, org, key, name, value_in_rollup(value)), amount)

    async def write(self, connection: Connection) -> None:
        """Add everything to the hourly and daily tables, in the caller's transaction."""
        if self.by_model:
            await connection.execute(statement("add_usage_by_model"), *_columns(self.by_model))
            hours = sorted({(org, hour) for hour, org, *_ in self.by_model})
            await connection.execute(
                statement("mark_changed_periods"),
                _array(org.hex() for org, _ in hours),
                _array(str(hour * 3600) for _, hour in hours),
            )
        if self.by_metadata:
            await connection.execute(statement("add_usage_by_metadata"), *_columns(self.by_metadata))


def _put(cells: dict[ModelCell, Amounts], cell: ModelCell, amount: Amounts) -> None:
    present = cells.get(cell)
    cells[cell] = amount if present is None else tuple(map(add, present, amount))


def _columns(cells: dict[ModelCell, Amounts]) -> list[str]:
    """The cells as one array literal a column: a text each is far cheaper to send than a list of values.

    In one order for all writers: two never wait for each other in a ring.
    """
    ordered = sorted(cells)
    hours, orgs, keys, firsts, seconds = zip(*ordered, strict=True)
    sums = list(zip(*(cells[cell] for cell in ordered), strict=True))
    return [
        _array(str(hour * 3600) for hour in hours),
        _array(org.hex() for org in orgs),
        _array(key.hex() for key in keys),
        text_array(firsts),
        text_array(seconds),
        *(_array(map(str, column)) for column in sums[:COUNTS]),
        *(_array(map(usd_text, column)) for column in sums[COUNTS:]),
    ]


def _array(plain: Iterable[str]) -> str:
    return "{" + ",".join(plain) + "}"
