"""One request's way: admit, open the books, forward, relay the reply while it is metered, close the books.

The exchange sits between a caller's connection and a provider's and never waits: each method is called when something
has happened on one side and does what follows on the other. Its phases, in order:

    admit (the key may have to be looked up) -> hold (only where the body may have to be changed) -> connect
    -> send -> reply -> done, or drain (the caller has gone, the provider is read on for its usage)
"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from majordomo.admit import refusal as why
from majordomo.admit.keys import KEY_MAX_BYTES, Key
from majordomo.admit.metadata import Metadata, collect, text
from majordomo.admit.refusal import Refusal
from majordomo.apis import Family
from majordomo.forward.account import Account
from majordomo.forward.connect import ConnectFailedError
from majordomo.forward.error_shapes import error_body, own_error_body
from majordomo.forward.include_usage import UsageWithheld, ask_for_usage, may_inject
from majordomo.forward.providers import Provider
from majordomo.forward.reply_head import ReplyHead, read_reply_head
from majordomo.forward.request import Head, MalformedHeadError, Request, read_head
from majordomo.forward.routes import Route, family_of
from majordomo.forward.upstream import Upstream
from majordomo.record.frames import Opening, Outcome
from majordomo.record.journal import JournalFull

if TYPE_CHECKING:
    from majordomo.forward.caller import Caller
    from majordomo.forward.desk import Desk

#: Requests that may be sent again when a reused connection turns out to be dead: they change nothing and cost nothing.
_SAFE_METHODS = frozenset({b"GET", b"HEAD", b"OPTIONS"})

#: Body bytes that may wait for a connection to open before the caller is held back.
_WAITING_BYTES = 256 * 1024

#: A body up to this size is sent in one piece with its head, and read on the spot; larger ones once they have gone.
_SMALL_BODY = 16 * 1024


class Exchange:
    """One request and its reply."""

    __slots__ = (
        "_buffered",
        "_desk",
        "_drained_bytes",
        "_family",
        "_gone_at",
        "_hangup",
        "_head",
        "_injected",
        "_pieces",
        "_provider",
        "_replying",
        "_route",
        "_stalled_at",
        "_task",
        "_touched",
        "_upstream",
        "_warning",
        "_withheld",
        "account",
        "caller",
        "chunked_reply",
        "done",
        "no_reply_body",
        "request",
    )

    def __init__(self, desk: "Desk", caller: "Caller", request: Request) -> None:
        self._desk = desk
        self.caller: Caller | None = caller
        self.request = request
        self.account: Account | None = None
        self.done = False
        self.no_reply_body = request.method == b"HEAD"
        self.chunked_reply = False
        self._head: Head | None = None
        self._family = Family.OPENAI
        self._route: Route | Refusal | None = None
        self._provider: Provider | None = None
        self._hangup = desk.on_hangup
        self._warning: str | None = None
        self._upstream: Upstream | None = None
        self._task: asyncio.Task[None] | None = None
        self._pieces: Sequence[bytes | bytearray | memoryview] = request.pending
        self._buffered = False  # the body is held until it is whole
        self._injected = False
        self._withheld: UsageWithheld | None = None
        self._replying = False
        self._touched = desk.tick  # when either side last moved, on the desk's coarse clock
        self._stalled_at: float | None = None  # since when the caller takes nothing
        self._gone_at: float | None = None  # since when the caller has gone
        self._drained_bytes = 0

    # -- admit ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Take the request up; its head is complete, its body may still be arriving."""
        desk = self._desk
        try:
            head = self._head = read_head(self.request)
        except MalformedHeadError as fault:
            desk.books.counters.malformed += 1
            self._refuse(why.malformed(str(fault)), close=True)
            return
        if desk.is_own_page(head.path):
            self._relay_to_back_office(head)
            return
        desk.books.counters.requests += 1
        named = head.own.get(b"provider")
        marks = head.anthropic_marks
        self._route = route = desk.routes.find(head.path, text(named) if named else None, anthropic_marks=marks)
        self._family = route.api.family if isinstance(route, Route) else family_of(head.path, anthropic_marks=marks)
        secret = head.own.get(b"key")
        if not secret:
            self._refuse(why.KEY_MISSING)
            return
        if len(secret) > KEY_MAX_BYTES:
            self._refuse(why.KEY_UNKNOWN)
            return
        key_hash = desk.digests.hex(secret)
        key = desk.ring.get(key_hash)
        if key is not None:
            self._admit(key)
        elif desk.ring.fresh:
            self._task = desk.loop.create_task(self._look_up(key_hash))
        else:
            self._refuse(why.KEY_STORE_AWAY)

    async def _look_up(self, key_hash: str) -> None:
        try:
            key = await self._desk.lookup(key_hash)
        except ConnectionError:
            self._refuse(why.KEY_STORE_AWAY)
            return
        if self.done:
            return
        if key is None:
            self._refuse(why.KEY_UNKNOWN)
        else:
            self._admit(key)

    def _admit(self, key: Key) -> None:
        head, desk, route = self._head, self._desk, self._route
        assert head is not None
        if not key.active:
            self._refuse(why.KEY_REVOKED)
            return
        if key.on_hangup is not None:
            self._hangup = key.on_hangup
        metadata = collect(head.metadata, desk.metadata_limits)
        if metadata.warning is not None:
            desk.books.counters.metadata_dropped += metadata.dropped
            self._warning = metadata.warning
        if not self._open_account(key, metadata, head):
            return
        if not isinstance(route, Route):
            assert route is not None
            self._refuse(route)
        elif desk.stopping:
            self._refuse(why.STOPPING)
        elif (head.content_length or self.request.body_bytes) > desk.max_body_bytes:
            self._refuse(why.body_too_large(desk.max_body_bytes))
        else:
            self._provider = route.provider
            self._forward(route)

    def _open_account(self, key: Key, metadata: Metadata, head: Head) -> bool:
        """Open the books; False where the request was refused because they cannot be kept."""
        desk, own = self._desk, head.own
        route = self._route if isinstance(self._route, Route) else None
        content_type = _header(self.request, b"content-type")
        account = Account(desk.books, route, head.path.decode("utf-8", "replace"), content_type)
        opening = Opening(
            id=account.id,
            requested_at=account.requested_at,
            api_key_id=key.id,
            org_id=key.org_id,
            provider=account.provider,
            api=account.api.value,
            method=self.request.method.decode("ascii", "replace"),
            path=account.path,
            provider_key_hash=self._credential_hash(head),
            provider_key_alias=_own_text(own, b"provider-alias"),
            metadata=metadata.values,
            client=_own_text(own, b"client"),
            claude_session=_own_text(own, b"claudecode-session-id"),
            claude_session_name=_own_text(own, b"claudecode-session-name"),
            trace_id=_own_text(own, b"trace-id"),
            span_path=_own_text(own, b"span-path"),
            span_name=_own_text(own, b"span-name"),
        )
        try:
            account.open(opening)
        except JournalFull:
            if desk.refuse_when_full:
                self._refuse(why.JOURNAL_FULL)
                return False
            desk.books.counters.unrecorded += 1
            return True
        self.account = account
        return True

    def _credential_hash(self, head: Head) -> str | None:
        """SHA-256 hex of the credential that the provider will check, whichever way it is sent."""
        credentials = head.credentials
        secret = credentials.get(b"x-api-key") or credentials.get(b"x-goog-api-key")
        bearer = credentials.get(b"authorization")
        if bearer is not None and (secret is None or self._family is not Family.ANTHROPIC):
            scheme, _, token = bearer.partition(b" ")
            secret = token.strip() or scheme
        if secret is None and b"key=" in head.query:
            secret = parse_qs(head.query).get(b"key", [b""])[0]
        return self._desk.digests.hex(secret) if secret else None

    # -- forward --------------------------------------------------------------------------------------------------

    def _forward(self, route: Route) -> None:
        head, request, desk = self._head, self.request, self._desk
        assert head is not None
        if head.expects_continue and not request.complete and self.caller is not None:
            self.caller.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self.account is not None:
            for piece in request.pending:
                self.account.keep_body(piece)
            if may_inject(route.api) and desk.inject_stream_usage and route.provider.inject_stream_usage:
                self._buffered = True
                request.pending.clear()
        if not self._buffered or request.complete:
            self._connect()

    def _connect(self) -> None:
        assert self._provider is not None
        if self._buffered:
            self._ask_for_usage()
        upstream = self._desk.pool.take(self._provider.origin)
        if upstream is not None:
            self._send(upstream)
        else:
            self._task = self._desk.loop.create_task(self._open_connection(self._provider))

    async def _open_connection(self, provider: Provider) -> None:
        try:
            upstream = await self._desk.pool.open(provider.origin)
        except ConnectFailedError as failed:
            self._provider_failed(str(failed))
            return
        if self.done:
            self._desk.pool.rest(upstream)  # the caller has gone meanwhile; the next one may use it
        else:
            self._send(upstream)

    def _ask_for_usage(self) -> None:
        account, head = self.account, self._head
        assert account is not None and head is not None
        body = account.request_body
        pieces = ask_for_usage(body, account.facts())
        self._pieces = pieces if pieces is not None else [body] if body else []
        if pieces is None:
            return
        self._injected = True
        length = b"Content-Length: %d\r\n" % sum(map(len, pieces))
        if head.content_length_line is not None:
            head.lines[head.content_length_line] = length
        else:
            head.chunked = False
            head.lines.append(length)
        if head.accept_encoding_line is not None:
            # Only a reply that is not compressed can have its extra chunk taken out without touching the rest.
            head.lines[head.accept_encoding_line] = b"Accept-Encoding: identity\r\n"

    def _send(self, upstream: Upstream) -> None:
        head, provider, request = self._head, self._provider, self.request
        assert head is not None and provider is not None
        self._upstream = upstream
        upstream.begin(self)
        self._touched = self._desk.tick
        pieces, self._pieces = self._pieces, ()
        request.pending = []
        framing = (b"Transfer-Encoding: chunked\r\n",) if head.chunked else ()
        out: list[bytes | bytearray | memoryview] = [
            request.method,
            b" ",
            provider.target(head.target),
            b" HTTP/1.1\r\nHost: ",
            provider.authority,
            b"\r\n",
            *head.lines,
            *framing,
            b"\r\n",
        ]
        write = upstream.transport.write
        if request.body_bytes <= _SMALL_BODY and not head.chunked:
            out += pieces
            write(b"".join(out))
        else:
            write(b"".join(out))
            for piece in pieces:
                self._write_body(piece)
        if self.caller is not None:
            self.caller.release_waiting()
        if request.complete:
            self._request_sent()

    def _write_body(self, piece: bytes | bytearray | memoryview) -> None:
        assert self._upstream is not None and self._head is not None
        write = self._upstream.transport.write
        if self._head.chunked:
            write(b"%x\r\n%b\r\n" % (len(piece), piece))
        else:
            write(piece)

    def _request_sent(self) -> None:
        assert self._upstream is not None and self._head is not None
        if self._head.chunked:
            self._upstream.transport.write(b"0\r\n\r\n")
        account = self.account
        if account is None:
            return
        account.sent = True
        if self.request.body_bytes <= _SMALL_BODY:
            account.facts()
        else:
            self._desk.loop.call_soon(account.facts)

    def body(self, piece: bytes) -> None:
        """A piece of the request's body has come."""
        if self.done:
            return
        self._touched = self._desk.tick
        if self.request.body_bytes > self._desk.max_body_bytes:
            self._refuse(why.body_too_large(self._desk.max_body_bytes), close=True)
            return
        if self.account is not None and self._provider is not None:
            self.account.keep_body(piece)
        if self._buffered:
            return
        if self._upstream is not None:
            self._write_body(piece)
            return
        self.request.pending.append(piece)
        if self.request.body_bytes > _WAITING_BYTES and self.caller is not None:
            self.caller.hold_waiting()

    def body_end(self) -> None:
        """The request's body is complete."""
        if self.done:
            return
        if self._upstream is not None:
            self._request_sent()
        elif self._buffered:
            self._connect()

    # -- reply ----------------------------------------------------------------------------------------------------

    def interim(self, upstream: Upstream) -> None:
        """Pass a 1xx on, but 100: the caller had that one from us."""
        if self.caller is not None and upstream.status != 100 and self.request.http_11:
            lines = [b"HTTP/1.1 %d %b\r\n" % (upstream.status, upstream.reason)]
            lines += [b"%b: %b\r\n" % header for header in upstream.headers]
            self.caller.write(b"".join((*lines, b"\r\n")))

    def reply(self, upstream: Upstream) -> None:
        """Relay what has come of the reply, then read a copy of it."""
        self._touched = self._desk.tick
        out: list[bytes] = []
        if not self._replying:
            self._replying = True
            out.append(self._begin_reply(upstream))
        body = upstream.take_body()
        if self.caller is not None:
            self._relay(out, body, upstream.complete)
        account = self.account
        if body:
            if account is not None:
                account.saw(body)
            if self.caller is None:
                self._count_drained(len(body), upstream)
        if upstream.complete and not self.done:
            self._finish(upstream)

    def _begin_reply(self, upstream: Upstream) -> bytes:
        account = self.account
        head = read_reply_head(upstream.headers)
        if account is not None:
            account.reply_began(upstream.status, head.content_type, head.content_encoding)
        if self._injected and upstream.status == 200 and head.is_plain_event_stream:
            self._withheld = UsageWithheld()
        return self._reply_head(upstream, head)

    def _reply_head(self, upstream: Upstream, head: ReplyHead) -> bytes:
        request, status = self.request, upstream.status
        out = [b"HTTP/1.1 %d %b\r\n" % (status, upstream.reason), *head.lines]
        if not self.no_reply_body and status not in (204, 304):
            if head.length_line is not None and self._withheld is None:
                out.append(head.length_line)
            elif request.http_11:
                self.chunked_reply = True
                out.append(b"Transfer-Encoding: chunked\r\n")
            else:
                request.keep_alive = False  # HTTP/1.0: the end of the connection is the end of the body
        elif head.length_line is not None:
            out.append(head.length_line)
        if self.account is not None:
            out.append(b"X-Majordomo-Request-Id: %b\r\n" % self.account.id_text.encode())
        if self._warning is not None:
            out.append(b"X-Majordomo-Warning: %b\r\n" % self._warning.encode("ascii", "replace"))
        if not request.complete or self._desk.stopping:
            request.keep_alive = False
        if not request.keep_alive:
            out.append(b"Connection: close\r\n")
        out.append(b"\r\n")
        return b"".join(out)

    def _relay(self, out: list[bytes], body: bytes, complete: bool) -> None:
        if self._withheld is not None:
            body_out = self._withheld.feed(body)
            if complete:
                body_out += self._withheld.finish()
        else:
            body_out = body
        if body_out:
            if self.chunked_reply:
                out += (b"%x\r\n" % len(body_out), body_out, b"\r\n")
            else:
                out.append(body_out)
        if complete and self.chunked_reply:
            out.append(b"0\r\n\r\n")
        if out and self.caller is not None:
            self.caller.write(b"".join(out) if len(out) > 1 else out[0])

    def _finish(self, upstream: Upstream) -> None:
        self.done = True
        gone = self.caller is None
        if self.account is not None:
            outcome = Outcome.CLIENT_CLOSED if gone else Outcome.COMPLETED
            self.account.end(outcome, complete=True, drained=gone)
        if self.request.complete:
            upstream.release()
        else:
            upstream.drop()  # it answered before it had read the request: neither side can be reused
        if self.caller is not None:
            self.caller.exchange_done(self.request)
        else:
            self._desk.detached.discard(self)
            self._desk.books.counters.drained += 1

    # -- when things go wrong -------------------------------------------------------------------------------------

    def upstream_lost(self, upstream: Upstream, reason: str) -> None:
        """The provider's connection broke before its reply was complete."""
        if self.done:
            return
        self._upstream = None
        if self.caller is None:
            self._end_without_caller()
        elif self._replying:
            self._end(Outcome.PROVIDER_BROKE)
            self.caller.cut()
        elif self._may_repeat(upstream):
            self._desk.books.counters.upstream_retries += 1
            self._connect()
        else:
            self._provider_failed(reason)

    def _provider_failed(self, reason: str) -> None:
        """There will be no reply from the provider."""
        provider = self._provider
        assert provider is not None
        if provider is self._desk.back_office:
            self._refuse(why.BACK_OFFICE_AWAY)
        else:
            self._refuse(why.unreachable(provider.name, reason), Outcome.PROVIDER_BROKE)

    def _may_repeat(self, upstream: Upstream) -> bool:
        """A kept connection that was dead on use, and a request that neither costs nor changes anything."""
        safe = self.request.method in _SAFE_METHODS and self.request.body_bytes == 0 and self.request.complete
        return safe and upstream.silent and upstream.exchanges > 1

    def caller_gone(self) -> None:
        """The caller hung up. Read on for the usage within bounds, or cut, as the key or the setting says."""
        if self.done:
            return
        self.caller = None
        upstream, desk = self._upstream, self._desk
        may_drain = (
            upstream is not None
            and self.account is not None
            and self.account.sent
            and self._hangup == "drain"
            and len(desk.detached) < desk.drain_max_streams
            and not desk.stopped
        )
        if not may_drain:
            self._end_without_caller()
            return
        assert upstream is not None
        self._gone_at = desk.tick
        desk.detached.add(self)
        if self._stalled_at is not None:
            self._stalled_at = None
            upstream.transport.resume_reading()

    def _count_drained(self, size: int, upstream: Upstream) -> None:
        self._drained_bytes += size
        if self._drained_bytes > self._desk.drain_max_bytes and not upstream.complete:
            self._desk.books.counters.drain_cut += 1
            self._end_without_caller()

    def _end_without_caller(self) -> None:
        self._end(Outcome.CLIENT_CLOSED)
        self._desk.detached.discard(self)

    def _end(self, outcome: Outcome, refusal: Refusal | None = None) -> None:
        """Close the books on an exchange that did not run its course, and let the provider go."""
        self.done = True
        if self.account is not None:
            self.account.end(outcome, complete=False, refusal=refusal)
        if self._upstream is not None:
            self._upstream.drop()
            self._upstream = None

    def _refuse(self, refusal: Refusal, outcome: Outcome = Outcome.REFUSED, *, close: bool = False) -> None:
        """Answer in the called API's own shape instead of the provider."""
        if self.done:
            return
        self._desk.books.counters.refused += 1
        self._end(outcome, refusal)
        caller = self.caller
        if caller is None:
            self._desk.detached.discard(self)
            return
        request_id = self.account.id_text if self.account is not None else None
        if self._provider is self._desk.back_office:
            body = own_error_body(refusal)
        else:
            body = error_body(self._family, refusal, request_id)
        if close:
            self.request.keep_alive = False
        caller.answer(self.request, refusal, body, request_id=request_id, warning=self._warning)
        caller.exchange_done(self.request)

    def refuse_malformed(self, refusal: Refusal) -> None:
        """The rest of the request is not well-formed."""
        if self._replying:
            self._end(Outcome.REFUSED)
            if self.caller is not None:
                self.caller.cut()
        else:
            self._refuse(refusal, close=True)

    def stop(self) -> None:
        """The gateway's time to finish is over."""
        if self.done:
            return
        caller = self.caller
        self._end(Outcome.GATEWAY_STOPPED)
        self._desk.detached.discard(self)
        if caller is not None:
            caller.cut()

    # -- flow control and time ------------------------------------------------------------------------------------

    def upstream_full(self) -> None:
        """The provider takes no more: hold the caller."""
        if self.caller is not None:
            self.caller.hold_upstream()

    def upstream_ready(self) -> None:
        """The provider takes more: let the caller go on."""
        if self.caller is not None:
            self.caller.release_upstream()

    def caller_full(self) -> None:
        """The caller takes no more: stop reading the provider."""
        if self._upstream is not None and self._stalled_at is None:
            self._stalled_at = self._desk.tick
            self._upstream.transport.pause_reading()

    def caller_ready(self) -> None:
        """The caller takes more: read the provider again."""
        if self._stalled_at is not None and self._upstream is not None:
            self._stalled_at = None
            self._touched = self._desk.tick
            self._upstream.transport.resume_reading()

    def check(self, now: float) -> None:
        """End what has waited too long; called every second with the desk's coarse time (s)."""
        desk = self._desk
        if self.done:
            return
        if self._gone_at is not None:
            if now - self._gone_at > desk.drain_max_seconds:
                desk.books.counters.drain_cut += 1
                self._end_without_caller()
        elif self._stalled_at is not None:
            if now - self._stalled_at > desk.caller_stall_timeout and self.caller is not None:
                self.caller.abort()
        elif not self.request.complete:
            if now - self._touched > desk.body_timeout and not self._held_back():
                self._refuse(why.BODY_STALLED, close=True)
        elif self._upstream is not None:
            self._check_provider(now - self._touched)

    def _held_back(self) -> bool:
        return self.caller is not None and self.caller.held

    def _check_provider(self, waited: float) -> None:
        if self._replying:
            if waited > self._desk.upstream_idle_timeout:
                self._end(Outcome.PROVIDER_BROKE)
                if self.caller is not None:
                    self.caller.cut()
        elif waited > self._desk.upstream_header_timeout:
            self._refuse(why.UPSTREAM_TIMED_OUT, Outcome.PROVIDER_BROKE, close=True)

    # -- pages of our own -----------------------------------------------------------------------------------------

    def _relay_to_back_office(self, head: Head) -> None:
        if head.path == b"/health":
            if self.caller is not None:
                self.done = True
                self.caller.answer_json(self.request, 200, self._desk.health())
                self.caller.exchange_done(self.request)
            return
        self._provider = self._desk.back_office
        head.lines += [b"X-Majordomo-%b: %b\r\n" % (name.title(), value) for name, value in head.own.items()]
        if head.expects_continue and not self.request.complete and self.caller is not None:
            self.caller.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._connect()


def _own_text(own: dict[bytes, bytes], name: bytes) -> str | None:
    value = own.get(name)
    return text(value) if value is not None else None


def _header(request: Request, wanted: bytes) -> str:
    for name, value in request.headers:
        if name.lower() == wanted:
            return value.decode("latin-1")
    return ""
