"""Which cells a question about usage is answered from, and the statement that adds them up."""

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Sequence
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
#: Stretches of time that sums may lack. With more of them they are so far behind that they do not serve.
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
    conditions += relations.of_org(relation, scope.org_id, parameters)
    first = min((since for since, _ in stretches), default=scope.since)
    return conditions + relations.matching(relation, scope.filters, scope.known.metadata, parameters, first)


Part = tuple[Relation, list[Stretch]]
_Make = Callable[[str], Relation]


async def _parts(connection: Connection, scope: Scope, wanted: Wanted, parameters: Parameters) -> list[Part]:
    """The relations that the scope's time is read from, each with its stretches of it.

    Sums by two dimensions have the fewest cells. Where they lack an hour, sums that are always current stand in, if
    there are any, and else the rows.
    """
    needed = needed_by(scope, wanted.by)
    whole = tiers(scope, wanted.starts)
    rows, lacking = whole.rows, joined([*whole.hourly, *whole.daily])
    parts: list[Part] = []
    if (pair := pair_for(needed)) is not None:
        paired = await in_pairs(connection, scope, wanted.starts, pair)
        parts += _read(partial(relations.by_pair, *pair, paired.splits, parameters), paired)
        rows, lacking = paired.rows, paired.unsummed
    make, sums_from = _always_current(needed, scope, parameters)
    if make is not None:
        again = _tiered(_cut_at(lacking, scope, wanted.starts), daily=bool(whole.daily), sums_from=sums_from)
        parts += _read(make, again)
        lacking = again.rows
    if rows or lacking:
        parts.append((relations.rows_with(needed), joined([*rows, *lacking])))
    return parts


def _read(make: _Make, cut_up: Tiers) -> list[Part]:
    return [(make(tier), found) for tier, found in (("hourly", cut_up.hourly), ("daily", cut_up.daily)) if found]


def _always_current(
    needed: Collection[Dimension], scope: Scope, parameters: Parameters
) -> tuple[_Make | None, dt.datetime]:
    """Sums that are written with the rows, if some tell these dimensions; and since when."""
    if _IN_SUMS_BY_MODEL.issuperset(needed):
        return relations.by_model, BEGINNING
    keys = [one for one in needed if one.is_metadata]
    if len(keys) == 1 and {keys[0], _KEY}.issuperset(needed):
        since = scope.known.metadata.get(keys[0].name, MetadataKey()).summed_since
        if since is not None:
            return partial(relations.by_metadata, keys[0].name, parameters), min(
                since, END - ACTIVATION_LAG
            ) + ACTIVATION_LAG
    return None, BEGINNING


def tiers(scope: Scope, starts: Sequence[dt.datetime]) -> Tiers:
    """The scope's time, cut. Sums of an hour or day serve only where no bucket begins within one.

    So in a zone half an hour off, days are hours with one hour of rows at each midnight.
    """
    at_midnight = all(start.time() == dt.time() for start in _inner(scope, starts))
    return _tiered(_cut_at([scope.stretch], scope, starts), daily=at_midnight)


def _inner(scope: Scope, starts: Sequence[dt.datetime]) -> list[dt.datetime]:
    return [start for start in starts if scope.since < start < scope.stretch[1]]


def _cut_at(stretches: Iterable[Stretch], scope: Scope, starts: Sequence[dt.datetime]) -> list[Stretch]:
    """The same time, cut where a bucket begins within an hour."""
    within_hours = [start for start in _inner(scope, starts) if start.minute or start.second]
    found: list[Stretch] = []
    for since, until in stretches:
        bounds = [since, *(start for start in within_hours if since < start < until), until]
        found += pairwise(bounds)
    return found


def _tiered(stretches: Iterable[Stretch], *, daily: bool, sums_from: dt.datetime = BEGINNING) -> Tiers:
    found = [cut(stretch, daily=daily, sums_from=sums_from) for stretch in stretches]
    return Tiers(
        joined(real(part for one in found for part in (one.raw_before, one.raw_after))),
        real(part for one in found for part in (one.hourly_before, one.hourly_after)),
        real(one.daily for one in found),
    )


async def in_pairs(connection: Connection, scope: Scope, starts: Sequence[dt.datetime], pair: tuple[str, str]) -> Tiers:
    """The scope's time, cut for sums by two dimensions, which know halves of hours where somebody has asked for them.

    ``unsummed`` is what is not summed by this pair, or not as it is now.
    """
    cut_up, splits = tiers(scope, starts), split_at(scope, starts)
    if splits:
        cut_up = _tiered([scope.stretch], daily=False)
    since, until = scope.stretch
    split = [moment.replace(minute=0) for moment in splits]
    stale = await connection.fetch(question("pair_periods_stale"), scope.org_id, since, until, list(pair), split)
    days = [row["bucket_start"] for row in stale if row["tier"] == "daily"]
    hours = [row["bucket_start"] for row in stale if row["tier"] == "hourly"]
    daily, in_hours = without(cut_up.daily, days, DAY)
    hourly, unsummed = without(joined([*cut_up.hourly, *in_hours]), hours, HOUR)
    if len(unsummed) > MOST_STRETCHES:
        cut_up = tiers(scope, starts)
        return Tiers(cut_up.rows, unsummed=joined([*cut_up.hourly, *cut_up.daily]))
    return Tiers(cut_up.rows, hourly, daily, unsummed, splits)


def split_at(scope: Scope, starts: Sequence[dt.datetime]) -> list[dt.datetime]:
    """The moments at which hours would have to be cut in halves; none if some hour is cut elsewhere."""
    within_hours = [start for start in _inner(scope, starts) if start.minute or start.second]
    return within_hours if all(start.minute == 30 and not start.second for start in within_hours) else []


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
    rows = relations.rows_with(needed_by(scope, by))
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
