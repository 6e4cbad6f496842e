"""One request's way: admit, open the books, forward, relay the reply while it is metered, close the books.

The exchange sits between a caller's connection and a provider's and never waits: each method is called when something
has happened on one side and does what follows on the other. Its phases, in order:

    admit (the key may have to be looked up) -> open -> hold (where the body may have to be changed or a budget has to
    know it) -> gate (only where a budget governs it) -> connect -> send -> reply -> done, or drain (the caller has
    gone, the provider is read on for its usage)
"""

import asyncio
from typing import TYPE_CHECKING

from majordomo.admit import refusal as why
from majordomo.admit.keys import Key
from majordomo.admit.refusal import Refusal
from majordomo.admit.sessions import FOREIGN_SESSION
from majordomo.budget.gate import Pass, Waiting, must_be_recorded
from majordomo.budget.matching import Governed
from majordomo.forward.account import Account
from majordomo.forward.connect import ConnectFailedError
from majordomo.forward.error_shapes import as_api_says_it, error_body, own_error_body
from majordomo.forward.include_usage import UsageWithheld, ask_for_usage
from majordomo.forward.plan import Plan, joined
from majordomo.forward.providers import Provider
from majordomo.forward.reply_head import ReplyHead, read_reply_head, request_id_of
from majordomo.forward.request import Request
from majordomo.forward.upstream import Upstream
from majordomo.logs import logger
from majordomo.record.frames import Close, Outcome
from majordomo.record.journal import JournalFull

if TYPE_CHECKING:
    from majordomo.forward.caller import Caller
    from majordomo.forward.desk import Desk

_log = logger("exchange")

#: Requests that may be sent again when a reused connection turns out to be dead: they change nothing and cost nothing.
_SAFE_METHODS = frozenset({b"GET", b"HEAD", b"OPTIONS"})

#: What a load balancer says for a gateway that is away; from the gateway itself they carry a request id.
_AWAY_STATUSES = frozenset({502, 503, 504})

#: Body bytes that may wait for a connection to open before the caller is held back.
_WAITING_BYTES = 256 * 1024

#: A body up to this size is sent in one piece with its head, and read on the spot; larger ones once they have gone.
_SMALL_BODY = 16 * 1024


