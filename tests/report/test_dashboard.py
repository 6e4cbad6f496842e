"""The dashboard as it is served: one document for all its paths, and the files that it is made of."""

import gzip
import re
import shutil
import subprocess
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from majordomo.forward.own_pages import SECTIONS, is_own_page
from majordomo.report.static_files import files, version

APP = "app/"
LINK = Path(__file__).parent / "link_modules.mjs"
NODE = shutil.which("node") or str(Path(__file__).parents[2] / ".venv/bin/node")
LIMIT_BYTES = 300_000  # compressed, all of it

_IMPORT = re.compile(r"""(?:^|\s)(?:import|export)\b[^"';]*?\bfrom\s+"([^"]+)"|\bimport\("([^"]+)"\)""")
_PAGE = re.compile(r'\{ path: "(/[^"]*)"')


def text(path: str) -> str:
    return files()[path].body.decode()


@pytest.mark.parametrize("path", ["/", "/requests", "/requests/01a2", "/runs/a%2Fb/c", "/sign-in", "/metadata-keys"])
def test_every_path_of_the_dashboard_is_the_same_document(call: Callable[..., Any], path: str) -> None:
    reply = call(path)
    assert reply.status == 200
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert reply.body == call("/").body


def test_only_scripts_and_styles_from_own_files_run(call: Callable[..., Any]) -> None:
    reply = call("/")
    policy = dict(part.strip().split(" ", 1) for part in reply.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "connect-src", "img-src")} == {"'self'"}
    assert {policy[name] for name in ("frame-ancestors", "base-uri", "form-action")} == {"'none'"}
    page = reply.body.decode()
    assert "style=" not in page and "<style" not in page and not re.search(r"\son\w+=", page)
    assert all("src=" in script for script in re.findall(r"<script[^>]*>", page))


def test_everything_the_document_loads_is_there_and_kept_for_good(call: Callable[..., Any]) -> None:
    links = re.findall(r'(?:href|src)="(/assets/[^"]*)"', call("/").body.decode())
    assert any(link.endswith("/app/main.js") for link in links)
    for link in links:
        reply = call(link)
        assert reply.status == 200, link
        if link.startswith(f"/assets/{version()}/"):
            assert "immutable" in reply.headers["cache-control"]


def test_files_are_compressed_for_whoever_takes_that(call: Callable[..., Any]) -> None:
    plain = call("/assets/app/main.js", headers={"Accept-Encoding": "gzip;q=0, br"})
    small = call("/assets/app/main.js", headers={"Accept-Encoding": "br, gzip;q=0.5"})
    assert "content-encoding" not in plain.headers
    assert small.headers["content-encoding"] == "gzip"
    assert gzip.decompress(small.body) == plain.body
    assert plain.headers["vary"] == small.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize("path", ["/", "/assets/app/main.js"])
def test_who_has_it_already_is_told_so(call: Callable[..., Any], path: str) -> None:
    etag = call(path).headers["etag"]
    again = call(path, headers={"If-None-Match": f'"other", W/{etag}'})
    assert (again.status, again.body) == (304, b"")
    assert again.headers["etag"] == etag
    assert call(path, headers={"If-None-Match": '"other"'}).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/assets/dashboard.html",
        "/assets/app/README.md",
        "/assets/app/../app/main.js",
        "/assets/000000000000/app/main.js",
        "/assets/app/",
        "/assets/__init__.py",
    ],
)
def test_nothing_but_its_files_is_served(call: Callable[..., Any], path: str) -> None:
    assert call(path).status == 404


def test_each_module_imports_only_files_that_are_served() -> None:
    """So no page fails when it is first opened, and nothing is loaded from elsewhere."""
    for path in files():
        if not path.startswith(APP) or not path.endswith(".js"):
            continue
        for found in _IMPORT.findall(text(path)):
            wanted = found[0] or found[1]
            assert wanted.startswith("."), f"{path} imports {wanted}"
            assert _resolved(path, wanted) in files(), f"{path} imports {wanted}"


def test_every_module_is_javascript_and_gets_what_it_imports() -> None:
    """Also those of pages that no test opens: their syntax is right, and each name that they import is exported."""
    with resources.as_file(resources.files("majordomo.report").joinpath("assets")) as assets:
        done = subprocess.run(
            [NODE, "--experimental-vm-modules", "--no-warnings", str(LINK), str(assets)],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == sum(path.startswith(APP) and path.endswith(".js") for path in files())


def test_each_page_of_the_table_is_a_path_that_front_desks_pass_on() -> None:
    paths = _PAGE.findall(text("app/pages.js"))
    assert "/" in paths
    for path in paths:
        assert is_own_page(path.replace(":id", "x").replace("*", "x").encode()), path
        assert path == "/" or path.split("/")[1] in SECTIONS, path


def test_no_module_makes_code_or_markup_of_text() -> None:
    """What the policy forbids is not there, and what callers sent cannot become markup."""
    for path in files():
        if path.startswith(APP) and path.endswith(".js"):
            assert not re.search(
                r"\binnerHTML\b|\bouterHTML\b|insertAdjacentHTML|\beval\(|new Function|document\.write", text(path)
            ), path


def test_all_of_it_weighs_less_than_the_limit() -> None:
    assert sum(len(file.gzipped) for file in files().values()) < LIMIT_BYTES


def test_vendored_files_come_with_their_licences() -> None:
    vendor = resources.files("majordomo.report").joinpath("assets", "vendor")
    for folder in vendor.iterdir():
        if folder.is_dir():
            assert folder.joinpath("LICENSE.txt").read_text("utf-8").strip(), folder.name


def _resolved(path: str, wanted: str) -> str:
    parts = path.split("/")[:-1]
    for part in wanted.split("/"):
        if part == "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)
