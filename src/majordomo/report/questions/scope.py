"""Which requests a question is about, and from which tables its stretch of time is read cheapest."""

import datetime as dt
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


def _down(moment: dt.datetime, step: dt.timedelta) -> dt.datetime:
    return moment - (moment - BEGINNING) % step


def _up(moment: dt.datetime, step: dt.timedelta) -> dt.datetime:
    return -((BEGINNING - moment) // step) * step + BEGINNING
