"""Routes for signing in and for people: ``/session``, ``/users``, ``/tokens``, ``/orgs`` under ``/api/v1``."""

import datetime as dt
import math
from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from majordomo.record import sign_in, users
from majordomo.record.database import Connection
from majordomo.record.sign_in import LONGEST_PASSWORD, MOST_TOKEN_NAME, SESSION_LIFE, Passwords, SignInError
from majordomo.record.users import (
    MOST_EMAIL_CHARACTERS,
    MOST_NAME_CHARACTERS,
    LastAdminError,
    TakenError,
    UnknownUserError,
    User,
    UserError,
)
from majordomo.report.attempts import Attempts
from majordomo.report.bodies import Flag, JsonRoute, Whole
from majordomo.report.errors import ApiError
from majordomo.report.identity import COOKIE, NOT_SIGNED_IN, Admin, Asking, principal

router = APIRouter(prefix="/api/v1", tags=["people"], route_class=JsonRoute)

Email = Annotated[str, Field(min_length=3, max_length=MOST_EMAIL_CHARACTERS)]
Name = Annotated[str, Field(min_length=1, max_length=MOST_NAME_CHARACTERS)]
Password = Annotated[str, Field(max_length=LONGEST_PASSWORD)]
Role = Literal["admin", "member"]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SignIn(_Body):
    """Address and password."""

    email: Email
    password: Password


class FollowLink(_Body):
    """The secret of a one-time link and the password that is to be; the first user says who they are, too."""

    link: Annotated[str, Field(max_length=256)]
    password: Password
    email: Email | None = None
    name: Name | None = None


class NewUser(_Body):
    """Somebody to invite."""

    email: Email
    name: Name | None = None
    role: Role = "member"


class UserChange(_Body):
    """What is to be different; the rest stays."""

    email: Email | None = None
    name: Name | None = None
    role: Role | None = None
    is_active: Flag | None = None


class NewToken(_Body):
    """A token for a program."""

    name: Annotated[str, Field(min_length=1, max_length=MOST_TOKEN_NAME)]
    days: Annotated[Whole | None, Field(ge=1, le=3650)] = None


class NewOrg(_Body):
    """An organisation to make."""

    name: Name


class UserOut(BaseModel):
    """One person."""

    id: UUID
    org_id: UUID
    email: str
    name: str
    role: Role
    is_active: bool
    has_password: bool
    created_at: dt.datetime
    last_sign_in_at: dt.datetime | None


class SessionOut(BaseModel):
    """Who is signed in, and the token that changes must repeat; it is null for a program's token."""

    user: UserOut
    csrf_token: str | None
    expires_at: dt.datetime | None


class InvitedOut(BaseModel):
    """A person, and the secret of the link with which they set a password: ``/sign-in#`` and this."""

    user: UserOut
    link: str


class TokenOut(BaseModel):
    """A token without its secret."""

    id: UUID
    name: str
    created_at: dt.datetime
    expires_at: dt.datetime | None
    last_used_at: dt.datetime | None


class NewTokenOut(TokenOut):
    """A token with its secret, told this once."""

    token: str


class OrgOut(BaseModel):
    """One organisation."""

    id: UUID
    name: str
    created_at: dt.datetime


class Users(BaseModel):
    """All people of the organisation."""

    users: list[UserOut]


class Tokens(BaseModel):
    """All tokens of a user."""

    tokens: list[TokenOut]


class Orgs(BaseModel):
    """The organisations that may be seen."""

    orgs: list[OrgOut]


class Door:
    """What signing in needs besides the database; one for the process."""

    def __init__(self) -> None:
        self.passwords = Passwords()
        self.attempts = Attempts()


def _door(request: Request) -> Door:
    door: Door = request.app.state.door
    return door


DoorOf = Annotated[Door, Depends(_door)]


async def _connection(request: Request) -> Any:
    async with request.app.state.connections.acquire() as connection:
        try:
            yield connection
        except UserError as wrong:
            raise _told(wrong) from None


Database = Annotated[Connection, Depends(_connection)]


def _told(wrong: UserError) -> ApiError:
    kinds: tuple[tuple[type[UserError], int, str], ...] = (
        (SignInError, HTTPStatus.UNAUTHORIZED, "sign_in_refused"),
        (UnknownUserError, HTTPStatus.NOT_FOUND, "not_found"),
        (TakenError, HTTPStatus.CONFLICT, "taken"),
        (LastAdminError, HTTPStatus.CONFLICT, "last_admin"),
    )
    for kind, status, code in kinds:
        if isinstance(wrong, kind):
            return ApiError(status, code, str(wrong))
    return ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", str(wrong))


@router.post("/session", summary="Sign in with address and password")
async def begin_session(
    body: SignIn, request: Request, response: Response, door: DoorOf, connection: Database
) -> SessionOut:
    """Sets the session's cookie."""
    address = body.email.strip().lower()
    wait = door.attempts.wait_seconds(address)
    if wait:
        minutes = math.ceil(wait / 60)
        raise ApiError(
            HTTPStatus.TOO_MANY_REQUESTS,
            "too_many_attempts",
            f"too many wrong passwords for this address; wait {minutes} min, or: majordomo users link {address}",
        )
    try:
        secret = await sign_in.sign_in(connection, door.passwords, body.email, body.password)
    except SignInError:
        door.attempts.failed(address)
        raise
    door.attempts.succeeded(address)
    return await _signed_in(connection, request, response, secret)


