"""``/api/v1/ingest/{journal_id}``: a companion hands over what it recorded while the gateway was away, exactly once."""

import asyncio
from collections.abc import Awaitable
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from majordomo.record import ingest
from majordomo.record.delivery import MOST_BYTES, MOST_REQUESTS, VERSION, DeliveredRequest
from majordomo.report.auth import Caller
from majordomo.report.bodies import must_be_json, read_bytes
from majordomo.report.errors import JSON, ApiError
from majordomo.report.intake import RETRY, Intake

#: How long the body of a delivery may take to come (s).
BODY_SECONDS = 60.0


class Position(BaseModel):
    """How far a journal has been taken."""

    position: int


class Receipt(BaseModel):
    """What became of a delivery."""

    position: int
    stored: int
    duplicates: int
    refused: int


router = APIRouter(prefix="/api/v1/ingest", tags=["ingest"])


def _schema() -> dict[str, Any]:
    """A delivery as JSON Schema, whole: references would have to be entered into the document's components."""
    (_,), parts = msgspec.json.schema_components([DeliveredRequest], ref_template="{name}")

    def whole(node: Any) -> Any:
        if isinstance(node, list):
            return [whole(each) for each in node]
        if not isinstance(node, dict):
            return node
        named = whole(parts[node["$ref"]]) if "$ref" in node else {}
        return {**named, **{name: whole(value) for name, value in node.items() if name != "$ref"}}

    request = whole(parts["DeliveredRequest"])
    return {
        "type": "object",
        "required": ["version", "position", "requests"],
        "properties": {
            "version": {"const": VERSION},
            "position": {"type": "integer", "minimum": 0, "description": "requests of this journal taken before"},
            "requests": {
                "type": "array",
                "maxItems": MOST_REQUESTS,
                "items": {"anyOf": [request, {"type": "null", "description": "one that the sender leaves out"}]},
            },
        },
    }


@router.get(
    "/{journal_id}",
    response_model=Position,
    summary="How many requests of a journal were taken",
)
async def position(request: Request, journal_id: UUID, caller: Caller) -> Response:
    """0 for a journal that nothing is known of; 409 for another key's."""
    return await _answered(_position(request, journal_id, caller))


async def _position(request: Request, journal_id: UUID, caller: Caller) -> dict[str, int]:
    async with request.app.state.connections.acquire() as connection:
        return {"position": await ingest.position(connection, journal_id, caller.key_id, caller.org_id)}


@router.post(
    "/{journal_id}",
    response_model=Receipt,
    responses={
        409: {"description": "It begins elsewhere than the journal's position, or the journal is another key's"},
        422: {"description": "Some requests cannot be taken; `details` has their places. Nothing was taken"},
    },
    summary="Deliver the next requests of a journal",
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": _schema()}}},
    },
)
async def deliver(request: Request, journal_id: UUID, caller: Caller) -> Response:
    """Taken as a whole if it begins at the journal's position; else 409 with the position in ``details``."""
    return await _answered(_deliver(request, journal_id, caller))


async def _deliver(request: Request, journal_id: UUID, caller: Caller) -> dict[str, int]:
    intake: Intake = request.app.state.intake
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise ApiError(415, "compressed", "send the delivery as plain JSON")
    must_be_json(request)
    async with intake.turn(caller.key_id):
        delivery = ingest.read_delivery(await _body(request))
        async with request.app.state.connections.acquire() as connection:
            taken = await ingest.take(connection, journal_id, delivery, intake.terms(caller), intake.tally)
    intake.stats.add(taken.counts)
    return {
        "position": taken.position,
        "stored": taken.stored,
        "duplicates": taken.duplicates,
        "refused": taken.refused,
    }


async def _answered(asked: Awaitable[dict[str, int]]) -> Response:
    """The answer as JSON, or what kept us from it in the one shape of errors."""
    try:
        answer = await asked
    except ingest.PositionMovedError as moved:
        raise ApiError(409, "position_moved", str(moved), [{"position": moved.position}]) from None
    except ingest.ForeignJournalError as foreign:
        raise ApiError(409, "foreign_journal", str(foreign)) from None
    except ingest.UnfitRequestsError as unfit:
        found = [{"index": place, "problem": problem} for place, problem in sorted(unfit.problems.items())]
        raise ApiError(422, "unfit_requests", str(unfit), found) from None
    except ingest.MalformedError as malformed:
        raise ApiError(400, "malformed_delivery", str(malformed)) from None
    except asyncpg.TransactionRollbackError:
        raise ApiError(503, "busy", "others write the same sums just now; try again", headers=RETRY) from None
    return Response(msgspec.json.encode(answer), headers={"Cache-Control": "no-store"}, media_type=JSON)


async def _body(request: Request) -> bytes:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await read_bytes(request, MOST_BYTES)
    except TimeoutError:
        raise ApiError(408, "timeout", f"the delivery did not come within {BODY_SECONDS:.0f} s; try again") from None
