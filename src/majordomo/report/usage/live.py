"""The route of requests as they come: server-sent events."""

import datetime as dt
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from majordomo.clock import steady
from majordomo.ids import read_uuid
from majordomo.report.envelope import is_head
from majordomo.report.errors import ApiError
from majordomo.report.identity import Asking, principal
from majordomo.report.live import MOST_EVENTS, CrowdedError, Event, Live, View, Watcher
from majordomo.report.questions import latest
from majordomo.report.questions.asking import Common
from majordomo.report.questions.filters import MOST_FILTERS
from majordomo.report.usage.parameters import reading, understand
from majordomo.report.usage.requests import line_out

router = APIRouter(prefix="/api/v1/usage", tags=["usage"])

#: How often (s) a sign of life is sent, and whoever looks on must still be allowed to.
HEARTBEAT_SECONDS: Final = 15.0
_RETRY_MS: Final = 2000
_MOST_ID_CHARACTERS: Final = 64
_TYPE: Final = "text/event-stream"
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class LiveStream(StreamingResponse):
    """A stream that lets its watcher go, however it ends."""

    def __init__(self, live: Live, watcher: Watcher, content: AsyncIterator[bytes]) -> None:
        super().__init__(content, headers=_HEADERS, media_type=_TYPE)
        self._live = live
        self._watcher = watcher

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._live.leave(self._watcher)


@router.get(
    "/live",
    response_class=Response,
    responses={200: {"content": {_TYPE: {"schema": {"type": "string"}}}, "description": "Events until you hang up"}},
    summary="Requests as they come",
)
async def live(
    request: Request,
    asking: Asking,
    filters: Annotated[
        list[str] | None,
        Query(alias="filter", max_length=MOST_FILTERS, description="As for the other questions about usage."),
    ] = None,
    after: Annotated[
        str | None,
        Query(max_length=_MOST_ID_CHARACTERS, description="A request's id: begin with what was stored behind it."),
    ] = None,
    last_event_id: Annotated[
        str | None, Header(max_length=_MOST_ID_CHARACTERS, description="The same; browsers send it on their own.")
    ] = None,
) -> Response:
    """New requests of the organisation within about a second, as server-sent events that never end.

    `event: request` has the request's id as its `id` and one entry of `GET /api/v1/usage/requests` as `data`.
    `event: skipped` says how many were left out because they came too fast (`{"requests": 12}`, null if nobody knows).
    """
    if is_head(request.scope):
        return Response(headers=_HEADERS, media_type=_TYPE)
    async with reading(request) as connection:
        asked = await understand(connection, asking, Common("today", None, None, "UTC", filters or []))
    view = View(asking.org_id, asked.scope.filters)
    watching: Live = request.app.state.live
    try:
        watcher = await watching.watch(view, asking.user.id)
    except CrowdedError as crowded:
        raise ApiError(
            HTTPStatus.TOO_MANY_REQUESTS, "too_many_live", str(crowded), headers={"Retry-After": "10"}
        ) from None
    return LiveStream(watching, watcher, _events(request, view, watcher, last_event_id or after))


async def _events(request: Request, view: View, watcher: Watcher, last: str | None) -> AsyncIterator[bytes]:
    yield b"retry: %d\n\n" % _RETRY_MS
    told = set()
    if last is not None:
        events, missed = await _behind(request, view, last)
        told = {event.request_id for event in events}
        yield _text(events, missed)
    alive_until = steady() + HEARTBEAT_SECONDS
    while not watcher.closed:
        events, missed = await watcher.take(max(0.0, alive_until - steady()))
        text = _text([event for event in events if event.request_id not in told], missed)
        if steady() >= alive_until:
            if not await _still_allowed(request):
                return
            alive_until = steady() + HEARTBEAT_SECONDS
            text = text or b": still here\n\n"
        if text:
            yield text


async def _behind(request: Request, view: View, last: str) -> tuple[list[Event], int | None]:
    """What came since the request of this id: nothing known of it is a gap."""
    request_id = read_uuid(last)
    found = None
    if request_id is not None:
        now = dt.datetime.now(dt.UTC)
        async with reading(request) as connection:
            found = await latest.behind(connection, view.org_id, view.filters, request_id, now, MOST_EVENTS)
    if found is None:
        return [], None
    return [Event(line.request.id, event_text(line)) for line in found.lines], None if found.more else 0


async def _still_allowed(request: Request) -> bool:
    """Whether whoever looks on is still signed in, as far as anybody can say just now."""
    try:
        await principal(request)
    except ApiError as refused:
        return refused.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return True


def _text(events: list[Event], missed: int | None) -> bytes:
    parts = [event.text for event in events]
    if missed != 0:
        parts.insert(0, b"event: skipped\ndata: %s\n\n" % msgspec.json.encode({"requests": missed}))
    return b"".join(parts)


def event_text(line: latest.NamedLine) -> bytes:
    """One request as an event."""
    data = line_out(line.request, line.key_name).model_dump_json()
    return f"id: {line.request.id}\nevent: request\ndata: {data}\n\n".encode()
