"""Two replicas of the gateway on one PostgreSQL, four front desks each, and 200 callers who all ask at once."""

import asyncio
import datetime as dt
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from campaign.fortress import Fortress
from campaign.holding import Answer, Held, HoldingProvider, Line, reply, until
from majordomo.apis import Api
from majordomo.budget.bounds import ADDED_TOKENS, bound
from majordomo.budget.definition import Draft
from majordomo.budget.expected import Expected
from majordomo.budget.keeper import LEASE_SECONDS
from majordomo.budget.model import Budget, Unit, from_unit, in_unit
from majordomo.budget.standing import standing
from majordomo.budget.store import create
from majordomo.clock import wall_us
from majordomo.price.pricer import Pricer
from majordomo.record import api_keys
from majordomo.record.database import Connection, connect

#: Front desks hear of a budget at once, mostly; whoever asks before costs a probe that counts as a request (s).
_HEARD_SECONDS = 0.2

_LOOK_SECONDS = 0.005
REPLICAS = 2
WORKERS = 4
CALLERS = 200

MODEL = "claude-opus-4-8"
PATH = "/v1/messages"
MOST_OUTPUT = 100
#: What each caller asks; that it sets a highest output makes it a request that strict takes.
BODY = json.dumps(
    {"model": MODEL, "max_tokens": MOST_OUTPUT, "messages": [{"role": "user", "content": "x" * 100}]}
).encode()
#: What shows whether a front desk knows a budget: strict refuses it, else the provider does, and it costs nothing.
PROBE = BODY.replace(b'"max_tokens": 100, ', b"")
_REFUSED_PROBE = reply(400, {"type": "error", "error": {"type": "invalid_request_error", "message": "no max_tokens"}})

_SPENT = """
SELECT (SELECT count(*) FROM llm_requests WHERE raw_metadata->>'Round' = $2) AS rows,
    (SELECT coalesce(sum(spent), 0) FROM budget_cells WHERE budget_id = $1) AS counted,
    (SELECT coalesce(sum(CASE $3 WHEN 'usd' THEN total_cost WHEN 'requests' THEN (outcome <> 'refused')::int
        WHEN 'output_tokens' THEN output_tokens ELSE coalesce(prompt_tokens, 0) + coalesce(output_tokens, 0) END), 0)
        FROM llm_requests WHERE raw_metadata->>'Round' = $2) AS summed
"""
#: Counts of strict budgets whose spent and leased amounts together are above the limit.
_OVER = """
SELECT b.name, b.limit_amount, spent, leased FROM budgets b, LATERAL (
    SELECT (SELECT coalesce(sum(c.spent), 0) FROM budget_cells c WHERE c.budget_id = b.id) AS spent,
        (SELECT coalesce(sum(l.amount), 0) FROM budget_leases l WHERE l.budget_id = b.id) AS leased) AS now
WHERE b.mode = 'strict' AND spent + leased > b.limit_amount
"""


def worst_case() -> Expected:
    """What ``BODY`` can use at most, as a strict budget sees it."""
    found = bound(Pricer.load(None, None), "anthropic", Api.ANTHROPIC_MESSAGES, MODEL, BODY, wall_us())
    assert isinstance(found, Expected)
    assert (found.input_tokens, found.output_tokens) == (len(BODY) + ADDED_TOKENS, MOST_OUTPUT)
    return found


class Wave(NamedTuple):
    """What became of requests that were made at once, as long as nobody has answered those that left."""

    left: list[Held]
    refused: list[Answer]


