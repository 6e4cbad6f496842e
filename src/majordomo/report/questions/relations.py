"""Where sums can be read from: the rows, and the tables of sums written with them. All of it is SQL that we wrote.

A relation says how each dimension stands in it. Values that somebody asked about are never part of the text: they are
parameters.
"""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import product
from math import prod
from typing import Any, Final
from uuid import UUID

import msgspec

from majordomo.record import pairs
from majordomo.record.rollup import value_in_rollup
from majordomo.record.statements import statement
from majordomo.report.questions.dimensions import Dimension
from majordomo.report.questions.filters import Filter
from majordomo.report.questions.known import MetadataKey
from majordomo.report.questions.scope import BEGINNING, END, Stretch
from majordomo.report.sql import question

#: A writer may have begun a batch just before it learnt that a key is active; indexes and sums are trusted from a while
#: later.
ACTIVATION_LAG: Final = dt.timedelta(minutes=5)

#: Not for people: what has one price list, both in one value. No name of a provider has the separator in it.
PROVIDER_AND_MODEL: Final = Dimension("provider_and_model")
SEPARATOR: Final = "\x1f"

#: What is summed, in the order of ``Usage``.
COUNTS: Final = (
    "requests",
    "errors",
    "unpriced",
    "timed_requests",
    "response_time_ms",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cache_creation_tokens",
    "reasoning_tokens",
    "prompt_tokens",
)
COSTS: Final = ("input_cost", "output_cost", "cache_read_cost", "cache_creation_cost", "tool_cost", "total_cost")
AMOUNTS: Final = (*COUNTS, *COSTS)
#: What a row ``r`` adds to each of them.
AMOUNTS_OF_ROWS: Final = statement("amounts_of_rows")

#: Values of several filters that are looked up together, each with each.
MOST_COMBINATIONS: Final = 64


def sums(of: str = "", only: Collection[str] = AMOUNTS) -> str:
    """Amounts of ``of`` (an alias with its point) summed, each under its own name."""
    counts = [f"sum({of}{name})::bigint AS {name}" for name in COUNTS if name in only]
    return ", ".join([*counts, *(f"sum({of}{name})::numeric AS {name}" for name in COSTS if name in only)])


class Parameters(list[Any]):
    """The values of a statement, in the order of their numbers."""

    def put(self, value: Any, kind: str) -> str:
        """A reference to one more value, of a PostgreSQL type."""
        self.append(value)
        return f"${len(self)}::{kind}"


class Relation(msgspec.Struct, frozen=True):
    """Rows or sums to read from. ``columns``: an expression for each built-in dimension that it has."""

    source: str
    time: str
    columns: Mapping[str, str]
    amounts: str
    org: str
    is_rows: bool = False
    org_first: bool = False  # its index begins with the organisation
    metadata: Mapping[str, str] | None = None  # of sums: an expression for each metadata key; None: the rows have all

    def value(self, of: Dimension, parameters: Parameters) -> str:
        """The value of a dimension, as text; NULL for none."""
        if not of.is_metadata:
            return self.columns[of.name]
        if self.metadata is not None:
            return self.metadata[of.name]
        return f"(r.raw_metadata ->> {parameters.put(of.name, 'text')})"


_BUILT_IN_ON_ROWS: Final = {
    "provider": "r.provider",
    "model": "nullif(r.model, '')",
    PROVIDER_AND_MODEL.name: "r.provider || chr(31) || coalesce(r.model, '')",
    "key": "r.majordomo_api_key_id::text",
    "status": "r.status_code::text",
    "outcome": "r.outcome",
    "error_type": "r.error_type",
    "client": "r.client",
    "query_class": "d.query_class",
    "session": "r.claude_session_id::text",
    "run": "r.trace_id",
}

_ROWS_ALONE: Final = Relation("llm_requests r", "r.requested_at", _BUILT_IN_ON_ROWS, AMOUNTS_OF_ROWS, "r.org_id")
_ROWS_WITH_DETAILS: Final = Relation(
    "llm_requests r LEFT JOIN claude_request_details d ON d.llm_request_id = r.id AND d.created_at = r.requested_at",
    "r.requested_at",
    _BUILT_IN_ON_ROWS,
    AMOUNTS_OF_ROWS,
    "r.org_id",
    is_rows=True,
)


