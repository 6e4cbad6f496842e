"""What the tests of this room share."""

from pathlib import Path

import pytest
from budget_books import Books


@pytest.fixture
def books(postgres_dsn: str, tmp_path: Path) -> Books:
    """A fresh database."""
    return Books(postgres_dsn, tmp_path)
