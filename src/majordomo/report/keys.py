"""Routes about gateway keys, ``/api/v1/keys``: members look, admins change. A secret is told once, when it is made."""

import datetime as dt
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from majordomo.ids import read_uuid
from majordomo.record import api_keys
from majordomo.record.api_keys import (
    MOST_DESCRIPTION_CHARACTERS,
    MOST_METADATA,
    MOST_NAME_CHARACTERS,
    MOST_VALUE_CHARACTERS,
    ApiKey,
    ApiKeyError,
    NewKey,
    RevokedKeyError,
    UnknownKeyError,
)
from majordomo.record.database import Connection
from majordomo.report.bodies import JsonRoute
from majordomo.report.errors import ApiError
from majordomo.report.identity import Admin, Asking, Principal
from majordomo.report.questions.cursors import MOST_CURSOR_CHARACTERS, CursorError, read_cursor, write_cursor

router = APIRouter(prefix="/api/v1/keys", tags=["keys"], route_class=JsonRoute)

MOST_KEYS = 1000  # of one page

Name = Annotated[str, Field(min_length=1, max_length=MOST_NAME_CHARACTERS)]
Description = Annotated[str, Field(max_length=MOST_DESCRIPTION_CHARACTERS)]
OnHangup = Literal["drain", "cut"]
#: Names are made canonical: `team` is `Team`.
Metadata = Annotated[
    dict[str, Annotated[str, Field(min_length=1, max_length=MOST_VALUE_CHARACTERS)]],
    Field(max_length=MOST_METADATA, description="of every request with this key, above whatever its callers say"),
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewKeyBody(_Body):
    """A key to make."""

    name: Name
    description: Description | None = None
    on_hangup: OnHangup | None = Field(None, description="null: as the setting of this name says")
    metadata: Metadata = {}


class KeyChange(_Body):
    """What is to be different; the rest stays. ``metadata`` is the whole of it; null takes the others away."""

    name: Name | None = None
    description: Description | None = None
    on_hangup: OnHangup | None = None
    metadata: Metadata | None = None


class KeyOut(BaseModel):
    """One gateway key, without its secret."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    description: str | None
    is_active: bool
    on_hangup: OnHangup | None
    metadata: dict[str, str]
    created_at: dt.datetime
    revoked_at: dt.datetime | None
    last_used_at: dt.datetime | None
    request_count: int


class NewKeyOut(KeyOut):
    """A gateway key with its secret, told this once."""

    key: str


class KeysAnswer(BaseModel):
    """Some keys, oldest first. ``next_cursor`` leads to the next page; null after the last."""

    keys: list[KeyOut]
    next_cursor: str | None


async def _database(request: Request) -> AsyncIterator[Connection]:
    try:
        async with request.app.state.connections.acquire() as connection:
            yield connection
    except UnknownKeyError:
        raise ApiError(HTTPStatus.NOT_FOUND, "not_found", "this organisation has no gateway key of this id") from None
    except RevokedKeyError as revoked:
        raise ApiError(HTTPStatus.CONFLICT, "key_revoked", str(revoked)) from None
    except ApiKeyError as wrong:
        raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", str(wrong)) from None


Database = Annotated[Connection, Depends(_database)]


@router.get("", summary="The gateway keys of the organisation")
async def list_keys(
    asking: Asking,
    connection: Database,
    limit: Annotated[int, Query(ge=1, le=MOST_KEYS)] = 200,
    cursor: Annotated[str | None, Query(max_length=MOST_CURSOR_CHARACTERS)] = None,
) -> KeysAnswer:
    """Revoked ones included, oldest first."""
    found = await api_keys.list_all(connection, asking.org_id, after=_behind(cursor), limit=limit + 1)
    more = len(found) > limit
    return KeysAnswer(
        keys=[_out(key) for key in found[:limit]],
        next_cursor=write_cursor(found[limit - 1].created_at, str(found[limit - 1].id)) if more else None,
    )


@router.post("", status_code=HTTPStatus.CREATED, summary="Make a gateway key")
async def create_key(body: NewKeyBody, asking: Admin, connection: Database, response: Response) -> NewKeyOut:
    """The secret is told this once; only its SHA-256 is kept."""
    made = await api_keys.create(
        connection, body.name, body.description, body.on_hangup, metadata=body.metadata, org_id=asking.org_id
    )
    return _told_once(made, response)


@router.get("/{key_id}", summary="One gateway key")
async def get_key(key_id: UUID, asking: Asking, connection: Database) -> KeyOut:
    """Without its secret, which nobody can show again."""
    return _out(await _find(connection, key_id, asking))


@router.patch("/{key_id}", summary="Change a gateway key")
async def change_key(key_id: UUID, body: KeyChange, asking: Admin, connection: Database) -> KeyOut:
    """Name, description, metadata, or what happens when a caller hangs up. Front desks know within a second."""
    changes: dict[str, Any] = body.model_dump(exclude_unset=True)
    for field in ("name", "metadata"):
        if changes.get(field, "") is None:
            raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", f"{field} cannot be null; leave it out instead")
    return _out(await api_keys.update(connection, await _find(connection, key_id, asking), **changes))


@router.post("/{key_id}/revoke", responses={409: {"description": "It is revoked already"}}, summary="Take a key back")
async def revoke_key(key_id: UUID, asking: Admin, connection: Database) -> KeyOut:
    """For good. It is refused within a second; its requests stay."""
    return _out(await api_keys.revoke(connection, await _find(connection, key_id, asking)))


@router.post("/{key_id}/rotate", responses={409: {"description": "It is revoked"}}, summary="Give a key a new secret")
async def rotate_key(key_id: UUID, asking: Admin, connection: Database, response: Response) -> NewKeyOut:
    """Under the same id. The old secret is refused within a second; the new one is told this once."""
    return _told_once(await api_keys.rotate(connection, await _find(connection, key_id, asking)), response)


async def _find(connection: Connection, key_id: UUID, asking: Principal) -> ApiKey:
    return await api_keys.find(connection, str(key_id), asking.org_id)


def _behind(cursor: str | None) -> tuple[dt.datetime, UUID] | None:
    if cursor is None:
        return None
    try:
        at, name = read_cursor(cursor)
    except CursorError as wrong:
        raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", str(wrong)) from None
    key_id = read_uuid(name)
    if key_id is None:
        raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", "this cursor is another list's; leave it out")
    return at, key_id


def _told_once(made: NewKey, response: Response) -> NewKeyOut:
    response.headers["Cache-Control"] = "no-store"
    return NewKeyOut(key=made.secret, **_out(made.key).model_dump())


def _out(key: ApiKey) -> KeyOut:
    return KeyOut.model_validate(key)
