"""Commands run in this process against a fresh database, with what they print."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from majordomo.cli.app import run


@pytest.fixture
def majordomo(
    postgres_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """``majordomo("keys", "list")`` gives exit code, standard output and standard error."""
    monkeypatch.setenv("MAJORDOMO_DATABASE_URL", postgres_dsn)
    monkeypatch.setenv("MAJORDOMO_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run(list(arguments))
        printed = capsys.readouterr()
        code = ended.value.code
        return (code if isinstance(code, int) else 0), printed.out, printed.err

    return call


@pytest.fixture
def query(postgres_dsn: str) -> Callable[..., list[tuple[Any, ...]]]:
    """``query(sql, *arguments)`` gives the rows."""

    def ask(sql: str, *arguments: Any) -> list[tuple[Any, ...]]:
        async def inner() -> list[tuple[Any, ...]]:
            connection = await asyncpg.connect(postgres_dsn)
            try:
                return [tuple(row) for row in await connection.fetch(sql, *arguments)]
            finally:
                await connection.close()

        return asyncio.run(inner())

    return ask
