"""Metadata of all requests of a session: ``.majordomo/metadata.json`` and ``--metadata``, the flag winning."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from majordomo.admit.metadata import OWN_NAMES

FILE = Path(".majordomo") / "metadata.json"

#: A file of 64 pairs with the longest values that a gateway takes.
_MAX_FILE_BYTES = 1024 * 1024
# The gateway's own limits, as they are unless its owner changed them.
_MAX_KEYS = 64
_MAX_KEY_BYTES = 255
_MAX_VALUE_BYTES = 8 * 1024

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class MetadataError(Exception):
    """Metadata that cannot be sent. The message names the file or flag, the key, and what is needed."""


def read(workdir: Path, flags: Iterable[str]) -> dict[str, str]:
    """The metadata of all requests: the file's in ``workdir``, if there is one, then the flags'.

    Keys differing in case only are one to a gateway: the later one counts.

    Raises:
        MetadataError: the first thing that is wrong.
    """
    pairs = {**_from_file(workdir / FILE), **from_flags(flags)}
    found: dict[str, tuple[str, str]] = {}
    for key, value in pairs.items():
        found[key.lower()] = (key, value)
    if len(found) > _MAX_KEYS:
        raise MetadataError(f"{len(found)} metadata keys are too many: a gateway records {_MAX_KEYS} of one request")
    return dict(found.values())


def from_flags(flags: Iterable[str]) -> dict[str, str]:
    """The pairs of ``--metadata KEY=VALUE``.

    Raises:
        MetadataError: the first thing that is wrong.
    """
    pairs = {}
    for flag in flags:
        key, equals, value = flag.partition("=")
        if not equals:
            raise MetadataError(f"--metadata {flag!r} is not KEY=VALUE")
        pairs[key] = _checked(f"--metadata {key!r}", key, value)
    return pairs


def _from_file(path: Path) -> dict[str, str]:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_FILE_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as wrong:
        raise MetadataError(f"{path} cannot be read: {wrong.strerror}") from None
    if len(content) > _MAX_FILE_BYTES:
        raise MetadataError(f"{path} is larger than {_MAX_FILE_BYTES // 1024} KiB")
    try:
        told = json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise MetadataError(f"{path} is not UTF-8 text") from None
    except json.JSONDecodeError as wrong:
        raise MetadataError(f"{path}, line {wrong.lineno}, column {wrong.colno}: not valid JSON: {wrong.msg}") from None
    except RecursionError:
        raise MetadataError(f"{path}: nested too deeply") from None
    if not isinstance(told, dict):
        raise MetadataError(f'{path} must hold one object, like {{"Project": "backend-api"}}')
    return {key: _text(path, key, value) for key, value in told.items()}


def _text(path: Path, key: str, value: Any) -> str:
    if not isinstance(value, str):
        kind = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}
        raise MetadataError(
            f'{path}, key "{key}": the value must be a string in quotes, and is {kind.get(type(value), "null")}'
        )
    return _checked(f'{path}, key "{key}"', key, value)


def _checked(where: str, key: str, value: str) -> str:
    if len(key) > _MAX_KEY_BYTES or not _NAME.fullmatch(key):
        raise MetadataError(f"{where}: a key consists of letters, digits and hyphens, {_MAX_KEY_BYTES} at the most")
    if key.lower().encode() in OWN_NAMES:
        raise MetadataError(f"{where}: X-Majordomo-{key} is a header of the gateway's own; choose another key")
    if _CONTROL.search(value):
        raise MetadataError(f"{where}: the value must be one line without control characters")
    try:
        size = len(value.strip().encode())
    except UnicodeEncodeError:
        raise MetadataError(f"{where}: the value is not valid Unicode") from None
    if not size or size > _MAX_VALUE_BYTES:
        raise MetadataError(f"{where}: the value must have 1 to {_MAX_VALUE_BYTES} bytes")
    return value.strip()
