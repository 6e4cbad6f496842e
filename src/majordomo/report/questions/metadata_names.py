"""An organisation's metadata keys, each over all gateway keys that send it, with values that it had lately."""

import datetime as dt
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import msgspec

from majordomo.record.database import Connection
from majordomo.record.hyperloglog import HyperLogLog, SketchError
from majordomo.report.questions.cursors import read_place, write_place
from majordomo.report.questions.metadata_keys import BackfillState, MetadataKey, metadata_keys
from majordomo.report.sql import question

#: Values shown of a key, and how much of each.
MOST_SAMPLES: Final = 5
MOST_SAMPLE_CHARACTERS: Final = 120
#: The newest requests that are looked at for them.
_SAMPLED_REQUESTS: Final = 500
#: Sketches put together for one answer (some 150 us each); beyond, the largest part stands for all.
_MOST_SKETCHES: Final = 400

_SKETCHES: Final = """
SELECT key_name, hll_state FROM llm_requests_metadata_keys
WHERE org_id = $1 AND key_name = ANY ($2::text[]) AND hll_state IS NOT NULL LIMIT $3
"""


class MetadataName(msgspec.Struct, frozen=True, kw_only=True):
    """One metadata key. ``parts``: as each gateway key has sent it, the most first."""

    name: str
    parts: tuple[MetadataKey, ...]
    approx_cardinality: int
    samples: tuple[str, ...] = ()  # newest first, cut to MOST_SAMPLE_CHARACTERS

    @property
    def is_active(self) -> bool:
        """Whether it is active for some gateway key."""
        return any(part.is_active for part in self.parts)

    @property
    def everywhere(self) -> bool:
        """Whether it is active for every gateway key that sends it."""
        return all(part.is_active for part in self.parts)

    @property
    def is_summed(self) -> bool:
        """Whether it is active and in the sums wherever it is: few enough values."""
        return self.is_active and all(part.rollup_stopped_at is None for part in self.parts if part.is_active)

    @property
    def requests(self) -> int:
        """How many requests had it."""
        return sum(part.request_count for part in self.parts)

    @property
    def last_seen_at(self) -> dt.datetime | None:
        """When the last one came."""
        return max((part.last_seen_at for part in self.parts if part.last_seen_at), default=None)

    @property
    def active_since(self) -> dt.datetime | None:
        """Since when all of its active parts are."""
        return max((part.activated_at for part in self.parts if part.activated_at), default=None)

    @property
    def backfill(self) -> BackfillState | None:
        """The state of the part that is furthest behind; None if it is not active."""
        states = {part.backfill for part in self.parts}
        for state in ("running", "waiting", "done"):
            if state in states:
                if state == "waiting" and "done" in states:
                    return "running"
                return state
        return None

    @property
    def rows(self) -> tuple[int, int, int]:
        """Of the active parts: rows in all, looked at, filled in. What is done counts as looked at whole."""
        active = [part for part in self.parts if part.is_active]
        seen = sum(part.rows_seen for part in active)
        total = sum(
            part.rows_seen if part.backfill == "done" else max(part.rows_total, part.rows_seen) for part in active
        )
        return total, seen, sum(part.rows_filled for part in active)


class MetadataNames(msgspec.Struct, frozen=True):
    """Some metadata keys, most sent first; how many come behind them, and where these begin."""

    names: list[MetadataName]
    left_out: int
    next_cursor: str | None


async def metadata_names(
    connection: Connection, org_id: UUID, name: str | None = None, limit: int | None = None, cursor: str | None = None
) -> MetadataNames:
    """The organisation's metadata keys (or the one of this name), behind the cursor.

    Raises:
        CursorError: the cursor is not one that a page gave.
    """
    behind = _place(*read_place(cursor)) if cursor is not None else None
    parts: dict[str, list[MetadataKey]] = {}
    for part in await metadata_keys(connection, None, org_id, name):
        parts.setdefault(part.key_name, []).append(part)
    places = sorted(_place(sum(part.request_count for part in of), one) for one, of in parts.items())
    names = [place[1] for place in places if behind is None or place > behind]
    shown = names[:limit]
    values = await _values(connection, org_id, {one: parts[one] for one in shown})
    found = [MetadataName(name=one, parts=tuple(parts[one]), approx_cardinality=values[one]) for one in shown]
    samples = await _samples(connection, org_id, found)
    left_out = len(names) - len(shown)
    return MetadataNames(
        [msgspec.structs.replace(one, samples=samples.get(one.name, ())) for one in found],
        left_out,
        write_place(found[-1].requests, found[-1].name) if left_out else None,
    )


def _place(requests: int, name: str) -> tuple[int, str]:
    """What the keys are in the order of: the most sent first."""
    return -requests, name


async def _values(connection: Connection, org_id: UUID, parts: dict[str, list[MetadataKey]]) -> dict[str, int]:
    """About how many values each has: two gateway keys may send the same ones."""
    values = {name: max(part.approx_cardinality for part in of) for name, of in parts.items()}
    shared = [name for name, of in parts.items() if len(of) > 1]
    merged: dict[str, HyperLogLog] = {}
    for name, state in await connection.fetch(_SKETCHES, org_id, shared, _MOST_SKETCHES) if shared else ():
        try:
            merged.setdefault(name, HyperLogLog()).merge(HyperLogLog.from_bytes(state))
        except SketchError:
            continue  # of another kind; what it counted stands in the part
    return values | {name: max(values[name], sketch.estimate()) for name, sketch in merged.items()}


async def _samples(connection: Connection, org_id: UUID, found: Sequence[MetadataName]) -> dict[str, tuple[str, ...]]:
    rows = await connection.fetch(
        question("metadata_samples"),
        org_id,
        [one.name for one in found],
        [one.last_seen_at for one in found],
        _SAMPLED_REQUESTS,
        MOST_SAMPLE_CHARACTERS,
    )
    samples: dict[str, list[str]] = {}
    for row in rows:
        of = samples.setdefault(row["name"], [])
        if len(of) < MOST_SAMPLES:
            of.append(row["value"])
    return {name: tuple(values) for name, values in samples.items()}
