"""Routes about metadata keys, ``/api/v1/metadata-keys``: members look, admins activate and deactivate."""

import datetime as dt
from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from majordomo.admit.metadata import canonical
from majordomo.record.database import Connection
from majordomo.report.bodies import Flag, JsonRoute
from majordomo.report.errors import ApiError
from majordomo.report.identity import Admin, Asking
from majordomo.report.questions import metadata_keys
from majordomo.report.questions.cursors import CursorError
from majordomo.report.questions.metadata_names import MOST_SAMPLE_CHARACTERS, MetadataName, metadata_names
from majordomo.report.usage.parameters import CursorParameter

router = APIRouter(prefix="/api/v1/metadata-keys", tags=["metadata keys"], route_class=JsonRoute)

MOST_NAMES = 1000
_MOST_KEYS = 1000
_MOST_NAME_CHARACTERS = 255

Name = Annotated[
    str, Path(max_length=_MOST_NAME_CHARACTERS, description="However it is written: `user-id` is `User-Id`.")
]


class BackfillOut(BaseModel):
    """How far the requests from before its activation are in index and sums; they are found at any time."""

    state: Literal["waiting", "running", "done"]
    progress: float = Field(description="0 to 1")
    rows_total: int
    rows_seen: int
    rows_filled: int = Field(description="of those seen, which had the key")


class PartOut(BaseModel):
    """The metadata key as one gateway key sends it."""

    key: UUID
    key_name: str | None = Field(description="null: the gateway key is gone")
    is_active: bool
    activated_at: dt.datetime | None
    requests: int
    approx_values: int
    last_seen_at: dt.datetime | None


class MetadataKeyOut(BaseModel):
    """One metadata key, over all gateway keys that send it."""

    name: str
    is_active: bool = Field(description="for some gateway key")
    is_active_everywhere: bool
    is_summed: bool = Field(description="has few enough values to be in the hourly and daily sums")
    active_since: dt.datetime | None
    requests: int
    approx_values: int = Field(description="how many different ones, within some 2 %")
    needs_confirmation: bool = Field(description="has so many values that activating it must be confirmed")
    last_seen_at: dt.datetime | None
    sample_values: list[str] = Field(description=f"lately seen, cut to {MOST_SAMPLE_CHARACTERS} characters")
    backfill: BackfillOut | None = Field(description="null where it is not active")
    gateway_keys: list[PartOut]


class MetadataKeysAnswer(BaseModel):
    """Some metadata keys, most sent first. ``next_cursor`` leads to the next page; null after the last."""

    metadata_keys: list[MetadataKeyOut]
    left_out: int = Field(description="how many more come behind these")
    next_cursor: str | None


class Switch(BaseModel):
    """For which gateway keys; without it for all, those included that begin to send it later."""

    model_config = ConfigDict(extra="forbid")

    keys: Annotated[list[UUID], Field(min_length=1, max_length=_MOST_KEYS)] | None = None


class Activation(Switch):
    """``confirm``: also if it has very many values."""

    confirm: Flag = False


@router.get("", summary="The metadata keys that callers have sent")
async def list_metadata_keys(
    request: Request,
    asking: Asking,
    limit: Annotated[int, Query(ge=1, le=MOST_NAMES)] = 200,
    cursor: CursorParameter = None,
) -> MetadataKeysAnswer:
    """With how many values, how often, when last, some of the values, and whether they are active."""
    async with request.app.state.connections.acquire() as connection:
        try:
            page = await metadata_names(connection, asking.org_id, limit=limit, cursor=cursor)
        except CursorError as wrong:
            raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", str(wrong)) from None
    return MetadataKeysAnswer(
        metadata_keys=[_out(request, one) for one in page.names], left_out=page.left_out, next_cursor=page.next_cursor
    )


