"""What every reply of the back office has, whatever its route: safe headers, and a fault goes no further."""

import traceback

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from majordomo.logs import logger

_log = logger("report")

#: Own stylesheet and pictures, nothing else: no script runs, nothing is framed, no form leads anywhere.
_CSP = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_HEADERS = (
    (b"content-security-policy", _CSP.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


_HEAD = "majordomo.head"


def is_head(scope: Scope) -> bool:
    """Whether only the head of an answer is wanted: one that never ends must not begin."""
    return bool(scope.get(_HEAD))


class Envelope:
    """The outermost layer around the application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer HEAD as GET without a body, add the headers, and log what a route raised; it is answered by then."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        head = scope["method"] == "HEAD"

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = list(message.get("headers", ()))
                named = {name for name, _ in own}  # a page that needs another policy has brought it
                message = {**message, "headers": [*own, *(header for header in _HEADERS if header[0] not in named)]}
            elif head:
                message = {**message, "body": b""}
            await send(message)

        try:
            await self._app({**scope, "method": "GET", _HEAD: True} if head else scope, receive, with_headers)
        except Exception as fault:
            # Frames and type only: an exception's text may hold what the caller sent.
            frames = "".join(traceback.format_tb(fault.__traceback__)[-5:])
            _log.error("a route failed", path=scope.get("path"), reason=type(fault).__name__, frames=frames)
