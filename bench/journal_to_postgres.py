"""How fast the back office moves a journal into PostgreSQL, and what CPU of its own that costs.

    python bench/journal_to_postgres.py --rows 100000 [--dsn DSN] [--profile FILE]

Fills a journal with finished requests of a realistic mix (20 keys, 12 models, two active metadata keys), drains it
with the writer, checks that count and cost in PostgreSQL are those of the journal, prints one JSON object. Without a
DSN it starts an embedded PostgreSQL in a temporary directory.
"""

import argparse
import cProfile
import json
import random
import resource
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import uvloop

from majordomo.clock import wall_us
from majordomo.ids import IdMaker
from majordomo.meter.reading import Bucket, Part, UsageState
from majordomo.price.bill import Bill, usd
from majordomo.record.database import connect
from majordomo.record.frames import Close, Opening, Outcome
from majordomo.record.journal import Journal
from majordomo.record.migrate import migrate
from majordomo.record.writer import Writer

SEGMENT_BYTES = 16 * 1024 * 1024
SPREAD_US = 2 * 3_600_000_000  # the requests of one run lie within two hours


def requests(count: int, keys: list[bytes]) -> Iterator[tuple[Opening, Close]]:
    """``count`` finished requests, the same on every run but for ids and times."""
    dice = random.Random(7)
    ids = IdMaker()
    models = [f"model-{number}" for number in range(12)]
    features = [f"feature-{number}" for number in range(25)]
    start = wall_us() - SPREAD_US
    for number in range(count):
        at = start + number * SPREAD_US // count
        made = ids.make(at)
        model = dice.choice(models)
        fresh, cached, written = dice.randrange(50, 4000), dice.randrange(0, 3000), dice.randrange(1, 900)
        costs = fresh * 2_500_000_000, cached * 250_000_000, written * 10_000_000_000
        opening = Opening(
            id=made,
            requested_at=at,
            api_key_id=dice.choice(keys),
            org_id=None,
            provider="openai",
            api="openai.chat",
            method="POST",
            path="/v1/chat/completions",
            provider_key_hash="5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8",
            provider_key_alias=None,
            metadata={"Feature": dice.choice(features), "User-Id": f"user-{dice.randrange(4000)}"},
        )
        usage = {
            "prompt_tokens": fresh + cached,
            "completion_tokens": written,
            "total_tokens": fresh + cached + written,
            "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        }
        close = Close(
            id=made,
            outcome=Outcome.COMPLETED,
            status_code=200,
            responded_at=at + 900_000,
            response_time_ms=900,
            time_to_first_byte_ms=350,
            streamed=False,
            requested_model=model,
            model=model,
            usage_state=UsageState.FINAL,
            usage=json.dumps(usage).encode(),
            input_tokens=fresh + cached,
            output_tokens=written,
            cached_tokens=cached,
            cache_creation_tokens=None,
            cache_creation_5m_tokens=None,
            cache_creation_1h_tokens=None,
            reasoning_tokens=0,
            prompt_tokens=fresh + cached,
            service_tier="default",
            parts=(Part(model, {Bucket.INPUT: fresh, Bucket.CACHE_READ: cached, Bucket.OUTPUT: written}),),
            speed=None,
            geo=None,
            batch=False,
            bill=Bill(
                input_cost=costs[0],
                cache_read_cost=costs[1],
                output_cost=costs[2],
                cache_creation_cost=0,
                tool_cost=0,
                total_cost=sum(costs),
                price_version="2026-01-01.0",
                model_found=True,
            ),
            error_type=None,
            error_message=None,
        )
        yield opening, close


def fill(journal_dir: Path, count: int, keys: list[bytes]) -> int:
    """Journal ``count`` requests; returns their cost in femto-USD."""
    journal = Journal.create(journal_dir, segment_bytes=SEGMENT_BYTES, now_us=wall_us())
    total = 0
    for opening, close in requests(count, keys):
        journal.append_opening(opening)
        journal.append_close(close)
        total += close.bill.total_cost or 0
    journal.close()
    return total


async def drain(dsn: str, folder: Path, count: int, profile: Path | None) -> dict[str, object]:
    """Move a journal of ``count`` requests; the figures."""
    await migrate(dsn)
    ids = IdMaker()
    keys = [ids.make(wall_us()) for _ in range(20)]
    connection = await connect(dsn, purpose="bench")
    for number, key in enumerate(keys):
        await connection.execute(
            "INSERT INTO api_keys (id, name, key_hash) VALUES ($1, $2::text, $2::text)",
            UUID(bytes=key),
            f"{number}-{key.hex()}",
        )
        await connection.execute(
            "INSERT INTO llm_requests_metadata_keys (majordomo_api_key_id, key_name, is_active) "
            "VALUES ($1, 'Feature', true), ($1, 'User-Id', true)",
            UUID(bytes=key),
        )
    expected = fill(folder / "journal", count, keys)
    before = await connection.fetchrow(
        "SELECT count(*) AS rows, coalesce(sum(total_cost), 0) AS cost FROM llm_requests"
    )
    writer = Writer(dsn, folder / "journal", folder / "dead")
    profiler = cProfile.Profile() if profile else None
    cpu, wall = _cpu(), time.perf_counter()
    if profiler:
        profiler.enable()
    await writer.drain()
    if profiler and profile:
        profiler.disable()
        profiler.dump_stats(profile)
    cpu, wall = _cpu() - cpu, time.perf_counter() - wall
    await writer.close()
    after = await connection.fetchrow("SELECT count(*) AS rows, coalesce(sum(total_cost), 0) AS cost FROM llm_requests")
    assert before and after
    rows, cost = after["rows"] - before["rows"], after["cost"] - before["cost"]
    await connection.close()
    return {
        "rows": count,
        "rows_per_second": round(count / wall),
        "cpu_us_per_row": round(cpu / count * 1e6, 1),
        "batches": writer.stats.batches,
        "exact": rows == count and cost == usd(expected),
    }


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


@contextmanager
def database(dsn: str | None, folder: Path) -> Iterator[str]:
    """The DSN given, or one of an embedded PostgreSQL that lives as long as this."""
    if dsn:
        yield dsn
        return
    from majordomo.record import embedded
    from majordomo.settings import Settings

    server = embedded.open_server(Settings(data_dir=folder, database_url=None), {})
    try:
        embedded.start(server, lambda line: None)
        yield server.dsn()
    finally:
        server.release()


def main() -> None:
    """Run, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dsn")
    parser.add_argument("--profile", type=Path)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="mdm-bench-", dir="/tmp"))
    folder.chmod(0o711)
    try:
        with database(given.dsn, folder) as dsn:
            print(json.dumps(uvloop.run(drain(dsn, folder, given.rows, given.profile))))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