@router.get("/{name}", responses={404: {"description": "Nobody has sent it"}}, summary="One metadata key")
async def show_metadata_key(request: Request, asking: Asking, name: Name) -> MetadataKeyOut:
    """As in the list."""
    async with request.app.state.connections.acquire() as connection:
        return _out(request, await _find(connection, asking.org_id, name))


@router.post(
    "/{name}/activate",
    responses={404: {"description": "Nobody has sent it"}, 409: {"description": "It has very many values"}},
    summary="Index a metadata key",
)
async def activate(request: Request, asking: Admin, name: Name, body: Activation | None = None) -> MetadataKeyOut:
    """From now on, on every machine within a second; older requests follow in the background. Twice changes nothing."""
    body = body or Activation()
    async with request.app.state.connections.acquire() as connection:
        found = await _find(connection, asking.org_id, name)
        if _needs_confirmation(request, found) and not body.confirm and not found.everywhere:
            raise _many_values(request, found)
        await metadata_keys.activate(connection, found.name, _tuple(body.keys), asking.org_id)
        return _out(request, await _find(connection, asking.org_id, name))


@router.post(
    "/{name}/deactivate",
    responses={404: {"description": "Nobody has sent it"}},
    summary="No longer index a metadata key",
)
async def deactivate(request: Request, asking: Admin, name: Name, body: Switch | None = None) -> MetadataKeyOut:
    """What is indexed stays, and all of it is still recorded in ``raw_metadata``. Twice changes nothing."""
    async with request.app.state.connections.acquire() as connection:
        found = await _find(connection, asking.org_id, name)
        await metadata_keys.deactivate(connection, found.name, _tuple(body.keys if body else None), asking.org_id)
        return _out(request, await _find(connection, asking.org_id, name))


async def _find(connection: Connection, org_id: UUID, name: str) -> MetadataName:
    wanted = canonical(name.strip().encode())
    found = [] if "\0" in wanted else (await metadata_names(connection, org_id, wanted)).names
    if not found:
        raise ApiError(
            HTTPStatus.NOT_FOUND,
            "metadata_key_not_found",
            "no request of this organisation has carried this metadata key; GET /api/v1/metadata-keys lists all",
        )
    return found[0]


def _needs_confirmation(request: Request, found: MetadataName) -> bool:
    most: int = request.app.state.installation.settings.many_metadata_values
    return found.approx_cardinality > most


def _many_values(request: Request, found: MetadataName) -> ApiError:
    most = request.app.state.installation.settings.many_metadata_values
    return ApiError(
        HTTPStatus.CONFLICT,
        "many_values",
        f"{found.name} has about {found.approx_cardinality:,} different values, and more than {most:,} make a large "
        "index and no sums; if that is what you want, send confirm: true",
        [{"approx_values": found.approx_cardinality, "many_metadata_values": most}],
    )


def _tuple(keys: list[UUID] | None) -> tuple[UUID, ...] | None:
    return None if keys is None else tuple(keys)


def _out(request: Request, found: MetadataName) -> MetadataKeyOut:
    total, seen, filled = found.rows
    state = found.backfill
    progress = 1.0 if state == "done" else min(0.99, seen / total) if total else 0.0
    return MetadataKeyOut(
        name=found.name,
        is_active=found.is_active,
        is_active_everywhere=found.everywhere,
        is_summed=found.is_summed,
        active_since=found.active_since,
        requests=found.requests,
        approx_values=found.approx_cardinality,
        needs_confirmation=_needs_confirmation(request, found),
        last_seen_at=found.last_seen_at,
        sample_values=list(found.samples),
        backfill=None
        if state is None
        else BackfillOut(
            state=state, progress=round(progress, 4), rows_total=total, rows_seen=seen, rows_filled=filled
        ),
        gateway_keys=[
            PartOut(
                key=part.majordomo_api_key_id,
                key_name=part.api_key_name,
                is_active=part.is_active,
                activated_at=part.activated_at,
                requests=part.request_count,
                approx_values=part.approx_cardinality,
                last_seen_at=part.last_seen_at,
            )
            for part in found.parts
        ],
    )
