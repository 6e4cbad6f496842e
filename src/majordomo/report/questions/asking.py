"""What nearly every question is asked with, as it came and as it is understood: which requests, in which time."""

import datetime as dt
from uuid import UUID

import msgspec

from majordomo.record.database import Connection
from majordomo.report.questions.cells import Scope
from majordomo.report.questions.dimensions import Dimension, dimension
from majordomo.report.questions.filters import parse_filters
from majordomo.report.questions.known import Known, known
from majordomo.report.questions.periods import Period, period

_KEY = Dimension("key")


class Common(msgspec.Struct, frozen=True):
    """The common part as it came."""

    preset: str | None
    since: str | None
    until: str | None
    zone: str
    filters: list[str]


class Asked(msgspec.Struct, frozen=True):
    """The same, understood."""

    period: Period
    scope: Scope

    @property
    def known(self) -> Known:
        """The names that the organisation's questions may use."""
        return self.scope.known

    @property
    def previous(self) -> Scope:
        """The same requests in the time of the same length before."""
        before = self.period.previous
        return msgspec.structs.replace(self.scope, since=before.since, until=before.until, running=False)

    def dimension(self, given: str) -> Dimension:
        """The dimension of this name.

        Raises:
            UnknownDimensionError: the organisation has none such.
        """
        return dimension(given, self.scope.known.metadata)


async def understand(
    connection: Connection, org_id: UUID | None, given: Common, now: dt.datetime, span: Period | None = None
) -> Asked:
    """What the common part means for an organisation (None: for all); ``span`` if its time is known already.

    Raises:
        TimeError, FilterError, UnknownDimensionError: something is not understood; the message says what is allowed.
    """
    span = span or period(given.preset, given.since, given.until, given.zone, now)
    names = await known(connection, org_id)
    chosen = parse_filters(given.filters, names.metadata)
    scope = Scope(
        org_id=org_id,
        since=span.since,
        until=span.until,
        running=span.running,
        filters=tuple(names.with_key_ids(one) if one.dimension == _KEY else one for one in chosen),
        known=names,
    )
    return Asked(span, scope)
