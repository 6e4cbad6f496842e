"""After a session: does Claude Code's own account agree with what was booked here?

What it shows in ``/usage`` counts one process, whatever its sessions: ``/clear`` goes on summing under a new session
id, an interactive ``--resume`` of the project's last session starts from that session's cost, and a session that is
resumed from the list inside the CLI starts anew. The wire shows session ids, not processes, so each of these is tried.
A difference that none explains is told: this CLI counts in another way than the version measured here.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from majordomo.companion.claude_state import Recorded, last_sessions
from majordomo.meter.claude_display import money
from majordomo.meter.claude_release import LONG_SUFFIX, RELEASE

#: USD. Less than any token costs, and more than doubles lose when they are added in another order.
TOLERANCE = 1e-9


class Result(Protocol):
    """Where a child's JSON result can be seen."""

    def read(self) -> Recorded | None:
        """The last one; None if there is none."""


class Booking(NamedTuple):
    """One request as booked here, in the order of booking."""

    session_id: str | None  # the client's own: X-Claude-Code-Session-Id
    model: str  # as requested
    usage_cost: float  # USD


class Difference(NamedTuple):
    """What does not agree: the CLI's figure, and the nearest one of ours."""

    theirs: float
    ours: float
    by_model: dict[str, tuple[float, float]]  # theirs, ours; those that differ
    version: str | None


class _Account(NamedTuple):
    """One way to explain the CLI's figure: bookings on top of what it restored."""

    cost: float
    by_model: dict[str, float]


class DriftCheck:
    """Made before the child ends, best right after it starts: what is written until then is not its own."""

    def __init__(self, state: Path, result: Result | None = None) -> None:
        self._state = state
        self._result = result
        self._before = last_sessions(state)

    def line(self, bookings: Sequence[Booking], version: str | None = None) -> str | None:
        """One line if the CLI's account and ``bookings`` differ; None if they agree or it left no account."""
        for difference in self.differences(bookings, version):
            return told(difference)
        return None

    def differences(self, bookings: Sequence[Booking], version: str | None = None) -> Iterator[Difference]:
        """Each account of this run that ``bookings`` do not explain. ``version``: of the CLI, as seen on the wire."""
        seen = {booking.session_id for booking in bookings}
        for recorded, before in self._accounts():
            if recorded.session_id in seen:
                difference = compare(recorded, before, bookings)
                if difference is not None:
                    yield difference._replace(version=recorded.version or version)

    def _accounts(self) -> Iterator[tuple[Recorded, Recorded | None]]:
        """What was written since, with what stood there before."""
        if self._result is not None and (result := self._result.read()) is not None:
            yield result, None
        for project, recorded in last_sessions(self._state).items():
            before = self._before.get(project)
            if recorded != before:
                yield recorded, before


def compare(recorded: Recorded, before: Recorded | None, bookings: Sequence[Booking]) -> Difference | None:
    """None if some way of counting gives the recorded cost."""
    accounts = list(_explanations(recorded, before, bookings))
    if any(abs(account.cost - recorded.cost) <= TOLERANCE for account in accounts):
        return None
    nearest = min(accounts, key=lambda account: abs(account.cost - recorded.cost))
    theirs = _folded(recorded.by_model.items())
    by_model = {
        model: pair
        for model in sorted({*theirs, *nearest.by_model})
        if abs((pair := (theirs.get(model, 0.0), nearest.by_model.get(model, 0.0)))[0] - pair[1]) > TOLERANCE
    }
    return Difference(recorded.cost, nearest.cost, by_model, recorded.version)


def _explanations(recorded: Recorded, before: Recorded | None, bookings: Sequence[Booking]) -> Iterator[_Account]:
    starts = [0] + [
        index for index in range(1, len(bookings)) if bookings[index].session_id != bookings[index - 1].session_id
    ]
    scopes = [bookings[start:] for start in starts]
    scopes.append([booking for booking in bookings if booking.session_id == recorded.session_id])
    for scope in scopes:
        yield _account(None, scope)
        if before is not None and any(booking.session_id == before.session_id for booking in scope):
            yield _account(before, scope)


def _account(restored: Recorded | None, bookings: Iterable[Booking]) -> _Account:
    cost = restored.cost if restored else 0.0
    by_model = defaultdict(float, _folded(restored.by_model.items()) if restored else {})
    for booking in bookings:
        cost += booking.usage_cost
        by_model[booking.model.removesuffix(LONG_SUFFIX)] += booking.usage_cost
    return _Account(cost, dict(by_model))


def _folded(costs: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Costs by model as the wire names it."""
    folded: dict[str, float] = defaultdict(float)
    for model, cost in costs:
        folded[model.removesuffix(LONG_SUFFIX)] += cost
    return dict(folded)


def told(difference: Difference) -> str:
    """The one line for people."""
    theirs, ours = _figures(difference.theirs, difference.ours)
    version = difference.version or "of unknown version"
    models = "; ".join(
        f"{_harmless(model)} {' against '.join(_figures(*pair))}" for model, pair in difference.by_model.items()
    )
    why = "" if version == RELEASE else f"; its prices or rules may differ from {RELEASE}'s, used here"
    return (
        f"Claude Code {_harmless(version)} counted {theirs}, booked here {ours}{f' ({models})' if models else ''}{why}"
    )


def _figures(theirs: float, ours: float) -> tuple[str, str]:
    """As short as Claude Code writes them, or with every digit where that would hide the difference."""
    short = money(theirs), money(ours)
    return short if short[0] != short[1] else (f"${theirs!r}", f"${ours!r}")


def _harmless(text: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
