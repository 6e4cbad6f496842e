"""Bodies of requests to the control API: read within a limit, checked, and refused in the one shape."""

from http import HTTPStatus
from typing import Any, TypeVar

import msgspec
from fastapi import Request
from pydantic import BaseModel, ValidationError

from majordomo.report.errors import ApiError, findings

#: What a route takes unless it says otherwise: far more than any of its fields may hold.
MOST_BODY_BYTES = 64 * 1024

_Model = TypeVar("_Model", bound=BaseModel)


async def read_bytes(request: Request, most_bytes: int = MOST_BODY_BYTES) -> bytes:
    """The whole body.

    Raises:
        ApiError: 413, it is longer; no more of it is read.
    """
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > most_bytes:
            raise ApiError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", f"this route takes a body of up to {most_bytes} bytes"
            )
    return bytes(body)


async def read_json(request: Request, model: type[_Model], most_bytes: int = MOST_BODY_BYTES) -> _Model:
    """A JSON object, whatever its Content-Type says; no body at all counts as an empty object.

    Raises:
        ApiError: 413, 400 for what is no JSON object, 422 for fields that the route does not take.
    """
    body = await read_bytes(request, most_bytes)
    try:
        value = msgspec.json.decode(body) if body.strip() else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        raise ApiError(HTTPStatus.BAD_REQUEST, "bad_json", f"the body is no JSON: {wrong}") from None
    if not isinstance(value, dict):
        raise ApiError(HTTPStatus.BAD_REQUEST, "bad_json", "the body must be a JSON object: {…}")
    try:
        return model.model_validate(value)
    except ValidationError as wrong:
        raise ApiError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "invalid",
            "the body is not what this route takes; see details",
            findings(wrong.errors(), "body"),
        ) from None


def takes(model: type[BaseModel], *, required: bool = False) -> dict[str, Any]:
    """For a route's ``openapi_extra``: it takes this model as its body."""
    return {
        "requestBody": {
            "required": required,
            "content": {
                "application/json": {"schema": model.model_json_schema(ref_template="#/components/schemas/{model}")}
            },
        }
    }
