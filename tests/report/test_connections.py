"""The pool behind the control API: opened when needed, and a plain refusal while the database is away."""

import asyncio

import pytest

from majordomo.report import connections
from majordomo.report.connections import Connections
from majordomo.report.errors import ApiError


def test_questions_are_answered_and_the_pool_comes_back_after_a_cut(postgres_dsn: str) -> None:
    """A server that ends every connection costs one question, not those after it."""

    async def ask() -> None:
        pool = Connections(postgres_dsn)
        try:
            async with pool.acquire() as one:
                assert await one.fetchval("SELECT 1") == 1
            with pytest.raises(ApiError) as refused:
                async with pool.acquire() as one:
                    await one.execute("SELECT pg_terminate_backend(pg_backend_pid())")
            assert refused.value.code == "database_unavailable"
            async with pool.acquire() as one:
                assert await one.fetchval("SELECT 2") == 2
        finally:
            await pool.close()

    asyncio.run(ask())


def test_an_absent_database_is_503() -> None:
    async def ask() -> None:
        with pytest.raises(ApiError) as refused:
            async with Connections("postgresql://nobody:secret@127.0.0.1:1/none").acquire():
                pass
        assert (refused.value.status, refused.value.code) == (503, "database_unavailable")
        assert "secret" not in str(refused.value)

    asyncio.run(ask())


def test_a_question_that_takes_too_long_is_cut_off(postgres_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "QUESTION_TIMEOUT_MS", 50)

    async def ask() -> None:
        pool = Connections(postgres_dsn)
        try:
            with pytest.raises(ApiError) as refused:
                async with pool.acquire() as one:
                    await one.execute("SELECT pg_sleep(30)")
            assert refused.value.code == "question_too_long"
        finally:
            await pool.close()

    asyncio.run(ask())
