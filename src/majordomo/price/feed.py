"""The price feed: fetched every hour, believed only if it is whole and plausible.

Whatever goes wrong (unreachable, malformed, empty, cut off, too large, implausible), the catalogue in use stays and the
reason is kept in ``feed.json`` for ``doctor`` and ``/readyz``. Runs in the back office, in a thread of its own.
"""

import asyncio
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import msgspec

from majordomo.price import catalogue, changes, store
from majordomo.price.catalogue import MAX_CATALOGUE_BYTES, CatalogueError, Envelope
from majordomo.price.changes import Changes

#: For one read of the socket, and for the whole transfer: a feed of 2 MB takes a second.
SOCKET_TIMEOUT_S = 15
TRANSFER_TIMEOUT_S = 60

_STATUS = "feed.json"
_CHUNK = 64 * 1024

#: Doubts told in one message; the rest is counted.
_TOLD_DOUBTS = 5


class FeedError(Exception):
    """The feed could not be had or cannot be used. The message says why, and what to do where something can be done."""


class FeedStatus(msgspec.Struct, kw_only=True):
    """How the feed has fared, kept on disk. Times in UTC."""

    url: str = ""
    etag: str | None = None
    tried: datetime | None = None
    succeeded: datetime | None = None  # the last time that it was read and found good
    error: str | None = None  # of the last try; None: it went well
    version: str | None = None


class Refresh(msgspec.Struct, kw_only=True, frozen=True):
    """What a refresh came to."""

    outcome: str  # accepted, unchanged, refused
    version: str  # the catalogue in use afterwards
    reason: str | None = None  # why refused
    implausible: bool = False  # refused for a difference that an operator may accept
    changes: Changes | None = None


def refresh(url: str, prices_dir: Path, *, accept: bool = False, now: datetime | None = None) -> Refresh:
    """Fetch the feed and take it if it is good. Blocking; never raises for anything that a feed can do.

    ``accept`` takes a whole, well-formed catalogue although it is implausible.
    """
    now = (now or datetime.now(UTC)).astimezone(UTC)
    current = store.newest(prices_dir)
    status = read_status(prices_dir)
    etag = status.etag if status.url == url and status.version == current.version and not accept else None
    status = FeedStatus(url=url, tried=now, succeeded=status.succeeded)
    try:
        fetched = fetch(url, etag)
        if fetched is None:
            status.etag, status.succeeded, status.version = etag, now, current.version
            return Refresh(outcome="unchanged", version=current.version)
        body, status.etag = fetched
        result = _consider(body, url, prices_dir, current, accept, now)
        status.version = result.version
        if result.outcome == "refused":
            status.error = result.reason
        else:
            status.succeeded = now
        return result
    except (FeedError, CatalogueError, OSError) as wrong:
        status.error = str(wrong)
        return Refresh(outcome="refused", version=current.version, reason=str(wrong))
    finally:
        if status.error:
            status.etag = None  # look at it again next time
        _write_status(prices_dir, status)


async def keep_fresh(
    url: str, prices_dir: Path, every_s: float, on_refresh: Callable[[Refresh], None] | None = None
) -> None:
    """Refresh at once and then every ``every_s`` seconds, until cancelled; ``on_refresh`` is told each result."""
    while True:
        result = await asyncio.to_thread(refresh, url, prices_dir)
        if on_refresh:
            on_refresh(result)
        await asyncio.sleep(every_s)


def read_status(prices_dir: Path) -> FeedStatus:
    """How the feed has fared; an empty status where it was never tried."""
    try:
        return msgspec.json.decode((prices_dir / _STATUS).read_bytes(), type=FeedStatus)
    except (OSError, msgspec.DecodeError):
        return FeedStatus()


def parse_fetched(url: str, now: datetime) -> Envelope:
    """The feed as it is now, checked but not compared: for ``prices diff``.

    Raises:
        FeedError, CatalogueError: as the messages say.
    """
    fetched = fetch(url, None)
    if fetched is None:
        raise FeedError(f"{_host(url)} answered 304 to a request without conditions")
    return catalogue.parse_feed(fetched[0], _host(url), now)


