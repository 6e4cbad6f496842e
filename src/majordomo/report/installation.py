"""What is installed here: the settings in force, where each came from, and what they are shown as."""

from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import msgspec
from pydantic import BaseModel, SecretStr

from majordomo.record.database import safe_dsn
from majordomo.settings import Settings

#: Addresses that may hold a secret in any of their parts: only where they lead is shown.
_ONLY_THE_HOST: Final = frozenset({"budget_webhook_url"})
HIDDEN: Final = "…"


class Installation(msgspec.Struct, frozen=True):
    """``origins``: flag, environment, file or default, by the setting's name."""

    settings: Settings
    origins: dict[str, str] = {}

    @classmethod
    def of_defaults(cls) -> "Installation":
        """As nobody set anything but the environment."""
        nothing: dict[str, Any] = {}
        return cls(Settings(**nothing))

    @property
    def embedded(self) -> bool:
        """Whether the database is the gateway's own."""
        return self.settings.database_url is None


def shown(name: str, value: Any) -> Any:
    """A setting's value as JSON, without passwords and tokens."""
    if isinstance(value, SecretStr):
        return safe_dsn(value.get_secret_value())
    if isinstance(value, BaseModel):
        return {field: shown(field, getattr(value, field)) for field in type(value).model_fields}
    if isinstance(value, dict):
        return {key: shown(key, one) for key, one in value.items()}
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, str) and "://" in value:
        return _shown_url(value, only_host=name in _ONLY_THE_HOST)
    return value


def _shown_url(url: str, *, only_host: bool) -> str:
    """Without user, password and query; the host alone where the path may be a secret."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return HIDDEN
    place = parts.netloc.rpartition("@")[2]
    if only_host:
        return f"{parts.scheme}://{place}/{HIDDEN}"
    return urlunsplit((parts.scheme, place, parts.path, HIDDEN if parts.query else "", ""))
