"""The route of the settings in force, for the installation's admins: to look at, not to change."""

from http import HTTPStatus
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from majordomo import __version__
from majordomo.record.database import safe_dsn
from majordomo.record.migrate import schema_version
from majordomo.report.errors import ApiError
from majordomo.report.identity import Admin
from majordomo.report.installation import Installation, shown
from majordomo.settings import ENV_PREFIX, Settings

router = APIRouter(prefix="/api/v1/settings", tags=["settings"])

_SHOWN_HERE = frozenset({"database_url"})


class SettingOut(BaseModel):
    """One setting. Secrets are left out of its value."""

    name: str
    environment: str = Field(description="the variable that sets it")
    value: Any
    default: Any
    source: Literal["flag", "environment", "file", "default"]
    description: str
    needs_restart: bool = Field(description="whether a change takes effect at the next start only")


class DatabaseOut(BaseModel):
    """Where rows are kept."""

    embedded: bool
    dsn: str | None = Field(description="without its password; null for the embedded one")
    server_version: str
    schema_version: int


class SettingsAnswer(BaseModel):
    """The settings in force, in the order of docs/settings.md."""

    version: str
    workers: int
    front_desks_serving: int
    data_dir: str
    database: DatabaseOut
    price_version: str
    settings: list[SettingOut]


@router.get("", summary="The settings in force")
async def settings(request: Request, asking: Admin) -> SettingsAnswer:
    """For admins of the default organisation, whose installation this is."""
    if not asking.sees_orgs:
        raise ApiError(
            HTTPStatus.FORBIDDEN, "installation_only", "only admins of the default organisation see the installation"
        )
    state = request.app.state
    installation: Installation = state.installation
    async with state.connections.acquire() as connection:
        version = connection.get_server_version()
        schema = await schema_version(connection)
    dsn = installation.settings.database_url
    return SettingsAnswer(
        version=__version__,
        workers=installation.settings.workers,
        front_desks_serving=sum(desk.serving for desk in state.sources.front_desks()),
        data_dir=str(installation.settings.data_dir),
        database=DatabaseOut(
            embedded=installation.embedded,
            dsn=None if dsn is None else safe_dsn(dsn.get_secret_value()),
            server_version=f"{version.major}.{version.minor}",
            schema_version=schema,
        ),
        price_version=state.pricer.version,
        settings=[_out(installation, name) for name in Settings.model_fields],
    )


def _out(installation: Installation, name: str) -> SettingOut:
    field = Settings.model_fields[name]
    origin: Any = installation.origins.get(name, "default")
    return SettingOut(
        name=name,
        environment=ENV_PREFIX + name.upper(),
        value=shown(name, getattr(installation.settings, name)),
        default=shown(name, field.get_default(call_default_factory=True)),
        source=origin,
        description=field.description or "",
        needs_restart=True,
    )
