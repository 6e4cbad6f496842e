"""The metadata keys that callers have sent: how often, with how many values, whether they are indexed, since when."""

import datetime as dt
from typing import Literal
from uuid import UUID

import msgspec

from majordomo.record.database import Connection
from majordomo.record.registry import MAX_ROLLUP_VALUES
from majordomo.report.sql import question

#: ``waiting``: active, and older rows are not looked at yet; they are found all the same, more slowly.
BackfillState = Literal["waiting", "running", "done"]


class MetadataKey(msgspec.Struct, frozen=True, kw_only=True):
    """One metadata key as one API key has sent it."""

    majordomo_api_key_id: UUID
    api_key_name: str | None  # None: the API key no longer exists
    key_name: str
    display_name: str | None
    key_type: str
    is_active: bool
    activated_at: dt.datetime | None
    request_count: int
    approx_cardinality: int  # number of distinct values, estimated within some 2 %
    last_seen_at: dt.datetime | None
    rollup_stopped_at: dt.datetime | None  # since then it has too many values to be summed by
    created_at: dt.datetime
    backfill_started_at: dt.datetime | None
    backfill_finished_at: dt.datetime | None
    rows_total: int  # of the API key, about
    rows_seen: int  # of these, looked at
    rows_filled: int  # of these, brought into index and sums

    @property
    def backfill(self) -> BackfillState | None:
        """How far the rows from before its activation are; None if it is not active."""
        if not self.is_active:
            return None
        if self.backfill_started_at is None:
            return "waiting"
        return "running" if self.backfill_finished_at is None else "done"

    @property
    def progress(self) -> float:
        """Share of the rows that were looked at, 0 to 1; 1 only when done."""
        if self.backfill == "done":
            return 1.0
        return min(0.99, self.rows_seen / self.rows_total) if self.rows_total else 0.0


async def metadata_keys(
    connection: Connection, keys: tuple[UUID, ...] | None = None, org_id: UUID | None = None, name: str | None = None
) -> list[MetadataKey]:
    """Every observed metadata key (of these API keys, this organisation, this name), most used first."""
    rows = await connection.fetch(question("metadata_keys"), None if keys is None else list(keys), org_id, name)
    return [MetadataKey(**row) for row in rows]


async def activate(
    connection: Connection, name: str, keys: tuple[UUID, ...] | None = None, org_id: UUID | None = None
) -> list[UUID]:
    """Index and sum this metadata key from now on; older rows follow in the background.

    For these API keys; without ``keys`` for all, also those that begin to send it later. Returns those it changed for.
    """
    listed = None if keys is None else list(keys)
    async with connection.transaction():
        if keys is None:
            await connection.execute(question("metadata_key_for_all"), name, org_id)
        changed = await connection.fetch(question("metadata_key_activate"), name, listed, org_id, MAX_ROLLUP_VALUES)
    return [row["majordomo_api_key_id"] for row in changed]


async def deactivate(
    connection: Connection, name: str, keys: tuple[UUID, ...] | None = None, org_id: UUID | None = None
) -> list[UUID]:
    """No longer index and sum this metadata key; what is indexed stays; returns as ``activate``."""
    listed = None if keys is None else list(keys)
    async with connection.transaction():
        if keys is None:
            await connection.execute(question("metadata_key_for_none"), name, org_id)
        changed = await connection.fetch(question("metadata_key_deactivate"), name, listed, org_id)
    return [row["majordomo_api_key_id"] for row in changed]