class Replicas:
    """The gateways, the database between them, their provider and their callers."""

    def __init__(self, dsn: str, folder: Path, variables: Mapping[str, str] | None = None) -> None:
        self.dsn = dsn
        self.provider = HoldingProvider(lambda body: _REFUSED_PROBE if body == PROBE else None)
        self.gateways: list[Fortress] = []
        self._made: Counter[str] = Counter()  # rows that there should be, by round
        self._answers: dict[asyncio.Task[Answer], None] = {}
        self._lines: list[Line] = []
        for number in range(REPLICAS):
            data_dir = folder / f"replica-{number}"
            data_dir.mkdir()
            self.gateways.append(
                Fortress(data_dir, self.provider.url, database_url=dsn, workers=WORKERS, variables=variables)
            )

    def close(self) -> None:
        """Stop both."""
        for gateway in self.gateways:
            gateway.process.close()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """A key, and a connection for each caller, half of them to each replica."""
        self.connection: Connection = await connect(self.dsn, purpose="tests")
        self._key = (await api_keys.create(self.connection, "crowd")).secret
        self._lines = [Line(self.gateways[number % REPLICAS].port) for number in range(CALLERS)]
        async with self.provider:
            try:
                yield
            finally:
                for task in self._answers:
                    task.cancel()
                for line in self._lines:
                    line.drop()
                await self.connection.close()

    async def budget(self, name: str, limit: int, unit: Unit = Unit.USD, **draft: object) -> Budget:
        """A fresh budget over the requests of one round, which is its name, known to every front desk."""
        made = await create(
            self.connection,
            Draft(name=name, limit=f"{in_unit(unit, limit):f}", unit=unit, metadata={"Round": name}, **draft),  # type: ignore[arg-type]
            "a test",
        )

        await asyncio.sleep(_HEARD_SECONDS)

        async def known() -> bool:
            """By whichever front desks the callers are connected to, and that is all of them."""
            told = await asyncio.gather(*(self._ask(line, PROBE, name) for line in self._lines))
            return all(answer.headers.get("x-majordomo-budget-name") == name for answer in told)

        await until(known, lambda: f"not every front desk knows the budget {name}")
        return made

    async def wave(self, round_name: str, callers: int = CALLERS, replica: int | None = None) -> Wave:
        """So many requests at once, spread over both replicas or all to one; until each has left or was refused."""
        self._answers = {}
        before = len(self.provider.held)
        lines = [line for line in self._lines if replica is None or line.port == self.gateways[replica].port]
        for line in lines[:callers]:
            self._answers[asyncio.create_task(self._ask(line, BODY, round_name))] = None
        tasks = list(self._answers)

        def decided() -> bool:
            return len(self.provider.held) - before + sum(task.done() for task in tasks) == len(tasks)

        await until(decided, lambda: f"{len(self.provider.held) - before} of {len(tasks)} have left")
        return Wave(self.provider.held[before:], [task.result() for task in tasks if task.done()])

    def hang_up(self, share: float, dice: random.Random) -> None:
        """Some of those who still wait for their answer do so no more."""
        for task in self._answers:
            if not task.done() and dice.random() < share:
                task.cancel()

    async def ended(self) -> list[Answer]:
        """The answers of the last wave, without those nobody waited for or that broke off."""
        told = await asyncio.gather(*self._answers, return_exceptions=True)
        self._answers = {}
        return [answer for answer in told if isinstance(answer, Answer)]

    async def spent(self, budget: Budget) -> Decimal:
        """What a budget's count says once every request has its row; that is the sum over the rows."""
        name = budget.name

        async def settled() -> bool:
            row = await self.connection.fetchrow(_SPENT, UUID(bytes=budget.id), name, budget.unit.value)
            return bool(row["rows"] == self._made[name])

        await until(settled, lambda: f"not all {self._made[name]} requests of {name} have a row")
        row = await self.connection.fetchrow(_SPENT, UUID(bytes=budget.id), name, budget.unit.value)
        assert row["counted"] == row["summed"], f"{name}: counted {row['counted']}, the rows come to {row['summed']}"
        return Decimal(row["counted"])

    async def overshoot(self, budget: Budget) -> int:
        """The largest possible overshoot that the gateway states, once every front desk has told of what runs now."""
        now = await self.connection.fetchval("SELECT clock_timestamp()")
        told_after = now + dt.timedelta(seconds=LEASE_SECONDS)

        async def told() -> bool:
            first = await self.connection.fetchval(
                "SELECT min(expires_at) FROM budget_leases WHERE budget_id = $1", UUID(bytes=budget.id)
            )
            return bool(first > told_after)

        await until(told, lambda: "a front desk does not tell what is at risk")
        stands = await standing(self.connection, budget, wall_us())
        return from_unit(budget.unit, stands.counts[0].at_risk)

    async def never_over(self) -> int:
        """Look every few ms, until cancelled, whether a strict budget is spent and leased beyond its limit."""
        connection = await connect(self.dsn, purpose="tests")
        looks = 0
        try:
            while True:
                over = await connection.fetch(_OVER)
                assert not over, over
                looks += 1
                await asyncio.sleep(_LOOK_SECONDS)
        except asyncio.CancelledError:
            return looks
        finally:
            await connection.close()

    async def _ask(self, line: Line, body: bytes, round_name: str) -> Answer:
        self._made[round_name] += 1
        headers = {
            "Content-Type": "application/json",
            "x-api-key": "sk-scripted",
            "anthropic-version": "2023-06-01",
            "X-Majordomo-Key": self._key,
            "X-Majordomo-Round": round_name,
        }
        return await line.ask(PATH, body, headers)
