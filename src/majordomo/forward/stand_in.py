"""Puts the real credential where a caller sent a proxy key; what is no known proxy key never reaches a provider."""

from hashlib import sha256
from typing import Final

from majordomo.admit.proxy_keys import AWAY, MARK, PATTERN, UNKNOWN, ProxyKeys
from majordomo.admit.refusal import Refusal
from majordomo.apis import Family
from majordomo.forward.providers import Provider
from majordomo.forward.request_head import RequestHead

_API_KEY: Final = b"x-api-key: "
#: Anthropic's API keys go into a header of their own; a client set to a token sends it as Authorization.
_ANTHROPIC_API_KEY: Final = b"sk-ant-api"


def has_proxy_key(head: RequestHead) -> bool:
    """Whether some credential is a proxy key, or looks like one."""
    return MARK in head.query or any(MARK in value for value in head.credentials.values())


def put_real_one(head: RequestHead, provider: Provider, keys: ProxyKeys | None, key_hash: str) -> Refusal | None:
    """Change the head's lines and target; or why that cannot be done. ``head.credentials`` stay as they were sent."""
    sent = {match for text in (head.query, *head.credentials.values()) for match in PATTERN.findall(text)}
    if len(sent) != 1:
        return UNKNOWN  # none that is whole, or several
    if keys is None:
        return AWAY
    token = sent.pop()
    real = keys.credential(sha256(token).hexdigest(), key_hash, provider.name)
    if isinstance(real, Refusal):
        return real
    head.lines = [_swapped(line, token, real, provider) for line in head.lines]
    head.target = head.target.replace(token, real)
    head.query = head.query.replace(token, real)
    if any(MARK in line for line in head.lines) or MARK in head.target:
        return UNKNOWN
    return None


def _swapped(line: bytes, token: bytes, real: bytes, provider: Provider) -> bytes:
    if token not in line:
        return line
    name = line.partition(b":")[0].lower()
    if name == b"authorization" and provider.family is Family.ANTHROPIC and real.startswith(_ANTHROPIC_API_KEY):
        return _API_KEY + real + b"\r\n"
    return line.replace(token, real)
