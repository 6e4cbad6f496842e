"""Rows that PostgreSQL refused, kept whole with the reason until somebody looks.

One JSON object a line, in one file a month. A row can stand there twice if a commit's outcome was unknown; readers
take the first of each.
"""

import contextlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from majordomo.ids import uuid_text

SUFFIX = ".jsonl"


class DeadLetter(msgspec.Struct, kw_only=True):
    """One refused row."""

    at: str  # ISO 8601, UTC
    request_id: str | None
    reason: str
    opening: dict[str, Any] | None = None
    close: dict[str, Any] | None = None
    frame: str | None = None  # base64: what could not even be read as an opening or a close


class DeadLetters:
    """Where a writer puts them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(
        self,
        *,
        now_us: int,
        reason: str,
        opening: msgspec.Struct | None = None,
        close: msgspec.Struct | None = None,
        frame: bytes | None = None,
    ) -> None:
        """Keep one on the disk before returning.

        Raises:
            OSError: it could not be kept; the row must not be passed over.
        """
        moment = datetime.fromtimestamp(now_us / 1e6, UTC)
        letter = {
            "at": moment.isoformat(),
            "request_id": _request_id(opening) or _request_id(close),
            "reason": reason,
            "opening": _fields(opening),
            "close": _fields(close),
            "frame": frame,
        }
        text = msgspec.json.encode(letter) + b"\n"
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{moment:%Y-%m}{SUFFIX}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "ab") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())


def dead_letters(folder: Path) -> Iterator[DeadLetter]:
    """Everything kept, oldest first, each request once. Lines that are no dead letter are passed over."""
    seen: set[str] = set()
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        with path.open("rb") as lines:
            for text in lines:
                with contextlib.suppress(msgspec.DecodeError):
                    letter = msgspec.json.decode(text, type=DeadLetter)
                    if letter.request_id is None or letter.request_id not in seen:
                        yield letter
                    if letter.request_id is not None:
                        seen.add(letter.request_id)


def _request_id(message: msgspec.Struct | None) -> str | None:
    raw = getattr(message, "id", None)
    return uuid_text(raw) if isinstance(raw, bytes) else None


def _fields(message: msgspec.Struct | None) -> dict[str, Any] | None:
    if message is None:
        return None
    return {name: _plain(getattr(message, name)) for name in message.__struct_fields__}


def _plain(value: Any) -> Any:
    """As JSON shows it best: ids as UUIDs, other bytes as text."""
    if isinstance(value, bytes):
        return uuid_text(value) if len(value) == 16 else value.decode("utf-8", "replace")
    return value
