"""Where the documents are, and how to read them."""

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


class Documents:
    """All Markdown pages of the tree, by path from its root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        paths = [*root.glob("*.md"), *sorted((root / "docs").rglob("*.md"))]
        self.pages = {str(path.relative_to(root)): path.read_text("utf-8") for path in paths}

    def __getitem__(self, name: str) -> str:
        return self.pages[name]

    def commands(self) -> Iterator[tuple[str, str]]:
        """Each line that a reader would type into a shell, with the page that it stands on."""
        for name, text in self.pages.items():
            for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
                for line in block.splitlines():
                    yield name, line.partition("#")[0].strip()
            for span in re.findall(r"`((?:make|majordomo) [^`\n]+)`", text):
                yield name, span

    def table(self, page: str, heading: str) -> dict[str, list[str]]:
        """The first table under a heading: first cell without backquotes to the other cells."""
        section = re.split(r"^#+ ", self[page].partition(f"# {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
        rows = [line for line in section.splitlines() if line.startswith("|")][2:]
        cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]
        return {one[0].replace("`", ""): one[1:] for one in cells}


@pytest.fixture(scope="session")
def documents() -> Documents:
    """All pages."""
    return Documents(ROOT)


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the source tree."""
    return ROOT


@pytest.fixture(scope="session")
def reference() -> ModuleType:
    """``docs/reference.py``, which makes the pages that come from the code."""
    spec = importlib.util.spec_from_file_location("docs_reference", ROOT / "docs" / "reference.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
