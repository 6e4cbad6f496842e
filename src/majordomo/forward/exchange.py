"""One request's way: admit, open the books, forward, relay the reply while it is metered, close the books.

The exchange sits between a caller's connection and a provider's and never waits: each method is called when something
has happened on one side and does what follows on the other. Its phases, in order:

    admit (the key may have to be looked up) -> open -> hold (where the body may have to be changed or a budget has to
    know it) -> gate (only where a budget governs it) -> connect -> send -> reply -> done, or drain (the caller has
    gone, the provider is read on for its usage)

This file has the request's way there; ``relay.py`` has the reply's way back, ``ending.py`` the ends in between.
"""

from majordomo.admit import refusal as why
from majordomo.admit.refusal import Refusal
from majordomo.apis import Api
from majordomo.budget.gate import Pass, Waiting, must_be_recorded
from majordomo.forward.account import Account
from majordomo.forward.connect import ConnectFailedError
from majordomo.forward.error_shapes import as_api_says_it
from majordomo.forward.include_usage import ask_for_usage
from majordomo.forward.plan import Plan
from majordomo.forward.providers import Provider
from majordomo.forward.refusal_reply import reply
from majordomo.forward.relay import SMALL_BODY, Relay
from majordomo.forward.upstream import Upstream
from majordomo.logs import logger
from majordomo.record.frames import Close, Outcome
from majordomo.record.journal import JournalFull

_log = logger("exchange")

#: Requests that may be sent again when a reused connection turns out to be dead: they change nothing and cost nothing.
_SAFE_METHODS = frozenset({b"GET", b"HEAD", b"OPTIONS"})

#: Body bytes that may wait for a connection to open before the caller is held back.
_WAITING_BYTES = 256 * 1024


class Exchange(Relay):
    """One request and its reply."""

    __slots__ = ()

    # -- admit --------------------------------------------------------------------------------------------------------

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

    # -- hold, and ask at the gate ------------------------------------------------------------------------------------

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
        try:
            turn = not self._plan.counts_turns or account.asks_for_a_turn()
            answer = self._desk.gate.ask(opening, self._governed, account.facts(), body, turn=turn)
        except Exception:
            self._gate_failed()
            return
        if isinstance(answer, Waiting):
            self._task = self._desk.loop.create_task(self._wait_at_gate(answer))
        else:
            self._pass_gate(answer)

    async def _wait_at_gate(self, waiting: Waiting) -> None:
        try:
            answer = await self._desk.gate.wait(waiting)
        except Exception:
            if not self.done:
                self._gate_failed()
            return
        if not self.done:
            self._pass_gate(answer)
        elif isinstance(answer, Pass):
            answer.cancel()  # the caller has gone meanwhile

    def _gate_failed(self) -> None:
        """A fault of the gate's own stops nobody but those whose budget's owner chose that: ``fail closed``."""
        _log.exception("the gate failed")
        self._desk.books.counters.faults += 1
        if must_be_recorded(self._governed):
            self._refuse(why.budget_undecided("The gateway's budgets failed, and one is set to refuse requests then."))
        else:
            self._connect()

    def _pass_gate(self, answer: Pass | Refusal | None) -> None:
        if isinstance(answer, Refusal):
            self._say_no(answer)
            return
        assert self.account is not None
        self.account.passed = answer
        self._connect()

    def _say_no(self, refusal: Refusal) -> None:
        plan, account, way = self._plan, self.account, self._desk.budget_refusal
        if way == "reply" and plan.api is Api.ANTHROPIC_MESSAGES and refusal.code in why.BUDGET_CODES:
            assert account is not None
            facts = account.facts()
            kind, body = reply(refusal.message, facts.model or "", account.id_text, stream=facts.stream)
            refusal = refusal._replace(status=200, headers={"Content-Type": kind, **refusal.headers})
        else:
            refusal, body = as_api_says_it(plan.family, refusal, way), None
        self._desk.together.refuse(self, refusal, body)

    def close_refused(self, refusal: Refusal) -> Close | None:
        """The close of what a budget refuses, which is answered once that is on record; None if it has ended."""
        account = self.account
        if self.done or account is None or account.ended:
            return None
        return account.close(Outcome.REFUSED, complete=False, refusal=refusal)

    def answer_refused(self, refusal: Refusal, body: bytes | None) -> None:
        """Say why; ``body``: what is said, if it is not an error."""
        self._refuse(refusal, body=body)

    # -- connect ------------------------------------------------------------------------------------------------------

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

    def _may_repeat(self, upstream: Upstream) -> bool:
        """A kept connection that was dead on use, and a request that neither costs nor changes anything."""
        safe = self._plan.method in _SAFE_METHODS and self.request.body_bytes == 0 and self.request.complete
        return safe and upstream.silent and upstream.exchanges > 1

    # -- send ---------------------------------------------------------------------------------------------------------

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
            if request.body_bytes <= SMALL_BODY and not plan.head.chunked:
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
        elif len(body) <= SMALL_BODY:
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
        if self.request.body_bytes <= SMALL_BODY:
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

    # -- pages of our own ---------------------------------------------------------------------------------------------

    def _open_own_page(self) -> None:
        if self._choose_way().head.path != b"/health":
            if self._plan.expects_continue:
                self._invite_body()
            self._connect()
        elif self.caller is not None:
            self.done = True
            self.caller.answer_json(self.request, 200, self._desk.health())
            self.caller.exchange_done(self.request)
