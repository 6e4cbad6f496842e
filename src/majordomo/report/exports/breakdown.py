"""Usage by the values of one dimension as rows of a file: costliest first, those without one, then the rest."""

from collections.abc import AsyncIterator
from typing import Final

from majordomo.record.database import Connection
from majordomo.report.exports.columns import Column, Kind, Row
from majordomo.report.questions import pivot
from majordomo.report.questions.cells import Scope
from majordomo.report.questions.dimensions import Dimension
from majordomo.report.questions.relations import COSTS
from majordomo.report.questions.usage import Usage

_COUNTS: Final = (
    "requests",
    "errors",
    "unpriced",
    "prompt_tokens",
    "uncached_tokens",
    "cached_tokens",
    "cache_creation_tokens",
    "output_tokens",
    "reasoning_tokens",
)
COLUMNS: Final = (
    Column("value", Kind.TEXT),  # missing for the requests that have none, and for the rest
    Column("label", Kind.TEXT),  # a gateway key's name
    Column("is_rest", Kind.BOOLEAN),
    *(Column(name, Kind.INTEGER) for name in _COUNTS),
    *(Column(name, Kind.DECIMAL) for name in COSTS),
)
_BATCH_ROWS: Final = 1000


async def breakdown_rows(connection: Connection, scope: Scope, by: Dimension) -> AsyncIterator[list[Row]]:
    """A row for each value, one for all beyond ``MOST_EXPORTED``; together all usage of ``scope``."""
    found = await pivot.breakdown(connection, scope, by, pivot.MOST_EXPORTED, most=pivot.MOST_EXPORTED)
    rows: list[Row] = [
        (share.value, scope.known.label(by.name, share.value), False, *_figures(share.usage)) for share in found.shares
    ]
    if found.rest is not None:
        rows.append((None, None, True, *_figures(found.rest)))
    for start in range(0, len(rows), _BATCH_ROWS):
        yield rows[start : start + _BATCH_ROWS]


def _figures(usage: Usage) -> Row:
    return tuple(getattr(usage, name) for name in (*_COUNTS, *COSTS))
