"""What one look of the event loop brought in is done together.

Requests that arrived in the same tick are opened with one write to the journal, then forwarded; those of them that a
budget refuses are closed with one write, then answered; replies that ended in the same tick are closed with one write,
then sent. So each request has its opening on record before it leaves, and each reply its close before the caller has
all of it, at a part of the price: fewer system calls, and each piece of code runs on a batch while it is in the
processor's cache.
"""

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from majordomo.admit.refusal import Refusal
from majordomo.forward.books import Books
from majordomo.logs import logger
from majordomo.record.frames import Close
from majordomo.record.journal import JournalFull

if TYPE_CHECKING:
    from majordomo.forward.exchange import Exchange
    from majordomo.forward.relay import Relay

_log = logger("tick")


class _Refused(NamedTuple):
    """An exchange that a budget refuses. ``body``: what is said, if it is not an error."""

    exchange: "Exchange"
    refusal: Refusal
    body: bytes | None


class Tick:
    """The exchanges that wait for the end of this look."""

    __slots__ = ("_arrived", "_books", "_ended", "_loop", "_refused")

    def __init__(self, loop: asyncio.AbstractEventLoop, books: Books) -> None:
        self._loop = loop
        self._books = books
        self._arrived: list[Exchange] = []
        self._ended: list[Relay] = []
        self._refused: list[_Refused] | None = None  # of the batch that is being admitted

    def admit(self, exchange: "Exchange") -> None:
        """Open this exchange's books and let it go on."""
        if not self._arrived:
            self._loop.call_soon(self._admit_all)
        self._arrived.append(exchange)

    def refuse(self, exchange: "Exchange", refusal: Refusal, body: bytes | None) -> None:
        """Close this exchange's books and answer it: with the others of its batch, or at once."""
        if self._refused is None:
            exchange.answer_refused(refusal, body)
        else:
            self._refused.append(_Refused(exchange, refusal, body))

    def finish(self, exchange: "Relay") -> None:
        """Close this exchange's books and send the rest of its reply."""
        if not self._ended:
            self._loop.call_soon(self._finish_all)
        self._ended.append(exchange)

    def _admit_all(self) -> None:
        batch, self._arrived = self._arrived, []
        admitted: list[Exchange] = []
        openings: list[bytes] = []
        for exchange in batch:
            try:
                opening = exchange.opening()
            except Exception:
                self._give_up(exchange)
                continue
            if opening is not None:
                admitted.append(exchange)
                if opening:
                    openings.append(opening)
        recorded = True
        try:
            if openings:
                self._books.open(openings)
        except JournalFull:
            recorded = False
        refused: list[_Refused] = []
        self._refused = refused
        for exchange in admitted:
            try:
                exchange.go(recorded=recorded)
            except Exception:
                self._give_up(exchange)
        self._refused = None
        if refused:
            self._answer_refused(refused)

    def _answer_refused(self, refused: "list[_Refused]") -> None:
        closes: list[Close] = []
        for exchange, refusal, _ in refused:
            try:
                close = exchange.close_refused(refusal)
            except Exception:
                self._give_up(exchange)
                continue
            if close is not None:
                closes.append(close)
        if closes:
            self._books.close(closes)
        for exchange, refusal, body in refused:
            try:
                exchange.answer_refused(refusal, body)
            except Exception:
                self._give_up(exchange)

    def _finish_all(self) -> None:
        batch, self._ended = self._ended, []
        whole: list[Relay] = []
        closes: list[Close] = []
        for exchange in batch:
            try:
                exchange.end_reply()
            except Exception:
                self._give_up(exchange)
            else:
                whole.append(exchange)
        for exchange in whole:
            close = exchange.close()
            if close is not None:
                closes.append(close)
        if closes:
            self._books.close(closes)
        for exchange in whole:
            try:
                exchange.finish()
            except Exception:
                self._give_up(exchange)

    def _give_up(self, exchange: "Relay") -> None:
        """A fault of ours in one exchange ends that one, and none of those beside it."""
        _log.exception("an exchange failed")
        self._books.counters.faults += 1
        exchange.give_up()
