"""What stands in Claude Code's settings for the simple way: the gateway's address and key, and no companion.

Values in, values out; ``settings_file.py`` reads and writes.
"""

import json
import re
from collections.abc import Iterable, Mapping
from difflib import unified_diff
from typing import Any

from majordomo.companion import custom_headers
from majordomo.companion.custom_headers import Header

BASE_URL = "ANTHROPIC_BASE_URL"

#: With a base URL that is not Anthropic's own, Claude Code sends every tool's schema with every request: 76 KB instead
#: of 48. This setting keeps the small requests, and with them the small bill.
TOOL_SEARCH = "ENABLE_TOOL_SEARCH"

_SECRET_NAME = re.compile(r"key|token|secret|password|auth|cookie|credential", re.IGNORECASE)

#: Digits behind a secret that stay readable, to tell one from another.
_SHOWN = 4


def headers_for(key: str, metadata: Mapping[str, str]) -> list[Header]:
    """The headers that go with every request."""
    return [
        Header(custom_headers.KEY, key),
        Header(custom_headers.CLIENT, custom_headers.CLIENT_NAME),
        *(Header(f"X-Majordomo-{name}", value) for name, value in metadata.items()),
    ]


def with_entry(env: Mapping[str, Any], gateway: str, headers: Iterable[Header]) -> dict[str, Any]:
    """``env`` with the gateway in it; foreign variables and headers, and their order, stay."""
    text = env.get(custom_headers.VARIABLE)
    return {
        **env,
        BASE_URL: gateway,
        custom_headers.VARIABLE: custom_headers.merged(text if isinstance(text, str) else "", headers),
        TOOL_SEARCH: "true",
    }


def holds_entry(env: Mapping[str, Any]) -> bool:
    """Whether requests go to a gateway by this ``env``: without the key header, the base URL is somebody else's."""
    text = env.get(custom_headers.VARIABLE)
    return isinstance(text, str) and any(header.ours for header in custom_headers.parse(text))


def key_in(env: Mapping[str, Any]) -> str | None:
    """The gateway's key that ``env`` sends."""
    text = env.get(custom_headers.VARIABLE)
    return custom_headers.value_of(custom_headers.parse(text), custom_headers.KEY) if isinstance(text, str) else None


def without_entry(env: Mapping[str, Any]) -> dict[str, Any]:
    """``env`` with everything out of it that ``with_entry`` puts in."""
    if not holds_entry(env):
        return dict(env)
    left = {name: value for name, value in env.items() if name not in (BASE_URL, TOOL_SEARCH)}
    left[custom_headers.VARIABLE] = custom_headers.without_ours(str(env[custom_headers.VARIABLE]))
    if not left[custom_headers.VARIABLE]:
        del left[custom_headers.VARIABLE]
    return left


def diff(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Lines ``-``, ``+`` and unchanged ones of ``env``, secrets masked; empty if nothing changes."""
    if dict(before) == dict(after):
        return []
    old, new = (json.dumps({"env": masked(env)}, indent=2, ensure_ascii=False).split("\n") for env in (before, after))
    return list(unified_diff(old, new, n=max(len(old), len(new)), lineterm=""))[3:]


def masked(env: Mapping[str, Any]) -> dict[str, Any]:
    """``env`` as it may be shown."""
    return {name: _shown(name, value) for name, value in env.items()}


def mask(secret: str) -> str:
    """A secret, told apart by its end; a short one not even by that."""
    kind = "mdm_sk_" if secret.startswith("mdm_sk_") else ""
    return f"{kind}…{secret[-_SHOWN:]}" if len(secret) >= 8 * _SHOWN else f"{kind}…"


def _shown(name: str, value: Any) -> Any:
    if name == custom_headers.VARIABLE and isinstance(value, str):
        return "\n".join(_shown_line(line) for line in value.split("\n"))
    return mask(str(value)) if _SECRET_NAME.search(name) else value


def _shown_line(line: str) -> str:
    name, colon, value = line.partition(":")
    if colon and "mdm_sk_" not in value and not _SECRET_NAME.search(name):
        return line
    return f"{name}{colon} {mask(value.strip())}" if colon else mask(line)
