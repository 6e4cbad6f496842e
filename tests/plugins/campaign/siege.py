"""One siege: a fortress, its provider and its callers, round after round, each with its audit."""

import asyncio
import json
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from campaign.audit import Auditor, Tally, check_balances, check_ledger, check_totals, rows_of
from campaign.callers import Load, Mix
from campaign.fortress import PATIENCE, Fortress, Plan
from campaign.ledger import LedgerProvider, ledger_provider
from majordomo.record import api_keys

KEYS = ("first", "second", "third")


class Siege:
    """Rounds of load and blows. ``dice`` decides everything that is random."""

    def __init__(self, fortress: Fortress, provider: LedgerProvider, dice: random.Random, mix: Mix) -> None:
        self.fortress = fortress
        self.provider = provider
        self.dice = dice
        self.tally = Tally()
        keys = asyncio.run(_make_keys(fortress.dsn))
        self.load = Load(fortress.port, keys, random.Random(dice.random()), mix)
        self._round = 0
        self._prepare()

    def _prepare(self) -> None:
        """Activate the metadata key ``Team`` before there are rows: all of them then count."""
        self.query(
            "INSERT INTO llm_requests_metadata_keys (majordomo_api_key_id, key_name, is_active) "
            "SELECT id, 'Team', true FROM api_keys"
        )

    def query(self, sql: str) -> list[asyncpg.Record]:
        """The rows of a query."""

        async def fetch() -> list[asyncpg.Record]:
            connection = await asyncpg.connect(self.fortress.dsn, timeout=PATIENCE)
            try:
                return await connection.fetch(sql)
            finally:
                await connection.close()

        return asyncio.run(fetch())

    def round(self, *blows: Plan, before: float = 0.8, after: float = 0.5) -> Tally:
        """Load, some blows at random moments, load until all is well again; then the audit."""
        self._round += 1
        self.load.start(self._round)
        struck = []
        try:
            time.sleep(self.dice.uniform(0.2, before))
            for plan in blows:
                struck.append(self.fortress.strike(plan, self.dice))
                time.sleep(self.dice.uniform(0, after / 2))
            self.fortress.wait_until_sound()
            time.sleep(self.dice.uniform(0.1, after))
        finally:
            self.load.stop()
        auditor = Auditor(self.load.of_round(self._round), self.provider.entries(self._round), struck)
        tally = asyncio.run(self._audit(auditor))
        self.tally.add(tally)
        return tally

    async def _audit(self, auditor: Auditor) -> Tally:
        connection = await asyncpg.connect(self.fortress.dsn, timeout=PATIENCE)
        try:
            deadline = time.monotonic() + PATIENCE
            while True:
                unsettled = await self.fortress.unsettled(connection)
                rows = await rows_of(connection, self._round)
                if not unsettled and not auditor.missing(rows):  # what a caller left is read to its end first
                    break
                if time.monotonic() > deadline:
                    raise AssertionError(f"{unsettled}; rows missing: {auditor.missing(rows)}; {self.fortress.said()}")
                await asyncio.sleep(0.1)
            tally = auditor.check(rows)
            await check_balances(connection)
        finally:
            await connection.close()
        return tally

    def check_ledger(self, campaign_round: int) -> None:
        """Of a round whose calls were not kept: what reached the provider has one row each, and what it says."""

        async def check() -> None:
            connection = await asyncpg.connect(self.fortress.dsn, timeout=PATIENCE)
            try:
                entries = self.provider.entries(campaign_round)
                deadline = time.monotonic() + PATIENCE
                while missing := {entry.mark for entry in entries} - {
                    row["mark"] for row in await rows_of(connection, campaign_round)
                }:
                    assert time.monotonic() < deadline, f"{len(missing)} rows missing: {sorted(missing)[:5]}"
                    await asyncio.sleep(0.1)
                check_ledger(entries, await rows_of(connection, campaign_round))
                await check_balances(connection)
            finally:
                await connection.close()

        asyncio.run(check())

    def check_health(self) -> None:
        """``doctor`` finds nothing that fails, and the counters count no failure."""
        found = json.loads(self.fortress.process.run("doctor", "--json", "--port", str(self.fortress.port)))
        failed = [finding for finding in found["findings"] if finding["state"] == "fail"]
        assert not failed, failed

    def check_end(self, dsn: str) -> None:
        """Of the stopped gateway: the database holds what all rounds together say."""

        async def check() -> None:
            connection = await asyncpg.connect(dsn)
            try:
                await check_balances(connection)
                await check_totals(connection, self.tally)
                open_ones = await connection.fetchval("SELECT count(*) FROM journal_openings")
                assert open_ones == 0, f"{open_ones} requests are still open in a database without journals"
            finally:
                await connection.close()

        asyncio.run(check())


async def _make_keys(dsn: str) -> dict[str, str]:
    connection = await asyncpg.connect(dsn)
    try:
        return {name: (await api_keys.create(connection, name)).secret for name in KEYS}
    finally:
        await connection.close()


@contextmanager
def siege(data_dir: Path, seed: int, *, mix: Mix | None = None, database_url: str | None = None) -> Iterator[Siege]:
    """A running gateway on ``data_dir``, ready to be hurt."""
    with ledger_provider(data_dir.parent) as provider:
        fortress = Fortress(data_dir, provider.url, database_url=database_url)
        try:
            yield Siege(fortress, provider, random.Random(seed), mix or Mix())
        finally:
            fortress.process.close()
