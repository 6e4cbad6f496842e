"""Opening connections to providers: plain, TLS with session reuse, unix socket, or through an HTTP proxy.

The one door to the network: whatever goes wrong here comes out as ``ConnectFailedError`` with a reason for people.
"""

import asyncio
import base64
import ssl
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

import httptools

from majordomo.forward.providers import Origin

#: A proxy's answer to CONNECT is a few hundred bytes.
_PROXY_REPLY_MAX = 16 * 1024


class ConnectFailedError(Exception):
    """No connection to the provider; the message says why, in words for people and without credentials."""


class ResumingContext(ssl.SSLContext):
    """A client context that offers a server the TLS session of the connection before, which spares a round of keys."""

    sessions: dict[str, ssl.SSLSession]

    def wrap_bio(self, incoming: Any, outgoing: Any, *args: Any, **options: Any) -> ssl.SSLObject:
        """As the standard context does, with the remembered session."""
        host = options.get("server_hostname")
        options.setdefault("session", self.sessions.get(host) if host else None)
        return super().wrap_bio(incoming, outgoing, *args, **options)

    def remember(self, connection: Any) -> None:
        """Keep the session of an ``SSLObject`` once the server has sent its tickets."""
        session = connection.session
        if session is not None and session.has_ticket and connection.server_hostname:
            self.sessions[connection.server_hostname] = session


def tls_context(ca_file: Path | None) -> ResumingContext:
    """Certificates verified against the system's authorities, or those in ``ca_file`` alone."""
    context = ResumingContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sessions = {}
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    else:
        context.load_default_certs()
    context.set_alpn_protocols(["http/1.1"])
    return context


class Proxy(NamedTuple):
    """An HTTP proxy that stands between us and the providers."""

    host: str
    port: int
    authorization: bytes | None


def proxy_for(origin: Origin) -> Proxy | None:
    """The proxy that HTTP_PROXY, HTTPS_PROXY or ALL_PROXY name for this origin, unless NO_PROXY excepts it.

    Loopback never goes through a proxy.

    Raises:
        ConnectFailedError: the variable names a kind of proxy that is not spoken here.
    """
    if origin.socket or _is_loopback(origin.host):
        return None
    proxies = getproxies_environment()
    url = proxies.get("https" if origin.tls else "http") or proxies.get("all")
    if not url or proxy_bypass_environment(f"{origin.host}:{origin.port}", proxies):
        return None
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port or 80
    except ValueError:
        raise ConnectFailedError("the proxy in HTTPS_PROXY/HTTP_PROXY is not a valid URL") from None
    if parts.scheme != "http" or not parts.hostname:
        raise ConnectFailedError("the proxy in HTTPS_PROXY/HTTP_PROXY must be an http:// URL")
    authorization = None
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = b"Basic " + base64.b64encode(pair.encode())
    return Proxy(parts.hostname, port, authorization)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost" or host.lower().endswith(".localhost")


async def connect(
    origin: Origin, protocol: Callable[[], asyncio.Protocol], context: ssl.SSLContext, timeout: float
) -> asyncio.Protocol:
    """A connected protocol, TLS and proxy included, within ``timeout`` seconds.

    Raises:
        ConnectFailedError: with the reason.
    """
    try:
        async with asyncio.timeout(timeout):
            return await _connect(origin, protocol, context)
    except TimeoutError:
        raise ConnectFailedError(f"no connection within {timeout:g} s") from None
    except ssl.SSLCertVerificationError as refused:
        raise ConnectFailedError(f"its certificate was not accepted ({refused.verify_message})") from None
    except OSError as refused:
        raise ConnectFailedError(refused.strerror or type(refused).__name__) from None
    except UnicodeError:
        raise ConnectFailedError("its host name is not valid") from None


async def _connect(
    origin: Origin, protocol: Callable[[], asyncio.Protocol], context: ssl.SSLContext
) -> asyncio.Protocol:
    loop = asyncio.get_running_loop()
    if origin.socket:
        return (await loop.create_unix_connection(protocol, origin.socket))[1]
    proxy = proxy_for(origin)
    tls = context if origin.tls else None
    if proxy is None:
        return (await loop.create_connection(protocol, origin.host, origin.port, ssl=tls))[1]
    tunnel = await _tunnel(loop, proxy, origin)
    made = protocol()
    transport: asyncio.BaseTransport | None = tunnel
    if tls is not None:
        transport = await loop.start_tls(tunnel, made, tls, server_hostname=origin.host)
        if transport is None:
            raise ConnectionResetError("closed during the TLS handshake")
    else:
        tunnel.set_protocol(made)
    made.connection_made(transport)  # type: ignore[arg-type]  # start_tls and set_protocol leave this to us
    return made


async def _tunnel(loop: asyncio.AbstractEventLoop, proxy: Proxy, origin: Origin) -> asyncio.Transport:
    """A transport through which bytes reach ``origin`` untouched."""
    answered: asyncio.Future[int] = loop.create_future()
    transport, _ = await loop.create_connection(lambda: _ProxyReply(answered), proxy.host, proxy.port)
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    target = f"{host}:{origin.port}".encode("idna" if not host.isascii() else "ascii")
    lines = [b"CONNECT " + target + b" HTTP/1.1", b"Host: " + target]
    if proxy.authorization is not None:
        lines.append(b"Proxy-Authorization: " + proxy.authorization)
    transport.write(b"\r\n".join(lines) + b"\r\n\r\n")
    try:
        status = await answered
    except BaseException:
        transport.abort()
        raise
    if status != 200:
        transport.abort()
        raise ConnectFailedError(f"the proxy refused the tunnel with status {status}")
    return transport


class _ProxyReply(asyncio.Protocol):
    """Reads a proxy's answer to CONNECT, then hands the connection over."""

    def __init__(self, answered: "asyncio.Future[int]") -> None:
        self._answered = answered
        self._parser = httptools.HttpResponseParser(self)
        self._seen = 0

    def data_received(self, data: bytes) -> None:
        self._seen += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._fail("the proxy's answer was not HTTP")
        if self._seen > _PROXY_REPLY_MAX:
            self._fail("the proxy's answer was too long")

    def on_headers_complete(self) -> None:
        if not self._answered.done():
            self._answered.set_result(self._parser.get_status_code())

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail("the proxy closed the connection")

    def _fail(self, why: str) -> None:
        if not self._answered.done():
            self._answered.set_exception(ConnectFailedError(why))
