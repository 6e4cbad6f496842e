"""Which pairs of dimensions are summed, and the statement that sums rows by them. When that is done: ``summing.py``."""

from collections.abc import Sequence
from itertools import combinations
from typing import Final

from majordomo.record.latency import DIGITS, STEP
from majordomo.record.statements import statement

#: Dimensions of every organisation, in the order in which they come first in a pair; metadata keys come behind them.
BUILT_IN: Final = ("model", "key", "client", "query_class")
METADATA_PREFIX: Final = "metadata."

HISTOGRAMS: Final = ("response_times", "first_byte_times")
#: What a cell adds up, in the order of the tables' columns.
COLUMNS: Final = (
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
    "estimated",
    "lost",
    "input_cost",
    "output_cost",
    "cache_read_cost",
    "cache_creation_cost",
    "tool_cost",
    "total_cost",
    *HISTOGRAMS,
)

_ON_ROWS: Final = {
    "model": "nullif(r.model, '')",
    "key": "r.majordomo_api_key_id::text",
    "client": "r.client",
    "query_class": "d.query_class",
}


def pair_of(one: str, other: str) -> tuple[str, str]:
    """Two dimensions as they stand in the tables."""
    first, second = sorted((one, other), key=_place)
    return first, second


def pairs(dimensions: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs that are summed: all but those of a key and metadata, which are in ``usage_by_metadata``."""
    return [pair for two in combinations(dimensions, 2) if is_summed(pair := pair_of(*two))]


def is_summed(pair: tuple[str, str]) -> bool:
    """Whether a pair is one of these tables."""
    return pair[0] != "key" or pair[1] in BUILT_IN


def _place(dimension: str) -> tuple[int, str]:
    return BUILT_IN.index(dimension) if dimension in BUILT_IN else len(BUILT_IN), dimension


def names_of(dimensions: Sequence[str]) -> list[str]:
    """The names of the metadata keys among them."""
    return [one.removeprefix(METADATA_PREFIX) for one in dimensions if one not in BUILT_IN]


def statement_for(dimensions: Sequence[str], table: str) -> str:
    """The statement that sums the rows of organisation $1 in [$2, $3) into cells of ``table`` that begin at $2.

    $4 are the names of the metadata keys among the dimensions, if there are any.
    """
    names = names_of(dimensions)
    on_rows = dict(_ON_ROWS)
    spelt = {one: f"'{one}'" for one in BUILT_IN}
    for place, name in enumerate(names, start=1):
        on_rows[METADATA_PREFIX + name] = f"r.raw_metadata ->> ($4::text[])[{place}]"
        spelt[METADATA_PREFIX + name] = f"'{METADATA_PREFIX}' || ($4::text[])[{place}]"
    columns = {one: f"d{number}" for number, one in enumerate(dimensions)}
    return statement("pairs_of_rows").format(
        table=table,
        columns=", ".join(COLUMNS),
        dimensions=", ".join(f"{on_rows[one]} AS {column}" for one, column in columns.items()),
        amounts=statement("amounts_of_rows").rstrip(),
        digits=DIGITS,
        step=STEP,
        pairs="UNION ALL\n".join(
            f"SELECT $1::uuid, $2::timestamptz, {spelt[first]}, {spelt[second]}, {columns[first]}, {columns[second]},"
            f" {_sums_by(first)}\n"
            f"FROM counted GROUP BY {columns[first]}, {columns[second]}{', provider' if first == 'model' else ''}\n"
            for first, second in pairs(dimensions)
        ),
    )


def _sums_by(first: str) -> str:
    """The cells' provider and sums; those by model alone have both it and histograms."""
    if first == "model":
        return ", ".join(["provider", *(f"coalesce(sum({name}), 0)" for name in COLUMNS)])
    return ", ".join(["''", *(f"sum({name})" for name in COLUMNS if name not in HISTOGRAMS), "NULL", "NULL"])
