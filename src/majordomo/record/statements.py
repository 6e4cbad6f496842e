"""The SQL of this room, by name: one file each under ``record/sql``."""

from functools import cache
from importlib import resources


@cache
def statement(name: str) -> str:
    """The text of ``record/sql/NAME.sql``."""
    return resources.files("majordomo.record.sql").joinpath(f"{name}.sql").read_text(encoding="utf-8")
