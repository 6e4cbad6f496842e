"""The gateway's address as people give it, and what they tend to get wrong with it."""

import ipaddress
import re
from urllib.parse import urlsplit

DEFAULT = "http://localhost:7680"

_VISIBLE = re.compile(r"[\x21-\x7e]+")


class GatewayUrlError(Exception):
    """An address that cannot work. The message says why, and what to give instead."""


def checked(url: str) -> str:
    """The address without closing slashes.

    Raises:
        GatewayUrlError: when Claude Code could not use it.
    """
    example = f"give it as {DEFAULT} or https://majordomo.example.com"
    if not _VISIBLE.fullmatch(url):
        raise GatewayUrlError(f"the gateway's address is empty or holds spaces or unusual characters; {example}")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as wrong:
        raise GatewayUrlError(f"the gateway's address is not valid ({wrong}); {example}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise GatewayUrlError(f"the gateway's address must begin with http:// or https:// and name a host; {example}")
    if port == 0:
        raise GatewayUrlError(f"port 0 is none that a gateway can be reached at; {example}")
    if "@" in parts.netloc:
        raise GatewayUrlError(f"leave name and password out of the address: Claude Code ignores them; {example}")
    if parts.query or parts.fragment:
        raise GatewayUrlError(f"leave out what follows '?' or '#'; {example}")
    path = parts.path.rstrip("/")
    if path == "/v1" or path.endswith("/v1"):
        raise GatewayUrlError("leave out the /v1 at the end: Claude Code adds it, and would ask for /v1/v1/messages")
    return url.rstrip("/")


def in_the_clear(url: str) -> bool:
    """Whether keys would travel unencrypted over a network."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")


def is_loopback(host: str) -> bool:
    """Whether this is the machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost" or host.lower().endswith(".localhost")