def fetch(url: str, etag: str | None) -> tuple[bytes, str | None] | None:
    """Body and ETag of the feed; None if it is as it was.

    Raises:
        FeedError: not to be had within the limits of time and size, or not over HTTP.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise FeedError("the price feed is not an http(s) URL; set price_feed_url")
    request = urllib.request.Request(url, headers={"Accept-Encoding": "gzip", "User-Agent": "majordomo"})  # noqa: S310
    if etag:
        request.add_header("If-None-Match", etag)
    try:
        with urllib.request.build_opener(_Redirects).open(request, timeout=SOCKET_TIMEOUT_S) as response:
            return _read(response), response.headers.get("ETag")
    except urllib.error.HTTPError as wrong:
        with wrong:
            if wrong.code == 304 and etag:
                return None
            raise FeedError(f"the price feed at {_host(url)} answered {wrong.code}") from None
    except (HTTPException, OSError, ValueError) as wrong:
        reason = getattr(wrong, "reason", None) or wrong
        raise FeedError(f"the price feed at {_host(url)} could not be read: {reason}") from None


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to http(s) only, and never from https to http: anybody on the way could set the prices."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        target = urlsplit(newurl).scheme
        if target != "https" and not (target == "http" and req.type == "http"):
            raise FeedError(f"the price feed at {_host(req.full_url)} redirects to {target or 'nowhere'}; not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _read(response: HTTPResponse) -> bytes:
    """The body, inflated, within the limits."""
    deadline = time.monotonic() + TRANSFER_TIMEOUT_S
    inflate = zlib.decompressobj(wbits=31) if response.headers.get("Content-Encoding") == "gzip" else None
    body = bytearray()
    while chunk := response.read1(_CHUNK):
        try:
            body += inflate.decompress(chunk, MAX_CATALOGUE_BYTES) if inflate else chunk
        except zlib.error as wrong:
            raise FeedError(f"the price feed is damaged: {wrong}") from None
        if len(body) > MAX_CATALOGUE_BYTES or (inflate and inflate.unconsumed_tail):
            raise FeedError(f"the price feed is over {MAX_CATALOGUE_BYTES} bytes")
        if time.monotonic() > deadline:
            raise FeedError(f"the price feed took over {TRANSFER_TIMEOUT_S} s")
    promised = response.headers.get("Content-Length")
    if (inflate and not inflate.eof) or (not inflate and promised and promised.isdigit() and int(promised) > len(body)):
        raise FeedError("the price feed was cut off")
    return bytes(body)


def _consider(
    body: bytes, url: str, prices_dir: Path, current: catalogue.Catalogue, accept: bool, now: datetime
) -> Refresh:
    envelope = catalogue.parse_feed(body, _host(url), now)
    packed = catalogue.encode(envelope)
    offered = catalogue.load(packed)
    difference = changes.compare(current, offered, int(now.timestamp() * 1_000_000))
    doubts = difference.doubts()
    if doubts and not accept:
        told = "; ".join(doubts[:_TOLD_DOUBTS]) + (
            f"; and {len(doubts) - _TOLD_DOUBTS} more" * (len(doubts) > _TOLD_DOUBTS)
        )
        reason = f"implausible: {told}. If this is true, run: majordomo prices refresh --accept"
        return Refresh(outcome="refused", version=current.version, reason=reason, implausible=True, changes=difference)
    if offered.version.partition(".")[2] == current.version.partition(".")[2]:  # the date apart
        return Refresh(outcome="unchanged", version=current.version)
    store.keep(prices_dir, packed, envelope.version)
    return Refresh(outcome="accepted", version=envelope.version, changes=difference)


def _write_status(prices_dir: Path, status: FeedStatus) -> None:
    try:
        store.write_private(prices_dir / _STATUS, msgspec.json.encode(status))
    except OSError:
        return  # the refresh itself is done; only its report is missing


def _host(url: str) -> str:
    """The part of a URL that may be shown: a feed's address can hold a token."""
    return urlsplit(url).hostname or "(no host)"
