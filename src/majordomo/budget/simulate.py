"""What a limit would have done: history replayed against a budget before it is switched on.

Requests are taken in the order in which they came, each with what it really used. One is refused where its count has no
room left for it; a refused one uses nothing. So the answer is what a gate with perfect foresight would have refused. A
real one reserves before it knows: it may refuse a little earlier, and in balanced mode let a little more through. Who
is refused changes what he does next, which no replay can know.
"""

import datetime as dt
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from majordomo.budget.amounts import amount
from majordomo.budget.definition import BudgetError
from majordomo.budget.matching import BudgetIndex, Cell, head_of, is_gated
from majordomo.budget.model import Budget, Unit, in_unit
from majordomo.budget.recount import Question
from majordomo.budget.windows import LAST_US, Kind, moment_of, stamp_us
from majordomo.meter.claude_code import ClaudeDetails
from majordomo.meter.reading import UsageState
from majordomo.price.bill import Bill
from majordomo.record.database import Connection
from majordomo.record.frames import Opening, Outcome
from majordomo.record.rows import lost

#: Rows fetched at a time.
PREFETCH = 2000
#: Refused requests that are told one by one; the others are summed.
MOST_TOLD = 100

_COLUMNS = (
    "r.id, r.org_id, r.majordomo_api_key_id, r.provider, r.api, r.request_method, r.request_path, r.requested_at,"
    " r.raw_metadata, r.claude_session_id, r.requested_model, r.model, r.outcome, r.status_code, r.usage_state,"
    " r.input_tokens, r.output_tokens, r.prompt_tokens, r.cached_tokens, r.cache_creation_tokens,"
    " r.reasoning_tokens, (r.total_cost * 1e15)::numeric(40) AS femto,"
)
_CLASS = (
    " (SELECT d.query_class FROM claude_request_details d"
    " WHERE d.llm_request_id = r.id AND d.created_at = r.requested_at LIMIT 1) AS query_class"
)


class RefusedRequest(msgspec.Struct, frozen=True):
    """One request that would have been refused."""

    id: UUID
    requested_at: dt.datetime
    value: str
    used: Decimal
    spent: Decimal  # of the limit, before it


class WouldRefuse(msgspec.Struct):
    """What would have been refused of one gateway key and value."""

    api_key_id: UUID
    value: str
    requests: int = 0
    used: Decimal = Decimal(0)
    first: dt.datetime | None = None


class Simulation(msgspec.Struct, kw_only=True):
    """What came of a replay."""

    requests: int = 0  # that the budget governs
    used: Decimal = Decimal(0)  # by all of them
    refused: int = 0
    refused_used: Decimal = Decimal(0)
    windows: int = 0  # counts that something was used of
    windows_exhausted: int = 0  # of these, with a refusal
    highest: Decimal = Decimal(0)  # the most that was used of one count without a limit
    whose: list[WouldRefuse] = []
    first_refused: list[RefusedRequest] = []


async def simulate(connection: Connection, budget: Budget, since: int, until: int) -> Simulation:
    """Replay the requests from ``since`` up to ``until``, microseconds since the epoch.

    Raises:
        BudgetError: the unit is ``concurrent``.
    """
    if budget.unit is Unit.CONCURRENT:
        raise BudgetError("unit concurrent: what ran at one time is in no row, so it cannot be replayed")
    since, until = max(0, since), min(until, LAST_US)  # no row is outside
    replay = Replay(msgspec.structs.replace(budget, counts_from=0, raises=()))
    async with connection.transaction(readonly=True):
        async for row in _rows(connection, budget, since, until):
            replay.take(row)
    return replay.result()


