"""The journal of one front-desk process: what it admitted and what became of it, on disk before the reply is out.

``append`` is one ``os.write`` of a whole frame into the page cache, which outlives ``kill -9``; a thread of its own
brings it to the disk every ``sync_ms``, so that a power cut costs no more than that. There is no ``await`` and no lock
between "it happened" and "it is written".
"""

import errno
import fcntl
import os
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from majordomo.ids import new_uuid
from majordomo.logs import logger
from majordomo.record.frames import Close, Opening
from majordomo.record.framing import close_frame, opening_frame
from majordomo.record.segments import LOCK_NAME, segment_path

log = logger("journal")

SYNC_MS = 200
#: Closes that a full disk would not take wait in memory for space, as their requests did happen; beyond this they are
#: refused. Some 100,000 of them: more than can be running when openings are refused.
MAX_OWED_BYTES = 64 * 1024 * 1024


class JournalFull(Exception):  # noqa: N818 - the condition, as the caller's `except` reads
    """The disk did not take a frame; nothing of it was left behind. The next append tries again."""


class Journal:
    """Append-only; used by one thread, but for ``sync``. Made with ``Journal.create``."""

    __slots__ = (
        "_descriptor",
        "_dirty",
        "_folder_changed",
        "_lock",
        "_number",
        "_offset",
        "_owed",
        "_owed_bytes",
        "_retired",
        "_segment_bytes",
        "_stopped",
        "_syncing",
        "_thread",
        "folder",
        "sync_failures",
    )

    def __init__(self, folder: Path, lock: int, segment_bytes: int, sync_ms: int) -> None:
        self.folder = folder
        self.sync_failures = 0
        self._lock = lock
        self._segment_bytes = segment_bytes
        self._number = -1
        self._descriptor = -1
        self._offset = 0
        self._dirty = False
        self._folder_changed = True
        self._retired: deque[int] = deque()  # full segments, to be synced and closed
        self._owed: deque[bytes] = deque()
        self._owed_bytes = 0
        self._syncing = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._keep_syncing, args=(sync_ms / 1000,), name="journal", daemon=True)
        self._thread.start()

    @classmethod
    def create(cls, journal_dir: Path, *, segment_bytes: int, now_us: int, sync_ms: int = SYNC_MS) -> "Journal":
        """A new journal, locked by this process until it ends.

        Raises:
            OSError: the directory cannot be written.
        """
        journal_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = str(new_uuid(now_us))
        # Made under a name that no writer looks at, so that it is never seen without its lock.
        unfinished = journal_dir / f".{name}"
        unfinished.mkdir(mode=0o700)
        lock = os.open(unfinished / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        unfinished.rename(journal_dir / name)
        _sync_folder(journal_dir)
        return cls(journal_dir / name, lock, segment_bytes, sync_ms)

    @property
    def owed(self) -> int:
        """Closes waiting in memory for space on the disk."""
        return len(self._owed)

    def append_opening(self, opening: Opening) -> None:
        """Write that a request is about to leave.

        Raises:
            JournalFull: it is not written; the request must not leave as if it were.
        """
        self.append_openings((opening_frame(opening),))

    def append_openings(self, frames: Sequence[bytes]) -> None:
        """Write, in one piece, the frames that say that these requests are about to leave.

        Raises:
            JournalFull: none of them is written.
        """
        if self._owed:
            self.settle()
        self._write(b"".join(frames))

    def append_close(self, close: Close) -> None:
        """Write how a request ended. On a full disk it is kept in memory and written once there is space.

        Raises:
            JournalFull: the disk is full and so is that memory.
        """
        self.append_closes((close,))

    def append_closes(self, closes: Sequence[Close]) -> None:
        """Write, in one piece, how these requests ended; on a full disk as ``append_close``.

        Raises:
            JournalFull: the disk is full and so is that memory.
        """
        frame = b"".join(map(close_frame, closes))
        try:
            if self._owed:
                self.settle()
            self._write(frame)
        except JournalFull:
            if self._owed_bytes + len(frame) > MAX_OWED_BYTES:
                raise
            self._owed.append(frame)
            self._owed_bytes += len(frame)

    def settle(self) -> None:
        """Write what is owed from when the disk was full. Cheap when nothing is.

        Raises:
            JournalFull: there still is no space.
        """
        while self._owed:
            self._write(self._owed[0])
            self._owed_bytes -= len(self._owed.popleft())

    def sync(self) -> None:
        """Bring everything written so far to the disk. Blocks; may be called from any thread."""
        with self._syncing:
            while self._retired:
                self._sync_one(self._retired[0])
                os.close(self._retired.popleft())
            descriptor = self._descriptor  # stays open if it is retired meanwhile: only this method closes
            if self._dirty and descriptor >= 0:
                self._dirty = False  # before the call, so that a frame written during it is synced next time
                self._sync_one(descriptor)
            if self._folder_changed:
                self._folder_changed = False
                _sync_folder(self.folder)

    def close(self) -> None:
        """Sync, and let the lock go: a writer may then finish and remove this journal."""
        if self._stopped.is_set():
            return
        try:
            self.settle()
        except JournalFull:
            log.error("closes lost: the disk is full", count=len(self._owed), folder=str(self.folder))
        self._stopped.set()
        self._thread.join()
        self._retire()
        self.sync()
        os.close(self._lock)

    def _write(self, frame: bytes) -> None:
        size = len(frame)
        if self._descriptor < 0 or self._offset + size > self._segment_bytes:
            self._begin_segment()
        try:
            written = os.write(self._descriptor, frame)
        except OSError as wrong:
            self._take_back()
            raise JournalFull(f"cannot write to {self.folder}: {wrong.strerror}") from wrong
        if written != size:
            self._take_back()
            raise JournalFull(f"cannot write to {self.folder}: {os.strerror(errno.ENOSPC)}")
        self._offset += size
        self._dirty = True

    def _begin_segment(self) -> None:
        path = segment_path(self.folder, self._number + 1)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as wrong:
            raise JournalFull(f"cannot make {path}: {wrong.strerror}") from wrong
        self._retire()
        self._descriptor = descriptor
        self._number += 1
        self._offset = 0
        self._folder_changed = True

    def _retire(self) -> None:
        """Leave the present segment to the syncing thread, the only one that closes segments."""
        if self._descriptor >= 0:
            self._retired.append(self._descriptor)
            self._descriptor = -1
            self._dirty = False

    def _take_back(self) -> None:
        """Cut off what was written of a frame; if even that fails, leave the segment: readers go on with the next."""
        try:
            os.ftruncate(self._descriptor, self._offset)
        except OSError:
            self._retire()

    def _keep_syncing(self, interval: float) -> None:
        while not self._stopped.wait(interval):
            self.sync()

    def _sync_one(self, descriptor: int) -> None:
        try:
            os.fdatasync(descriptor)
        except OSError as wrong:
            self.sync_failures += 1
            log.error("journal not synced to disk", folder=str(self.folder), reason=str(wrong))


def _sync_folder(folder: Path) -> None:
    """Bring new names to the disk. A file system that cannot is left alone: the names survive all but a power cut."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError as wrong:
        log.warning("directory not synced", folder=str(folder), reason=str(wrong))
    finally:
        os.close(descriptor)
