"""Runs what is quick and without processes first, so that a plain mistake shows in seconds."""

import pytest

#: Folders of tests in the order they run; whatever is not named comes between the two groups.
QUICK = ("admit", "meter", "price", "docs", "bench", "demo", "record", "budget", "report")
LAST = ("forward", "browser", "cli", "seeds", "sdk", "claude_code", "campaign")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Order by folder; within a folder the order stays as it is."""
    root = config.rootpath / "tests"

    def rank(item: pytest.Item) -> int:
        folder = item.path.relative_to(root).parts[0]
        if folder in QUICK:
            return QUICK.index(folder)
        return len(QUICK) + 1 + LAST.index(folder) if folder in LAST else len(QUICK)

    items.sort(key=rank)
