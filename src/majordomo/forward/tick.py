"""What one look of the event loop brought in is done together.

Requests that arrived in the same tick are opened with one write to the journal, then forwarded; replies that ended in
the same tick are closed with one write, then sent. So each request has its opening on record before it leaves, and each
reply its close before the caller has all of it, at a part of the price: fewer system calls, and each piece of code runs
on a batch while it is in the processor's cache.
"""

import asyncio
from typing import TYPE_CHECKING

from majordomo.forward.books import Books
from majordomo.record.frames import Close
from majordomo.record.journal import JournalFull

if TYPE_CHECKING:
    from majordomo.forward.exchange import Exchange


class Tick:
    """The exchanges that wait for the end of this look."""

    __slots__ = ("_arrived", "_books", "_ended", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, books: Books) -> None:
        self._loop = loop
        self._books = books
        self._arrived: list[Exchange] = []
        self._ended: list[Exchange] = []

    def admit(self, exchange: "Exchange") -> None:
        """Open this exchange's books and let it go on."""
        if not self._arrived:
            self._loop.call_soon(self._admit_all)
        self._arrived.append(exchange)

    def finish(self, exchange: "Exchange") -> None:
        """Close this exchange's books and send the rest of its reply."""
        if not self._ended:
            self._loop.call_soon(self._finish_all)
        self._ended.append(exchange)

    def _admit_all(self) -> None:
        batch, self._arrived = self._arrived, []
        admitted: list[Exchange] = []
        openings: list[bytes] = []
        for exchange in batch:
            opening = exchange.opening()
            if opening is not None:
                admitted.append(exchange)
                openings.append(opening)
        try:
            if openings:
                self._books.journal.append_openings(openings)
        except JournalFull:
            for exchange in admitted:
                exchange.go_unrecorded()
            return
        for exchange in admitted:
            exchange.go()

    def _finish_all(self) -> None:
        batch, self._ended = self._ended, []
        for exchange in batch:
            exchange.end_reply()
        closes: list[Close] = []
        for exchange in batch:
            close = exchange.close()
            if close is not None:
                closes.append(close)
        if closes:
            self._books.close(closes)
        for exchange in batch:
            exchange.finish()
