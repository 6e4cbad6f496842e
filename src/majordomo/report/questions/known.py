"""The names that an organisation's questions may use: its gateway keys and the metadata keys that they have sent."""

from uuid import UUID

import msgspec

from majordomo.record.database import Connection
from majordomo.report.questions.filters import Filter, FilterError


class Known(msgspec.Struct, frozen=True):
    """``metadata``: name to whether it is active for some gateway key. ``keys``: id to name."""

    metadata: dict[str, bool]
    keys: dict[str, str]

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
    metadata = await connection.fetch(
        "SELECT key_name, bool_or(is_active) AS is_active FROM llm_requests_metadata_keys"
        " WHERE $1::uuid IS NULL OR org_id = $1 GROUP BY key_name",
        org_id,
    )
    keys = await connection.fetch("SELECT id::text, name FROM api_keys WHERE $1::uuid IS NULL OR org_id = $1", org_id)
    return Known({row["key_name"]: row["is_active"] for row in metadata}, {row["id"]: row["name"] for row in keys})