@router.post("/session/link", summary="Set a password with a one-time link, and sign in")
async def follow_link(
    body: FollowLink, request: Request, response: Response, door: DoorOf, connection: Database
) -> SessionOut:
    """Sets the session's cookie; every older session of the user ends."""
    password_hash = await door.passwords.hash(body.password)
    user = await sign_in.follow_link(connection, body.link, password_hash, email=body.email, name=body.name)
    secret = await sign_in.begin_session(connection, user.id)
    return await _signed_in(connection, request, response, secret)


@router.get("/session", summary="Who is signed in")
async def get_session(asking: Asking) -> SessionOut:
    """The user, and the token that every change must repeat."""
    session = asking.session
    return SessionOut(
        user=_out(asking.user),
        csrf_token=None if session is None else session.csrf_token,
        expires_at=None if session is None else session.expires_at,
    )


@router.delete("/session", status_code=HTTPStatus.NO_CONTENT, summary="Sign out", dependencies=[Depends(principal)])
async def end_session(request: Request, response: Response, connection: Database) -> None:
    """Ends the session and takes its cookie back."""
    secret = request.cookies.get(COOKIE)
    if secret is None:
        raise NOT_SIGNED_IN
    await sign_in.end_session(connection, secret)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")


@router.get("/users", summary="The people of the organisation")
async def list_users(asking: Asking, connection: Database) -> Users:
    """Oldest first."""
    return Users(users=[_out(user) for user in await users.list_all(connection, asking.org_id)])


@router.post("/users", status_code=HTTPStatus.CREATED, summary="Invite somebody")
async def create_user(body: NewUser, asking: Admin, connection: Database) -> InvitedOut:
    """The link is told this once."""
    made = await users.create(connection, asking.org_id, body.email, body.name or body.email, body.role)
    return InvitedOut(user=_out(made), link=await sign_in.make_link(connection, made))


@router.get("/users/{user_id}", summary="One person")
async def get_user(user_id: UUID, asking: Asking, connection: Database) -> UserOut:
    """Of the same organisation."""
    return _out(await users.find(connection, str(user_id), asking.org_id))


@router.patch("/users/{user_id}", summary="Change somebody")
async def change_user(user_id: UUID, body: UserChange, asking: Admin, connection: Database) -> UserOut:
    """Who is no longer active is signed out everywhere."""
    found = await users.find(connection, str(user_id), asking.org_id)
    return _out(await users.update(connection, found, **body.model_dump()))


@router.post("/users/{user_id}/link", summary="A new one-time link")
async def link_user(user_id: UUID, asking: Admin, connection: Database) -> InvitedOut:
    """For a forgotten password. Links made before no longer work."""
    found = await users.find(connection, str(user_id), asking.org_id)
    return InvitedOut(user=_out(found), link=await sign_in.make_link(connection, found))


@router.get("/tokens", summary="One's own tokens")
async def list_tokens(asking: Asking, connection: Database) -> Tokens:
    """Without their secrets, oldest first."""
    found = await sign_in.tokens(connection, asking.user)
    return Tokens(tokens=[TokenOut.model_validate(token, from_attributes=True) for token in found])


@router.post("/tokens", status_code=HTTPStatus.CREATED, summary="Make a token for a program")
async def create_token(body: NewToken, asking: Asking, connection: Database) -> NewTokenOut:
    """It may do what its user may. The secret is told this once."""
    until = None if body.days is None else dt.datetime.now(dt.UTC) + dt.timedelta(days=body.days)
    secret, made = await sign_in.make_token(connection, asking.user, body.name, until)
    return NewTokenOut(token=secret, **TokenOut.model_validate(made, from_attributes=True).model_dump())


@router.delete("/tokens/{token_id}", status_code=HTTPStatus.NO_CONTENT, summary="Take a token back")
async def delete_token(token_id: UUID, asking: Asking, connection: Database) -> None:
    """It is refused from now on."""
    if not await sign_in.end_token(connection, asking.user, token_id):
        raise ApiError(HTTPStatus.NOT_FOUND, "not_found", "you have no such token; GET /api/v1/tokens lists yours")


@router.get("/orgs", summary="Organisations")
async def list_orgs(asking: Asking, connection: Database) -> Orgs:
    """All of them for admins of the default one, else one's own."""
    found = await users.list_orgs(connection)
    seen = [org for org in found if asking.sees_orgs or org.id == asking.org_id]
    return Orgs(orgs=[OrgOut.model_validate(org, from_attributes=True) for org in seen])


@router.post("/orgs", status_code=HTTPStatus.CREATED, summary="Make an organisation")
async def create_org(body: NewOrg, asking: Asking, connection: Database) -> OrgOut:
    """Only admins of the default organisation may."""
    if not asking.sees_orgs:
        raise ApiError(
            HTTPStatus.FORBIDDEN, "default_org_only", "only an admin of the default organisation may make others"
        )
    return OrgOut.model_validate(await users.create_org(connection, body.name), from_attributes=True)


async def _signed_in(connection: Connection, request: Request, response: Response, secret: str) -> SessionOut:
    session = await sign_in.session(connection, secret)
    if session is None:
        raise NOT_SIGNED_IN
    response.set_cookie(
        COOKIE,
        secret,
        max_age=int(SESSION_LIFE.total_seconds()),
        path="/",
        httponly=True,
        samesite="strict",
        # Behind a proxy that speaks TLS; on plain loopback a browser would not send a secure cookie back.
        secure=request.headers.get("x-forwarded-proto", request.url.scheme) == "https",
    )
    response.headers["Cache-Control"] = "no-store"
    return SessionOut(user=_out(session.user), csrf_token=session.csrf_token, expires_at=session.expires_at)


def _out(user: User) -> UserOut:
    return UserOut.model_validate(user, from_attributes=True)
