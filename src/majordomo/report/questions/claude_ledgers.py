"""One session told: request by request, its cost by several views, and why it is not what ``/usage`` shows.

There are two ledgers. ``total_cost`` is what the provider bills, exact; ``usage_cost`` is what Claude Code's own
``/usage`` books, in its doubles. What lies between them is explained by the class of the requests.
"""

from collections.abc import Callable, Iterable
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

import msgspec

from majordomo.record.database import Connection
from majordomo.report.questions.claude_sessions import Session, SessionRequest, requests, session
from majordomo.report.questions.snapshot import snapshot

#: USD. Doubles of the size of a request's cost are this close to the exact decimal; more is a difference.
ROUNDING = Decimal("1e-9")


class Why(StrEnum):
    """Why a request's two costs differ."""

    NOT_COUNTED = "not counted"  # /usage leaves requests of this kind out
    BROKEN_OFF = "broken off"  # its caller left, or the stream ended early: /usage books what had come, mostly nothing
    OTHER_RATES = "other rates"  # the provider bills a tier, region or length of which the CLI knows nothing
    NOT_PRICED = "not priced"  # /usage has a price for it, and here none is known
    NO_DETAILS = "no details"  # not a request that /usage could know of, or not recorded as Claude Code's


#: The same in words.
REASONS = {
    Why.NOT_COUNTED: "billed, and not counted by /usage",
    Why.BROKEN_OFF: "billed, and broken off before its usage came",
    Why.OTHER_RATES: "billed at other rates: tier, region, long context",
    Why.NOT_PRICED: "in /usage, and no price is known here",
    Why.NO_DETAILS: "no details of Claude Code's were recorded",
}


class Part(msgspec.Struct, frozen=True):
    """Some requests of a session together. ``total_cost`` adds up what is known."""

    value: str | None
    requests: int
    unpriced: int
    total_cost: Decimal
    usage_cost: Decimal


class Gap(msgspec.Struct, frozen=True):
    """What requests of one class cost beyond what ``/usage`` shows for them, for one reason."""

    query_class: str | None
    why: Why
    requests: int
    total_cost: Decimal
    usage_cost: Decimal

    @property
    def difference(self) -> Decimal:
        """Billed beyond what ``/usage`` shows; negative where it shows more."""
        return self.total_cost - self.usage_cost


class Told(msgspec.Struct, frozen=True):
    """A session, its requests in the order in which they came, and what they come to."""

    session: Session
    requests: list[SessionRequest]
    by_model: list[Part]
    by_class: list[Part]
    by_agent: list[Part]  # None: the main loop
    by_tool: list[Part]  # a reply that called several tools is in each of them; None: those that called none
    gaps: list[Gap]
    unpriced: int
    rounding: Decimal  # what is left of the difference of the sums: the rounding of doubles


async def told(
    connection: Connection, session_id: UUID, key_id: UUID | None = None, org_id: UUID | None = None
) -> Told | None:
    """All about one session; with ``key_id`` or ``org_id`` only if it is theirs. None if there is none."""
    async with snapshot(connection):
        found = await session(connection, session_id, key_id, org_id)
        if found is None:
            return None
        asked = await requests(connection, found)
    return tell(found, asked)


def tell(found: Session, asked: list[SessionRequest]) -> Told:
    """The views of a session's requests."""
    gaps = _gaps(asked)
    unexplained = found.total_cost - _exact(found.usage_cost) - sum((gap.difference for gap in gaps), Decimal(0))
    return Told(
        session=found,
        requests=asked,
        by_model=_parts(asked, lambda request: [request.model]),
        by_class=_parts(asked, lambda request: [request.query_class]),
        by_agent=_parts(asked, lambda request: [request.agent_id]),
        by_tool=_parts(asked, lambda request: request.tool_names or [None]),
        gaps=gaps,
        unpriced=sum(_is_unpriced(request) for request in asked),
        rounding=unexplained,
    )


def _parts(asked: list[SessionRequest], values: Callable[[SessionRequest], Iterable[str | None]]) -> list[Part]:
    """Costliest first."""
    found: dict[str | None, list[SessionRequest]] = {}
    for request in asked:
        for value in values(request):
            found.setdefault(value, []).append(request)
    parts = [
        Part(value, len(group), sum(map(_is_unpriced, group)), _billed(group), _booked(group))
        for value, group in found.items()
    ]
    return sorted(parts, key=lambda part: (-part.total_cost, -part.requests, part.value or ""))


def _gaps(asked: list[SessionRequest]) -> list[Gap]:
    """Widest first."""
    found: dict[tuple[str | None, Why], list[SessionRequest]] = {}
    for request in asked:
        why = _why(request)
        if why is not None:
            found.setdefault((request.query_class, why), []).append(request)
    gaps = [
        Gap(query_class, why, len(group), _billed(group), _booked(group)) for (query_class, why), group in found.items()
    ]
    return sorted(gaps, key=lambda gap: (-abs(gap.difference), gap.query_class or ""))


def _why(request: SessionRequest) -> Why | None:
    if abs(_billed([request]) - _booked([request])) <= ROUNDING:
        return None
    if request.usage_cost is None:
        return Why.NO_DETAILS
    if request.total_cost is None:
        return Why.NOT_PRICED
    if request.outcome != "completed":
        return Why.BROKEN_OFF
    return Why.OTHER_RATES if request.usage_cost else Why.NOT_COUNTED


def _is_unpriced(request: SessionRequest) -> bool:
    return request.total_cost is None and request.usage_state != "none"


def _billed(asked: list[SessionRequest]) -> Decimal:
    return sum((request.total_cost or Decimal(0) for request in asked), Decimal(0))


def _booked(asked: list[SessionRequest]) -> Decimal:
    return sum((_exact(request.usage_cost or 0.0) for request in asked), Decimal(0))


def _exact(cost: float) -> Decimal:
    """The shortest decimal that means the double: what whoever reads it sees."""
    return Decimal(repr(cost))
