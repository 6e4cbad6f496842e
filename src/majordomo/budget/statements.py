"""The SQL of this room, by name: one file each under ``budget/sql``."""

from functools import cache
from importlib import resources


@cache
def statement(name: str) -> str:
    """The text of ``budget/sql/NAME.sql``."""
    return resources.files("majordomo.budget.sql").joinpath(f"{name}.sql").read_text(encoding="utf-8")
