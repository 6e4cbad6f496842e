"""The control API as a program asks it: with a person's token, whose organisation's rows it sees."""

import http.client
import ipaddress
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

#: Seconds for one question; the gateway gives up on one before that.
_TIMEOUT: Final = 45.0
#: Longest answer (bytes): a model that asks could not read more.
_MOST_BYTES: Final = 16 << 20
_ENDED: Final = (
    "this token is unknown, has run out, or its user is no longer active; "
    "make one: majordomo users token USER --name mcp"
)

Value = str | int | bool | Sequence[str] | None


class GatewayError(Exception):
    """The gateway did not answer the question. The message says why and what to do, and never holds the token."""


class _NoRedirect(HTTPRedirectHandler):
    """A token goes where it was meant to go, and nowhere else."""

    def redirect_request(self, *_arguments: Any, **_named: Any) -> None:
        return None


class Gateway:
    """Asks the gateway at ``url`` with ``token``."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise GatewayError(f"{url[:100]!r} is no address of a gateway; write http://127.0.0.1:7680")
        if not token.isascii() or not token.isprintable():
            raise GatewayError("this is no token; make one with: majordomo users token USER --name mcp")
        self._base = url.rstrip("/")
        self._token = token
        proxies = [ProxyHandler({})] if _is_loopback(parts.hostname) else []
        self._opener = build_opener(_NoRedirect, *proxies)

    def ask(self, path: str, parameters: Mapping[str, Value] | None = None) -> Any:
        """The JSON of ``GET /api/v1{path}``; parameters that are None are left out.

        Raises:
            GatewayError: refused, away, or no gateway.
        """
        query = urlencode([(name, text) for name, given in (parameters or {}).items() for text in _texts(given)])
        request = Request(  # noqa: S310 - http or https, as was checked
            f"{self._base}/api/v1{path}" + (f"?{query}" if query else ""),
            headers={"Authorization": f"Bearer {self._token}", "Accept": "application/json"},
        )
        try:
            with self._opener.open(request, timeout=_TIMEOUT) as reply:
                body = reply.read(_MOST_BYTES + 1)
        except HTTPError as refused:
            raise GatewayError(_why(refused)) from None
        except (URLError, OSError, http.client.HTTPException) as wrong:
            reason = getattr(wrong, "reason", wrong)
            raise GatewayError(f"no gateway answers at {self._base}: {reason}; is majordomo serve running?") from None
        if len(body) > _MOST_BYTES:
            raise GatewayError("the answer is too long; ask about less time, or with a smaller limit")
        try:
            return json.loads(body)
        except ValueError:
            raise GatewayError(f"what answers at {self._base} is no gateway") from None


def place(text: str) -> str:
    """A text as a part of a path."""
    return quote(text, safe="")


def _texts(given: Value) -> list[str]:
    if given is None:
        return []
    if isinstance(given, bool):
        return [str(given).lower()]
    return [str(given)] if isinstance(given, str | int) else list(given)


def _why(refused: HTTPError) -> str:
    """The gateway's own words, with what it found wrong."""
    try:
        told = json.loads(refused.read(1 << 20))["error"]
        details = "; ".join(f"{one['where']}: {one['problem']}" for one in told["details"] if "problem" in one)
        return _ENDED if refused.code == 401 else str(told["message"]) + (f" ({details})" if details else "")
    except (ValueError, KeyError, TypeError, OSError, http.client.HTTPException):
        return f"the gateway answered {refused.code}, and not as a gateway does; is this its address?"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
