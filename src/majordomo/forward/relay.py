"""The reply's way back: its head amended, its body relayed and a copy read, its end sent after the books' close."""

from majordomo.forward.ending import Ending
from majordomo.forward.include_usage import UsageWithheld
from majordomo.forward.reply_head import ReplyHead, read_reply_head, request_id_of
from majordomo.forward.upstream import Upstream
from majordomo.record.frames import Close, Outcome

#: What a load balancer says for a gateway that is away; from the gateway itself they carry a request id.
_AWAY_STATUSES = frozenset({502, 503, 504})

#: A body up to this size is sent in one piece with its head, and read on the spot; larger ones once they have gone.
SMALL_BODY = 16 * 1024


class Relay(Ending):
    """An exchange from the first byte of its reply on."""

    __slots__ = ()

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
        return self.request.body_bytes > SMALL_BODY and upstream.transport.get_write_buffer_size() > 0

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
            lines.append(self.account.passed.reply_lines())
        warning = self._warning()
        if warning is not None and not self._plan.recorded_there:
            lines.append(b"X-Majordomo-Warning: " + warning.encode("ascii", "replace"))
        if not request.complete or self._desk.stopping:
            request.keep_alive = False
        if not request.keep_alive:
            lines.append(b"Connection: close")
        lines.append(b"\r\n")
        return b"\r\n".join(lines)
