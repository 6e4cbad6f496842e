"""What the gateway did not record: requests that went straight to the provider, kept until they are delivered.

One journal per companion that had something to record, in the gateway's own format, under
``MAJORDOMO_COMPANION_DIR/journal/<uuid>/``; beside it lies ``<uuid>.about.json``, which says whose requests they are.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from majordomo.clock import wall_us
from majordomo.companion.order import Order
from majordomo.places import make_directory
from majordomo.record.frames import Close
from majordomo.record.journal import Journal

DIRECTORY_VARIABLE = "MAJORDOMO_COMPANION_DIR"
ABOUT_SUFFIX = ".about.json"
REFUSED_SUFFIX = ".refused.jsonl"

#: A session's openings and closes are some 2 KB per request.
_SEGMENT_BYTES = 4 * 1024 * 1024


def companion_dir() -> Path:
    """The private directory of all companions of this user."""
    told = os.environ.get(DIRECTORY_VARIABLE)
    if told:
        return Path(told).expanduser()
    import platformdirs

    return Path(platformdirs.user_data_dir("majordomo-companion", appauthor=False))


def journal_dir() -> Path:
    """One directory per companion that recorded something, named by a UUIDv7."""
    return companion_dir() / "journal"


class LocalJournal:
    """Made on the disk when the first request has to be recorded: most sessions need none."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._journal: Journal | None = None

    def append_openings(self, frames: Sequence[bytes]) -> None:
        """As ``Journal.append_openings``.

        Raises:
            JournalFull: the disk does not take it.
            OSError, PlacesError: the directory cannot be made.
        """
        if self._journal is None:
            make_directory(companion_dir())
            self._journal = Journal.create(journal_dir(), segment_bytes=_SEGMENT_BYTES, now_us=wall_us())
            self._describe(self._journal.folder)
        self._journal.append_openings(frames)

    def append_closes(self, closes: Sequence[Close]) -> None:
        """As ``Journal.append_closes``."""
        if self._journal is not None:
            self._journal.append_closes(closes)

    def settle(self) -> None:
        """As ``Journal.settle``."""
        if self._journal is not None:
            self._journal.settle()

    def close(self) -> None:
        """Bring all to the disk and let the lock go: it may be delivered now."""
        if self._journal is not None:
            self._journal.close()

    @property
    def folder(self) -> Path | None:
        """Where it lies, if anything had to be recorded."""
        return self._journal.folder if self._journal is not None else None

    def _describe(self, folder: Path) -> None:
        """Say where these requests belong. The key is not written, only which it was: who delivers brings it."""
        about = {
            "version": 1,
            "gateway": self._order.gateway,
            "key_hash": self._order.key_hash,
            "session_id": self._order.session_id,
            "session_name": self._order.session_name,
        }
        path = folder.with_name(folder.name + ABOUT_SUFFIX)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(about, file)
            file.write("\n")
