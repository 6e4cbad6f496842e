"""Builds ``bin/majordomo-companion``: one file that runs on a machine with Python 3.11 or newer and nothing installed.

``make build-companion`` runs it. The file is a shell line that finds a Python, and behind it a zip archive:
``unpack.py``, what the companion imports, found by reading its sources, and the packages that it needs, with their
compiled modules for this platform and for each Python asked for. For the Python that builds, they are those installed
beside it, the ones that the tests ran with; for others, pip fetches the same versions.
"""

import argparse
import ast
import hashlib
import importlib.metadata
import importlib.util
import io
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import majordomo
from majordomo.companion import unpack

PACKAGE = "majordomo"
ENTRY = "majordomo.companion"

#: Not part of what is built: they build it, or unpack it.
_TOOLS = (f"{ENTRY}.pack", f"{ENTRY}.unpack")

#: All that a companion may carry. Another package would make it larger, and its start slower, by mistake.
ALLOWED = frozenset({"brotli", "httptools", "msgspec", "platformdirs", "structlog", "uvloop", "zstandard"})

#: Files of packages that only their developers need, or that another implementation of Python would.
_USELESS_SUFFIXES = (".pyx", ".pxd", ".pyi", ".c", ".h", ".pyc")
_USELESS = re.compile(r"(^|/)(RECORD|INSTALLER|REQUESTED|direct_url\.json)$|^zstandard/(_cffi\.|backend_cffi)")

#: The moment of every entry, so that the same input gives the same bytes.
_EPOCH = (1980, 1, 1, 0, 0, 0)

#: Finds a Python; ``-IS`` keeps what the user has installed or set for Python out of it, and starts faster.
_SHELL = b"""#!/bin/sh
command -v python3 >/dev/null 2>&1 && exec python3 -IS "$0" "$@"
for python in python3.14 python3.13 python3.12 python3.11; do
  command -v "$python" >/dev/null 2>&1 && exec "$python" -IS "$0" "$@"
done
echo "majordomo-companion: needs Python 3.11 or newer, and none is in PATH (Debian: apt install python3)" >&2
exit 1
"""

#: In words that any Python reads.
_MAIN = b"""import sys

if sys.version_info < (3, 8):
    sys.stderr.write("majordomo-companion: needs Python 3.11 or newer, and this is %d.%d; start it as"
                     " `python3.11 %s`\\n" % (sys.version_info[0], sys.version_info[1], sys.argv[0]))
    sys.exit(1)

import built
import unpack

unpack.main(built.BUILT)
"""

Files = dict[str, bytes]


