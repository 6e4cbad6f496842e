"""Bodies of requests to the control API: read within a limit, checked, and refused in the one shape."""

import datetime as dt
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, BeforeValidator, Strict, ValidationError
from starlette.types import Message

from majordomo.report.errors import ApiError, findings

#: What a route takes unless it says otherwise (bytes). The largest that makes sense is a gateway key's metadata, 32
#: values of 1,000 characters: 384 KB with every character escaped; a thousand keys' ids, for a metadata key, are 39 KB.
MOST_BODY_BYTES = 1024 * 1024

_LONGEST_SHOWN = 60  # characters of a content type that is repeated


def _written(value: Any) -> Any:
    if isinstance(value, dt.datetime) or (isinstance(value, str) and "-" in value[1:]):
        return value
    raise ValueError("a time is written as 2026-11-21T14:30:00Z")


#: Fields of a body, just as the OpenAPI document says: ``true`` is no 1, ``"yes"`` no ``true``, and a number no time,
#: all of which pydantic would take.
Whole = Annotated[int, Strict()]
Flag = Annotated[bool, Strict()]
Moment = Annotated[dt.datetime, BeforeValidator(_written)]

_Model = TypeVar("_Model", bound=BaseModel)


async def read_bytes(request: Request, most_bytes: int = MOST_BODY_BYTES) -> bytes:
    """The whole body.

    Raises:
        ApiError: 413, it is longer; no more of it is read, and nothing if it says so itself.
    """
    too_large = ApiError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", f"this route takes a body of up to {most_bytes:,} bytes"
    )
    if int(request.headers.get("content-length", "0")) > most_bytes:
        raise too_large
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > most_bytes:
            raise too_large
    return bytes(body)


def must_be_json(request: Request, *, said: bool = False) -> None:
    """Of a request that has a body; ``said``: its Content-Type must name JSON, else it may be left out.

    Raises:
        ApiError: 415, it names something else, or nothing where it must.
    """
    kind = request.headers.get("content-type", "")
    essence = kind.partition(";")[0].strip().lower()
    if essence == "application/json" or (essence.startswith("application/") and essence.endswith("+json")):
        return
    if kind or said:
        told = f", not {kind[:_LONGEST_SHOWN]!r}" if kind else ""
        raise ApiError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "not_json",
            f"this route takes JSON: send it with Content-Type: application/json{told}",
        )


class JsonRoute(APIRoute):
    """A route whose body FastAPI parses: not before it is known to be short enough, and to say that it is JSON.

    It must say so because these routes know people by a cookie, too, and any site can have a browser send a form, or
    text without a type.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's own, given a body that was read within the limit."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        async def handle_within_limits(request: Request) -> Response:
            body = await read_bytes(request)
            if body:
                must_be_json(request, said=True)

            async def receive() -> Message:
                return {"type": "http.request", "body": body, "more_body": False}

            return await handle(Request(request.scope, receive))

        return handle_within_limits


async def read_json(request: Request, model: type[_Model], most_bytes: int = MOST_BODY_BYTES) -> _Model:
    """A JSON object, with or without a Content-Type; no body at all counts as an empty object.

    Raises:
        ApiError: 413, 415, 400 for what is no JSON object, 422 for fields that the route does not take.
    """
    body = await read_bytes(request, most_bytes)
    if body:
        must_be_json(request)
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
