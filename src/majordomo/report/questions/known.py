"""The names that an organisation's questions may use: its gateway keys and the metadata keys that they have sent."""

import datetime as dt
from uuid import UUID

import msgspec

from majordomo.record.database import Connection
from majordomo.record.registry import MAX_NAMES
from majordomo.report.questions.filters import Filter, FilterError
from majordomo.report.sql import question


class MetadataKey(msgspec.Struct, frozen=True, kw_only=True):
    """One metadata key, over all gateway keys that send it.

    ``indexed_since``, ``summed_since``: since when all requests with it are found in ``indexed_metadata``, in the sums;
    None: never.
    """

    is_active: bool = False  # for some gateway key
    requests: int = 0
    approx_cardinality: int = 0
    last_seen_at: dt.datetime | None = None
    indexed_since: dt.datetime | None = None
    summed_since: dt.datetime | None = None


class Known(msgspec.Struct, frozen=True):
    """``metadata``: by name, most sent first. ``keys``: a gateway key's id to its name."""

    metadata: dict[str, MetadataKey] = {}
    keys: dict[str, str] = {}

    def with_key_ids(self, chosen: Filter) -> Filter:
        """A filter by gateway keys, its names turned into ids; an id of no key of ours matches nothing.

        Raises:
            FilterError: neither an id nor the name of a key.
        """
        values: dict[str | None, None] = {}
        for value in chosen.values:
            values |= dict.fromkeys([None] if value is None else self._ids(value))
        return msgspec.structs.replace(chosen, values=tuple(values))

    def label(self, dimension: str, value: str | None) -> str | None:
        """What people call a value, where it has a name besides."""
        return self.keys.get(value) if dimension == "key" and value is not None else None

    def _ids(self, value: str) -> list[str]:
        try:
            return [str(UUID(value))]
        except ValueError:
            pass
        found = [key_id for key_id, name in self.keys.items() if name == value]
        if not found:
            raise FilterError(f"key:{value[:60]} is neither the id nor the name of a gateway key")
        return found


async def known(connection: Connection, org_id: UUID | None) -> Known:
    """The names of an organisation; None: of all."""
    rows = await connection.fetch(question("known_metadata_keys"), org_id, MAX_NAMES)
    metadata = {
        row["key_name"]: MetadataKey(**{name: row[name] for name in MetadataKey.__struct_fields__}) for row in rows
    }
    keys = await connection.fetch("SELECT id::text, name FROM api_keys WHERE $1::uuid IS NULL OR org_id = $1", org_id)
    return Known(metadata, {row["id"]: row["name"] for row in keys})


async def built_in_values(connection: Connection, org_id: UUID | None) -> dict[str, int]:
    """How many values there are of the built-in dimensions that the daily sums tell."""
    row = await connection.fetchrow(
        "SELECT count(DISTINCT provider) AS provider, count(DISTINCT nullif(model, '')) AS model,"
        ' count(DISTINCT majordomo_api_key_id) AS "key" FROM usage_by_model_daily'
        " WHERE $1::uuid IS NULL OR org_id = $1",
        org_id,
    )
    return dict(row) if row else {}
