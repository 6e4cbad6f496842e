"""Which cells a question about usage is answered from, and the statement that adds them up."""

import datetime as dt
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Final
from uuid import UUID

import asyncpg
import msgspec

from majordomo.record.database import Connection
from majordomo.report.questions import relations
from majordomo.report.questions.dimensions import Dimension
from majordomo.report.questions.filters import Filter
from majordomo.report.questions.known import Known, MetadataKey
from majordomo.report.questions.pairs import pair_for
from majordomo.report.questions.relations import ACTIVATION_LAG, AMOUNTS, Parameters, Relation
from majordomo.report.questions.scope import BEGINNING, DAY, END, HOUR, Stretch, Tiers, cut, joined, real, without
from majordomo.report.sql import question

_IN_SUMS_BY_MODEL: Final = frozenset(
    (Dimension("provider"), Dimension("model"), relations.PROVIDER_AND_MODEL, Dimension("key"))
)
_KEY: Final = Dimension("key")
#: Stretches of rows in one statement. With more of them the sums are behind by so much that all is read from the rows.
MOST_STRETCHES: Final = 24

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
    known: Known = Known()

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
    ``shown``: the values that stand alone; None: the ``limit`` foremost by ``order``. ``amounts``: those that are told.
    """

    by: Dimension | None = None
    starts: tuple[dt.datetime, ...] = ()
    limit: int = 0
    order: str = ORDERS[0]
    shown: tuple[str, ...] | None = None
    amounts: frozenset[str] = frozenset(AMOUNTS)


async def add_up(connection: Connection, scope: Scope, wanted: Wanted) -> list[asyncpg.Record]:
    """``is_rest, value, bucket, value_count`` and the amounts; ``bucket`` counts from 1 (0 without buckets)."""
    parameters = Parameters()
    parts = await _parts(connection, scope, wanted, parameters)
    cells = [_select(part, stretches, scope, wanted, parameters) for part, stretches in parts]
    if not cells:
        return []
    statement = question("pivot").format(
        cells="\n    UNION ALL ".join(cells),
        sums=relations.sums(only=wanted.amounts | {"requests", wanted.order}),
        order=_order(wanted),
        place=_place(wanted, parameters),
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
    bucket = _bucket(relation, wanted.starts, parameters)
    conditions = " AND ".join(_conditions(relation, stretches, scope, parameters))
    return question("cells").format(
        value=value, bucket=bucket, amounts=relation.amounts, source=relation.source, conditions=conditions
    )


def _bucket(relation: Relation, starts: Sequence[dt.datetime], parameters: Parameters) -> str:
    return f"width_bucket({relation.time}, {parameters.put(list(starts), 'timestamptz[]')})" if starts else "0"


def _conditions(relation: Relation, stretches: Sequence[Stretch], scope: Scope, parameters: Parameters) -> list[str]:
    conditions = [relations.within(relation, stretches, parameters)]
    if scope.org_id is not None:
        conditions.append(f"{relation.org} = {parameters.put(scope.org_id, 'uuid')}")
    first = min((since for since, _ in stretches), default=scope.since)
    return conditions + relations.matching(relation, scope.filters, scope.known.metadata, parameters, first)


async def _parts(
    connection: Connection, scope: Scope, wanted: Wanted, parameters: Parameters
) -> list[tuple[Relation, list[Stretch]]]:
    """The relations that the scope's time is read from, each with its stretches of it."""
    needed = needed_by(scope, wanted.by)
    make: Callable[[str], Relation] | None = None
    cut_up = Tiers(real([scope.stretch]))
    if needed <= _IN_SUMS_BY_MODEL:
        make = relations.by_model
        cut_up = tiers(scope, wanted.starts)
    elif len(keys := [one for one in needed if one.is_metadata]) == 1 and needed <= {keys[0], _KEY}:
        since = scope.known.metadata.get(keys[0].name, MetadataKey()).summed_since
        if since is not None:
            make = partial(relations.by_metadata, keys[0].name, parameters)
            cut_up = tiers(scope, wanted.starts, min(since + ACTIVATION_LAG, END))
    if make is None and (pair := pair_for(needed)) is not None:
        make = partial(relations.by_pair, *pair, parameters)
        cut_up = await summed_in_pairs(connection, scope, tiers(scope, wanted.starts), pair)
    parts = [(relations.rows_with(needed), cut_up.rows)]
    if make is not None:
        parts += [(make(tier), left) for tier, left in (("hourly", cut_up.hourly), ("daily", cut_up.daily)) if left]
    return [(relation, stretches) for relation, stretches in parts if stretches]


