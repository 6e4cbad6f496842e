"""One shape for every error of the control API: ``{"error": {"code", "message", "details"}}``.

``code`` is a stable word for programs, ``message`` a sentence for people, ``details`` a list of findings (empty if
there is nothing to add). It holds for routes that exist and for those that do not, for 404, 405, 422 and 500.
"""

from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

JSON = "application/json"

_CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "too_large",
    422: "invalid",
    503: "unavailable",
}

#: Findings shown of one wrong request: enough to mend it, too few to be an amplifier.
_MOST_DETAILS = 20


class ApiError(Exception):
    """A refusal that names its reason. ``details`` are findings, each a small JSON object."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        details: list[dict[str, Any]] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details or []
        self.headers = headers


def findings(errors: Sequence[Any], *place: str) -> list[dict[str, Any]]:
    """What pydantic found wrong, for ``details``. No value is repeated: it may be a secret sent to the wrong field."""
    return [
        {"where": ".".join(str(part) for part in (*place, *found["loc"])), "problem": str(found["msg"])}
        for found in errors[:_MOST_DETAILS]
    ]


def error_body(code: str, message: str, details: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """The one shape, as an object."""
    return {"error": {"code": code, "message": message, "details": details or []}}


def error_response(
    status: int,
    code: str,
    message: str,
    details: list[dict[str, Any]] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """The one shape, as a reply."""
    return Response(msgspec.json.encode(error_body(code, message, details)), status, headers, media_type=JSON)


def install(app: FastAPI) -> None:
    """Make every error that leaves ``app`` wear the one shape."""
    handlers: list[tuple[type[Exception], Callable[[Request, Any], Awaitable[Response]]]] = [
        (ApiError, _named),
        (HTTPException, _http),
        (RequestValidationError, _invalid),
        (Exception, _unexpected),
    ]
    for kind, handler in handlers:
        app.add_exception_handler(kind, handler)


async def _named(_request: Request, error: ApiError) -> Response:
    return error_response(error.status, error.code, error.message, error.details, error.headers)


async def _http(request: Request, error: HTTPException) -> Response:
    code = _CODES.get(error.status_code, HTTPStatus(error.status_code).phrase.lower().replace(" ", "_"))
    message = str(error.detail)
    if error.status_code == 404:
        message = "there is nothing at this path; /api/v1/openapi.json lists what there is"
    elif error.status_code == 405:
        message = f"this path does not take {request.method}; the Allow header says what it takes"
    return error_response(error.status_code, code, message, headers=dict(error.headers or {}))


async def _invalid(_request: Request, error: RequestValidationError) -> Response:
    return error_response(
        422, "invalid", "the request is not what this route takes; see details", findings(error.errors())
    )


async def _unexpected(_request: Request, _fault: Exception) -> Response:
    return error_response(500, "internal", "the gateway failed to answer this; its log says more")
