"""Hands a journal of this machine to a gateway, piece by piece, from where the gateway says that it stands.

Whatever is cut may be repeated: a piece is taken only at its place (``record/ingest.py``). The journal goes when all of
it was taken; a request that the gateway cannot take is put aside first, and ``null`` sent in its place.
"""

import time
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from majordomo.clock import steady
from majordomo.companion.errors import CompanionError
from majordomo.companion.gateway import Answer, Gateway, GatewayAway, GatewayRefusedError
from majordomo.companion.waiting import WaitingJournal
from majordomo.record.delivery import MOST_BYTES, MOST_REQUESTS, VERSION

#: Seconds for one piece; it takes a tenth of one.
PIECE_SECONDS = 60.0

#: Bytes of requests in one piece, less than all: numbers and brackets are around them.
_PIECE_BYTES = MOST_BYTES - 4096

#: How often a piece is sent again because others are being taken, or because somebody moved the position; and the
#: pause between (s).
_TRIES = 20
_PAUSE = 0.5

_TOO_LARGE = "it is larger than a delivery may be"
_NULL = b"null"
_CONFLICT, _UNFIT = 409, 422

_encode = msgspec.json.Encoder().encode


class HandoverError(CompanionError):
    """The gateway does not take this journal. The message says why, and what to do."""


class Handed(NamedTuple):
    """What became of a journal."""

    delivered: int  # requests that the gateway has now, and did not have from us before
    refused: int  # put aside
    whole: bool  # nothing of it is left to deliver


class _Piece:
    """The next requests of a journal, each as JSON."""

    def __init__(self, requests: list[bytes]) -> None:
        self.requests = requests

    def body(self, position: int) -> bytes:
        head = b'{"version":%d,"position":%d,"requests":[' % (VERSION, position)
        return head + b",".join(self.requests) + b"]}"


def hand_over(journal: WaitingJournal, gateway: Gateway, seconds: float | None = None) -> Handed:
    """Deliver a journal that was taken, and remove it. ``seconds``: stop, for another time, when they are over.

    Raises:
        GatewayAway: try again later; what was taken until then is not sent again.
        GatewayRefusedError, HandoverError: the gateway does not take it.
        OSError: the disk fails.
    """
    if journal.empty():
        journal.remove()
        return Handed(0, 0, True)
    return _Handover(journal, gateway, None if seconds is None else steady() + seconds).run()


class _Handover:
    def __init__(self, journal: WaitingJournal, gateway: Gateway, deadline: float | None) -> None:
        self._journal = journal
        self._gateway = gateway
        self._path = f"/api/v1/ingest/{journal.journal_id}"
        self._deadline = deadline
        self._delivered = self._refused = self._waits = 0

    def run(self) -> Handed:
        position = _position(self._ask("GET", None))
        while (moved := self._from(position)) is not None:
            position = moved
            self._wait("others deliver the same journal")
        whole = not self._late()
        if whole:
            self._journal.remove()
        return Handed(self._delivered, self._refused, whole)

    def _from(self, position: int) -> int | None:
        """Deliver what comes from there on; where to begin anew, if the gateway stands elsewhere."""
        for piece in self._pieces(position):
            while not self._late():
                answer = self._ask("POST", piece.body(position))
                if answer.status == 200:
                    self._delivered += _count(answer.told, "stored") + _count(answer.told, "duplicates")
                    position = _position(answer)
                    break
                if answer.status == _CONFLICT and answer.code == "position_moved":
                    return _moved_to(answer)
                if answer.status == _UNFIT:
                    self._put_aside(piece, _problems(answer, len(piece.requests)))
                elif answer.code == "busy":
                    self._wait("it is busy with other deliveries")
                else:
                    raise self._error(answer)
            if self._late():
                break
        return None

    def _pieces(self, position: int) -> Iterator[_Piece]:
        requests: list[bytes] = []
        size = 0
        for request in islice(self._journal.requests(), position, None):
            text = _encode(request)
            if len(text) > _PIECE_BYTES:
                self._keep({text: _TOO_LARGE})
                text = _NULL
            if requests and (len(requests) == MOST_REQUESTS or size + len(text) > _PIECE_BYTES):
                yield _Piece(requests)
                requests, size = [], 0
            requests.append(text)
            size += len(text) + 1
        if requests:
            yield _Piece(requests)

    def _put_aside(self, piece: _Piece, problems: dict[int, str]) -> None:
        found = {place: why for place, why in problems.items() if piece.requests[place] != _NULL}
        if not found:
            raise HandoverError(f"{self._gateway.url} refuses requests of a delivery, and does not say which")
        self._keep({piece.requests[place]: why for place, why in found.items()})
        for place in found:
            piece.requests[place] = _NULL

    def _keep(self, requests: dict[bytes, str]) -> None:
        self._journal.put_aside(b'{"problem":%b,"request":%b}' % (_encode(why), one) for one, why in requests.items())
        self._refused += len(requests)

    def _ask(self, method: str, body: bytes | None) -> Answer:
        left = PIECE_SECONDS if self._deadline is None else max(0.1, self._deadline - steady())
        answer = self._gateway.ask(method, self._path, body, min(left, PIECE_SECONDS))
        if answer.status in (401, 403):
            raise GatewayRefusedError(
                f"the gateway at {self._gateway.url} refuses the key: {answer.message} "
                "Check it with `majordomo keys list` there."
            )
        if method == "GET" and answer.status != 200:
            raise self._error(answer)
        return answer

    def _error(self, answer: Answer) -> HandoverError:
        if answer.status == _CONFLICT:
            return HandoverError("another key began to deliver this session; use that one")
        if answer.status == 404:
            return HandoverError(f"the gateway at {self._gateway.url} takes no deliveries; is it an older version?")
        return HandoverError(f"the gateway at {self._gateway.url} does not take it: {answer.message}")

    def _late(self) -> bool:
        return self._deadline is not None and steady() > self._deadline

    def _wait(self, why: str) -> None:
        self._waits += 1
        if self._waits > _TRIES:
            raise GatewayAway(f"{self._gateway.url}: {why}; try again later")
        time.sleep(_PAUSE)


def _count(told: dict[str, Any], name: str) -> int:
    found = told.get(name)
    return found if isinstance(found, int) and found >= 0 else 0


def _position(answer: Answer) -> int:
    found = answer.told.get("position")
    if not isinstance(found, int) or found < 0:
        raise HandoverError("the gateway does not say how much of the session it has; is it one of Majordomo's?")
    return found


def _moved_to(answer: Answer) -> int:
    details = answer.details
    return _position(answer._replace(told=details[0] if details and isinstance(details[0], dict) else {}))


def _problems(answer: Answer, count: int) -> dict[int, str]:
    """Why, by the requests' places in the piece."""
    found = {}
    for detail in answer.details:
        place = detail.get("index") if isinstance(detail, dict) else None
        if isinstance(place, int) and 0 <= place < count:
            found[place] = str(detail.get("problem"))
    return found
