"""Two replicas of the gateway on one PostgreSQL, four front desks each, and 200 callers who all ask at once."""

import asyncio
import datetime as dt
import json
import random
import shutil
import struct
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from uuid import UUID

from campaign.fortress import Fortress
from campaign.holding import Answer, Held, HoldingProvider, Line, reply, until
from campaign.sizes import tell
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
from majordomo.record.segments import journal_folders

#: Front desks hear of a budget at once, mostly; whoever asks before costs a probe that counts as a request (s).
_HEARD_SECONDS = 0.2

CLOCKWORK = Path(__file__).parents[2] / "stand_ins" / "clockwork"

_LOOK_SECONDS = 0.005
REPLICAS = 2
WORKERS = 4
CALLERS = 200
#: Requests that fit into a strict budget.
FIT = 37

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
SELECT (SELECT coalesce(sum(spent), 0) FROM budget_cells WHERE budget_id = $1) AS counted,
    (SELECT coalesce(sum(CASE $3 WHEN 'usd' THEN total_cost WHEN 'requests' THEN (outcome <> 'refused')::int
        WHEN 'output_tokens' THEN output_tokens ELSE coalesce(prompt_tokens, 0) + coalesce(output_tokens, 0) END), 0)
        FROM llm_requests WHERE raw_metadata->>'Round' = $2) AS summed
"""
#: Windows of strict budgets whose spent and leased amounts together are above the limit; all, or of these.
_OVER = """
SELECT b.name, b.limit_amount, window_start, sum(amount) FROM budgets b JOIN (
    SELECT budget_id, window_start, spent AS amount FROM budget_cells
    UNION ALL SELECT budget_id, window_start, amount FROM budget_leases) AS used ON used.budget_id = b.id
