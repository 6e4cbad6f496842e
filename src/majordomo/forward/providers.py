"""Who the providers are: name, family, where they answer, and what becomes of a leading ``/v1``."""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, Self
from urllib.parse import urlsplit

from majordomo.apis import Family

VersionPrefix = Literal["add", "strip", "keep"]

_DEFAULT_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """Where connections go. ``socket`` is a unix path; otherwise ``host`` and ``port`` count."""

    host: str
    port: int
    tls: bool = False
    socket: str | None = None

    @property
    def authority(self) -> bytes:
        """What the Host header says: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        if self.port == _DEFAULT_PORTS["https" if self.tls else "http"]:
            return host.encode("idna" if not host.isascii() else "ascii")
        return f"{host}:{self.port}".encode()


class Provider(NamedTuple):
    """One upstream that takes requests."""

    name: str
    family: Family
    origin: Origin
    authority: bytes = b""  # what the Host header says
    prefix: bytes = b""  # the base URL's path, without a trailing slash
    version_prefix: VersionPrefix = "keep"
    inject_stream_usage: bool = True
    connect_timeout: float | None = None  # seconds; None: as the pool is set

    @classmethod
    def at(cls, name: str, base_url: str, family: Family, version_prefix: VersionPrefix, inject: bool = True) -> Self:
        """A provider from its base URL.

        Raises:
            ValueError: the URL has no host or an impossible port.
        """
        parts = urlsplit(base_url)
        if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
            raise ValueError(f"provider {name}: base URL must be http(s)://host[:port][/prefix]")
        origin = Origin(parts.hostname, parts.port or _DEFAULT_PORTS[parts.scheme], parts.scheme == "https")
        prefix = parts.path.rstrip("/")
        if prefix.endswith("/v1"):
            version_prefix = "strip"  # the base URL brings the version, as SDKs' own base URLs do; never double it
        return cls(name, family, origin, origin.authority, prefix.encode(), version_prefix, inject)

    def target(self, target: bytes) -> bytes:
        """The request target to send for the caller's ``target`` (path and query)."""
        if self.version_prefix == "add":
            if not target.startswith((b"/v1/", b"/v1beta/")):
                target = b"/v1" + target
        elif self.version_prefix == "strip" and target.startswith(b"/v1/"):
            target = target[3:]
        return self.prefix + target


# fmt: off
_BUILT_IN: tuple[tuple[str, str, Family, VersionPrefix], ...] = (
    ("openai",        "https://api.openai.com",                                  Family.OPENAI,    "add"),
    ("anthropic",     "https://api.anthropic.com",                               Family.ANTHROPIC, "keep"),
    ("gemini",        "https://generativelanguage.googleapis.com",               Family.GEMINI,    "keep"),
    ("gemini-openai", "https://generativelanguage.googleapis.com/v1beta/openai", Family.OPENAI,    "strip"),
    ("fireworks",     "https://api.fireworks.ai/inference",                      Family.OPENAI,    "add"),
    ("together",      "https://api.together.xyz",                                Family.OPENAI,    "add"),
    ("deepseek",      "https://api.deepseek.com",                                Family.OPENAI,    "keep"),
    ("moonshot",      "https://api.moonshot.ai",                                 Family.OPENAI,    "add"),
    ("baseten",       "https://inference.baseten.co",                            Family.OPENAI,    "add"),
    ("nebius",        "https://api.studio.nebius.com",                           Family.OPENAI,    "add"),
    ("deepinfra",     "https://api.deepinfra.com/v1/openai",                     Family.OPENAI,    "strip"),
    ("novita",        "https://api.novita.ai/openai",                            Family.OPENAI,    "add"),
)
# fmt: on


def provider_names(configured: Iterable[str]) -> frozenset[str]:
    """Whom requests can be sent to: the built-in providers and those of the settings."""
    return frozenset(configured).union(name for name, *_ in _BUILT_IN)


def build_providers(configured: Mapping[str, Mapping[str, object]]) -> dict[str, Provider]:
    """All providers by name: the built-in ones, changed and added to by the settings' ``providers`` table.

    Raises:
        ValueError: a base URL is unusable, or a new provider has none.
    """
    known: dict[str, Provider] = {}
    for name, base_url, family, version_prefix in _BUILT_IN:
        own = configured.get(name, {})
        known[name] = _provider(name, base_url, family, version_prefix, own)
    for name, own in configured.items():
        if name not in known:
            if not own.get("base_url"):
                raise ValueError(f"provider {name} is not built in, so it needs a base_url")
            known[name] = _provider(name, "", Family.OPENAI, "keep", own)
    return known


def _provider(
    name: str, base_url: str, family: Family, version_prefix: VersionPrefix, own: Mapping[str, object]
) -> Provider:
    inject = own.get("inject_stream_usage")
    return Provider.at(
        name,
        str(own.get("base_url") or base_url),
        family,
        own.get("version_prefix") or version_prefix,  # type: ignore[arg-type]  # checked by the settings
        inject if isinstance(inject, bool) else True,
    )
