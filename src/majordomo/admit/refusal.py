"""Why a request may not go on: decisions are values, the shell turns them into replies."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Refusal(NamedTuple):
    """An answer of the gateway's own. ``code`` is stable and for programs, ``message`` is for people."""

    status: int
    code: str
    message: str
    headers: Mapping[str, str] = _NO_HEADERS


KEY_MISSING = Refusal(
    401,
    "gateway_key_missing",
    "No gateway key: send the header X-Majordomo-Key with a key made by `majordomo keys create --name NAME`.",
)
KEY_UNKNOWN = Refusal(
    401,
    "gateway_key_unknown",
    "The gateway key in X-Majordomo-Key is not known here; `majordomo keys list` shows which keys exist.",
)
KEY_REVOKED = Refusal(
    401, "gateway_key_revoked", "The gateway key in X-Majordomo-Key was revoked; ask the gateway's owner for a new one."
)
KEY_STORE_AWAY = Refusal(
    503,
    "key_store_unavailable",
    "The gateway cannot reach its key store and has not seen this key before; try again in a few seconds.",
    {"Retry-After": "5"},
)
STOPPING = Refusal(
    503, "gateway_stopping", "The gateway is stopping and takes no new requests; try again.", {"Retry-After": "2"}
)
CROWDED = Refusal(
    503,
    "too_many_connections",
    "The gateway has as many open connections as it is set to hold (max_connections); try again.",
    {"Retry-After": "1"},
)
JOURNAL_FULL = Refusal(
    503,
    "journal_full",
    "The gateway cannot record requests because its disk is full, and is set to refuse rather than not record.",
    {"Retry-After": "30"},
)
FAULT = Refusal(500, "gateway_fault", "A fault of the gateway's own ended this request; its log says more.")
UPSTREAM_TIMED_OUT = Refusal(504, "provider_timeout", "The provider did not begin its reply in the time allowed.")
BODY_STALLED = Refusal(408, "request_timeout", "The rest of the request did not arrive in the time allowed.")
BACK_OFFICE_AWAY = Refusal(
    503,
    "back_office_unavailable",
    "The part of the gateway that answers this page is starting or restarting; requests to providers go on meanwhile.",
    {"Retry-After": "2"},
)


_EXCEEDED, _UNPRICED, _UNBOUNDED = "budget_exceeded", "budget_unpriced", "budget_unbounded"
#: Codes of refusals for want of money, or the like: to try again is no use.
BUDGET_CODES = frozenset({_EXCEEDED, _UNPRICED, _UNBOUNDED})


def budget_exceeded(message: str, headers: Mapping[str, str]) -> Refusal:
    """A budget has no room for the request."""
    return _spent(_EXCEEDED, message, headers)


def budget_unpriced(message: str, headers: Mapping[str, str]) -> Refusal:
    """A budget counts money, and nobody knows what the request will cost."""
    return _spent(_UNPRICED, message, headers)


def budget_unbounded(message: str, headers: Mapping[str, str]) -> Refusal:
    """A budget is strict, and nobody knows what the request will cost at most."""
    return _spent(_UNBOUNDED, message, headers)


def _spent(code: str, message: str, headers: Mapping[str, str]) -> Refusal:
    # 402 makes Claude Code stop at once, and is retried by no SDK; see ``error_shapes.as_api_says_it``.
    return Refusal(402, code, message, {**headers, "X-Should-Retry": "false"})


def budget_undecided(message: str) -> Refusal:
    """Nobody can say whether a budget has room, and its owner chose to refuse then."""
    return Refusal(503, "budget_undecided", message, {"Retry-After": "5"})


def rate_limited(message: str, headers: Mapping[str, str], wait_seconds: int) -> Refusal:
    """Too much at once: the same request may leave a little later, and clients that try again by themselves should."""
    return Refusal(429, "rate_limited", message, {**headers, "Retry-After": str(wait_seconds)})


def malformed(why: str) -> Refusal:
    """The bytes are not a well-formed HTTP/1.1 request; ``why`` names the fault."""
    return Refusal(400, "malformed_request", f"Malformed HTTP request: {why}.")


def head_too_large(limit: int, unit: Literal["bytes", "lines"]) -> Refusal:
    """The header block is over ``limit``."""
    return Refusal(
        431, "headers_too_large", f"The request's header block is over the gateway's limit of {limit} {unit}."
    )


def body_too_large(limit_bytes: int) -> Refusal:
    """The body is, or says it will be, over the limit."""
    return Refusal(413, "body_too_large", f"The request's body is over the gateway's limit of {limit_bytes} bytes.")


def no_route(path: str, supported: str) -> Refusal:
    """No provider answers to this path."""
    return Refusal(
        404,
        "no_provider_for_path",
        f"No provider for {path[:200]}. Supported: {supported}. "
        "Other paths need the header X-Majordomo-Provider naming the provider.",
    )


def unknown_provider(name: str, known: str) -> Refusal:
    """``X-Majordomo-Provider`` names nobody."""
    return Refusal(404, "unknown_provider", f"No provider is called {name[:100]!r}. Known: {known}.")


def unreachable(provider: str, why: str) -> Refusal:
    """The provider could not be reached, or broke off before its reply began."""
    return Refusal(502, "provider_unreachable", f"The provider {provider} could not be reached: {why}.")
