"""Where journals lie: ``journal_dir/<uuid>/NNNNNNNN.journal`` beside a ``lock`` that a living process holds."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

SUFFIX = ".journal"
LOCK_NAME = "lock"


def segment_path(folder: Path, number: int) -> Path:
    """The file of one segment of the journal in ``folder``."""
    return folder / f"{number:08d}{SUFFIX}"


def segment_numbers(folder: Path) -> list[int]:
    """The numbers of the segments that exist, ascending; none if the folder is gone."""
    try:
        names = [entry.name for entry in folder.iterdir()]
    except FileNotFoundError:
        return []
    return sorted(int(stem) for name in names if name.endswith(SUFFIX) and (stem := name[: -len(SUFFIX)]).isdigit())


def journal_folders(journal_dir: Path) -> Iterator[tuple[UUID, Path]]:
    """Every journal in the directory, oldest first: their names are UUIDv7s. Names that are no UUID are passed over."""
    try:
        names = sorted(entry.name for entry in journal_dir.iterdir())
    except FileNotFoundError:
        return
    for name in names:
        with contextlib.suppress(ValueError):
            yield UUID(name), journal_dir / name


def try_lock(folder: Path) -> int | None:
    """Take the journal's lock: a file descriptor to keep open, or None while the process that writes it lives.

    A folder without a lock file was never finished being made, or is being removed: it counts as dead.
    """
    try:
        descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def remove_segment(folder: Path, number: int) -> None:
    """Delete one segment; nothing happens if it is gone already."""
    segment_path(folder, number).unlink(missing_ok=True)


def remove_journal(folder: Path) -> None:
    """Delete a finished journal: its segments, its lock, its folder."""
    for number in segment_numbers(folder):
        remove_segment(folder, number)
    (folder / LOCK_NAME).unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):
        folder.rmdir()
