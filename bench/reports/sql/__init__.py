"""Statements of the report benchmark, one a file."""

from functools import cache
from importlib import resources


@cache
def statement(name: str) -> str:
    """The text of ``NAME.sql``."""
    return resources.files(__name__).joinpath(f"{name}.sql").read_text(encoding="utf-8")
