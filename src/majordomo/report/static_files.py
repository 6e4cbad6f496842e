"""The files that a browser may ask for under ``/assets/``: read once, compressed once, and named by their contents.

``/assets/VERSION/app/main.js`` never changes what it holds, so browsers keep it for good: VERSION is a digest of all
files. ``/assets/page.css`` is the same without a promise, asked for again with its ETag.
"""

import gzip
import hashlib
from collections.abc import Iterator
from functools import cache
from http import HTTPStatus
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

import msgspec
from fastapi import APIRouter, Request, Response

from majordomo.report.errors import ApiError

router = APIRouter(include_in_schema=False)

#: What is served, by the end of its name. Other files of the folder (templates, licences' neighbours) are not.
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
_FOR_GOOD: Final = "public, max-age=31536000, immutable"
_ASK_AGAIN: Final = "no-cache"
_VERSION_CHARACTERS: Final = 12


class StaticFile(msgspec.Struct, frozen=True):
    """One file, as it is and compressed with gzip."""

    body: bytes
    gzipped: bytes
    etag: str
    media_type: str


@cache
def files() -> dict[str, StaticFile]:
    """Every file by its path below ``assets``, such as ``app/main.js``."""
    return dict(_walk(resources.files("majordomo.report").joinpath("assets"), ""))


@cache
def version() -> str:
    """A digest of all files."""
    whole = hashlib.sha256()
    for path, file in sorted(files().items()):
        whole.update(f"{path} {file.etag}\n".encode())
    return whole.hexdigest()[:_VERSION_CHARACTERS]


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, StaticFile]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        elif (media_type := _TYPES.get("." + entry.name.rpartition(".")[2])) is not None:
            body = entry.read_bytes()
            digest = hashlib.sha256(body).hexdigest()[:32]
            yield f"{prefix}{entry.name}", StaticFile(body, gzip.compress(body, 9, mtime=0), f'"{digest}"', media_type)


@router.get("/assets/{path:path}")
async def asset(request: Request, path: str) -> Response:
    """A file, under its name or under the version of now and its name."""
    first, _, rest = path.partition("/")
    versioned = first == version()
    file = files().get(rest if versioned else path)
    if file is None:
        raise ApiError(HTTPStatus.NOT_FOUND, "not_found", "there is no such file; an old page has to be loaded again")
    return reply(request, file.body, file.gzipped, file.etag, file.media_type, _FOR_GOOD if versioned else _ASK_AGAIN)


@router.get("/favicon.ico")
async def icon(request: Request) -> Response:
    """Browsers ask for this name unasked."""
    return await asset(request, "icon.svg")


def reply(
    request: Request, body: bytes, gzipped: bytes, etag: str, media_type: str, keep: str, **more: str
) -> Response:
    """304 to whoever has this already, else the bytes, compressed where that is understood. ``more``: headers."""
    headers = {"Cache-Control": keep, "ETag": etag, "Vary": "Accept-Encoding", **more}
    known = request.headers.get("if-none-match", "")
    if known.strip() == "*" or etag in (one.strip().removeprefix("W/") for one in known.split(",")):
        return Response(None, HTTPStatus.NOT_MODIFIED, headers)
    if _takes_gzip(request.headers.get("accept-encoding", "")):
        return Response(gzipped, headers={**headers, "Content-Encoding": "gzip"}, media_type=media_type)
    return Response(body, headers=headers, media_type=media_type)


def _takes_gzip(accepted: str) -> bool:
    for entry in accepted.split(","):
        name, _, quality = entry.partition(";")
        if name.strip().lower() in ("gzip", "*"):
            return quality.replace(" ", "").lower() not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
