"""Front desks reduced to their gate, over real PostgreSQL: they ask, hold, settle and journal as real ones do."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
from recorded_rows import exchange

from majordomo.admit.refusal import Refusal
from majordomo.budget.estimate import Estimator
from majordomo.budget.gate import Gate, Pass, Waiting
from majordomo.budget.keeper import Keeper
from majordomo.budget.matching import head_of
from majordomo.clock import wall_us
from majordomo.ids import IdMaker
from majordomo.meter.request import read_request
from majordomo.price.pricer import Pricer
from majordomo.record.frames import Close, Opening
from majordomo.record.journal import Journal

MODEL = "claude-opus-4-8"
PRICER = Pricer.load(None, None)
PATIENCE = 20.0  # seconds


def body(size: int = 100, most: int = 100) -> bytes:
    """A request's body with text of a size, and the longest reply that it allows."""
    said = {"model": MODEL, "max_tokens": most, "messages": [{"role": "user", "content": "x" * size}]}
    return json.dumps(said).encode()


class Admitted:
    """A request that was let out: its pass, and its opening, which is in the journal."""

    def __init__(self, passing: Pass, opening: Opening) -> None:
        self.passing = passing
        self.opening = opening

    @property
    def reserved(self) -> int:
        return self.passing.holds[0].amount

    @property
    def worst(self) -> int:
        """What it may cost, as far as its pass says."""
        return self.passing.holds[0].amount + self.passing.holds[0].at_risk


class Till:
    """One front desk."""

    def __init__(self, dsn: str, folder: Path, **clocks: Any) -> None:
        self.journal = Journal.create(folder / "journal", segment_bytes=1 << 20, now_us=wall_us())
        self.keeper = Keeper(dsn, UUID(self.journal.folder.name).bytes, **clocks)
        self.gate = Gate(Estimator(PRICER), self.keeper)
        self._ids = IdMaker()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Follow the database, if it is there."""
        self._task = asyncio.get_running_loop().create_task(self.keeper.run(self.gate))

    async def open(self, budgets: int = 1) -> None:
        """Follow the database, and wait until so many budgets are known."""
        self.start()
        await until(lambda: self.keeper.fresh and len(self.gate.budgets) >= budgets)

    async def ask(self, asked: bytes = body(), metadata: dict[str, str] | None = None) -> Admitted | Refusal:
        """A request asks to leave; if it may, its opening is journaled."""
        now = wall_us()
        opening, _ = exchange(now, provider="anthropic", model=MODEL, metadata=metadata, request_id=self._ids.make(now))
        opening = msgspec.structs.replace(opening, api="anthropic.messages", path="/v1/messages")
        governing = self.gate.budgets.governing(head_of(opening))
        facts = read_request("anthropic.messages", opening.path, asked, "application/json")  # type: ignore[arg-type]
        answer = self.gate.ask(opening, governing, facts, asked)
        if isinstance(answer, Waiting):
            answer = await self.gate.wait(answer)
        if isinstance(answer, Refusal):
            return answer
        assert answer is not None, "no budget governs the request"
        self.journal.append_opening(opening)
        return Admitted(answer, opening)

    def settle(self, admitted: Admitted, cost: int) -> None:
        """The request has ended at this cost: journal its close."""
        close = priced(admitted.opening, cost)
        self.journal.append_close(close)
        admitted.passing.settle(close)

    async def die(self) -> None:
        """As ``kill -9`` does: nothing more is renewed, said or given back."""
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self.journal.close()


def priced(opening: Opening, cost: int) -> Close:
    """The close of a request that cost so much."""
    _, close = exchange(opening.requested_at, costs=(cost, 0, 0, 0, 0), model=MODEL, request_id=opening.id)
    assert close is not None
    return close


@asynccontextmanager
async def tills(dsn: str, folder: Path, count: int, **clocks: Any) -> AsyncIterator[list[Till]]:
    """So many front desks on one database."""
    made = [Till(dsn, folder, **clocks) for _ in range(count)]
    await asyncio.gather(*(till.open() for till in made))
    try:
        yield made
    finally:
        await asyncio.gather(*(till.die() for till in made), return_exceptions=True)


async def ask_all(made: Sequence[Till], count: int) -> tuple[list[tuple[Till, Admitted]], list[Refusal]]:
    """So many requests at once, spread over the front desks: those that may leave, and why others may not."""
    chosen = [made[number % len(made)] for number in range(count)]
    answers = await asyncio.gather(*(till.ask() for till in chosen))
    pairs = list(zip(chosen, answers, strict=True))
    return (
        [(till, answer) for till, answer in pairs if isinstance(answer, Admitted)],
        [answer for _, answer in pairs if isinstance(answer, Refusal)],
    )


async def until(holds: Any) -> None:
    """Wait for something that is certain to come."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while not holds():
        assert asyncio.get_running_loop().time() < deadline, "did not come to pass"
        await asyncio.sleep(0.01)
