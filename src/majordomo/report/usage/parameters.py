"""What the routes under ``/api/v1/usage`` are asked with: a period, filters, a dimension. Read, checked, resolved."""

import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated, Final, Literal, TypeVar

from fastapi import Depends, Query, Request

from majordomo.record.database import Connection
from majordomo.report.errors import ApiError
from majordomo.report.identity import Principal
from majordomo.report.questions import asking as questions
from majordomo.report.questions.asking import Asked, Common
from majordomo.report.questions.cursors import MOST_CURSOR_CHARACTERS
from majordomo.report.questions.dimensions import BUILT_IN, MOST_NAME_CHARACTERS, UnknownDimensionError
from majordomo.report.questions.filters import MOST_FILTERS, FilterError
from majordomo.report.questions.periods import PRESETS
from majordomo.report.questions.snapshot import snapshot
from majordomo.report.questions.times import TimeError

_Found = TypeVar("_Found")
_MOST_TIME_CHARACTERS: Final = 64
NOT_UNDERSTOOD: Final = (TimeError, FilterError, UnknownDimensionError)

DimensionParameter = Annotated[
    str,
    Query(
        max_length=MOST_NAME_CHARACTERS,
        description=f"One of {', '.join(BUILT_IN)}, or a metadata key such as Feature "
        "(`metadata.Model` where the name is a dimension's too).",
    ),
]
CompareParameter = Annotated[
    Literal["previous"] | None, Query(description="`previous`: the time of the same length before, too.")
]

CursorParameter = Annotated[
    str | None, Query(max_length=MOST_CURSOR_CHARACTERS, description="The `next_cursor` of the page before.")
]


async def _common(
    preset: Annotated[
        str | None,
        Query(
            alias="period",
            max_length=_MOST_TIME_CHARACTERS,
            description=f"One of {', '.join(PRESETS)}; 30d if neither this nor `from` is given.",
        ),
    ] = None,
    since: Annotated[
        str | None,
        Query(
            alias="from",
            max_length=_MOST_TIME_CHARACTERS,
            description="Since then: 2026-11-21, 2026-11-21T14:30, 2026-11-21T14:30+01:00; "
            "by the clock of `timezone` where it has no offset.",
        ),
    ] = None,
    until: Annotated[
        str | None, Query(alias="to", max_length=_MOST_TIME_CHARACTERS, description="Before then; now if left out.")
    ] = None,
    zone: Annotated[
        str,
        Query(
            alias="timezone",
            max_length=_MOST_TIME_CHARACTERS,
            description="An IANA name; days, weeks and months begin by its clock.",
        ),
    ] = "UTC",
    filters: Annotated[
        list[str] | None,
        Query(
            alias="filter",
            max_length=MOST_FILTERS,
            description="Repeatable. `model:gpt-5` keeps these requests, `-team:legal` leaves them out, `team` keeps "
            "those with any value, `-team` those with none. Several values of one dimension widen, several dimensions "
            "narrow.",
        ),
    ] = None,
) -> Common:
    return Common(preset, since, until, zone, filters or [])


Given = Annotated[Common, Depends(_common)]


async def understand(connection: Connection, asking: Principal, given: Common) -> Asked:
    """What the common parameters mean for whoever asks.

    Raises:
        ApiError: 422, one of them is not understood; the message says what is allowed.
    """
    try:
        return await questions.understand(connection, asking.org_id, given, dt.datetime.now(dt.UTC))
    except NOT_UNDERSTOOD as wrong:
        raise _invalid(wrong) from None


def understood(read: Callable[[], _Found]) -> _Found:
    """What ``read`` gives; where it does not understand, 422 with its words."""
    try:
        return read()
    except NOT_UNDERSTOOD as wrong:
        raise _invalid(wrong) from None


def _invalid(wrong: Exception) -> ApiError:
    return ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", str(wrong))


@asynccontextmanager
async def reading(request: Request) -> AsyncIterator[Connection]:
    """A connection that sees one moment, so that all figures of an answer agree.

    Raises:
        ApiError: 503, the database is away, or takes too long.
    """
    async with request.app.state.connections.acquire() as connection, snapshot(connection):
        yield connection