def rows_with(dimensions: Iterable[Dimension]) -> Relation:
    """The rows, joined to what these dimensions need."""
    return _ROWS_WITH_DETAILS if Dimension("query_class") in set(dimensions) else _ROWS_ALONE


def by_model(tier: str) -> Relation:
    """Sums by key, provider and model; ``tier`` is ``hourly`` or ``daily``."""
    columns = {
        "provider": "s.provider",
        "model": "nullif(s.model, '')",
        PROVIDER_AND_MODEL.name: "s.provider || chr(31) || s.model",
        "key": "s.majordomo_api_key_id::text",
    }
    return Relation(f"usage_by_model_{tier} s", "s.bucket_start", columns, ", ".join(AMOUNTS), "s.org_id")


def latency(dimension: Dimension | None, tier: str) -> Relation:
    """Histograms of latency: of all requests, or by ``provider``, ``model`` or ``key``; ``tier`` as in ``by_model``."""
    columns = {dimension.name: "nullif(s.value, '')"} if dimension else {}
    source = question("sums_of_latency").format(tier=tier, dimension=dimension.name if dimension else "")
    return Relation(source, "s.bucket_start", columns, "", "s.org_id", org_first=True)


def by_pair(first: str, second: str, splits: Sequence[dt.datetime], parameters: Parameters, tier: str) -> Relation:
    """Sums by two dimensions, as ``record.pairs`` spells and orders them; ``tier`` as in ``by_model``.

    ``splits``: moments at half past at which hours are cut in two: their second half is a cell of its own there.
    """
    names = dict(zip(("first", "second"), [parameters.put(name, "text") for name in (first, second)], strict=True))
    if tier == "hourly" and splits:
        less = ", ".join(f"-{column}" for column in pairs.COLUMNS)
        at = parameters.put(list(splits), "timestamptz[]")
        source = question("sums_by_pair_and_half").format(
            **names, columns=", ".join(pairs.COLUMNS), less=less, splits=at
        )
    else:
        source = question("sums_by_pair").format(**names, tier=tier)
    values = {first: "s.first_value", second: "s.second_value"}
    columns = {name: value for name, value in values.items() if name in pairs.BUILT_IN}
    if first == "model":
        columns["provider"] = "s.provider"
        columns[PROVIDER_AND_MODEL.name] = "s.provider || chr(31) || coalesce(s.first_value, '')"
    metadata = {
        name.removeprefix(pairs.METADATA_PREFIX): value for name, value in values.items() if name not in pairs.BUILT_IN
    }
    return Relation(
        source, "s.bucket_start", columns, ", ".join(AMOUNTS), "s.org_id", org_first=True, metadata=metadata
    )


def by_metadata(key_name: str, parameters: Parameters, tier: str) -> Relation:
    """Sums by API key and the values of one metadata key; ``tier`` as in ``by_model``.

    Requests without the key are in none of its cells: they are all requests less those with it.
    """
    amounts = ", ".join(AMOUNTS)
    less = ", ".join(f"-{amount} AS {amount}" for amount in AMOUNTS)
    name = parameters.put(key_name, "text")
    source = question("sums_by_metadata").format(tier=tier, key_name=name, amounts=amounts, less=less)
    columns = {"key": "s.majordomo_api_key_id::text"}
    return Relation(source, "s.bucket_start", columns, amounts, "s.org_id", metadata={key_name: "s.key_value"})


def of_org(relation: Relation, org_id: UUID | None, parameters: Parameters) -> list[str]:
    """The condition that a row is an organisation's; None: any's.

    Of rows, in words that no index knows: the primary key has it, too, and reading all of that saves no row. Where an
    index begins with it, every organisation is named.
    """
    if org_id is None:
        return [question("of_any_org").format(org=relation.org)] if relation.org_first else []
    condition = f"{relation.org} = {parameters.put(org_id, 'uuid')}"
    return [f"({condition}) IS TRUE" if relation.is_rows else condition]


def within(relation: Relation, stretches: Iterable[Stretch], parameters: Parameters) -> str:
    """The condition that a row's time is in one of these stretches."""
    parts = [
        f"{relation.time} >= {parameters.put(since, 'timestamptz')}"
        f" AND {relation.time} < {parameters.put(until, 'timestamptz')}"
        for since, until in stretches
    ]
    return "(" + " OR ".join(parts) + ")"


