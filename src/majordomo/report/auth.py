"""Whose a request to the control API is: the gateway key in ``X-Majordomo-Key``, as a dependency of routes.

A route that takes ``Caller`` answers 401 to whoever sends no key, one that is not known, or one that was revoked, in
the words of the front desk, and 503 while the database is away.
"""

from typing import Annotated, NamedTuple
from uuid import UUID

from fastapi import Depends, Request
from fastapi.security import APIKeyHeader

from majordomo.admit.keys import KEY_MAX_BYTES
from majordomo.admit.metadata import own_metadata
from majordomo.admit.refusal import KEY_MISSING, KEY_REVOKED, KEY_UNKNOWN, Refusal
from majordomo.record.api_keys import hash_of
from majordomo.record.statements import statement
from majordomo.report.connections import Connections
from majordomo.report.errors import ApiError

_scheme = APIKeyHeader(
    name="X-Majordomo-Key", scheme_name="gateway key", description="A key of `majordomo keys create`.", auto_error=False
)


class KeyOwner(NamedTuple):
    """The gateway key that asks, and whom it belongs to."""

    key_id: UUID
    org_id: UUID
    metadata: dict[str, str]  # the key's own


async def owner_of(connections: Connections, secret: str | None) -> KeyOwner:
    """The owner of a key. What is looked up is its SHA-256, so the time it takes tells nothing of the key.

    Raises:
        ApiError: 401, no key, an unknown or a revoked one; 503, the database is away.
    """
    if not secret:
        raise _refused(KEY_MISSING)
    if len(secret) > KEY_MAX_BYTES:
        raise _refused(KEY_UNKNOWN)
    async with connections.acquire() as connection:
        row = await connection.fetchrow(statement("api_key_by_hash"), hash_of(secret))
    if row is None:
        raise _refused(KEY_UNKNOWN)
    if not row["is_active"]:
        raise _refused(KEY_REVOKED)
    return KeyOwner(row["id"], row["org_id"], own_metadata(row["metadata"]))


async def _caller(request: Request, secret: Annotated[str | None, Depends(_scheme)]) -> KeyOwner:
    return await owner_of(request.app.state.connections, secret)


#: The type of a route's parameter that asks for a gateway key.
Caller = Annotated[KeyOwner, Depends(_caller)]


def _refused(why: Refusal) -> ApiError:
    return ApiError(why.status, why.code, why.message)
