"""Rows without a price get that of their own day, and every sum made from them follows, in one transaction."""

import asyncio
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from majordomo.meter.reading import Bucket, Part, UsageState
from majordomo.price.bill import Bill
from majordomo.price.pricer import Pricer
from majordomo.record.database import connect
from majordomo.record.reprice import Repriced, reprice_unpriced

SESSION = UUID("0199c0de-0000-7000-8000-00000000000a")
UNKNOWN = Bill(price_version="v0", problems=("unknown_model",))

OVERLAY = """
[[rates]]
provider = "openai"
models = ["new-1"]
new_model = true
rates = { input = 2, cache_read = 0.2, output = 10 }

[[rates]]
provider = "openai"
models = ["new-1"]
from = 2025-11-22
rates = { input = 1, cache_read = 0.1, output = 5 }
"""


@pytest.fixture
def pricer(tmp_path: Path) -> Pricer:
    overlay = tmp_path / "overlay.toml"
    overlay.write_text(OVERLAY)
    return Pricer.load(None, overlay)


@pytest.fixture
def store(made: Any, new_journal: Callable[..., Any], drained: Callable[[], Any], sql: Callable[..., Any]) -> Any:
    """Stores rows: ``store([{field: value, ...}, ...])``, each an unpriced one unless it says otherwise."""
    sql(
        "INSERT INTO llm_requests_metadata_keys (majordomo_api_key_id, key_name, is_active, activated_at) "
        "VALUES ($1, 'Team', true, now())",
        UUID(bytes=made.key),
    )
    sql("INSERT INTO claude_sessions (id, majordomo_api_key_id) VALUES ($1, $2)", SESSION, UUID(bytes=made.key))

    def storing(rows: list[dict[str, Any]]) -> None:
        journal = new_journal()
        for row in rows:
            row = {"model": "new-1", "bill": UNKNOWN, "problems": (), "service_tier": None} | row
            opening = made.opening(
                requested_at=row.pop("requested_at", made.noon_us), claude_session=row.pop("session", None)
            )
            counts = row.pop("counts", {Bucket.INPUT: 1000, Bucket.CACHE_READ: 500, Bucket.OUTPUT: 10})
            journal.append_opening(opening)
            journal.append_close(made.close(opening, parts=(Part(None, counts),), **row))
        journal.close()
        drained()

    return storing


def run(dsn: str, pricer: Pricer, **given: int) -> Repriced:
    async def running() -> Repriced:
        total = Repriced()
        connection = await connect(dsn, purpose="tests")
        try:
            async for changed in reprice_unpriced(connection, pricer, **given):
                total.add(changed)
        finally:
            await connection.close()
        return total

    return asyncio.run(running())


def test_a_row_gets_its_price_and_every_sum_follows(
    store: Any, postgres_dsn: str, pricer: Pricer, sql: Callable[..., Any], assert_rollups_match: Callable[[], None]
) -> None:
    store([{"session": str(SESSION)}, {"model": "gpt-5-mini", "bill": Bill(total_cost=5, model_found=True)}])
    sql("UPDATE pair_periods SET is_current = true")
    result = run(postgres_dsn, pricer)
    assert (dict(result.rows), result.usd, result.seen) == (
        {("openai", "new-1"): 1},
        {("openai", "new-1"): Decimal("0.0022")},
        1,
    )
    (row,) = sql("SELECT * FROM llm_requests WHERE model = 'new-1'")
    assert {
        name: row[name] for name in ("input_cost", "cache_read_cost", "output_cost", "tool_cost", "total_cost")
    } == {
        "input_cost": Decimal("0.002"),
        "cache_read_cost": Decimal("0.0001"),
        "output_cost": Decimal("0.0001"),
        "tool_cost": 0,
        "total_cost": Decimal("0.0022"),
    }
    assert str(row["total_cost"]) == "0.0022"
    assert (row["model_alias_found"], row["price_version"], row["problems"]) == (True, pricer.version, [])
    assert_rollups_match()
    assert not sql("SELECT FROM pair_periods WHERE is_current"), "sums by two dimensions are to be made again"
    (session,) = sql("SELECT total_cost, total_requests FROM claude_sessions")
    assert (session["total_cost"], session["total_requests"]) == (Decimal("0.0022"), 1)


def test_a_row_keeps_the_price_of_its_own_day(
    store: Any, made: Any, postgres_dsn: str, pricer: Pricer, sql: Callable[..., Any]
) -> None:
    day_us = 86_400_000_000
    store([{"requested_at": made.noon_us}, {"requested_at": made.noon_us + day_us}])
    run(postgres_dsn, pricer)
    costs = [row["input_cost"] for row in sql("SELECT input_cost FROM llm_requests ORDER BY requested_at")]
    assert costs == [Decimal("0.002"), Decimal("0.001")]


