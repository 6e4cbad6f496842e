"""Prices on disk: the newest good catalogue, every version that was ever in use, and the last good overlay.

``prices_dir/current.json.gz`` is replaced by rename, so that a reader sees the old file or the new one. All files 0600.
"""

import os
from pathlib import Path

from majordomo.price import adjustments, catalogue
from majordomo.price.catalogue import Catalogue, CatalogueError

CURRENT = "current.json.gz"
VERSIONS = "versions"
_OVERLAY_COPY = "overlay.good.toml"


def current_path(prices_dir: Path | None) -> Path | None:
    """Where the last accepted catalogue is kept."""
    return prices_dir / CURRENT if prices_dir else None


def newest(prices_dir: Path | None) -> Catalogue:
    """The last accepted catalogue, unless it is damaged or the packaged one is newer (after an upgrade)."""
    packaged = catalogue.packaged()
    path = current_path(prices_dir)
    if path is None:
        return packaged
    try:
        kept = catalogue.load(path.read_bytes())
    except (OSError, CatalogueError):
        return packaged
    return kept if kept.dated >= packaged.dated else packaged


def keep(prices_dir: Path, packed: bytes, version: str) -> None:
    """Make a catalogue the current one, and add it to the history.

    Raises:
        OSError: the disk refused; the catalogue before is untouched.
    """
    versions = prices_dir / VERSIONS
    versions.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(versions / f"{version}.json.gz", packed)
    write_private(prices_dir / CURRENT, packed)


def version(prices_dir: Path, name: str) -> Catalogue | None:
    """A catalogue of the history; ``name`` may be the first part of its version."""
    for known in versions(prices_dir):
        if known.startswith(name):
            return catalogue.load((prices_dir / VERSIONS / f"{known}.json.gz").read_bytes())
    return None


def versions(prices_dir: Path) -> list[str]:
    """The versions of the history, oldest first."""
    return sorted(path.name.removesuffix(".json.gz") for path in (prices_dir / VERSIONS).glob("*.json.gz"))


def keep_overlay(prices_dir: Path | None, overlay: Path) -> None:
    """Keep a copy of a good overlay, for a process that starts while the file is being edited. Best effort."""
    if prices_dir is None:
        return
    try:
        write_private(prices_dir / _OVERLAY_COPY, overlay.read_bytes())
    except OSError:
        return  # without the copy a restart during a bad edit stops with the overlay's error; nothing else is lost


def last_good_overlay(prices_dir: Path | None, overlay: Path) -> adjustments.Layer | None:
    """The kept copy of an overlay, if there is one and it reads."""
    if prices_dir is None:
        return None
    try:
        return adjustments.parse((prices_dir / _OVERLAY_COPY).read_bytes(), f"{overlay} (last good copy)")
    except (OSError, adjustments.OverlayError):
        return None


def write_private(path: Path, data: bytes) -> None:
    """Write a private file so that no reader ever sees half of it."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise
