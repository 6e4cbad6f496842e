"""The gateway's own errors in the shape of the API that was called, so that every SDK shows them."""

import msgspec

from majordomo.admit.refusal import BUDGET_CODES, Refusal
from majordomo.apis import Family

_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    431: "invalid_request_error",
    504: "timeout_error",
}
_OPENAI_TYPES = {
    401: "authentication_error",
    429: "rate_limit_error",
}
_GEMINI_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    431: "INVALID_ARGUMENT",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


#: What OpenAI calls an account without money: its SDKs raise it at once, and programs know to stop.
_NO_QUOTA = "insufficient_quota"


def as_api_says_it(family: Family, refusal: Refusal, way: str = "402") -> Refusal:
    """A budget's refusal with the status by which clients of ``family``'s API know that trying again is no use.

    ``way``: the setting ``budget_refusal``, which is for Anthropic's.
    """
    if refusal.code in BUDGET_CODES and (family is Family.OPENAI or (family is Family.ANTHROPIC and way == "429")):
        return refusal._replace(status=429)
    return refusal


def error_type(family: Family, refusal: Refusal) -> str:
    """What the called API would name an error of this status."""
    if family is Family.ANTHROPIC:
        return _ANTHROPIC_TYPES.get(refusal.status, "api_error")
    if family is Family.GEMINI:
        return _GEMINI_STATUSES.get(refusal.status, "INTERNAL" if refusal.status >= 500 else "FAILED_PRECONDITION")
    if refusal.code in BUDGET_CODES:
        return _NO_QUOTA
    return _OPENAI_TYPES.get(refusal.status, "api_error" if refusal.status >= 500 else "invalid_request_error")


def error_body(family: Family, refusal: Refusal, request_id: str | None) -> bytes:
    """The JSON body of a refusal as ``family``'s own API would phrase it."""
    kind = error_type(family, refusal)
    shape: dict[str, object]
    if family is Family.ANTHROPIC:
        shape = {"type": "error", "error": {"type": kind, "message": refusal.message}, "request_id": request_id}
    elif family is Family.GEMINI:
        shape = {"error": {"code": refusal.status, "message": refusal.message, "status": kind}}
    else:
        code = _NO_QUOTA if refusal.code in BUDGET_CODES else refusal.code
        shape = {"error": {"message": refusal.message, "type": kind, "code": code, "param": None}}
    return msgspec.json.encode(shape)


def own_error_body(refusal: Refusal) -> bytes:
    """The one error shape of the gateway's own pages and control API."""
    return msgspec.json.encode({"error": {"code": refusal.code, "message": refusal.message, "details": None}})
