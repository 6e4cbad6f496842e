"""The metadata keys that callers have sent: how often, with how many values, and whether they are indexed."""

import datetime as dt
from uuid import UUID

import msgspec

from majordomo.record.database import Connection
from majordomo.report.sql import question


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


async def metadata_keys(connection: Connection, keys: tuple[UUID, ...] | None = None) -> list[MetadataKey]:
    """Every observed metadata key (of these API keys), most used first."""
    rows = await connection.fetch(question("metadata_keys"), None if keys is None else list(keys))
    return [MetadataKey(**row) for row in rows]


async def activate(connection: Connection, name: str, keys: tuple[UUID, ...] | None = None) -> list[UUID]:
    """Index and sum this metadata key from now on, older rows left out; returns the API keys it changed for."""
    return await _switch(connection, "metadata_key_activate", name, keys)


async def deactivate(connection: Connection, name: str, keys: tuple[UUID, ...] | None = None) -> list[UUID]:
    """No longer index and sum this metadata key; what is indexed stays; returns as ``activate``."""
    return await _switch(connection, "metadata_key_deactivate", name, keys)


async def _switch(connection: Connection, sql: str, name: str, keys: tuple[UUID, ...] | None) -> list[UUID]:
    rows = await connection.fetch(question(sql), name, None if keys is None else list(keys))
    return [row["majordomo_api_key_id"] for row in rows]
