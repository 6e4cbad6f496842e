"""SQL in files, one statement each, named for the question or change it makes."""

from functools import cache
from importlib import resources


@cache
def statement(name: str, package: str = __name__) -> str:
    """The statement in ``NAME.sql`` of a package, read once.

    Raises:
        FileNotFoundError: there is no such file; the name is a constant, so this is a fault of the program.
    """
    return (resources.files(package) / f"{name}.sql").read_text(encoding="utf-8")
