"""What runs first in the one-file ``majordomo-companion``: its content is unpacked once, and run from there.

The file is a zip archive, and the system loads no compiled module out of one. So the first start unpacks into a private
directory of the user's cache; later ones find it there. This module does with the standard library, loads little of it,
and is readable to older Pythons than the content, to be able to say so.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

#: What an unpacked directory lacks until all of it is there: size and name of every file in it.
_LIST = "files"

#: The oldest Python that the content runs with.
_OLDEST = (3, 11)

#: Days after which a directory that no start has used, an older version's as a rule, is removed by the next unpacking.
_KEPT_DAYS = 90

#: Rounds of "somebody else was faster": each means that another start has made progress.
_TRIES = 10


class UnpackError(Exception):
    """It cannot run here. The message says why, and what to do."""


def main(built: dict[str, Any]) -> None:
    """Find or make the unpacked directory for this Python, and run the companion from there.

    ``built`` is what ``pack.py`` wrote: version, platform, Python tags, and the parts with their SHA-256.
    """
    try:
        place = _ready_place(built, _fitting(built), Path(sys.path[0]))
    except UnpackError as wrong:
        sys.stderr.write(f"majordomo-companion: {wrong}\n")
        sys.exit(1)
    sys.path[0] = str(place)
    from majordomo.companion.cli import main as companion

    companion()


def _fitting(built: dict[str, Any]) -> str:
    """The tag of the part for this Python. Where there is none, another installed Python may fit, and is started."""
    platform = f"{sys.platform} {os.uname().machine}"
    if platform != built["platform"]:
        raise UnpackError(
            f"this file was built for {built['platform']}, and this is {platform}; "
            f"build it here with `make build-companion`"
        )
    tag = EXTENSION_SUFFIXES[0].strip(".").rpartition(".")[0]
    if tag in built["native"]:
        return tag
    versions = sorted(int(native.split("-")[1]) for native in built["native"])  # 311, 312, ...
    pythons = [f"{version // 100}.{version % 100}" for version in versions]
    _start_another(pythons)
    built_here = f", or build it with this Python: `make build-companion PYTHON={sys.executable}`"
    raise UnpackError(
        f"this is Python {sys.version.split()[0]} ({tag}), and the file holds what CPython {', '.join(pythons)} needs; "
        f"install one of these{built_here if sys.version_info >= _OLDEST else ''}"
    )


def _start_another(pythons: list[str]) -> None:
    import shutil

    if "majordomo" in sys._xoptions:  # this one was started so: two that do not fit must not start each other for ever
        return
    for version in reversed(pythons):
        if found := shutil.which(f"python{version}"):
            os.execv(found, [found, "-IS", "-X", "majordomo", *sys.argv])  # noqa: S606 - no shell


def _ready_place(built: dict[str, Any], native: str, archive: Path) -> Path:
    parts = [built["pure"], built["native"][native]]
    name = f"{built['version']}-{built['digest'][:16]}-{native.split('-')[1]}"
    trouble = ""
    for base in _bases():
        place = base / name
        if _is_complete(place):
            return place
        try:
            _make_base(base)
            _unpack(archive, parts, place)
            return place
        except OSError as wrong:
            trouble = trouble or f"{base}: {wrong.strerror or wrong}"
    raise UnpackError(
        f"cannot unpack itself ({trouble}); set XDG_CACHE_HOME to a directory of yours that programs may run from"
    )


def _bases() -> list[Path]:
    """Where it may be unpacked, the best first."""
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - pathlib's fails where there is no home
    usual = home / "Library" / "Caches" if sys.platform == "darwin" else home / ".cache"
    shared = Path(os.environ.get("TMPDIR") or "/tmp")  # noqa: S108 - what is made in it is private, its owner checked
    return [
        (given if given.is_absolute() else usual) / "majordomo-companion",
        shared / f"majordomo-companion-{os.geteuid()}",
    ]


def _make_base(base: Path) -> None:
    """A directory that is ours alone, and that programs may be run from."""
    base.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        base.mkdir(0o700)
    if not _is_ours(base):
        raise OSError(1, "another user made it or may write it")
    if os.statvfs(base).f_flag & getattr(os, "ST_NOEXEC", 0):
        raise OSError(1, "no program may be run from its file system")


def _is_ours(directory: Path) -> bool:
    found = directory.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022


def _is_complete(place: Path) -> bool:
    """Whether every file of it is there, whole, and nobody else can have put it there."""
    try:
        if not (_is_ours(place.parent) and _is_ours(place)):
            return False
        for line in (place / _LIST).read_text("utf-8").splitlines():
            size, _, name = line.partition(" ")
            if os.lstat(f"{place}/{name}").st_size != int(size):  # a hundred at each start: no objects for them
                return False
        os.utime(place / _LIST)
    except (OSError, ValueError):
        return False
    return True


def _unpack(archive: Path, parts: list[tuple[str, str]], place: Path) -> None:
    """Fill a directory of our own, then give it its name at once; several may do so at the same time."""
    import shutil
    import tempfile

    made = Path(tempfile.mkdtemp(prefix=".new-", dir=place.parent))  # 0700
    try:
        _extract(archive, parts, made)
        for _ in range(_TRIES):
            try:
                made.rename(place)
                break
            except OSError:
                if _is_complete(place):
                    break
                broken = Path(tempfile.mkdtemp(prefix=".old-", dir=place.parent))
                with contextlib.suppress(FileNotFoundError):  # somebody else is mending it, too
                    place.rename(broken / "place")
                shutil.rmtree(broken, ignore_errors=True)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    if not _is_complete(place):
        raise OSError(1, "what was unpacked does not stay whole")
    _prune(place)


def _extract(archive: Path, parts: list[tuple[str, str]], into: Path) -> None:
    import compileall
    import hashlib
    import io
    import py_compile
    import zipfile

    with zipfile.ZipFile(archive) as outer:
        for name, digest in parts:
            content = outer.read(name)
            if hashlib.sha256(content).hexdigest() != digest:
                raise UnpackError("the file is damaged; copy or build it anew")
            with zipfile.ZipFile(io.BytesIO(content)) as part:
                part.extractall(into)
    # Compiled now, so that no later start does it, nor checks whether sources have changed: they do not.
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(into, quiet=2, stripdir=str(into), invalidation_mode=unchecked)
    files = [path for path in into.rglob("*") if path.is_file()]
    lines = [f"{path.lstat().st_size} {path.relative_to(into)}\n" for path in files]
    (into / _LIST).write_text("".join(sorted(lines)), "utf-8")


def _prune(kept: Path) -> None:
    import shutil
    import time

    oldest = time.time() - _KEPT_DAYS * 86_400
    for place in kept.parent.iterdir():
        marker = place / _LIST
        with contextlib.suppress(OSError):
            if place != kept and (marker if marker.exists() else place).stat().st_mtime < oldest:
                shutil.rmtree(place, ignore_errors=True)
