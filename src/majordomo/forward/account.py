"""The books of one request: opened in the journal before it leaves, metered as its reply passes, closed when it ends.

Nothing in here may fail or delay the caller: a fault in metering or pricing costs a field of the row, never the reply.
"""

from majordomo.admit.keys import Key
from majordomo.admit.refusal import Refusal
from majordomo.apis import Api
from majordomo.budget.gate import Pass
from majordomo.clock import steady, wall_us
from majordomo.forward.books import Books
from majordomo.forward.plan import Plan
from majordomo.ids import uuid_text
from majordomo.logs import logger
from majordomo.meter.claude_class import MAIN
from majordomo.meter.claude_code import ClaudeDetails
from majordomo.meter.claude_details import details_of
from majordomo.meter.claude_reply import ClaudeReply
from majordomo.meter.claude_request import ClaudeRequest, read_claude_request
from majordomo.meter.readers import reader_for
from majordomo.meter.reading import Reader, Reading, RequestFacts, UsageState
from majordomo.meter.request import read_request
from majordomo.price.bill import Bill
from majordomo.record.frames import Close, Outcome

_log = logger("account")

_NO_FACTS = RequestFacts()
_BROKEN_METER = "meter_failed"


class Account:
    """One request's row in the making."""

    __slots__ = (
        "_books",
        "_claude_reply",
        "_claude_request",
        "_facts",
        "_first_byte",
        "_key_id",
        "_plan",
        "_reader",
        "_request_body",
        "_requested_at",
        "_started",
        "_streamed",
        "ended",
        "id",
        "passed",
        "sent",
        "status",
    )

    def __init__(self, books: Books, plan: Plan) -> None:
        self._books = books
        self._plan = plan
        self._requested_at = wall_us()
        self._started = steady()
        self._first_byte: float | None = None
        self._reader: Reader | None = None
        self._request_body: bytes | bytearray | None = None
        self._facts: RequestFacts | None = None
        self._key_id = b""
        self._claude_request: ClaudeRequest | None = None
        self._claude_reply: ClaudeReply | None = None  # of a request of Claude Code's that was not refused
        self._streamed = False
        self.id = books.ids.make(self._requested_at)
        self.status: int | None = None
        self.sent = False  # the whole request went to the provider
        self.ended = False
        self.passed: Pass | None = None  # what budgets have set apart for it

    @property
    def id_text(self) -> str:
        """The request's id as callers and SQL see it."""
        return uuid_text(self.id)

    def opening(self, key: Key) -> bytes:
        """The frame that the journal gets before the request leaves; from then on it has a row, whatever happens."""
        self._key_id = key.id
        return self._books.opening(self._plan, key, self.id, self._requested_at)

    def take_detour(self, plan: Plan) -> None:
        """The request goes another way than it was opened for."""
        self._plan = plan

    # -- the request ----------------------------------------------------------------------------------------------

    def keep_body(self, piece: bytes) -> None:
        """Keep a copy of the request's body for reading after it went out."""
        kept = self._request_body
        if kept is None:
            self._request_body = piece
        elif isinstance(kept, bytearray):
            kept += piece
        else:
            self._request_body = bytearray(kept) + piece

    @property
    def request_body(self) -> bytes | bytearray:
        """The body as far as it has come."""
        return self._request_body if self._request_body is not None else b""

    def facts(self) -> RequestFacts:
        """What the request's body says, read once; what it says as Claude Code's, when the request has gone out."""
        gone = self.sent or self.ended
        if self._facts is None or (gone and self._claude_request is None and self._plan.claude is not None):
            plan, body = self._plan, self.request_body
            try:
                if gone and plan.claude is not None:
                    self._facts, self._claude_request = read_claude_request(
                        body, plan.claude, self._books.claude_modes, self._key_id
                    )
                else:
                    self._facts = read_request(plan.api, plan.path_text, body, plan.content_type)
            except Exception:
                self._books.counters.meter_failures += 1
                _log.exception("reading a request body failed", api=plan.api.value)
                self._facts = _NO_FACTS
            if gone or plan.claude is None:
                self._request_body = None  # the copy is let go
        return self._facts

    def asks_for_a_turn(self) -> bool:
        """Whether it will be counted as a turn if it is answered: not if Claude Code asks it on the side."""
        claude = self._plan.claude
        if claude is None:
            return True
        _, request = read_claude_request(self.request_body, claude, self._books.claude_modes, self._key_id)
        return request.query_class in (None, MAIN)

    # -- the reply ------------------------------------------------------------------------------------------------

    def reply_began(self, status: int, content_type: str, content_encoding: str) -> None:
        """The provider's reply head is there."""
        self.status = status
        self._streamed = content_type.startswith("text/event-stream") or self._plan.api is Api.GEMINI_STREAM
        if self._plan.claude is not None and status < 400:
            self._claude_reply = ClaudeReply()
        try:
            self._reader = reader_for(
                self._plan.api,
                status=status,
                content_type=content_type,
                content_encoding=content_encoding,
                limit=self._books.max_reading_bytes,
                claude=self._claude_reply,
            )
        except Exception:
            self._meter_failed("choosing a reader failed")

    def saw(self, body: bytes) -> None:
        """A piece of the reply's body has passed."""
        if self._first_byte is None:
            self._first_byte = steady()
        if self._reader is not None:
            try:
                self._reader.feed(body)
            except Exception:
                self._meter_failed("reading a reply failed")

    def caller_gone(self) -> None:
        """The caller hears nothing of what comes from here on."""
        if self._claude_reply is not None:
            self._claude_reply.heard = False

    def _meter_failed(self, what: str) -> None:
        self._books.counters.meter_failures += 1
        self._reader = None
        _log.exception(what, api=self._plan.api.value)

    # -- the end --------------------------------------------------------------------------------------------------

    def end(self, outcome: Outcome, *, complete: bool, drained: bool = False, refusal: Refusal | None = None) -> None:
        """Write the close of a request that did not run its course."""
        if not self.ended:
            self._books.close((self.close(outcome, complete=complete, drained=drained, refusal=refusal),))

    def close(
        self, outcome: Outcome, *, complete: bool, drained: bool = False, refusal: Refusal | None = None
    ) -> Close:
        """What the journal is told at the end.

        ``complete``: the reply came to its end; ``drained``: the caller was gone by then.
        """
        self.ended = True
        ended_at, ended = wall_us(), steady()
        facts = self.facts()
        reading = self._reading(facts, outcome, complete)
        if drained and reading.state is UsageState.FINAL:
            reading.state = UsageState.DRAINED
        if refusal is not None:
            self.status = refusal.status
            reading.error_type, reading.error_message = refusal.code, refusal.message
        bill = self._bill(reading, facts)
        first = self._first_byte
        close = Close(
            id=self.id,
            outcome=outcome,
            status_code=self.status,
            responded_at=ended_at,
            response_time_ms=round((ended - self._started) * 1000),
            time_to_first_byte_ms=None if first is None else round((first - self._started) * 1000),
            streamed=self._streamed,
            requested_model=facts.model,
            model=reading.model or facts.model,
            usage_state=reading.state,
            usage=reading.usage,
            input_tokens=reading.input_tokens,
            output_tokens=reading.output_tokens,
            cached_tokens=reading.cached_tokens,
            cache_creation_tokens=reading.cache_creation_tokens,
            cache_creation_5m_tokens=reading.cache_creation_5m_tokens,
            cache_creation_1h_tokens=reading.cache_creation_1h_tokens,
            reasoning_tokens=reading.reasoning_tokens,
            prompt_tokens=reading.prompt_tokens,
            service_tier=reading.service_tier,
            parts=reading.parts,
            speed=reading.speed,
            geo=reading.geo,
            batch=reading.batch,
            bill=bill,
            error_type=reading.error_type,
            error_message=reading.error_message,
            problems=reading.problems + facts.problems,
            billed_once=reading.billed_once,
            claude=self._claude_details(reading, complete=complete) if refusal is None else None,
        )
        if self.passed is not None:
            self._settle(self.passed, close)
        return close

    def _settle(self, passed: Pass, close: Close) -> None:
        try:
            passed.settle(close)
        except Exception:
            self._books.counters.meter_failures += 1
            _log.exception("settling with the budgets failed", api=self._plan.api.value)

    def _claude_details(self, reading: Reading, *, complete: bool) -> ClaudeDetails | None:
        """The details of a request of Claude Code's that the provider began to answer."""
        request, reply, plan = self._claude_request, self._claude_reply, self._plan
        if request is None or reply is None or self.status is None or plan.claude is None:
            return None
        try:
            told = self._books.claude_prices
            return details_of(request, reply, reading, self.facts().model, plan.claude, complete=complete, told=told)
        except Exception:
            self._books.counters.meter_failures += 1
            _log.exception("reading the details of Claude Code failed")
            return None

    def _reading(self, facts: RequestFacts, outcome: Outcome, complete: bool) -> Reading:
        if self._reader is None and self.sent and outcome is Outcome.CLIENT_CLOSED and self.status is None:
            # The provider has the request and was cut off before a word: what it read can be estimated.
            self.reply_began(200, "", "")
            self.status = None
        if self._reader is None:
            return Reading(problems=(_BROKEN_METER,) if self._first_byte is not None else ())
        try:
            return self._reader.finish(facts, complete=complete)
        except Exception:
            self._meter_failed("finishing a reading failed")
            return Reading(problems=(_BROKEN_METER,))

    def _bill(self, reading: Reading, facts: RequestFacts) -> Bill:
        try:
            provider = self._plan.provider
            name = provider.name if provider is not None else ""
            return self._books.pricer.bill(name, self._plan.api, reading, facts, self._requested_at)
        except Exception:
            self._books.counters.meter_failures += 1
            _log.exception("pricing failed", api=self._plan.api.value)
            return Bill(problems=("pricing_failed",))