WHERE b.mode = 'strict' AND (b.id = ANY($1) OR $1 = '{}')
GROUP BY b.id, window_start HAVING sum(amount) > b.limit_amount
"""


def worst_case() -> Expected:
    """What ``BODY`` can use at most, as a strict budget sees it."""
    found = bound(Pricer.load(None, None), "anthropic", Api.ANTHROPIC_MESSAGES, MODEL, BODY, wall_us())
    assert isinstance(found, Expected)
    assert (found.input_tokens, found.output_tokens) == (len(BODY) + ADDED_TOKENS, MOST_OUTPUT)
    return found


class Wave:
    """Requests that were made at once: until somebody answers them, those that left wait at the provider."""

    def __init__(self, asked: dict[asyncio.Task[Answer], int], left: list[Held]) -> None:
        self._asked = asked
        self.left = left
        self.refused = [task.result() for task in asked if task.done() and not task.exception()]

    def waiting(self, replica: int) -> int:
        """How many of one replica still wait for their answer."""
        return sum(one == replica and not task.done() for task, one in self._asked.items())

    def hang_up(self, share: float, dice: random.Random) -> None:
        """Some of those who still wait for their answer do so no more."""
        for task in self._asked:
            if not task.done() and dice.random() < share:
                task.cancel()

    async def ended(self) -> list[Answer]:
        """Every answer, once there are no more to come: without those nobody waited for, or that broke off."""
        told = await asyncio.gather(*self._asked, return_exceptions=True)
        return [answer for answer in told if isinstance(answer, Answer)]


class Replicas:
    """The gateways, the database between them, their provider and their callers."""

    def __init__(self, dsn: str, folder: Path, lease_seconds: float | None = None) -> None:
        self.dsn = dsn
        self._folder = folder
        self.lease_seconds = lease_seconds or LEASE_SECONDS
        self.provider = HoldingProvider(lambda body: _REFUSED_PROBE if body == PROBE else None)
        self.gateways: list[Fortress] = []
        self._opened = 0
        self._asked: set[asyncio.Task[Answer]] = set()
        self._lines: list[list[Line]] = []
        for number in range(REPLICAS):
            data_dir = folder / f"replica-{number}"
            data_dir.mkdir()
            variables = {}
            if lease_seconds is not None:
                self.turn_clock(number, 0.0)
                variables = {
                    "PYTHONPATH": str(CLOCKWORK),
                    "CLOCKWORK": str(folder / f"clock-{number}"),
                    "CLOCKWORK_LEASE_SECONDS": str(lease_seconds),
                }
            self.gateways.append(
                Fortress(data_dir, self.provider.url, database_url=dsn, workers=WORKERS, variables=variables)
            )

    def turn_clock(self, replica: int, seconds: float) -> None:
        """Set the wall clock of one replica, so far from the true time; of those made with ``lease_seconds``."""
        hands = struct.pack("q", round(seconds * 1_000_000))
        with (self._folder / f"clock-{replica}").open("r+b" if self.gateways[replica:] else "wb") as file:
            file.write(hands)

    def close(self) -> None:
        """Stop both."""
        for gateway in self.gateways:
            gateway.process.close()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """A key, and a connection for each caller, half of them to each replica."""
        await self.reconnect()
        self._opened += 1
        self._key = (await api_keys.create(self.connection, f"crowd {self._opened}")).secret
        self._lines = [[Line(gateway.port) for _ in range(CALLERS // REPLICAS)] for gateway in self.gateways]
        async with self.provider:
            try:
                yield
            finally:
                for task in self._asked:
                    task.cancel()
                self._asked.clear()
                for line in self._all_lines():
                    line.drop()
                await self.connection.close()

    async def reconnect(self) -> None:
        """Connect to the database, or again after it was away."""
        self.connection: Connection = await connect(self.dsn, purpose="tests")

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
            told = await asyncio.gather(*(self._ask(line, PROBE, name) for line in self._all_lines()))
            return all(answer.headers.get("x-majordomo-budget-name") == name for answer in told)

        await until(known, lambda: f"not every front desk knows the budget {name}")
        return made

    async def wave(self, round_name: str, callers: int = CALLERS, replica: int | None = None) -> Wave:
        """So many requests at once, spread over both replicas or all to one; until each has left or was refused."""
        before = len(self.provider.held)
        asked = {}
        for number in range(callers):
            gateway = number % REPLICAS if replica is None else replica
            asked[asyncio.create_task(self._ask(self._free_line(gateway), BODY, round_name))] = gateway
        self._asked |= set(asked)

        def decided() -> bool:
            return len(self.provider.held) - before + sum(task.done() for task in asked) == len(asked)

        await until(decided, lambda: f"{len(self.provider.held) - before} of {len(asked)} have left")
        return Wave(asked, self.provider.held[before:])

    def _free_line(self, replica: int) -> Line:
        """A connection that nobody waits at, or a new one."""
        lines = self._lines[replica]
        line = next((one for one in lines if not one.busy), None)
        if line is None:
            line = Line(self.gateways[replica].port)
            lines.append(line)
        line.busy = True
        return line

    async def settled(self) -> None:
        """Wait until every request that a living gateway has had is over and has its row."""
        living = [gateway for gateway in self.gateways if gateway.process.running]
        unsettled: str | None = ""

        async def all_there() -> bool:
            nonlocal unsettled
            for gateway in living:
                journals = [journal_id for journal_id, _ in journal_folders(gateway.places.journal_dir)]
                unsettled = await gateway.unsettled(self.connection)
                running = await self.connection.fetchval(
                    "SELECT count(*) FROM journal_openings WHERE journal_id = ANY($1)", journals
                )
                if running:
                    unsettled = f"{running} requests are under way"
                if unsettled:
                    return False
            return True

        await until(all_there, lambda: unsettled or "")

    async def spent(self, budget: Budget) -> int:
        """What a budget has counted once every request has its row; that is the sum over the rows."""
        await self.settled()
        row = await self.connection.fetchrow(_SPENT, UUID(bytes=budget.id), budget.name, budget.unit.value)
        told = f"{budget.name}: counted {row['counted']}, the rows come to {row['summed']}"
        assert row["counted"] == row["summed"], told
        return from_unit(budget.unit, row["counted"])

    async def overshoot(self, budget: Budget) -> int:
        """The largest possible overshoot that the gateway states, once every front desk has told of what runs now."""
        now = await self.connection.fetchval("SELECT clock_timestamp()")
        told_after = now + dt.timedelta(seconds=self.lease_seconds)

        async def told() -> bool:
            first = await self.connection.fetchval(
                "SELECT min(expires_at) FROM budget_leases WHERE budget_id = $1", UUID(bytes=budget.id)
            )
            return bool(first > told_after)

        await until(told, lambda: "a front desk does not tell what is at risk")
        stands = await standing(self.connection, budget, wall_us())
        return from_unit(budget.unit, stands.counts[0].at_risk)

    async def never_over(self, *budgets: Budget) -> int:
        """Look every few ms, until cancelled, whether a strict budget is spent and leased beyond its limit."""
        connection = await connect(self.dsn, purpose="tests")
        looks = 0
        try:
            while True:
                over = await connection.fetch(_OVER, [UUID(bytes=budget.id) for budget in budgets])
                assert not over, over
                looks += 1
                await asyncio.sleep(_LOOK_SECONDS)
        except asyncio.CancelledError:
            return looks
        finally:
            await connection.close()

    def _all_lines(self) -> list[Line]:
        return [line for lines in self._lines for line in lines]

    async def _ask(self, line: Line, body: bytes, round_name: str) -> Answer:
        headers = {
            "Content-Type": "application/json",
            "x-api-key": "sk-scripted",
            "anthropic-version": "2023-06-01",
            "X-Majordomo-Key": self._key,
            "X-Majordomo-Round": round_name,
        }
        return await line.ask(PATH, body, headers)


@contextmanager
def running_replicas(dsn: str, lease_seconds: float | None = None) -> Iterator[Replicas]:
    """Two replicas on a database. ``lease_seconds``: with leases that are so long, and clocks that can be turned."""
    folder = Path(tempfile.mkdtemp(prefix="mdm-", dir="/tmp"))
    both = Replicas(dsn, folder, lease_seconds)
    try:
        yield both
    finally:
        both.close()
        shutil.rmtree(folder)


@asynccontextmanager
async def watched(both: Replicas, *budgets: Budget) -> AsyncIterator[None]:
    """Of strict budgets, spent and leased together stay within the limit all the time, for each window."""
    watching = asyncio.create_task(both.never_over(*budgets))
    yield
    assert not watching.done(), watching.result()
    watching.cancel()
    tell(f"spent and leased were within the limits at {await watching} looks")


def answer(wave: Wave) -> None:
    """Let every request use all that it may."""
    usage = {"input_tokens": len(wave.left[0].body) + ADDED_TOKENS, "output_tokens": MOST_OUTPUT} if wave.left else {}
    for held in wave.left:
        held.answer(200, {"type": "message", "role": "assistant", "model": "claude-opus-4-8", "usage": usage})


def one() -> int:
    """What a strict budget in tokens reserves for one request, and what it uses at the worst."""
    worst = worst_case()
    return worst.input_tokens + worst.output_tokens


async def strict_budget(both: Replicas, name: str, **draft: object) -> Budget:
    """Room for 37 and a bit, in tokens."""
    return await both.budget(name, one() * FIT + one() // 2, "tokens", mode="strict", **draft)