def test_what_is_still_unknown_stays_null_and_is_told(
    store: Any, postgres_dsn: str, pricer: Pricer, sql: Callable[..., Any], assert_rollups_match: Callable[[], None]
) -> None:
    store(
        [
            {"model": "nobody-knows"},
            {"counts": {Bucket.IMAGES: 1}},
            {"service_tier": "ultrafast"},
            {"usage_state": UsageState.NONE},
            {},
        ]
    )
    result = run(postgres_dsn, pricer)
    assert dict(result.unpriced) == {
        ("openai", "nobody-knows", "unknown_model"): 1,
        ("openai", "new-1", "no_rate:images"): 1,
        ("openai", "new-1", "unknown_tier:ultrafast"): 1,
    }
    assert (result.seen, sum(result.rows.values())) == (4, 1)
    assert sql("SELECT count(*) AS n FROM llm_requests WHERE total_cost IS NULL")[0]["n"] == 4
    assert_rollups_match()


def test_a_price_that_was_known_is_never_touched(
    store: Any, postgres_dsn: str, pricer: Pricer, sql: Callable[..., Any]
) -> None:
    bill = Bill(
        input_cost=7, output_cost=0, cache_read_cost=0, cache_creation_cost=0, tool_cost=0, total_cost=7,
        price_version="v0", model_found=True,
    )  # fmt: skip
    store([{"bill": bill}])
    assert run(postgres_dsn, pricer).seen == 0
    (row,) = sql("SELECT total_cost, price_version FROM llm_requests")
    assert (row["total_cost"], row["price_version"]) == (Decimal("0.000000000000007"), "v0")


def test_many_batches_price_every_row_once(
    store: Any, made: Any, postgres_dsn: str, pricer: Pricer, sql: Callable[..., Any],
    assert_rollups_match: Callable[[], None],
) -> None:  # fmt: skip
    """Also where all rows have one moment and some of each batch stay unpriced; a second run adds nothing."""
    store([{"model": "new-1" if number % 3 else "nobody-knows"} for number in range(50)])
    result = run(postgres_dsn, pricer, batch_rows=7)
    assert (result.seen, result.rows["openai", "new-1"]) == (50, 33)
    assert_rollups_match()
    again = run(postgres_dsn, pricer, batch_rows=7)
    assert (again.seen, dict(again.rows)) == (17, {})
    assert sql("SELECT sum(total_cost) AS s FROM llm_requests")[0]["s"] == 33 * Decimal("0.0022")
    assert_rollups_match()


def test_two_runs_at_once_add_no_cost_twice(
    store: Any, postgres_dsn: str, pricer: Pricer, assert_rollups_match: Callable[[], None]
) -> None:
    store([{"session": str(SESSION)} for _ in range(40)])

    async def both() -> list[int]:
        async def one() -> int:
            connection = await connect(postgres_dsn, purpose="tests")
            try:
                return sum([sum(c.rows.values()) async for c in reprice_unpriced(connection, pricer, batch_rows=4)])
            finally:
                await connection.close()

        return list(await asyncio.gather(one(), one()))

    assert sum(asyncio.run(both())) == 40
    assert_rollups_match()


def test_a_run_that_breaks_off_has_changed_whole_batches_or_nothing(
    store: Any, postgres_dsn: str, pricer: Pricer, sql: Callable[..., Any], assert_rollups_match: Callable[[], None]
) -> None:
    store([{} for _ in range(10)])
    sql("ALTER TABLE usage_by_model_daily ADD CONSTRAINT full_up CHECK (total_cost < 0.01)")

    with pytest.raises(asyncpg.CheckViolationError):
        run(postgres_dsn, pricer, batch_rows=4)
    assert sql("SELECT count(*) AS n FROM llm_requests WHERE total_cost IS NOT NULL")[0]["n"] == 4
    assert_rollups_match()
    sql("ALTER TABLE usage_by_model_daily DROP CONSTRAINT full_up")
    assert sum(run(postgres_dsn, pricer).rows.values()) == 6
    assert_rollups_match()


def test_a_row_with_unreadable_parts_is_told_and_passed_over(
    store: Any, postgres_dsn: str, pricer: Pricer, sql: Callable[..., Any]
) -> None:
    store([{}, {}])
    sql(
        "UPDATE llm_requests SET billed = $1 WHERE id = (SELECT min(id::text)::uuid FROM llm_requests)", json.dumps([1])
    )
    result = run(postgres_dsn, pricer)
    assert (dict(result.unpriced), sum(result.rows.values())) == ({("openai", "new-1", "unreadable_row"): 1}, 1)


def test_the_sums_of_a_metadata_key_that_is_no_longer_active_follow_too(
    store: Any, postgres_dsn: str, pricer: Pricer, sql: Callable[..., Any], assert_rollups_match: Callable[[], None]
) -> None:
    """Activated again, it is summed by them, and rows that are in them are not counted a second time."""
    store([{}, {}])
    sql("UPDATE llm_requests_metadata_keys SET is_active = false, activated_at = NULL")
    assert sum(run(postgres_dsn, pricer).rows.values()) == 2
    assert sql("SELECT count(*) AS n FROM usage_by_metadata_daily")[0]["n"] > 0
    assert_rollups_match()
