"""The route of files to take away."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.types import Receive, Scope, Send

from majordomo.report.errors import ApiError
from majordomo.report.exports.export import Format, Piece, export, file_name
from majordomo.report.identity import Asking
from majordomo.report.questions.snapshot import snapshot
from majordomo.report.usage.parameters import DimensionParameter, Given, reading, understand, understood

router = APIRouter(prefix="/api/v1/usage", tags=["usage"])

_BY_DIMENSION_ONLY = ApiError(
    HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", "group_by is for csv and parquet; FOCUS has rows of its own"
)


class Download(Response):
    """A file that is sent while it is made. ``opened`` gives its pieces; what it holds is let go with the caller."""

    def __init__(
        self, opened: Callable[[], AbstractAsyncContextManager[AsyncIterator[Piece]]], form: Format, name: str
    ):
        super().__init__(
            headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
            media_type=form.media_type,
        )
        del self.headers["content-length"]
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; a caller who hangs up ends it, and with it the query.

        Raises:
            ApiError: before the first byte, as ``Connections.exporting``. A fault after that cuts the reply short,
                without the end that tells a whole one.
        """
        sending = asyncio.ensure_future(self._send(send))
        gone = asyncio.ensure_future(_until_gone(receive))
        try:
            await asyncio.wait((sending, gone), return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            sending.cancel()
            gone.cancel()
            await asyncio.gather(sending, gone, return_exceptions=True)

    async def _send(self, send: Send) -> None:
        async with self._opened() as pieces:
            first = await anext(pieces)
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": first.content, "more_body": True})
            async for piece in pieces:
                if piece.content:
                    await send({"type": "http.response.body", "body": piece.content, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


@router.get(
    "/export",
    response_class=Response,
    responses={
        200: {"content": {form.media_type: {} for form in Format}, "description": "The file"},
        429: {"description": "Others are being exported"},
    },
    summary="A file of requests, or of usage by a dimension",
)
async def show_export(
    request: Request,
    asking: Asking,
    given: Given,
    form: Annotated[Format, Query(alias="format", description="`focus` is CSV.")] = Format.CSV,
    group_by: DimensionParameter | None = None,
) -> Response:
    """Requests, oldest first, with every column but bodies; with `group_by` the sums of each value; or FOCUS 1.2."""
    if form.is_focus and group_by is not None:
        raise _BY_DIMENSION_ONLY
    async with reading(request) as connection:
        asked = await understand(connection, asking, given)
        by = understood(lambda: asked.dimension(group_by)) if group_by is not None else None

    @asynccontextmanager
    async def opened() -> AsyncIterator[AsyncIterator[Piece]]:
        async with (
            request.app.state.connections.exporting() as connection,
            snapshot(connection),
            aclosing(export(connection, asked.scope, form, request.app.state.pricer, by)) as pieces,
        ):
            yield pieces

    return Download(opened, form, file_name(asked.period, form, by))
