"""The gateway itself, asked as a companion would ask it."""

import http.client
import json
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from majordomo.checkup.finding import Finding, State, fail, ok, warn
from majordomo.companion import gateway_key, gateway_url
from majordomo.companion.gateway_key import GatewayKeyError
from majordomo.companion.gateway_url import GatewayUrlError

#: Seconds for one answer; a healthy gateway takes milliseconds.
_PATIENCE = 5.0

_MAX_ANSWER = 1024 * 1024
_STATES = {"ok": State.OK, "degraded": State.WARN, "down": State.FAIL}
_REFUSED = (401, 403)


class _Answer(NamedTuple):
    status: int
    told: dict[str, Any]  # empty: no JSON object
    location: str | None


class _Unreachable(Exception):  # noqa: N818 - a condition
    """It does not answer; the message says why, ``advice`` what to do."""

    def __init__(self, why: str, advice: str) -> None:
        super().__init__(why)
        self.advice = advice


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Following one would carry the key to somebody else."""

    def redirect_request(self, *args: Any, **options: Any) -> None:
        """None: the redirect is the answer."""


def gateway(url: str, key: str | None) -> Iterator[Finding]:
    """Whether it can be reached, is ready, and takes the key."""
    try:
        url = gateway_url.checked(url)
    except GatewayUrlError as wrong:
        yield fail("gateway", str(wrong), "correct it")
        return
    try:
        health = _ask(url, "/health")
    except _Unreachable as wrong:
        yield fail("gateway", f"{url} does not answer: {wrong}", wrong.advice)
        return
    if health.location is not None:
        yield fail("gateway", f"{url} redirects to {_origin(health.location)}", "use that address itself")
        return
    if health.status != 200 or health.told.get("status") != "ok":
        yield fail(
            "gateway",
            f"something answers at {url}, and it is no Majordomo gateway (/health: status {health.status})",
            "check host and port; before a gateway, a load balancer may answer so while it is away",
        )
        return
    yield ok("gateway", f"{url} answers")
    yield from _ready(url)
    yield from _key(url, key)


def _ready(url: str) -> Iterator[Finding]:
    try:
        answer = _ask(url, "/readyz")
    except _Unreachable as wrong:
        yield warn("gateway", f"{url}/readyz does not answer: {wrong}", "see the gateway's log")
        return
    parts = answer.told.get("parts")
    if not isinstance(parts, dict):
        return
    for name, part in parts.items():
        told = part if isinstance(part, dict) else {}
        state = _STATES.get(str(told.get("state")), State.WARN)
        if state is not State.OK:
            # Requests are served and kept all the same, in the journal; they appear in the database later.
            note = f"the gateway's {str(name)[:40]}: {str(told.get('note', told.get('state')))[:200]}"
            yield warn("gateway", note, "requests may appear late; see `majordomo doctor` on the gateway's machine")


def _key(url: str, key: str | None) -> Iterator[Finding]:
    if key is None:
        yield warn(
            "key", "no Majordomo key is known here", f"set {gateway_key.VARIABLE}, or give --api-key, to check it"
        )
        return
    try:
        answer = _ask(url, "/api/v1/claude-sessions?limit=1", gateway_key.checked(key))
    except GatewayKeyError as wrong:
        yield fail("key", str(wrong), "make one with `majordomo keys create`")
    except _Unreachable as wrong:
        yield fail("key", f"{url} does not answer: {wrong}", wrong.advice)
    else:
        if answer.status in _REFUSED:
            yield fail(
                "key",
                f"the gateway refuses the key {_hint(key)} (status {answer.status})",
                "see `majordomo keys list` there: it may be revoked or rotated, or belong to another gateway",
            )
        elif answer.status == 404:
            yield warn("key", "this gateway has no sessions, so the key could not be tried", "upgrade the gateway")
        elif answer.status != 200:
            yield warn("key", f"the key could not be tried (status {answer.status})", "see the gateway's log")
        else:
            yield ok("key", f"{_hint(key)} is taken")


def _hint(key: str) -> str:
    from majordomo.companion.settings_entry import mask

    return mask(key)


def _ask(url: str, path: str, key: str | None = None) -> _Answer:
    parts = urlsplit(url)
    # Loopback never goes through a proxy, whatever the environment says; see the finding on proxies.
    handler = urllib.request.ProxyHandler({} if gateway_url.is_loopback(parts.hostname or "") else None)
    headers = {"Accept": "application/json", **({"X-Majordomo-Key": key} if key else {})}
    request = urllib.request.Request(url + path, headers=headers)  # noqa: S310 - checked: http or https
    try:
        with urllib.request.build_opener(handler, _NoRedirect).open(request, timeout=_PATIENCE) as reply:
            return _Answer(reply.status, _object(reply.read(_MAX_ANSWER)), None)
    except urllib.error.HTTPError as refused:
        with refused:
            location = refused.headers.get("Location") if 300 <= refused.code < 400 else None
            return _Answer(refused.code, _object(refused.read(_MAX_ANSWER)), location)
    except urllib.error.URLError as failed:
        reason = failed.reason if isinstance(failed.reason, Exception) else failed
        raise _explained(url, reason) from None
    except (OSError, http.client.HTTPException, ValueError) as failed:
        raise _explained(url, failed) from None


def _explained(url: str, failed: Exception) -> _Unreachable:
    parts = urlsplit(url)
    if isinstance(failed, ssl.SSLCertVerificationError):
        return _Unreachable(
            f"its certificate is not trusted ({failed.verify_message})",
            "with a certificate of your own, set SSL_CERT_FILE for the companion, NODE_EXTRA_CA_CERTS for Claude Code",
        )
    if isinstance(failed, ssl.SSLError):
        return _Unreachable("it does not speak TLS there", f"try http://{parts.netloc}")
    if isinstance(failed, socket.gaierror):
        return _Unreachable(f"the name {parts.hostname} is not known", "check its spelling, the network and DNS")
    if isinstance(failed, ConnectionRefusedError):
        near = gateway_url.is_loopback(parts.hostname or "")
        advice = "start it with `majordomo serve`" if near else "see whether it runs"
        return _Unreachable("nothing listens there", f"{advice}, and check the port")
    if parts.scheme == "http" and _speaks_tls(parts.hostname or "", parts.port or 80):
        return _Unreachable("it speaks TLS there", f"write https://{parts.netloc}")
    if isinstance(failed, TimeoutError):
        return _Unreachable(f"no answer within {_PATIENCE:g} s", "check address, firewall and proxies")
    return _Unreachable(str(failed) or type(failed).__name__, "check address and port, and the gateway's log")


def _speaks_tls(host: str, port: int) -> bool:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is sent; the question is only whether it is TLS
    try:
        with (
            socket.create_connection((host, port), timeout=_PATIENCE) as link,
            context.wrap_socket(link, server_hostname=host),
        ):
            return True
    except OSError:
        return False


def _object(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body) if body else {}
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _origin(location: str) -> str:
    parts = urlsplit(location)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"