class Replay:
    """One limit, request by request."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._index = BudgetIndex([budget])
        self._admitted: dict[Cell, int] = {}
        self._asked: dict[Cell, int] = {}
        self._exhausted: set[Cell] = set()
        self._whose: dict[tuple[UUID, str], WouldRefuse] = {}
        self._used = self._refused_used = 0
        self._result = Simulation()

    def take(self, row: asyncpg.Record) -> None:
        """The next request."""
        opening, close = _request(row)
        governing = self._index.governing(head_of(opening))
        cells = self._index.cells(governing, opening.requested_at, close.requested_model, close.model)
        if not cells:
            return
        cell = cells[0]
        used = amount(self._budget, opening, close)
        self._result.requests += 1
        self._used += used
        self._asked[cell] = self._asked.get(cell, 0) + used
        spent = self._spent(cell, opening.requested_at)
        free = not is_gated(opening.method, opening.api, opening.path)
        if used and spent + used > self._budget.limit and not free:
            self._refuse(row, cell, used, spent)
        else:
            self._admitted[cell] = self._admitted.get(cell, 0) + used

    def result(self) -> Simulation:
        """What came of it."""
        unit, result = self._budget.unit, self._result
        result.used, result.refused_used = in_unit(unit, self._used), in_unit(unit, self._refused_used)
        result.windows = sum(1 for used in self._asked.values() if used)
        result.windows_exhausted = len(self._exhausted)
        result.highest = in_unit(unit, max(self._asked.values(), default=0))
        result.whose = sorted(self._whose.values(), key=lambda one: (-one.used, -one.requests))
        return result

    def _spent(self, cell: Cell, at: int) -> int:
        window = self._budget.window
        if window.kind is not Kind.ROLLING:
            return self._admitted.get(cell, 0)
        since = window.counted_from(at)
        return sum(
            self._admitted.get(Cell(cell.budget_id, cell.value, start), 0)
            for start in range(since, cell.start + 1, window.step)
        )

    def _refuse(self, row: asyncpg.Record, cell: Cell, used: int, spent: int) -> None:
        unit, result, at = self._budget.unit, self._result, row["requested_at"]
        result.refused += 1
        self._refused_used += used
        self._exhausted.add(cell)
        if len(result.first_refused) < MOST_TOLD:
            told = RefusedRequest(row["id"], at, cell.value, in_unit(unit, used), in_unit(unit, spent))
            result.first_refused.append(told)
        key = (row["majordomo_api_key_id"], cell.value)
        whose = self._whose.get(key)
        if whose is None:
            whose = self._whose[key] = WouldRefuse(*key, first=at)
        whose.requests += 1
        whose.used += in_unit(unit, used)


async def _rows(connection: Connection, budget: Budget, since: int, until: int) -> AsyncIterator[asyncpg.Record]:
    question = Question(budget)
    start, end = (question.parameter(moment_of(at)) for at in (since, until))
    statement = (
        f"SELECT {_COLUMNS}{_CLASS} FROM llm_requests r"  # noqa: S608
        f" WHERE {question.where} AND r.requested_at >= {start} AND r.requested_at < {end} AND r.outcome <> 'refused'"
        " ORDER BY r.requested_at, r.id"
    )
    async for row in connection.cursor(statement, *question.parameters, prefetch=PREFETCH):
        yield row


def _request(row: asyncpg.Record) -> tuple[Opening, Any]:
    """The row as the ledger would see it."""
    session = row["claude_session_id"]
    opening = Opening(
        id=row["id"].bytes,
        requested_at=stamp_us(row["requested_at"]),
        api_key_id=row["majordomo_api_key_id"].bytes,
        org_id=row["org_id"].bytes,
        provider=row["provider"],
        api=row["api"],
        method=row["request_method"],
        path=row["request_path"],
        provider_key_hash=None,
        provider_key_alias=None,
        metadata=msgspec.json.decode(row["raw_metadata"], type=dict[str, str]),
        claude_session=None if session is None else str(session),
    )
    close = lost(opening).close
    close.outcome = Outcome(row["outcome"])
    close.status_code = row["status_code"]
    close.requested_model, close.model = row["requested_model"], row["model"]
    close.usage_state = UsageState(row["usage_state"])
    close.input_tokens, close.output_tokens = row["input_tokens"], row["output_tokens"]
    close.prompt_tokens, close.reasoning_tokens = row["prompt_tokens"], row["reasoning_tokens"]
    close.cached_tokens, close.cache_creation_tokens = row["cached_tokens"], row["cache_creation_tokens"]
    if row["femto"] is not None:
        close.bill = Bill(total_cost=int(row["femto"]))
    if row["query_class"] is not None:
        close.claude = ClaudeDetails(query_class=row["query_class"])
    return opening, close