class PackError(Exception):
    """It cannot be built. The message says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the file; the exit code."""
    parser = argparse.ArgumentParser(prog="make build-companion", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--python", action="append", default=[], help="a further Python, as 3.12; repeatable")
    given = parser.parse_args(arguments)
    try:
        for line in build(given.output, given.python):
            sys.stdout.write(line + "\n")
    except PackError as wrong:
        sys.stderr.write(f"{wrong}\n")
        return 1
    return 0


def build(output: Path, others: Iterable[str] = ()) -> Iterator[str]:
    """Write ``output``; gives a line for each thing that a builder wants to know.

    Raises:
        PackError: when something is missing, or something is in that must not be.
    """
    modules, names = reachable(ENTRY)
    found = distributions(names)
    if wrong := sorted(set(found) - ALLOWED):
        raise PackError(f"the companion would carry {', '.join(wrong)}; see who imports it, or allow it in {__file__}")
    own = own_files(modules)
    here = {name: content for one in found for name, content in installed_files(one).items()}
    own_tag = EXTENSION_SUFFIXES[0].strip(".").rpartition(".")[0]
    by_tag = {own_tag: here}
    compiled = [one for one in found if any(name.endswith(".so") for name in installed_files(one))]
    for version in others:
        tag = own_tag.replace(
            f"cpython-{sys.version_info.major}{sys.version_info.minor}", f"cpython-{version.replace('.', '')}"
        )
        if tag in by_tag:
            continue
        pins = [f"{one}=={importlib.metadata.version(one)}" for one in compiled]
        try:
            fetched = fetch(version, pins)
        except PackError as wrong:
            yield f"Python {version} is left out: {wrong}"
            continue
        pure = {name: content for one in found if one not in compiled for name, content in installed_files(one).items()}
        by_tag[tag] = pure | fetched
    shared = {
        name: content for name, content in here.items() if all(files.get(name) == content for files in by_tag.values())
    }
    parts = {"pure.zip": packed(own | shared)}
    for tag, files in by_tag.items():
        parts[f"{tag}.zip"] = packed({name: content for name, content in files.items() if name not in shared})
    write(output, parts, list(by_tag))
    yield f"{output}: {output.stat().st_size / 1e6:.1f} MB for {sys.platform} {os.uname().machine}, " + ", ".join(
        by_tag
    )
    yield f"with {', '.join(f'{one} {importlib.metadata.version(one)}' for one in found)}"


def write(output: Path, parts: dict[str, bytes], tags: Sequence[str]) -> None:
    """The file from its parts, replaced at once, executable."""
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in parts.items()}
    built = {
        "version": majordomo.__version__,
        "platform": f"{sys.platform} {os.uname().machine}",
        "digest": hashlib.sha256("".join(sorted(sums.values())).encode()).hexdigest(),
        "pure": ("pure.zip", sums["pure.zip"]),
        "native": {tag: (f"{tag}.zip", sums[f"{tag}.zip"]) for tag in tags},
    }
    outer = {
        "__main__.py": _MAIN,
        "built.py": f"BUILT = {built!r}\n".encode(),
        "unpack.py": Path(unpack.__file__).read_bytes(),
        **parts,
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    descriptor, made = tempfile.mkstemp(prefix=f".{output.name}.", dir=output.parent)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(_SHELL)
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:  # the parts are compressed already
                for name, content in outer.items():
                    archive.writestr(zipfile.ZipInfo(name, _EPOCH), content)
        Path(made).chmod(0o755)
        Path(made).replace(output)
    except BaseException:
        Path(made).unlink(missing_ok=True)
        raise


def packed(files: Files) -> bytes:
    """A compressed archive, the same for the same files."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name])
    return content.getvalue()


# -- our own modules --------------------------------------------------------------------------------------------------


def reachable(package: str) -> tuple[list[str], set[str]]:
    """Our modules that ``package`` may import at any time, and the first names of all others that these import."""
    waiting = [name for name in _modules() if (name + ".").startswith(package + ".") and name not in _TOOLS]
    seen: set[str] = set()
    foreign: set[str] = set()
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        for name in _imports(module):
            if name.partition(".")[0] != PACKAGE:
                foreign.add(name.partition(".")[0])
            elif path := _path(name):
                waiting += [".".join(name.split(".")[:depth]) for depth in range(1, name.count(".") + 2)]
                assert path.exists()
    return sorted(seen), foreign - sys.stdlib_module_names - {"__future__"}


def own_files(modules: Iterable[str]) -> Files:
    """Sources of ``modules``, and what lies beside them that is no source: data."""
    root = _root().parent
    found: Files = {}
    for module in modules:
        path = _path(module)
        assert path is not None
        found[str(path.relative_to(root))] = path.read_bytes()
        if path.name == "__init__.py":
            for data in path.parent.iterdir():
                if data.is_file() and data.suffix not in (".py", ".pyc", ".typed"):
                    found[str(data.relative_to(root))] = data.read_bytes()
    return found


def _root() -> Path:
    return Path(majordomo.__file__).parent


def _modules() -> Iterator[str]:
    for path in sorted(_root().rglob("*.py")):
        parts = path.relative_to(_root().parent).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _path(module: str) -> Path | None:
    path = _root().parent.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _imports(module: str) -> Iterator[str]:
    """Every module that one may import, in functions, too; not those that only its types are written with."""
    path = _path(module)
    assert path is not None
    for node in _run_nodes(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _run_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from _run_nodes(node)


# -- the packages of others -------------------------------------------------------------------------------------------


def distributions(names: Iterable[str]) -> list[str]:
    """The installed distributions that provide ``names``. What these need in turn is optional, or for other Pythons."""
    providers = importlib.metadata.packages_distributions()
    found: set[str] = set()
    for name in names:
        if name not in providers:
            raise PackError(f"{name} is imported and not installed here; use the environment that runs majordomo")
        found |= {_normal(one) for one in providers[name]}
    return sorted(found)


def installed_files(distribution: str) -> Files:
    """The files of an installed distribution that somebody who runs it needs; its licences are among them."""
    found: Files = {}
    for file in importlib.metadata.files(distribution) or []:
        name = str(file)
        if name.startswith("..") or not _useful(name):
            continue
        found[name] = Path(str(file.locate())).read_bytes()
    return found


def fetch(version: str, pins: Sequence[str]) -> Files:
    """The files of compiled distributions for another Python on this platform.

    Raises:
        PackError: when pip does not get them.
    """
    if importlib.util.find_spec("pip") is None:
        raise PackError(f"{sys.executable} has no pip to get its packages with")
    with tempfile.TemporaryDirectory() as folder:
        options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "--dest", folder]
        command = [sys.executable, "-m", "pip", "download", *options, "--python-version", version, *pins]
        ran = subprocess.run(command, check=False, capture_output=True, text=True)
        if ran.returncode != 0:
            said = [line for line in ran.stderr.splitlines() if line.startswith("ERROR")]
            raise PackError(said[-1] if said else f"pip failed with exit code {ran.returncode}")
        found: Files = {}
        for wheel in sorted(Path(folder).glob("*.whl")):
            with zipfile.ZipFile(wheel) as archive:
                found |= {name: archive.read(name) for name in archive.namelist() if _useful(name)}
        return found


def _useful(name: str) -> bool:
    return not name.endswith(("/", *_USELESS_SUFFIXES)) and not _USELESS.search(name) and "/tests/" not in name


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.exit(main())
