"""How an exchange ends before its reply does: refusals, hang-ups, faults, timeouts; and what both sides hold back.

This is the ground that the rest of an exchange stands on: its state, and every way out of it. What is refused is said
in the called API's own shape; where the reply has begun already, there is nothing left but to cut it off.
"""

import asyncio
from typing import TYPE_CHECKING

from majordomo.admit import refusal as why
from majordomo.admit.keys import Key
from majordomo.admit.refusal import Refusal
from majordomo.admit.sessions import FOREIGN_SESSION
from majordomo.budget.matching import Governed
from majordomo.forward.account import Account
from majordomo.forward.error_shapes import error_body, own_error_body
from majordomo.forward.include_usage import UsageWithheld
from majordomo.forward.plan import joined
from majordomo.forward.reply_head import read_reply_head
from majordomo.forward.request import Request
from majordomo.forward.upstream import Upstream
from majordomo.record.frames import Outcome

if TYPE_CHECKING:
    from majordomo.forward.caller import Caller
    from majordomo.forward.desk import Desk


class Ending:
    """The state of one request and its reply, and how it ends when it does not run its course."""

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

    def _end(self, outcome: Outcome, refusal: Refusal | None = None) -> None:
        """Close the books on an exchange that did not run its course, and let the provider go."""
        self.done = True
        if self.account is not None:
            self.account.end(outcome, complete=False, refusal=refusal)
        if self._upstream is not None:
            self._upstream.drop()
            self._upstream = None

    def _refuse(
        self,
        refusal: Refusal,
        outcome: Outcome = Outcome.REFUSED,
        *,
        close: bool = False,
        body: bytes | None = None,
    ) -> None:
        """Answer in the called API's own shape instead of the provider; where its reply has begun, cut it off.

        ``body``: what is said, if it is not an error.
        """
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
        if body is None:
            body = own_error_body(refusal) if plan.own_page else error_body(plan.family, refusal, request_id)
        if close:
            self.request.keep_alive = False
        caller.answer(self.request, refusal, body, request_id=request_id, warning=self._warning())
        caller.exchange_done(self.request)

    def _warning(self) -> str | None:
        """What was left out of the books, as far as it is known by now."""
        plan, key = self._plan, self._key
        if plan.session is None or key is None or not self._desk.sessions.is_foreign(plan.session, key.id):
            return plan.warning
        return joined(plan.warning, FOREIGN_SESSION)

    def _provider_failed(self, reason: str) -> None:
        """There will be no reply from the provider."""
        provider = self._plan.provider
        assert provider is not None
        if self._plan.own_page:
            self._refuse(why.BACK_OFFICE_AWAY)
        else:
            self._refuse(why.unreachable(provider.name, reason), Outcome.PROVIDER_BROKE)

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

    def stop_endless(self) -> None:
        """The gateway is stopping: events of its own, which only the other side would end, end here and in order."""
        upstream, caller = self._upstream, self.caller
        if not self._plan.own_page or not self._replying or self.done or upstream is None or caller is None:
            return
        if not read_reply_head(upstream.raw_head).is_plain_event_stream:
            return
        self.request.keep_alive = False
        self._end(Outcome.GATEWAY_STOPPED)
        if self._stalled_at is not None:
            caller.abort()
        elif self._chunked_reply:
            caller.write(b"0\r\n\r\n")
        caller.exchange_done(self.request)

    # -- the caller has gone ------------------------------------------------------------------------------------------

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

    # -- flow control and time ----------------------------------------------------------------------------------------

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
