"""Which paths the gateway answers itself: health, figures, the control API, and the dashboard."""

from typing import Final

#: The dashboard's sections: ``/requests`` and all below it. The front page, ``/``, is one besides.
SECTIONS: Final = (
    "requests",
    "runs",
    "errors",
    "latency",
    "what-if",
    "claude-code",
    "keys",
    "metadata-keys",
    "budgets",
    "prices",
    "settings",
    "sign-in",
)

_PAGES: Final = frozenset(
    {b"/", b"/health", b"/readyz", b"/metrics", b"/status", b"/favicon.ico", b"/api"}
    | {b"/" + name.encode() for name in SECTIONS}
)
_PREFIXES: Final = (
    b"/api/",
    b"/assets/",
    b"/claude-sessions/",
    *(b"/%b/" % name.encode() for name in SECTIONS),
)


def is_own_page(path: bytes) -> bool:
    """True for a path that a gateway answers itself, unless the caller names a provider."""
    return path in _PAGES or path.startswith(_PREFIXES)
