"""The questions in SQL, one file each, named for what it asks."""

from functools import cache
from importlib import resources


@cache
def question(name: str) -> str:
    """The text of ``report/sql/NAME.sql``."""
    return resources.files(__name__).joinpath(f"{name}.sql").read_text(encoding="utf-8")
