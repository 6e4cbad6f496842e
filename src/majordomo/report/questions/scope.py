"""Which requests a question is about, and from which tables its stretch of time is read cheapest."""

import datetime as dt
from collections.abc import Iterable
from uuid import UUID

import msgspec

#: Bounds of time where none is given. Years that PostgreSQL and Python both know.
BEGINNING = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
END = dt.datetime(9999, 1, 1, tzinfo=dt.UTC)

HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)

Stretch = tuple[dt.datetime, dt.datetime]


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """Requests taken up in ``[since, until)`` that match every filter given. Times are aware; None means no bound."""

    since: dt.datetime | None = None
    until: dt.datetime | None = None
    keys: tuple[UUID, ...] | None = None
    provider: str | None = None
    model: str | None = None  # "" for requests that name none
    metadata: dict[str, str] = {}

    @property
    def stretch(self) -> Stretch:
        """The bounds with open ends filled in; empty (equal) if they cross."""
        since = BEGINNING if self.since is None else self.since.astimezone(dt.UTC)
        until = END if self.until is None else self.until.astimezone(dt.UTC)
        return since, max(since, until)

    @property
    def filters(self) -> tuple[list[UUID] | None, str | None, str | None, str | None]:
        """Keys, provider, model and metadata (JSON text) as the statements take them."""
        metadata = msgspec.json.encode(self.metadata).decode() if self.metadata else None
        return (None if self.keys is None else list(self.keys), self.provider, self.model, metadata)


class Pieces(msgspec.Struct, frozen=True):
    """A stretch of time cut so that each part is read from one table. The parts adjoin and may be empty."""

    raw_before: Stretch
    raw_after: Stretch
    hourly_before: Stretch
    hourly_after: Stretch
    daily: Stretch

    @property
    def bounds(self) -> tuple[dt.datetime, ...]:
        """The ten bounds in the order of the statements' parameters."""
        return (*self.raw_before, *self.raw_after, *self.hourly_before, *self.hourly_after, *self.daily)


def only_rows(stretch: Stretch) -> Pieces:
    """Everything from the rows themselves."""
    since, until = stretch
    return Pieces(stretch, (until, until), (since, since), (until, until), (until, until))


def cut(stretch: Stretch, *, daily: bool = True, sums_from: dt.datetime = BEGINNING) -> Pieces:
    """Rows at ragged edges, hourly sums up to whole days, daily sums between (unless ``daily`` is False).

    Nothing before ``sums_from`` is taken from sums.
    """
    since, until = stretch
    first_hour = _up(max(since, sums_from), HOUR)
    last_hour = _down(until, HOUR)
    if first_hour >= last_hour:
        return only_rows(stretch)
    first_day, last_day = _up(first_hour, DAY), _down(last_hour, DAY)
    if not daily or first_day >= last_day:
        first_day = last_day = last_hour
    return Pieces(
        (since, first_hour), (last_hour, until), (first_hour, first_day), (last_day, last_hour), (first_day, last_day)
    )


class Tiers(msgspec.Struct, frozen=True):
    """A scope's time: what of it is read from rows, what from sums of hours and of days.

    ``unsummed``: whole hours that would be read from sums, if these had them. ``splits``: moments at half past at which
    hours of the sums are cut in two.
    """

    rows: list[Stretch]
    hourly: list[Stretch] = []
    daily: list[Stretch] = []
    unsummed: list[Stretch] = []
    splits: list[dt.datetime] = []

    @property
    def in_rows(self) -> list[Stretch]:
        """What is read from rows if nothing else has it."""
        return joined([*self.rows, *self.unsummed])


def real(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Those that are not empty."""
    return [stretch for stretch in stretches if stretch[0] < stretch[1]]


def joined(stretches: Iterable[Stretch]) -> list[Stretch]:
    """The same time in order, with adjoining stretches as one."""
    found: list[Stretch] = []
    for since, until in sorted(stretches):
        if found and found[-1][1] == since:
            found[-1] = found[-1][0], until
        else:
            found.append((since, until))
    return found


def without(
    stretches: Iterable[Stretch], starts: Iterable[dt.datetime], length: dt.timedelta
) -> tuple[list[Stretch], list[Stretch]]:
    """What is left of some stretches without the periods that begin at ``starts``, and which of these lay within."""
    left, taken = [], []
    ordered = sorted(starts)
    for since, until in stretches:
        for start in ordered:
            if since <= start < until:
                left.append((since, start))
                taken.append((start, start + length))
                since = start + length
        left.append((since, until))
    return real(left), joined(taken)


def _down(moment: dt.datetime, step: dt.timedelta) -> dt.datetime:
    return moment - (moment - BEGINNING) % step


def _up(moment: dt.datetime, step: dt.timedelta) -> dt.datetime:
    return -((BEGINNING - moment) // step) * step + BEGINNING
