"""The gateway's session routes, as a companion calls them: short, blocking calls, bounded in time.

Used before the child starts, so it stands on the standard library alone; while the proxy runs, from a thread.
"""

import http.client
import json
import urllib.error
import urllib.request
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from majordomo.companion.errors import CompanionError
from majordomo.companion.gateway_url import is_loopback

#: Answers of the session routes are some hundred bytes.
_MAX_ANSWER = 256 * 1024

#: A gateway that cannot be connected to within this (s) is away, for requests and for everything else.
CONNECT_SECONDS = 2.0

#: What a load balancer says for a gateway that is away.
_AWAY_STATUSES = frozenset({502, 503, 504})

#: What the gateway itself says when it is there and has too much to do.
_BUSY = "busy"


class GatewayAway(Exception):  # noqa: N818 - the condition, as the caller's `except` reads
    """It cannot be reached, or something before it answered in its place; the message says why."""


class GatewayRefusedError(CompanionError):
    """It does not take this key."""


class Answer(NamedTuple):
    """Status and JSON body, an empty dict where there was none."""

    status: int
    told: dict[str, Any]

    @property
    def code(self) -> str | None:
        """Of an error, what kind it is."""
        return self._error.get("code")

    @property
    def message(self) -> str:
        """What an error says for people."""
        said = self._error.get("message")
        return str(said)[:500] if said else f"status {self.status}."

    @property
    def details(self) -> list[Any]:
        """What an error says for programs."""
        found = self._error.get("details")
        return found if isinstance(found, list) else []

    @property
    def _error(self) -> dict[str, Any]:
        error = self.told.get("error")
        return error if isinstance(error, dict) else {}


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Following one would carry the key to somebody else."""

    def redirect_request(self, *args: Any, **options: Any) -> None:
        """None: the redirect is the answer."""


class Gateway:
    """One gateway and the key to it."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        self._key = key
        # Loopback never goes through a proxy, whatever the environment says.
        direct = is_loopback(urlsplit(url).hostname or "")
        proxies = urllib.request.ProxyHandler({} if direct else None)
        self._opener = urllib.request.build_opener(proxies, _NoRedirect)

    def __repr__(self) -> str:
        return f"Gateway({self.url!r})"

    def register(self, session_id: str, name: str | None, seconds: float = CONNECT_SECONDS) -> bool:
        """Begin a session; again with the same id changes nothing. False: this gateway has no sessions.

        Raises:
            GatewayAway: try again later.
            GatewayRefusedError: the key is not good.
        """
        told: dict[str, Any] = {"id": session_id}
        if name is not None:
            told["sessionName"] = name
        answer = self._ask("POST", "/api/v1/claude-sessions", told, seconds)
        if answer.status in (401, 403):
            raise GatewayRefusedError(
                f"the gateway at {self.url} refuses the key: {answer.message} "
                "Check it with `majordomo keys list` there."
            )
        if answer.status >= 500:
            raise GatewayAway(f"{self.url} answered with status {answer.status}")
        return answer.status in (200, 201)

    def end(self, session_id: str, seconds: float = CONNECT_SECONDS) -> bool:
        """End a session. True if the gateway took it.

        Raises:
            GatewayAway: it will end the session itself, once it has been idle for long enough.
        """
        answer = self._ask("POST", f"/api/v1/claude-sessions/{session_id}/end", {}, seconds)
        return answer.status in (200, 204)

    def require(self, seconds: float = CONNECT_SECONDS) -> None:
        """Return if the gateway serves.

        Raises:
            GatewayAway: it does not.
        """
        answer = self._ask("GET", "/health", None, seconds)
        if answer.status != 200 or answer.told.get("status") != "ok":
            raise GatewayAway(f"{self.url}/health answered with status {answer.status}")

    def _ask(self, method: str, path: str, told: dict[str, Any] | None, seconds: float) -> Answer:
        return self.ask(method, path, None if told is None else json.dumps(told).encode(), seconds)

    def ask(self, method: str, path: str, body: bytes | None, seconds: float) -> Answer:
        """Call a route of the gateway's own; ``body`` is JSON.

        Raises:
            GatewayAway: it cannot be reached, or something answers in its place.
        """
        headers = {"X-Majordomo-Key": self._key, "Content-Type": "application/json", "Accept": "application/json"}
        request = urllib.request.Request(self.url + path, body, headers, method=method)  # noqa: S310 - checked: http(s)
        try:
            with self._opener.open(request, timeout=seconds) as reply:
                answer = Answer(reply.status, _json(reply.read(_MAX_ANSWER)))
        except urllib.error.HTTPError as refused:
            with refused:
                answer = Answer(refused.code, _json(refused.read(_MAX_ANSWER)))
        except urllib.error.URLError as failed:
            raise GatewayAway(f"{self.url} cannot be reached: {failed.reason}") from None
        except (OSError, http.client.HTTPException, ValueError) as failed:
            raise GatewayAway(f"{self.url} cannot be reached: {failed}") from None
        if answer.status in _AWAY_STATUSES and answer.code != _BUSY:
            raise GatewayAway(f"{self.url} answered with status {answer.status}")
        return answer


def _json(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body) if body else {}
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}