class Exchange:
    """One request and its reply."""

    __slots__ = (
        "_chunked_reply",
        "_concluding",
        "_desk",
        "_drained_bytes",
        "_forwarding",
        "_gone_at",
        "_governed",
        "_hangup",
        "_held",
        "_injected",
        "_key",
        "_last_body",
        "_last_piece",
        "_plan",
        "_replying",
        "_stalled_at",
        "_task",
        "_touched",
        "_upstream",
        "_withheld",
        "account",
        "caller",
        "done",
        "no_reply_body",
        "request",
    )

    def __init__(self, desk: "Desk", caller: "Caller", request: Request) -> None:
        self._desk = desk
        self._plan = request.plan
        self.caller: Caller | None = caller
        self.request = request
        self.account: Account | None = None
        self.done = False
        self.no_reply_body = request.plan.method == b"HEAD"
        self._hangup = desk.on_hangup
        self._key: Key | None = None
        self._upstream: Upstream | None = None
        self._task: asyncio.Task[None] | None = None
        self._forwarding = False  # admitted
        self._governed: tuple[Governed, ...] = ()  # the budgets that may concern it
        self._held = False  # the body waits here until it is whole
        self._injected = False
        self._withheld: UsageWithheld | None = None
        self._replying = False
        self._chunked_reply = False
        self._concluding = False  # the reply is complete; the tick sends it
        self._last_body = b""
        self._last_piece = b""
        self._touched = desk.tick  # when either side last moved, on the desk's coarse clock
        self._stalled_at: float | None = None  # since when the caller takes nothing
        self._gone_at: float | None = None  # since when the caller has gone
        self._drained_bytes = 0

    # -- admit ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Take the request up; its head is complete, its body may still be arriving."""
        desk, plan = self._desk, self._plan
        if plan.own_page:
            self._open_own_page()
            return
        desk.books.counters.requests += 1
        key_hash = plan.key_hash
        if isinstance(key_hash, Refusal):
            self._refuse(key_hash)
            return
        self._key = key = desk.ring.get(key_hash)
        if key is not None:
            desk.together.admit(self)
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
            self._key = key
            self._desk.together.admit(self)

    def opening(self) -> bytes | None:
        """The opening frame of a request whose key is good; None if it was refused or its caller has gone.

        It is empty where nothing is to be journaled.
        """
        if self.done:
            return None
        desk, key = self._desk, self._key
        plan = self._choose_way()
        assert key is not None
        if not key.active:
            self._refuse(why.KEY_REVOKED)
            return None
        if key.on_hangup is not None:
            self._hangup = key.on_hangup
        if plan.metadata.dropped:
            desk.books.counters.metadata_dropped += plan.metadata.dropped
        self.account = Account(desk.books, plan)
        return self.account.opening(key)

    def _choose_way(self) -> Plan:
        """The request's plan, or the detour of one whose way is closed."""
        plan = self._plan
        if plan.detour is not None and self._desk.road.closed:
            plan = self._plan = plan.detour
        return plan

    def go(self, *, recorded: bool) -> None:
        """The opening is on record: forward the request, or refuse it with a row of its own.

        If the disk did not take it, go on without books, or not at all, as the setting says.
        """
        desk, plan = self._desk, self._plan
        if not recorded:
            self.account = None
            if desk.refuse_when_full or self._fails_closed():
                self._refuse(why.JOURNAL_FULL)
                return
            desk.books.counters.unrecorded += 1
        if plan.refusal is not None:
            self._refuse(plan.refusal)
        elif desk.stopping:
            self._refuse(why.STOPPING)
        elif max(self._length(), self.request.body_bytes) > desk.max_body_bytes:
            self._refuse(why.body_too_large(desk.max_body_bytes))
        else:
            self._forward()

    def _fails_closed(self) -> bool:
        """Whether a budget may concern the request whose owner wants nothing spent that cannot be recorded."""
        assert self._key is not None
        governed = self._plan.governed(self._key, self._desk.gate.budgets)
        return must_be_recorded(governed)

    # -- forward --------------------------------------------------------------------------------------------------

    def _forward(self) -> None:
        request, account = self.request, self.account
        self._forwarding = True
        if self._plan.session is not None and not self._plan.recorded_there:
            self._desk.sessions.meet(self._plan.session)
        if self._plan.expects_continue:
            self._invite_body()
        if account is not None:
            for piece in request.pending:
                account.keep_body(piece)
            assert self._key is not None
            self._governed = self._plan.governed(self._key, self._desk.gate.budgets)
            if self._governed or self._plan.holds_body:
                self._held = True
                request.pending.clear()
                if self.caller is not None and self.caller.held:
                    self.caller.release_waiting()  # a key that was looked up may have held the body back
        if not self._held:
            self._connect()
        elif request.complete:
            self._held_whole()

    def _invite_body(self) -> None:
        if not self.request.complete and self.caller is not None:
            self.caller.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _held_whole(self) -> None:
        """The body that was held is complete: let it go on, if it may."""
        account, request = self.account, self.request
        assert account is not None
        body = account.request_body
        request.pending = [bytes(body)] if body else []
        if not self._governed:
            self._connect()
            return
        assert self._key is not None
        opening = self._plan.opening(self._key)
        answer = self._desk.gate.ask(opening, self._governed, account.facts(), body)
        if isinstance(answer, Waiting):
            self._task = self._desk.loop.create_task(self._wait_at_gate(answer))
        else:
            self._pass_gate(answer)

    async def _wait_at_gate(self, waiting: Waiting) -> None:
        try:
            answer = await self._desk.gate.wait(waiting)
        except Exception:
            _log.exception("waiting at the gate failed")
            self._desk.books.counters.faults += 1
            self.give_up()
            return
        if not self.done:
            self._pass_gate(answer)
        elif isinstance(answer, Pass):
            answer.cancel()  # the caller has gone meanwhile

    def _pass_gate(self, answer: Pass | Refusal | None) -> None:
        if isinstance(answer, Refusal):
            self._refuse(as_api_says_it(self._plan.family, answer))
            return
        assert self.account is not None
        self.account.passed = answer
        self._connect()

    def _connect(self) -> None:
        provider = self._plan.provider
        assert provider is not None
        upstream = self._desk.pool.take(provider.origin)
        if upstream is not None:
            self._send(upstream)
        else:
            self._task = self._desk.loop.create_task(self._open_connection(provider))

    async def _open_connection(self, provider: Provider) -> None:
        try:
            upstream = await self._desk.pool.open(provider.origin, provider.connect_timeout)
        except ConnectFailedError as failed:
            detour = self._plan.detour
            if detour is None:
                self._provider_failed(str(failed))
            else:
                self._take_detour(detour, str(failed))
            return
        if self.done:
            self._desk.pool.rest(upstream)  # the caller has gone meanwhile; the next one may use it
        else:
            self._send(upstream)

    def _take_detour(self, detour: Plan, reason: str) -> None:
        """The way cannot be reached, so not a byte of the request has gone: go the other one."""
        self._desk.road.fail(reason)
        if self.done:
            return
        self._plan = detour
        if self.account is not None and not self._open_again(self.account):
            self._refuse(why.JOURNAL_FULL)
        elif detour.refusal is not None:
            self._refuse(detour.refusal)
        else:
            self._connect()

    def _open_again(self, account: Account) -> bool:
        """Open the books for the way that is gone now; False if the request may not go on without them."""
        assert self._key is not None
        account.take_detour(self._plan)
        opening = account.opening(self._key)
        try:
            if opening:
                self._desk.books.open((opening,))
        except JournalFull:
            self.account = None
            if self._desk.refuse_when_full:
                return False
            self._desk.books.counters.unrecorded += 1
        return True

    def _send(self, upstream: Upstream) -> None:
        request, plan = self.request, self._plan
        self._upstream = upstream
        upstream.begin(self)
        self._touched = self._desk.tick
        if self._held and plan.holds_body:
            self._send_held(upstream)
        else:
            pieces, request.pending = request.pending, []
            length = None if plan.head.content_length_line is None else self._length()
            head = plan.upstream_head(length)
            if request.body_bytes <= _SMALL_BODY and not plan.head.chunked:
                upstream.transport.write(b"".join((head, *pieces)))
            else:
                upstream.transport.write(head)
                for piece in pieces:
                    self._write_body(piece)
            if self.caller is not None and self.caller.held:
                self.caller.release_waiting()
        if request.complete:
            self._request_sent()

    def _length(self) -> int:
        # A plan stands for every length of body: what this request says is what has come, or what its own head said.
        return self.request.body_bytes if self.request.complete else self._plan.head.content_length or 0

    def _send_held(self, upstream: Upstream) -> None:
        """Send a body that was held until it was whole, asking for usage where the caller did not."""
        account, plan = self.account, self._plan
        assert account is not None
        body = b"".join(self.request.pending)
        self.request.pending.clear()
        pieces = ask_for_usage(body, account.facts())
        if pieces is not None:
            self._injected = True
            head = plan.injected_head(sum(map(len, pieces)))
        else:
            pieces = [memoryview(body)] if body else []
            head = plan.upstream_head(None if plan.head.content_length_line is None else len(body))
        if plan.head.chunked and not self._injected:
            upstream.transport.write(head)
            for piece in pieces:
                self._write_body(piece)
        elif len(body) <= _SMALL_BODY:
            upstream.transport.write(b"".join((head, *pieces)))
        else:
            for piece in (head, *pieces):
                upstream.transport.write(piece)

    def _write_body(self, piece: bytes | bytearray | memoryview) -> None:
        assert self._upstream is not None
        if self._plan.head.chunked:
            self._upstream.transport.write(b"".join((b"%x\r\n" % len(piece), piece, b"\r\n")))
        else:
            self._upstream.transport.write(piece)

    def _request_sent(self) -> None:
        assert self._upstream is not None
        if self._plan.head.chunked and not self._injected:
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
        if self.done or self._concluding:
            return
        self._touched = self._desk.tick
        if self.request.body_bytes > self._desk.max_body_bytes:
            self._open_now()
            self._refuse(why.body_too_large(self._desk.max_body_bytes), close=True)
            return
        if self.account is not None and self._forwarding:
            self.account.keep_body(piece)
        if self._held:
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
        elif self._held:
            self._held_whole()

    # -- reply ----------------------------------------------------------------------------------------------------

    def interim(self, upstream: Upstream) -> None:
        """Pass a 1xx on, but 100: the caller had that one from us."""
        if self.caller is not None and upstream.status != 100 and self._plan.head.http_11:
            self.caller.write(read_reply_head(upstream.raw_head).block + b"\r\n\r\n")

    def reply(self, upstream: Upstream) -> None:
        """Relay what has come of the reply, then read a copy of it. Its end is dealt with at the end of the tick."""
        if self._concluding or self.done:
            return
        if upstream.complete:
            self._concluding = True
            self._desk.together.finish(self)
            return
        self._touched = self._desk.tick
        out = self._take_reply(upstream)
        body = upstream.take_body()
        self._frame(out, body if self._withheld is None else self._withheld.feed(body))
        if self.caller is not None:
            self.caller.write(b"".join(out))
        if body:
            if self.account is not None:
                self.account.saw(body)
            if self.caller is None:
                self._count_drained(len(body))

    def end_reply(self) -> None:
        """The reply is complete: make its last piece ready."""
        upstream = self._upstream
        assert upstream is not None
        out = self._take_reply(upstream)
        self._last_body = body = upstream.take_body()
        self._frame(out, body if self._withheld is None else self._withheld.feed(body) + self._withheld.finish())
        if self._chunked_reply:
            out.append(b"0\r\n\r\n")
        self._last_piece = b"".join(out)

    def close(self) -> Close | None:
        """The close of this exchange's books."""
        account = self.account
        if account is None:
            return None
        if self._last_body:
            account.saw(self._last_body)
        gone = self.caller is None
        return account.close(Outcome.CLIENT_CLOSED if gone else Outcome.COMPLETED, complete=True, drained=gone)

    def finish(self) -> None:
        """The close is on record: send the last piece, and let both sides go on."""
        upstream = self._upstream
        assert upstream is not None
        self.done = True
        self._upstream = None
        if self._stalled_at is not None:
            upstream.transport.resume_reading()
        if self.request.complete and not self._backlog(upstream):
            upstream.release()
        else:
            upstream.drop()  # it answered before it had read the request: neither side can be reused
        if self.caller is not None:
            self.caller.write(self._last_piece)
            self.caller.exchange_done(self.request)
        else:
            self._desk.detached.discard(self)
            self._desk.books.counters.drained += 1

    def _backlog(self, upstream: Upstream) -> bool:
        """True while part of a long body has not gone out."""
        return self.request.body_bytes > _SMALL_BODY and upstream.transport.get_write_buffer_size() > 0

    def _take_reply(self, upstream: Upstream) -> list[bytes]:
        """The start of what goes to the caller: the reply's head if it has not gone yet."""
        if self._replying:
            return []
        self._replying = True
        return [self._begin_reply(upstream)]

    def _frame(self, out: list[bytes], body: bytes) -> None:
        """Add a piece of the reply's body as the caller is to get it."""
        if body and self._chunked_reply:
            out += (b"%x\r\n" % len(body), body, b"\r\n")
        elif body:
            out.append(body)

    def _begin_reply(self, upstream: Upstream) -> bytes:
        head = read_reply_head(upstream.raw_head)
        if self._plan.detour is not None:
            self._judge_way(upstream)
        if self.account is not None:
            self.account.reply_began(upstream.status, head.content_type, head.content_encoding)
        if self._injected and upstream.status == 200 and head.is_plain_event_stream:
            self._withheld = UsageWithheld()
        return self._reply_head(upstream, head)

    def _judge_way(self, upstream: Upstream) -> None:
        """Something on the way may have answered for a gateway that is away. The reply stands: nothing runs twice."""
        if upstream.status in _AWAY_STATUSES and request_id_of(upstream.raw_head) is None:
            self._desk.road.fail(f"status {upstream.status} from something before it")

    def _reply_head(self, upstream: Upstream, head: ReplyHead) -> bytes:
        request, status = self.request, upstream.status
        if self._withheld is not None:
            head.drop_length()
        lines = [head.block]
        if not head.has_length and not self.no_reply_body and status not in (204, 304):
            if self._plan.head.http_11:
                self._chunked_reply = True
                lines.append(b"Transfer-Encoding: chunked")
            else:
                request.keep_alive = False  # HTTP/1.0: the end of the connection is the end of the body
        if self._plan.recorded_there:
            request_id = request_id_of(upstream.raw_head)
            if request_id is not None:
                lines.append(b"X-Majordomo-Request-Id: " + request_id)
        elif self.account is not None:
            lines.append(b"X-Majordomo-Request-Id: " + self.account.id_text.encode())
        if self.account is not None and self.account.passed is not None:
            lines += self.account.passed.reply_lines()
        warning = self._warning()
        if warning is not None and not self._plan.recorded_there:
            lines.append(b"X-Majordomo-Warning: " + warning.encode("ascii", "replace"))
        if not request.complete or self._desk.stopping:
            request.keep_alive = False
        if not request.keep_alive:
            lines.append(b"Connection: close")
        lines.append(b"\r\n")
        return b"\r\n".join(lines)

    def _warning(self) -> str | None:
        """What was left out of the books, as far as it is known by now."""
        plan, key = self._plan, self._key
        if plan.session is None or key is None or not self._desk.sessions.is_foreign(plan.session, key.id):
            return plan.warning
        return joined(plan.warning, FOREIGN_SESSION)

    # -- when things go wrong -------------------------------------------------------------------------------------

    def upstream_lost(self, upstream: Upstream, reason: str) -> None:
        """The provider's connection broke before its reply was complete."""
        if self.done or self._concluding:
            return
        self._upstream = None
        if self.caller is None:
            self._end_without_caller()
        elif self._replying:
            self._end(Outcome.PROVIDER_BROKE)
            self.caller.cut(reset=not self._plan.head.http_11)
        elif self._may_repeat(upstream):
            self._desk.books.counters.upstream_retries += 1
            self._connect()
        else:
            self._provider_failed(reason)

    def _provider_failed(self, reason: str) -> None:
        """There will be no reply from the provider."""
        provider = self._plan.provider
        assert provider is not None
        if self._plan.own_page:
            self._refuse(why.BACK_OFFICE_AWAY)
        else:
            self._refuse(why.unreachable(provider.name, reason), Outcome.PROVIDER_BROKE)

    def _may_repeat(self, upstream: Upstream) -> bool:
        """A kept connection that was dead on use, and a request that neither costs nor changes anything."""
        safe = self._plan.method in _SAFE_METHODS and self.request.body_bytes == 0 and self.request.complete
        return safe and upstream.silent and upstream.exchanges > 1

    def caller_gone(self) -> None:
        """The caller hung up. Read on for the usage within bounds, or cut, as the key or the setting says."""
        if self.done:
            return
        self.caller = None
        if self._concluding:
            return
        if self.account is not None:
            self.account.caller_gone()
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

    def _count_drained(self, size: int) -> None:
        self._drained_bytes += size
        if self._drained_bytes > self._desk.drain_max_bytes:
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
        """Answer in the called API's own shape instead of the provider; where its reply has begun, cut it off."""
        if self.done or self._concluding:
            return
        if self._replying:
            self._end(outcome)
            if self.caller is not None:
                self.caller.cut(reset=not self._plan.head.http_11)
            return
        self._desk.books.counters.refused += 1
        self._end(outcome, refusal)
        caller = self.caller
        if caller is None:
            self._desk.detached.discard(self)
            return
        request_id = self.account.id_text if self.account is not None else None
        plan = self._plan
        body = own_error_body(refusal) if plan.own_page else error_body(plan.family, refusal, request_id)
        if close:
            self.request.keep_alive = False
        caller.answer(self.request, refusal, body, request_id=request_id, warning=self._warning())
        caller.exchange_done(self.request)

    def refuse_malformed(self, refusal: Refusal) -> None:
        """The rest of the request is not well-formed."""
        self._open_now()
        self._refuse(refusal, close=True)

    def _open_now(self) -> None:
        """What is refused before its tick came has a row all the same, if its key is good."""
        if self._forwarding or self.account is not None or self._key is None:
            return
        opening = self.opening()
        if opening is None:
            return
        try:
            if opening:
                self._desk.books.open((opening,))
        except JournalFull:
            self.account = None

    def give_up(self) -> None:
        """A fault of ours: end this exchange, whatever its state."""
        self._concluding = False
        caller = self.caller
        if not self._replying:
            self._refuse(why.FAULT, close=True)
        elif not self.done:
            self._end(Outcome.REFUSED, why.FAULT)
        self._desk.detached.discard(self)
        if caller is not None and self._replying:
            caller.abort()

    def stop(self) -> None:
        """The gateway's time to finish is over."""
        if self.done or self._concluding:
            return
        caller = self.caller
        self._end(Outcome.GATEWAY_STOPPED)
        self._desk.detached.discard(self)
        if caller is not None:
            caller.cut(reset=not self._plan.head.http_11)

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
        if self.done or self._concluding:
            return
        if self._gone_at is not None:
            if now - self._gone_at > desk.drain_max_seconds:
                desk.books.counters.drain_cut += 1
                self._end_without_caller()
        elif self._stalled_at is not None:
            if now - self._stalled_at > desk.caller_stall_timeout and self.caller is not None:
                self.caller.abort()
        elif not self.request.complete and not self._held_back():
            if now - self._touched > desk.body_timeout:
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
                    self.caller.cut(reset=not self._plan.head.http_11)
        elif waited > self._desk.upstream_header_timeout:
            self._refuse(why.UPSTREAM_TIMED_OUT, Outcome.PROVIDER_BROKE, close=True)

    # -- pages of our own -----------------------------------------------------------------------------------------

    def _open_own_page(self) -> None:
        if self._choose_way().head.path != b"/health":
            if self._plan.expects_continue:
                self._invite_body()
            self._connect()
        elif self.caller is not None:
            self.done = True
            self.caller.answer_json(self.request, 200, self._desk.health())
            self.caller.exchange_done(self.request)
