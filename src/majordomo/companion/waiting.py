"""Journals that wait on this machine for their delivery.

A request's place in its journal never changes once the companion has ended, so the gateway's position, a number of
requests, says from where to go on: requests stand in the order in which they ended, those of which nobody knows the end
behind them. What the gateway will not take is kept beside the journal, in ``<uuid>.refused.jsonl``.
"""

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from uuid import UUID

import msgspec

from majordomo.companion.journal import ABOUT_SUFFIX, REFUSED_SUFFIX
from majordomo.record.delivery import DeliveredRequest, delivered
from majordomo.record.frames import Close, Opening
from majordomo.record.framing import CLOSE, OPENING
from majordomo.record.rows import lost
from majordomo.record.segments import journal_folders, segment_numbers, segment_path, try_lock
from majordomo.record.tail import Tail

#: A folder that is being removed has another name first: half a journal would count its requests anew.
_REMOVED_SUFFIX = ".delivered"

_open = msgspec.msgpack.Decoder(Opening).decode
_close = msgspec.msgpack.Decoder(Close).decode


class About(msgspec.Struct, frozen=True):
    """Whose requests a journal holds, as its companion noted it."""

    gateway: str | None = None  # None: it had none
    key_hash: str | None = None  # of the key that the companion had: SHA-256, hex
    session_id: str = ""
    session_name: str | None = None


class WaitingJournal:
    """One journal. ``take`` it before anything else, and ``release`` it at the end."""

    def __init__(self, journal_id: UUID, folder: Path) -> None:
        self.journal_id = journal_id
        self.folder = folder
        self.about = _about(folder)
        self._lock: int | None = None

    def __repr__(self) -> str:
        return f"<WaitingJournal {self.journal_id} for {self.about.gateway}>"

    def take(self) -> bool:
        """False while its companion, or somebody else who delivers it, is at it; or if it has gone."""
        self._lock = try_lock(self.folder)
        if self._lock is not None and not self.folder.is_dir():  # it was delivered while we looked
            self.release()
        return self._lock is not None

    def release(self) -> None:
        """Let others have it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def requests(self) -> Iterator[DeliveredRequest]:
        """All of it, each at its place. What cannot be read has none."""
        began: dict[bytes, Opening] = {}
        for frame in self._frames():
            try:
                if frame[0] == OPENING:
                    opening = _open(frame[1])
                    began[opening.id] = opening
                elif frame[0] == CLOSE:
                    close = _close(frame[1])
                    if (of := began.pop(close.id, None)) is not None:
                        yield delivered(of, close)
            except (ValueError, TypeError):  # msgspec's errors are ValueErrors
                continue
        for opening in began.values():
            yield delivered(opening, lost(opening).close)

    def empty(self) -> bool:
        """Whether there is nothing in it."""
        return not any(segment_path(self.folder, number).stat().st_size for number in segment_numbers(self.folder))

    def put_aside(self, lines: Iterable[bytes]) -> None:
        """Keep requests that are not taken, each one line of JSON; they are on the disk when this returns."""
        path = self.folder.with_name(self.folder.name + REFUSED_SUFFIX)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "ab") as file:
            file.writelines(line + b"\n" for line in lines)
            file.flush()
            os.fsync(file.fileno())

    def remove(self) -> None:
        """It was delivered."""
        removed = self.folder.with_name(f".{self.folder.name}{_REMOVED_SUFFIX}")
        self.folder.rename(removed)
        shutil.rmtree(removed, ignore_errors=True)
        self.folder.with_name(self.folder.name + ABOUT_SUFFIX).unlink(missing_ok=True)
        self.release()

    def _frames(self) -> Iterator[tuple[int, bytes]]:
        tail = Tail(self.folder, 0, 0, lambda damage: None)
        try:
            while frames := tail.read(ended=True):
                for frame in frames:
                    yield frame.kind, bytes(frame.payload)
        finally:
            tail.close()


def waiting(place: Path) -> Iterator[WaitingJournal]:
    """Every journal under ``place``, oldest first, those among them that are still written."""
    for removed in place.glob(f".*{_REMOVED_SUFFIX}"):  # whoever removed it was ended meanwhile
        shutil.rmtree(removed, ignore_errors=True)
    for journal_id, folder in journal_folders(place):
        yield WaitingJournal(journal_id, folder)


def _about(folder: Path) -> About:
    with contextlib.suppress(OSError, ValueError):
        return msgspec.json.decode(folder.with_name(folder.name + ABOUT_SUFFIX).read_bytes(), type=About)
    return About()  # its companion was killed just then
