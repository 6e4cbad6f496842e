"""Which metadata keys each API key has sent, how often, and with about how many values.

The sketches in the database are the truth; here is a copy that can only be behind them. As a sketch only ever grows,
a value that is in the copy is in the truth too, and nothing has to be read or written for it.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from uuid import UUID

from majordomo.record.database import Connection
from majordomo.record.hyperloglog import HyperLogLog, SketchError
from majordomo.record.rows import INT4_MAX, NIL_ORG, Finished
from majordomo.record.statements import statement

#: A caller may invent a name for every request; an API key's registry, and our memory, must end somewhere. Further
#: names are still in ``raw_metadata``.
MAX_NAMES = 1000
#: A key with more values than this has nearly as many rollup cells as requests, which cost more to keep (20 us a row
#: and up) than they save; a single value of it is quick to find through the index on ``indexed_metadata``.
MAX_ROLLUP_VALUES = 1000
SKETCHES_KEPT = 2048  # 16 MiB of copies, twice 4 KiB each; one that was let go is read again

MetadataKey = tuple[bytes, str, bytes]  # API key, name, organisation

_NONE: frozenset[str] = frozenset()
_NAMES = "SELECT majordomo_api_key_id, key_name, is_active, rollup_stopped_at FROM llm_requests_metadata_keys"


@dataclass(slots=True)
class Observed:
    """What a batch says about one metadata key."""

    requests: int = 0
    last_seen_us: int = 0
    values: set[str] = field(default_factory=set)


class Registry:
    """The writer's view of ``llm_requests_metadata_keys``."""

    def __init__(self) -> None:
        self.stale = True  # the database may know names or activations that we do not
        self._names: dict[bytes, set[str]] = {}
        self._active: dict[bytes, frozenset[str]] = {}
        self._rolled_up: dict[bytes, frozenset[str]] = {}
        self._summed: dict[bytes, frozenset[str]] = {}
        self._sketches: OrderedDict[MetadataKey, HyperLogLog] = OrderedDict()
        self._written: dict[MetadataKey, bytes] = {}  # the state of each that the database had from us last

    async def refresh(self, connection: Connection) -> None:
        """Read names and activations anew."""
        self.stale = False  # first: a notice that arrives meanwhile asks for another reading
        names: dict[bytes, set[str]] = {}
        active: dict[bytes, set[str]] = {}
        rolled_up: dict[bytes, set[str]] = {}
        summed: dict[bytes, set[str]] = {}
        for key_id, name, is_active, stopped_at in await connection.fetch(_NAMES):
            names.setdefault(key_id.bytes, set()).add(name)
            if stopped_at is None:
                summed.setdefault(key_id.bytes, set()).add(name)
            if is_active:
                active.setdefault(key_id.bytes, set()).add(name)
                if stopped_at is None:
                    rolled_up.setdefault(key_id.bytes, set()).add(name)
        self._names = names
        self._active = {key_id: frozenset(chosen) for key_id, chosen in active.items()}
        self._rolled_up = {key_id: frozenset(chosen) for key_id, chosen in rolled_up.items()}
        self._summed = {key_id: frozenset(chosen) for key_id, chosen in summed.items()}

    def forget(self) -> None:
        """Trust nothing that was learned: a transaction came to nothing, or may have."""
        self.stale = True
        self._sketches.clear()
        self._written.clear()

    def active(self, key_id: bytes) -> frozenset[str]:
        """The names that are copied to ``indexed_metadata`` for this API key."""
        return self._active.get(key_id, _NONE)

    def rolled_up(self, key_id: bytes) -> frozenset[str]:
        """The active names that have rollups."""
        return self._rolled_up.get(key_id, _NONE)

    def summed(self, key_id: bytes) -> frozenset[str]:
        """Names that are in the rollups with every row that has them in ``indexed_metadata``, active now or not."""
        return self._summed.get(key_id, _NONE)

    def observe(self, seen: dict[MetadataKey, Observed], finished: Finished) -> None:
        """Note one request's metadata in ``seen``."""
        opening = finished.opening
        for name, value in opening.metadata.items():
            key = (opening.api_key_id, name, opening.org_id or NIL_ORG)
            observed = seen.get(key)
            if observed is None:
                if not self._admits(opening.api_key_id, name):
                    continue
                observed = seen[key] = Observed()
            observed.requests += 1
            observed.values.add(value)
            if opening.requested_at > observed.last_seen_us:
                observed.last_seen_us = opening.requested_at

    async def write(self, connection: Connection, seen: dict[MetadataKey, Observed]) -> None:
        """Count what was observed, in the caller's transaction. If that comes to nothing: ``forget``."""
        if not seen:
            return
        ordered = sorted(seen)
        await connection.execute(
            statement("count_metadata_keys"),
            *_key_columns(ordered),
            [seen[key].requests for key in ordered],
            [seen[key].last_seen_us for key in ordered],
        )
        await self._grow_sketches(connection, [key for key in ordered if self._is_new(key, seen[key].values)])
        while len(self._sketches) > SKETCHES_KEPT:
            let_go, _ = self._sketches.popitem(last=False)
            self._written.pop(let_go, None)

    def _admits(self, key_id: bytes, name: str) -> bool:
        names = self._names.setdefault(key_id, set())
        if name in names:
            return True
        if len(names) >= MAX_NAMES:
            return False
        names.add(name)
        return True

    def _is_new(self, key: MetadataKey, values: set[str]) -> bool:
        """Take the values into our copy; whether the database's sketch may lack one of them."""
        sketch = self._sketches.get(key)
        unread = sketch is None
        if sketch is None:
            sketch = self._sketches[key] = HyperLogLog()
        else:
            self._sketches.move_to_end(key)
        changes = [sketch.add(value) for value in values]
        return unread or any(changes)

    async def _grow_sketches(self, connection: Connection, grown: list[MetadataKey]) -> None:
        if not grown:
            return
        merged = {key: self._sketches[key] for key in grown}
        for key_id, name, org_id, state in await connection.fetch(statement("read_sketches"), *_key_columns(grown)):
            key = key_id.bytes, name, org_id.bytes
            if state is not None and state != self._written.get(key):  # else nobody else has added to it
                _take_in(merged[key], state)
        estimates = [min(merged[key].estimate(), INT4_MAX) for key in grown]
        states = [merged[key].to_bytes() for key in grown]
        self._written.update(zip(grown, states, strict=True))
        await connection.execute(
            statement("write_sketches"),
            *_key_columns(grown),
            states,
            estimates,
            MAX_ROLLUP_VALUES,
        )


def _take_in(sketch: HyperLogLog, state: bytes) -> None:
    try:
        sketch.merge(HyperLogLog.from_bytes(state))
    except SketchError:
        return  # of another kind: counting starts anew


def _key_columns(keys: list[MetadataKey]) -> tuple[list[UUID], list[str], list[UUID]]:
    return (
        [UUID(bytes=key_id) for key_id, _, _ in keys],
        [name for _, name, _ in keys],
        [UUID(bytes=org_id) for _, _, org_id in keys],
    )
