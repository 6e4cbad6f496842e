"""Which cells a question about usage is answered from, and the statement that adds them up."""

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final
from uuid import UUID

import asyncpg
import msgspec

from majordomo.record.database import Connection
from majordomo.record.registry import MAX_NAMES
from majordomo.report.questions import relations
from majordomo.report.questions.dimensions import Dimension
from majordomo.report.questions.filters import Filter
from majordomo.report.questions.relations import SUMS, Parameters, Relation
from majordomo.report.questions.scope import BEGINNING, END, HOUR, Pieces, Stretch, cut, only_rows
from majordomo.report.sql import question

#: A writer may have begun a batch just before it learnt that a key is active; sums are trusted from a while later.
_ACTIVATION_LAG: Final = dt.timedelta(minutes=5)

_IN_SUMS_BY_MODEL: Final = frozenset((Dimension("provider"), Dimension("model"), Dimension("key")))
_KEY: Final = Dimension("key")

#: What values can be ordered by, foremost first.
ORDERS: Final = ("total_cost", "requests", "errors", "prompt_tokens", "output_tokens")


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """The requests of an organisation (None: of all) in ``[since, until)`` that pass every filter.

    ``running``: ``until`` is now, so whatever is in the hour of now is meant.
    """

    org_id: UUID | None
    since: dt.datetime = BEGINNING
    until: dt.datetime = END
    running: bool = False
    filters: tuple[Filter, ...] = ()

    @property
    def stretch(self) -> Stretch:
        """Its time; one that reaches up to now to the end of the hour, so that the hour's sums serve."""
        if not self.running:
            return self.since, self.until
        return self.since, self.until - (self.until - BEGINNING) % HOUR + HOUR

    @property
    def dimensions(self) -> frozenset[Dimension]:
        """What is filtered by."""
        return frozenset(chosen.dimension for chosen in self.filters)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """How the cells are to be added up.

    ``starts``: where the buckets of time begin, the first not after the scope's beginning; empty: one for all.
    ``shown``: the values that stand alone; None: the ``limit`` foremost by ``order``.
    """

    by: Dimension | None = None
    starts: tuple[dt.datetime, ...] = ()
    limit: int = 0
    order: str = ORDERS[0]
    shown: tuple[str, ...] | None = None


async def add_up(connection: Connection, scope: Scope, wanted: Wanted) -> list[asyncpg.Record]:
    """``is_rest, value, bucket, value_count`` and the amounts; ``bucket`` counts from 1 (0 without buckets)."""
    parameters = Parameters()
    cells = [
        _select(part, stretches, scope, wanted, parameters)
        for part, stretches in await _parts(connection, scope, wanted, parameters)
    ]
    if not cells:
        return []
    statement = question("pivot").format(
        cells="\n    UNION ALL ".join(cells), sums=SUMS, order=_order(wanted), place=_place(wanted, parameters)
    )
    return await connection.fetch(statement, *parameters)


def _order(wanted: Wanted) -> str:
    if wanted.order not in ORDERS:
        raise ValueError(f"no order {wanted.order!r}")
    return wanted.order


def _place(wanted: Wanted, parameters: Parameters) -> str:
    if wanted.shown is not None:
        return f"coalesce(value = ANY ({parameters.put(list(wanted.shown), 'text[]')}), false)"
    limit = parameters.put(wanted.limit, "int")
    return (
        "dense_rank() OVER (ORDER BY (value IS NULL), weight DESC, weight_requests DESC, value)"
        f" <= {limit} AND value IS NOT NULL"
    )


def _select(
    relation: Relation, stretches: Sequence[Stretch], scope: Scope, wanted: Wanted, parameters: Parameters
) -> str:
    value = relation.value(wanted.by, parameters) if wanted.by else "NULL::text"
    bucket = "0"
    if wanted.starts:
        bucket = f"width_bucket({relation.time}, {parameters.put(list(wanted.starts), 'timestamptz[]')})"
    conditions = " AND ".join(_conditions(relation, stretches, scope, parameters))
    return question("cells").format(
        value=value, bucket=bucket, amounts=relation.amounts, source=relation.source, conditions=conditions
    )


def _conditions(relation: Relation, stretches: Sequence[Stretch], scope: Scope, parameters: Parameters) -> list[str]:
    conditions = [relations.within(relation, stretches, parameters)]
    if scope.org_id is not None:
        conditions.append(f"{relation.org} = {parameters.put(scope.org_id, 'uuid')}")
    return conditions + relations.matching(relation, scope.filters, parameters)


async def _parts(
    connection: Connection, scope: Scope, wanted: Wanted, parameters: Parameters
) -> list[tuple[Relation, list[Stretch]]]:
    """The relations that the scope's time is read from, each with its stretches of it."""
    needed = scope.dimensions | ({wanted.by} if wanted.by else frozenset())
    make: Callable[[str], Relation] | None = None
    pieces = only_rows(scope.stretch)
    if needed <= _IN_SUMS_BY_MODEL:
        make = relations.by_model
        pieces = _cut(scope, wanted, BEGINNING)
    elif len(keys := [one for one in needed if one.is_metadata]) == 1 and needed <= {keys[0], _KEY}:
        since = await _summed_since(connection, keys[0].name, scope)
        if since is not None:
            make = partial(relations.by_metadata, keys[0].name, parameters)
            pieces = _cut(scope, wanted, since)
    parts = [(relations.rows_with(needed), _real((pieces.raw_before, pieces.raw_after)))]
    if make is not None:
        tiers = (("hourly", (pieces.hourly_before, pieces.hourly_after)), ("daily", (pieces.daily,)))
        parts += [(make(tier), real) for tier, stretches in tiers if (real := _real(stretches))]
    return [(relation, stretches) for relation, stretches in parts if stretches]


def _cut(scope: Scope, wanted: Wanted, sums_from: dt.datetime) -> Pieces:
    """Sums of an hour or day serve only where no bucket begins within one."""
    inner = [start for start in wanted.starts if start > scope.since]
    if any(start.minute or start.second for start in inner):
        return only_rows(scope.stretch)
    return cut(scope.stretch, daily=not any(start.hour for start in inner), sums_from=sums_from)


def _real(stretches: Iterable[Stretch]) -> list[Stretch]:
    return [stretch for stretch in stretches if stretch[0] < stretch[1]]


async def _summed_since(connection: Connection, name: str, scope: Scope) -> dt.datetime | None:
    """Since when sums by a metadata key stand for all rows; None: some API key that sends it has no sums of it."""
    row = await connection.fetchrow(question("metadata_summed_since"), name, scope.org_id, MAX_NAMES)
    assert row is not None
    if not row["everywhere"]:
        return None
    return BEGINNING if row["since"] is None else min(row["since"] + _ACTIVATION_LAG, END)


def over_rows(scope: Scope, statement: str) -> tuple[str, Parameters]:
    """A statement over the rows of a scope, its ``{source}`` and ``{conditions}`` filled in, and its parameters."""
    parameters = Parameters()
    rows = relations.rows_with(scope.dimensions)
    conditions = " AND ".join(_conditions(rows, [scope.stretch], scope, parameters))
    return statement.format(source=rows.source, conditions=conditions), parameters