def tiers(scope: Scope, starts: Sequence[dt.datetime], sums_from: dt.datetime = BEGINNING) -> Tiers:
    """The scope's time, cut. Sums of an hour or day serve only where no bucket begins within one.

    So in a zone half an hour off, days are hours with one hour of rows at each midnight.
    """
    inner = [start for start in starts if start > scope.since]
    within_hours = [start for start in inner if start.minute or start.second]
    since, until = scope.stretch
    if not within_hours:
        cut_up = cut(scope.stretch, daily=not any(start.hour for start in inner), sums_from=sums_from)
        hourly = real((cut_up.hourly_before, cut_up.hourly_after))
        return Tiers(real((cut_up.raw_before, cut_up.raw_after)), hourly, real((cut_up.daily,)))
    bounds = [since, *(start for start in within_hours if start < until), until]
    found = [cut(part, daily=False, sums_from=sums_from) for part in pairwise(bounds)]
    rows = real(stretch for one in found for stretch in (one.raw_before, one.raw_after))
    return Tiers(joined(rows), real(one.hourly_before for one in found))


async def summed_in_pairs(connection: Connection, scope: Scope, cut_up: Tiers, pair: tuple[str, str]) -> Tiers:
    """The same time with all that is not summed by this pair, or not as it is now, read from the rows."""
    since, until = scope.stretch
    stale = await connection.fetch(question("pair_periods_stale"), scope.org_id, since, until, list(pair))
    days = [row["bucket_start"] for row in stale if row["tier"] == "daily"]
    hours = [row["bucket_start"] for row in stale if row["tier"] == "hourly"]
    daily, by_hours = without(cut_up.daily, days, DAY)
    hourly, by_rows = without(joined([*cut_up.hourly, *by_hours]), hours, HOUR)
    rows = joined([*cut_up.rows, *by_rows])
    return Tiers(rows, hourly, daily) if len(rows) <= MOST_STRETCHES else Tiers(real([scope.stretch]))


def needed_by(scope: Scope, by: Dimension | None) -> frozenset[Dimension]:
    """All dimensions of a question."""
    return scope.dimensions | ({by} if by else frozenset())


def over_rows(
    scope: Scope,
    statement: str,
    by: Dimension | None = None,
    starts: Sequence[dt.datetime] = (),
    stretches: Sequence[Stretch] | None = None,
    extra: Parameters | None = None,
    **filled: str,
) -> tuple[str, Parameters]:
    """A statement over the rows of a scope, or of some ``stretches`` of it, and its parameters.

    Filled in: its ``{source}`` and ``{conditions}``, the ``{value}`` of the dimension ``by``, the number of the
    ``{bucket}`` (from 1; 0 without ``starts``), and what else is given. ``extra``: parameters that this refers to.
    """
    rows = relations.rows_with(scope.dimensions | ({by} if by else frozenset()))
    return over(rows, scope, statement, by, starts, stretches, extra, **filled)


def over(
    relation: Relation,
    scope: Scope,
    statement: str,
    by: Dimension | None,
    starts: Sequence[dt.datetime],
    stretches: Sequence[Stretch] | None,
    extra: Parameters | None = None,
    **filled: str,
) -> tuple[str, Parameters]:
    """As ``over_rows``, over another relation."""
    parameters = Parameters() if extra is None else extra
    value = relation.value(by, parameters) if by else "NULL::text"
    bucket = _bucket(relation, starts, parameters)
    chosen = [scope.stretch] if stretches is None else stretches
    conditions = " AND ".join(_conditions(relation, chosen, scope, parameters))
    return statement.format(
        source=relation.source, conditions=conditions, value=value, bucket=bucket, **filled
    ), parameters
