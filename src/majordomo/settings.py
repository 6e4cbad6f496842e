"""Every setting: name, default, meaning and bounds in one place.

A value comes from, in this order: command-line flag, ``MAJORDOMO_*`` environment, ``majordomo.toml``, default. The page
``docs/settings.md`` is made from this file, and a test holds it to it.
"""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

CONFIG_NAME = "majordomo.toml"
ENV_PREFIX = "MAJORDOMO_"

KIB = 1024
MIB = 1024 * KIB

Seconds = Annotated[float, Field(gt=0, le=86_400)]


class ProviderSettings(BaseModel):
    """Where one provider is reached, and how its paths are laid out."""

    model_config = ConfigDict(extra="forbid")

    base_url: str | None = Field(None, description="Upstream base URL, `http(s)://host[:port][/prefix]`.")
    version_prefix: Literal["add", "strip", "keep"] | None = Field(
        None,
        description="What to do with a leading `/v1`: `add` it if missing, `strip` it, or `keep` the path as it came.",
    )
    inject_stream_usage: bool | None = Field(
        None, description="False where this provider refuses `stream_options`; usage of such streams is then estimated."
    )

    @field_validator("base_url")
    @classmethod
    def _http_url(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        return value.rstrip("/") if value else value


class Settings(BaseSettings):
    """All settings of ``majordomo``. Sizes are bytes, times seconds, unless the name says otherwise."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, env_nested_delimiter="__", extra="forbid")

    # Where it listens and lives
    host: str = Field("127.0.0.1", description="Address to listen on. Anything but loopback is a deliberate act.")
    port: int = Field(7680, ge=0, le=65_535, description="TCP port; 0 takes a free one.")
    workers: int = Field(1, ge=1, le=256, description="Front-desk processes sharing the port.")
    data_dir: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("majordomo", appauthor=False)),
        description="Journal, embedded database, prices, secrets. Created with mode 0700.",
    )
    database_url: SecretStr | None = Field(
        None, description="DSN of a PostgreSQL 14 or newer. Unset: an embedded PostgreSQL in the data directory."
    )
    postgres_bin: Path | None = Field(
        None,
        description="Directory with `postgres` and `initdb` for the embedded database, instead of the packaged ones.",
    )
    postgres_user: str | None = Field(
        None,
        description="Account the embedded database runs as when majordomo runs as root, which PostgreSQL refuses. "
        "Unset: `majordomo`, `postgres` or `nobody`, the first that exists.",
    )
    postgres_port: int | None = Field(
        None,
        ge=1,
        le=65_535,
        description="TCP port on 127.0.0.1 where other programs reach the embedded database, by password. "
        "Unset: only its private unix socket.",
    )

    public_url: str | None = Field(
        None, description="Where browsers reach this gateway, for links that are told; unset: host and port."
    )

    # Providers
    providers: dict[str, ProviderSettings] = Field(
        default_factory=dict, description="Base URLs by provider name; a new name adds an OpenAI-compatible provider."
    )
    upstream_connect_timeout: Seconds = Field(10.0, description="To open a connection to a provider, TLS included.")
    upstream_header_timeout: Seconds = Field(
        600.0, description="From the end of the request to the provider's reply headers; long, as models think."
    )
    upstream_idle_timeout: Seconds = Field(600.0, description="Between two bytes of a provider's reply.")
    upstream_keepalive: Seconds = Field(55.0, description="How long an idle connection to a provider is kept.")
    upstream_idle_connections: int = Field(
        256, ge=0, le=65_536, description="Idle connections kept per provider and worker."
    )
    upstream_ca_file: Path | None = Field(
        None, description="PEM bundle to verify providers with, instead of the system's."
    )

    # What a caller may send
    max_header_bytes: int = Field(64 * KIB, ge=KIB, le=MIB, description="Request line and header block together.")
    max_headers: int = Field(200, ge=10, le=10_000, description="Number of header lines.")
    max_body_bytes: int = Field(
        64 * MIB, ge=KIB, le=4096 * MIB, description="Request body. Providers stop at 32 MB or less."
    )
    header_timeout: Seconds = Field(20.0, description="From the first byte of a request to the end of its headers.")
    body_timeout: Seconds = Field(60.0, description="Between two pieces of a request body.")
    keepalive_timeout: Seconds = Field(75.0, description="How long an idle connection of a caller is kept.")
    caller_stall_timeout: Seconds = Field(300.0, description="How long a caller may accept no byte of a waiting reply.")
    max_connections: int = Field(10_000, ge=1, description="Open caller connections per worker; further ones get 503.")
    max_pipelined: int = Field(64, ge=1, le=10_000, description="Requests a caller may send ahead on one connection.")

    # Metadata
    max_metadata_keys: int = Field(64, ge=0, le=1000, description="Metadata keys recorded of one request.")
    max_metadata_key_bytes: int = Field(255, ge=1, le=255, description="Length of a metadata key.")
    max_metadata_value_bytes: int = Field(8 * KIB, ge=1, le=64 * KIB, description="Length of a metadata value.")
    many_metadata_values: int = Field(
        10_000,
        ge=1,
        description="A metadata key with more different values is activated only by who confirms it: its index grows "
        "with every request, and it has no sums.",
    )

    # Metering
    inject_stream_usage: bool = Field(
        True,
        description="Ask OpenAI streams for usage where the caller did not, and withhold the extra chunk.",
    )
    on_hangup: Literal["drain", "cut"] = Field(
        "drain",
        description="When a caller hangs up: read on to learn the exact usage, or cut and estimate. A key can differ.",
    )
    drain_max_seconds: Seconds = Field(120.0, description="Longest time to read on after a caller has gone.")
    drain_max_bytes: int = Field(16 * MIB, ge=0, description="Most bytes to read on after a caller has gone.")
    drain_max_streams: int = Field(
        256, ge=0, description="Replies read on at one time, per worker; beyond that they are cut."
    )
    max_reading_bytes: int = Field(
        64 * MIB,
        ge=MIB,
        description="Longest reply body, or single SSE line, that is kept to be read; far above real use.",
    )

    # Recording
    journal_segment_bytes: int = Field(
        16 * MIB, ge=64 * KIB, le=1024 * MIB, description="Size at which a journal file is closed."
    )
    journal_sync_ms: int = Field(
        200,
        ge=1,
        le=60_000,
        description="Most milliseconds of journal that a power cut can lose; `kill -9` loses none.",
    )
    on_journal_full: Literal["refuse", "serve"] = Field(
        "refuse", description="Disk full: refuse new requests with 503, or serve them unrecorded and count them."
    )
    retention_months: int | None = Field(
        None, ge=1, le=1200, description="Months of requests kept; older partitions are dropped."
    )

    claude_session_idle_seconds: float = Field(
        4 * 3600.0,
        gt=0,
        le=30 * 86_400,
        description="A Claude Code session of which nothing came for so long has ended with its last request; the next "
        "request opens it again. Longer than a lunch or a meeting, shorter than a night.",
    )

    # Prices
    price_feed: bool = Field(True, description="Refresh prices from the feed every `price_refresh_seconds`.")
    price_feed_url: str = Field(
        "https://raw.githubusercontent.com/pydantic/genai-prices/main/prices/new_data/v2/data.json",
        description="Where the feed is read.",
    )
    price_refresh_seconds: Seconds = Field(3600.0, description="Time between two reads of the feed.")
    price_overlay: Path | None = Field(None, description="TOML file with corrections, discounts and own models.")

    # Budgets
    budget_refusal: Literal["402", "429", "reply"] = Field(
        "402",
        description="How Anthropic's API refuses what a budget has no room for: status 402, which stops Claude Code at "
        "once; 429 that asks not to be retried; or a model's reply that says so, for clients that show nothing else.",
    )
    budget_webhook_url: str | None = Field(
        None,
        description="Where a JSON object is posted for every threshold of a budget that is reached. Unset: nowhere.",
    )

    # Running
    shutdown_grace: Seconds = Field(30.0, description="How long running requests may go on after SIGTERM.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe line that is logged."
    )
    log_format: Literal["auto", "text", "json"] = Field(
        "auto", description="`auto`: text on a terminal, JSON elsewhere."
    )

    @field_validator("public_url")
    @classmethod
    def _page_url(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        return value

    @field_validator("budget_webhook_url")
    @classmethod
    def _webhook(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flag, environment, file, default: in this order."""
        path = _config_file.get("path")
        toml = (TomlConfigSettingsSource(settings_cls, path),) if path else ()
        return (init_settings, env_settings, *toml)

    def page_url(self, path: str, port: int | None = None) -> str:
        """The address of a page, for people to follow; ``port``: the one that was taken, where the setting is 0."""
        if self.public_url:
            return self.public_url.rstrip("/") + path
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host
        name = f"[{host}]" if ":" in host else host
        return f"http://{name}:{port or self.port}{path}"


class SettingsError(Exception):
    """Some setting is wrong. The message lists every one with its key, value and what is allowed."""


_config_file: dict[str, Path | None] = {}
_flags: set[str] = set()

Origin = Literal["flag", "environment", "file", "default"]


def find_config(explicit: Path | None) -> Path | None:
    """The file to read: the one named, else the working directory's, else the user's; None if there is none."""
    if explicit is not None:
        if not explicit.is_file():
            raise SettingsError(
                f"configuration file {explicit} does not exist; name one that does, or leave --config out"
            )
        return explicit
    for folder in (Path.cwd(), Path(platformdirs.user_config_dir("majordomo", appauthor=False))):
        if (folder / CONFIG_NAME).is_file():
            return folder / CONFIG_NAME
    return None


def load_settings(config: Path | None = None, **flags: Any) -> Settings:
    """Read all settings; ``flags`` that are None were not given.

    Raises:
        SettingsError: with every wrong setting at once.
    """
    _config_file["path"] = find_config(config)
    given = {name: value for name, value in flags.items() if value is not None}
    _flags.clear()
    _flags.update(given)
    try:
        return Settings(**given)
    except ValidationError as wrong:
        raise SettingsError("\n".join(_explain(error) for error in wrong.errors())) from None
    except (ValueError, OSError) as wrong:
        raise SettingsError(f"{_config_file['path']}: {wrong}") from None


def origins(settings: Settings) -> dict[str, Origin]:
    """Where each of the settings that ``load_settings`` read last came from."""
    variables = [name.upper() for name in os.environ]

    def origin(name: str) -> Origin:
        if name in _flags:
            return "flag"
        variable = ENV_PREFIX + name.upper()
        if any(one == variable or one.startswith(f"{variable}__") for one in variables):
            return "environment"
        return "file" if name in settings.model_fields_set else "default"

    return {name: origin(name) for name in Settings.model_fields}


def _explain(error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"])
    env = ENV_PREFIX + "__".join(str(part).upper() for part in error["loc"])
    shown = "(hidden)" if "url" in key.lower() or "secret" in key.lower() else repr(error["input"])
    if error["type"] == "extra_forbidden":
        return f"{key}: no such setting (it came from {env} or {CONFIG_NAME}); see docs/settings.md"
    return f"{key} = {shown} ({env}): {error['msg']}"


def running_as_root() -> bool:
    """True where PostgreSQL would refuse to start under the present user."""
    return hasattr(os, "geteuid") and os.geteuid() == 0
