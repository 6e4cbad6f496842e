"""The dashboard's one HTML document, the same for all its paths; what it shows, it asks the control API for.

The document holds nothing of anybody's: whoever is not signed in gets it too, and is then sent to ``/sign-in``.
"""

import gzip
import hashlib
from functools import cache
from html import escape
from importlib import resources
from string import Template
from typing import Final

from fastapi import APIRouter, Request, Response

from majordomo import __version__
from majordomo.forward.own_pages import SECTIONS
from majordomo.report.static_files import files, reply, version

router = APIRouter(include_in_schema=False)

#: Own scripts and styles by file alone: none within a document, none made of text, nothing from elsewhere.
CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

#: Modules that every page needs, so that a browser fetches them at once and not one after the other.
_FIRST: Final = ("app/", "app/parts/", "vendor/htm/")


@cache
def document() -> tuple[bytes, bytes, str]:
    """The document, the same compressed, and its ETag."""
    base = f"/assets/{version()}"
    modules = [path for path in sorted(files()) if path.endswith(".js") and path.rpartition("/")[0] + "/" in _FIRST]
    template = resources.files("majordomo.report").joinpath("assets", "dashboard.html").read_text("utf-8")
    text = Template(template).substitute(
        base=base,
        version=escape(__version__),
        styles="\n".join(f'<link rel="stylesheet" href="{base}/{path}">' for path in _styles()),
        modules="\n".join(
            f'<link rel="modulepreload" href="{base}/{path}">' for path in modules if path != "app/theme.js"
        ),
    )
    body = text.encode()
    return body, gzip.compress(body, 9, mtime=0), f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def _styles() -> list[str]:
    """Vendored ones first, so that ours have the last word."""
    found = [path for path in files() if path.endswith(".css") and path != "page.css"]
    return sorted(found, key=lambda path: (path.startswith("style/"), path))


async def show(request: Request) -> Response:
    """The document; which page it becomes is up to its own router."""
    body, gzipped, etag = document()
    return reply(
        request,
        body,
        gzipped,
        etag,
        "text/html; charset=utf-8",
        "no-cache",
        **{"Content-Security-Policy": CSP},
    )


for _path in ("/", *(f"/{name}" for name in SECTIONS), *(f"/{name}/{{rest:path}}" for name in SECTIONS)):
    router.add_api_route(_path, show, methods=["GET"])
