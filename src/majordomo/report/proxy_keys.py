"""Routes about proxy keys, ``/api/v1/proxy-keys``: for admins. No secret is told but a new key's own, once."""

import datetime as dt
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from majordomo.admit.vault import Vault, VaultError
from majordomo.forward.providers import provider_names
from majordomo.places import Places
from majordomo.record import proxy_keys
from majordomo.record.database import Connection
from majordomo.record.proxy_keys import (
    MOST_CREDENTIAL_CHARACTERS,
    MOST_DESCRIPTION_CHARACTERS,
    MOST_NAME_CHARACTERS,
    NewProxyKey,
    ProxyKey,
    ProxyKeyError,
    RevokedProxyKeyError,
    UnknownProxyKeyError,
)
from majordomo.report.bodies import JsonRoute
from majordomo.report.errors import ApiError
from majordomo.report.identity import Admin, Principal

router = APIRouter(prefix="/api/v1/proxy-keys", tags=["proxy keys"], route_class=JsonRoute)

Name = Annotated[str, Field(min_length=1, max_length=MOST_NAME_CHARACTERS)]
Description = Annotated[str, Field(max_length=MOST_DESCRIPTION_CHARACTERS)]
Provider = Annotated[str, Path(max_length=100, description="As in X-Majordomo-Provider: `anthropic`, `openai`.")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewProxyKeyBody(_Body):
    """A proxy key to make."""

    name: Name
    description: Description | None = None


class ProxyKeyChange(_Body):
    """What is to be different; a description of null is taken away."""

    name: Name | None = None
    description: Description | None = None


class CredentialBody(_Body):
    """What the provider gave."""

    credential: Annotated[SecretStr, Field(min_length=1, max_length=MOST_CREDENTIAL_CHARACTERS)]


class ProxyKeyOut(BaseModel):
    """One proxy key, without its secret. ``providers``: for which it holds a credential."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    description: str | None
    is_active: bool
    created_at: dt.datetime
    revoked_at: dt.datetime | None
    providers: list[str]


class NewProxyKeyOut(ProxyKeyOut):
    """A proxy key with its secret, told this once."""

    key: str


class ProxyKeysAnswer(BaseModel):
    """The organisation's proxy keys, oldest first."""

    proxy_keys: list[ProxyKeyOut]


async def _database(request: Request) -> AsyncIterator[Connection]:
    try:
        async with request.app.state.connections.acquire() as connection:
            yield connection
    except UnknownProxyKeyError as unknown:
        raise ApiError(HTTPStatus.NOT_FOUND, "proxy_key_not_found", str(unknown)) from None
    except RevokedProxyKeyError as revoked:
        raise ApiError(HTTPStatus.CONFLICT, "proxy_key_revoked", str(revoked)) from None
    except ProxyKeyError as wrong:
        raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", str(wrong)) from None
    except VaultError as wrong:
        raise ApiError(HTTPStatus.SERVICE_UNAVAILABLE, "vault_unavailable", str(wrong)) from None


Database = Annotated[Connection, Depends(_database)]


@router.get("", summary="The proxy keys of the organisation")
async def list_proxy_keys(asking: Admin, connection: Database) -> ProxyKeysAnswer:
    """Revoked ones included, oldest first."""
    return ProxyKeysAnswer(proxy_keys=[_out(key) for key in await proxy_keys.list_all(connection, asking.org_id)])


@router.post("", status_code=HTTPStatus.CREATED, summary="Make a proxy key")
async def create_proxy_key(
    body: NewProxyKeyBody, asking: Admin, connection: Database, response: Response
) -> NewProxyKeyOut:
    """The secret is told this once. It stands for nothing until it is given a provider's credential."""
    return _told_once(await proxy_keys.create(connection, body.name, body.description, asking.org_id), response)


@router.get("/{key_id}", summary="One proxy key")
async def get_proxy_key(key_id: UUID, asking: Admin, connection: Database) -> ProxyKeyOut:
    """Without its secret and what it stands for."""
    return _out(await _find(connection, key_id, asking))


@router.patch("/{key_id}", summary="Change a proxy key")
async def change_proxy_key(key_id: UUID, body: ProxyKeyChange, asking: Admin, connection: Database) -> ProxyKeyOut:
    """Its name or description."""
    changes: dict[str, Any] = body.model_dump(exclude_unset=True)
    return _out(await proxy_keys.update(connection, await _find(connection, key_id, asking), **changes))


@router.post(
    "/{key_id}/revoke", responses={409: {"description": "It is revoked already"}}, summary="Take a proxy key back"
)
async def revoke_proxy_key(key_id: UUID, asking: Admin, connection: Database) -> ProxyKeyOut:
    """For good; the credentials behind it are deleted. It is refused within a second."""
    return _out(await proxy_keys.revoke(connection, await _find(connection, key_id, asking)))


@router.post(
    "/{key_id}/rotate", responses={409: {"description": "It is revoked"}}, summary="Give a proxy key a new secret"
)
async def rotate_proxy_key(key_id: UUID, asking: Admin, connection: Database, response: Response) -> NewProxyKeyOut:
    """Under the same id, with the same credentials behind it."""
    return _told_once(await proxy_keys.rotate(connection, await _find(connection, key_id, asking)), response)


@router.put(
    "/{key_id}/providers/{provider}",
    responses={409: {"description": "It is revoked"}},
    summary="Store a provider's credential behind a proxy key",
)
async def put_credential(
    request: Request, key_id: UUID, provider: Provider, body: CredentialBody, asking: Admin, connection: Database
) -> ProxyKeyOut:
    """In place of the one before. It is stored encrypted and never told."""
    settings = request.app.state.installation.settings
    if provider not in provider_names(settings.providers):
        raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", "this gateway knows no provider of this name")
    vault = Vault(Places(settings.data_dir).vault_secret)
    found = await _find(connection, key_id, asking)
    return _out(await proxy_keys.put_credential(connection, found, provider, body.credential.get_secret_value(), vault))


@router.delete("/{key_id}/providers/{provider}", summary="Forget a provider's credential")
async def drop_credential(key_id: UUID, provider: Provider, asking: Admin, connection: Database) -> ProxyKeyOut:
    """The proxy key no longer stands for anything there."""
    return _out(await proxy_keys.drop_credential(connection, await _find(connection, key_id, asking), provider))


async def _find(connection: Connection, key_id: UUID, asking: Principal) -> ProxyKey:
    return await proxy_keys.find(connection, str(key_id), asking.org_id)


def _told_once(made: NewProxyKey, response: Response) -> NewProxyKeyOut:
    response.headers["Cache-Control"] = "no-store"
    return NewProxyKeyOut(key=made.secret, **_out(made.key).model_dump())


def _out(key: ProxyKey) -> ProxyKeyOut:
    return ProxyKeyOut.model_validate(key)