def matching(
    relation: Relation,
    filters: Sequence[Filter],
    metadata: Mapping[str, MetadataKey],
    parameters: Parameters,
    since: dt.datetime = BEGINNING,
) -> list[str]:
    """What all rows that pass the filters, and no others, are. ``since``: none is from before.

    A filter by an active metadata key is looked up in the index; only where older rows may be missing from that, the
    row's own metadata is looked at besides: the planner cannot tell how many rows pass that, and is misled.
    """
    indexed = [] if relation.metadata is not None else [chosen for chosen in filters if _is_indexed(chosen, metadata)]
    found, is_whole = _through_index(indexed, metadata, since, parameters)
    looked_at = [chosen for chosen in filters if not (is_whole and chosen in indexed)]
    return found + [_condition(relation, chosen, parameters) for chosen in looked_at]


def _is_indexed(chosen: Filter, metadata: Mapping[str, MetadataKey]) -> bool:
    known = metadata.get(chosen.dimension.name, MetadataKey())
    kept = not chosen.leaves_out and None not in chosen.values
    return chosen.dimension.is_metadata and known.indexed_since is not None and kept


def _through_index(
    indexed: Sequence[Filter], metadata: Mapping[str, MetadataKey], since: dt.datetime, parameters: Parameters
) -> tuple[list[str], bool]:
    """What is true of every row that passes filters by active metadata keys, and has an index; whether only of these.

    Several filters are asked for at once, so that the index intersects them before a row is read.
    """
    if not indexed:
        return [], True
    together = prod(len(chosen.values) for chosen in indexed) <= MOST_COMBINATIONS
    conditions = [_found(part, parameters) for part in ([indexed] if together else [[chosen] for chosen in indexed])]
    trusted = max(metadata[chosen.dimension.name].indexed_since or END for chosen in indexed)
    if trusted <= BEGINNING or (trusted := min(trusted, END - ACTIVATION_LAG) + ACTIVATION_LAG) <= since:
        return conditions, True
    before = f"r.requested_at < {parameters.put(trusted, 'timestamptz')}"
    return [f"({condition} OR {before})" for condition in conditions], False


def _found(indexed: Sequence[Filter], parameters: Parameters) -> str:
    """The index's own condition: one of the values of each filter."""
    names = [chosen.dimension.name for chosen in indexed]
    combined = product(*(chosen.values for chosen in indexed))
    wanted = [msgspec.json.encode(dict(zip(names, values, strict=True))).decode() for values in combined]
    return f"r.indexed_metadata @> ANY ({parameters.put(wanted, 'jsonb[]')})"


def _condition(relation: Relation, chosen: Filter, parameters: Parameters) -> str:
    """Kept: one of the values, or none if None is among them. Left out: the opposite of that."""
    values = [value for value in chosen.values if value is not None]
    has_none = None in chosen.values
    if chosen.dimension.is_metadata and relation.metadata is not None:
        values = [value_in_rollup(value) for value in values]
    column, kind, cast = _comparable(relation, chosen.dimension, parameters)
    listed = parameters.put([cast(value) for value in values], f"{kind}[]") if values else None
    if not chosen.leaves_out:
        tests = [f"{column} = ANY ({listed})"] if listed else []
        tests += [f"{column} IS NULL"] if has_none else []
        return "(" + " OR ".join(tests) + ")"
    tests = [f"{column} <> ALL ({listed})"] if listed else []
    if has_none:
        return "(" + " AND ".join([*tests, f"{column} IS NOT NULL"]) + ")"
    return "(" + " OR ".join([*tests, f"{column} IS NULL"]) + ")"


def _comparable(relation: Relation, of: Dimension, parameters: Parameters) -> tuple[str, str, Any]:
    """The expression to compare with, its type and what makes one of text: the column's own, so that indexes serve."""
    column = relation.value(of, parameters)
    if column.endswith("_id::text"):
        return column.removesuffix("::text"), "uuid", str
    if of.name == "status" and not of.is_metadata:
        return column.removesuffix("::text"), "int", int
    return column, "text", str
