"""Who asks, over HTTP: a signed-in person, a person's token, or nobody. Routes say what they need.

A browser's session is a cookie, so everything it changes must repeat the session's token in ``X-CSRF-Token``: another
site can make a browser send the cookie, and cannot read the token. A token in ``Authorization`` needs no such proof.
"""

import hmac
from http import HTTPStatus
from typing import Annotated, Final
from uuid import UUID

import msgspec
from fastapi import Depends, Request

from majordomo.record import sign_in
from majordomo.record.users import DEFAULT_ORG, User
from majordomo.report.connections import Connections
from majordomo.report.errors import ApiError

COOKIE: Final = "majordomo_session"
CSRF_HEADER: Final = "X-CSRF-Token"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
#: Longest secret that is looked up; real ones have 43 characters, or 50 with their prefix.
_LONGEST_SECRET: Final = 256


class Principal(msgspec.Struct, frozen=True):
    """Who asks. ``session`` is None for a token."""

    user: User
    session: sign_in.Session | None

    @property
    def org_id(self) -> UUID:
        """The organisation whose rows may be seen."""
        return self.user.org_id

    @property
    def is_admin(self) -> bool:
        """Whether keys, budgets and people may be changed."""
        return self.user.role == "admin"

    @property
    def sees_orgs(self) -> bool:
        """Whether organisations may be made: by admins of the default one, whose installation this is."""
        return self.is_admin and self.org_id == DEFAULT_ORG


NOT_SIGNED_IN: Final = ApiError(
    HTTPStatus.UNAUTHORIZED,
    "not_signed_in",
    "sign in at /sign-in, or send a token as Authorization: Bearer (make one with: majordomo users token)",
)
TOKEN_REFUSED: Final = ApiError(
    HTTPStatus.UNAUTHORIZED, "token_unknown", "this token is unknown, has run out, or its user is no longer active"
)
CSRF_MISSING: Final = ApiError(
    HTTPStatus.FORBIDDEN,
    "csrf_token_missing",
    f"repeat the csrf_token of GET /api/v1/session in the header {CSRF_HEADER}; an old page has to be loaded again",
)
ADMINS_ONLY: Final = ApiError(
    HTTPStatus.FORBIDDEN, "admins_only", "only an admin of this organisation may do this; ask one of them"
)


async def principal(request: Request) -> Principal:
    """Whoever asks.

    Raises:
        ApiError: 401 nobody, 403 a change without the session's token, 503 the database is away.
    """
    connections: Connections = request.app.state.connections
    bearer = request.headers.get("authorization", "")
    if bearer[:7].lower() == "bearer ":
        return await _of_token(connections, bearer[7:].strip())
    secret = request.cookies.get(COOKIE, "")
    if not secret or len(secret) > _LONGEST_SECRET:
        raise NOT_SIGNED_IN
    async with connections.acquire() as connection:
        session = await sign_in.session(connection, secret)
    if session is None:
        raise NOT_SIGNED_IN
    told = request.headers.get(CSRF_HEADER, "")
    if request.method not in _SAFE and not hmac.compare_digest(told.encode(), session.csrf_token.encode()):
        raise CSRF_MISSING
    return Principal(session.user, session)


async def _of_token(connections: Connections, secret: str) -> Principal:
    if not secret.startswith(sign_in.TOKEN_PREFIX) or len(secret) > _LONGEST_SECRET:
        raise TOKEN_REFUSED
    async with connections.acquire() as connection:
        user = await sign_in.token_user(connection, secret)
    if user is None:
        raise TOKEN_REFUSED
    return Principal(user, None)


async def admin(asking: Annotated[Principal, Depends(principal)]) -> Principal:
    """An admin.

    Raises:
        ApiError: as ``principal``; 403 for anybody else.
    """
    if not asking.is_admin:
        raise ADMINS_ONLY
    return asking


Asking = Annotated[Principal, Depends(principal)]
Admin = Annotated[Principal, Depends(admin)]
