"""What the rows that are there already have used of a budget: the same rules as ``matching`` and ``amounts``, in SQL.

A test holds both to the same answer. Conditions are texts of our own; what people gave goes as parameters.
"""

from functools import cached_property
from typing import Any
from uuid import UUID

import asyncpg

from majordomo.budget.amounts import MAIN_LOOP
from majordomo.budget.matching import CANCELLING, FREE_APIS, Cell, like, shortened
from majordomo.budget.model import UNTOLD, Budget, Each, Unit, from_unit, in_unit
from majordomo.budget.sums import Sums, Used
from majordomo.budget.windows import Kind, moment_of, stamp_us
from majordomo.record.database import Connection

_INPUT = "greatest(0, coalesce(r.prompt_tokens, r.input_tokens, 0))"
_OUTPUT = "greatest(0, coalesce(r.output_tokens, 0))"
_CACHE_READ = "greatest(0, coalesce(r.cached_tokens, 0))"
_CACHE_WRITE = "greatest(0, coalesce(r.cache_creation_tokens, 0))"
_UNPRICED = "r.total_cost IS NULL AND r.usage_state <> 'none'"
_QUERY_CLASS = (
    "SELECT d.query_class FROM claude_request_details d"
    " WHERE d.llm_request_id = r.id AND d.created_at = r.requested_at LIMIT 1"
)
_EACH = {
    Each.KEY: "encode(uuid_send(r.majordomo_api_key_id), 'hex')",
    Each.SESSION: "coalesce(r.claude_session_id::text, '')",
    Each.PROVIDER: "r.provider",
    Each.MODEL: "coalesce(r.requested_model, r.model, '')",
}


class Question:
    """The rows of one budget, as parts of a statement and its parameters."""

    def __init__(self, budget: Budget) -> None:
        self.parameters: list[Any] = []
        self._budget = budget
        scope = budget.scope
        of = self.parameter
        conditions = [f"r.org_id = {of(UUID(bytes=budget.org_id))}"]
        if scope.keys:
            conditions.append(f"r.majordomo_api_key_id = ANY({of([UUID(bytes=key) for key in scope.keys])}::uuid[])")
        for name, value in scope.metadata.items():
            conditions.append(f"r.raw_metadata->>{of(name)}::text = {of(value)}::text")
        if scope.models:
            patterns = f"({of([like(pattern) for pattern in scope.models])}::text[])"
            names = [f'lower({name} COLLATE "C") LIKE ANY {patterns}' for name in ("r.requested_model", "r.model")]
            conditions.append(f"({' OR '.join(names)})")
        if scope.providers:
            conditions.append(f"r.provider = ANY({of(list(scope.providers))}::text[])")
        if scope.sessions:
            conditions.append(f"r.claude_session_id = ANY({of([UUID(one) for one in scope.sessions])}::uuid[])")
        if budget.window.kind is Kind.SESSION:
            conditions.append("r.claude_session_id IS NOT NULL")
        self.where = " AND ".join(conditions)

    def parameter(self, value: Any) -> str:
        """A place for a value in the statement."""
        self.parameters.append(value)
        return f"${len(self.parameters)}"

    @cached_property
    def went_out(self) -> str:
        """Whether a provider was asked for something."""
        free = self.parameter([str(api) for api in FREE_APIS])
        return (
            f"(r.outcome <> 'refused' AND r.request_method = 'POST' AND r.api <> ALL({free}::text[])"
            f" AND r.request_path NOT LIKE {self.parameter('%' + CANCELLING)}::text)"
        )

    @property
    def value(self) -> str:
        """What the budget counts apart."""
        if self._budget.window.kind is Kind.SESSION:
            return "r.claude_session_id::text"
        each = self._budget.scope.each
        if each is None:
            return "''"
        if each in _EACH:
            return _EACH[Each(each)]
        return f"coalesce(r.raw_metadata->>{self.parameter(each)}::text, '')"

    @property
    def amount(self) -> str:
        """What one row uses, in the unit of people."""
        match self._budget.unit:
            case Unit.USD:
                ceiling = self._budget.ceiling
                if ceiling is None:
                    return "coalesce(r.total_cost, 0)"
                price = f"{self.parameter(in_unit(Unit.USD, ceiling))}::numeric"
                return f"coalesce(r.total_cost, ({_INPUT} + {_OUTPUT}) * {price})"
            case Unit.TOKENS:
                return f"({_INPUT} + {_OUTPUT})"
            case Unit.INPUT_TOKENS:
                return _INPUT
            case Unit.UNCACHED_TOKENS:
                return f"greatest(0, {_INPUT} - {_CACHE_READ} - {_CACHE_WRITE})"
            case Unit.CACHE_READ_TOKENS:
                return _CACHE_READ
            case Unit.CACHE_WRITE_TOKENS:
                return _CACHE_WRITE
            case Unit.OUTPUT_TOKENS:
                return _OUTPUT
            case Unit.REASONING_TOKENS:
                return "greatest(0, coalesce(r.reasoning_tokens, 0))"
            case Unit.REQUESTS:
                return f"CASE WHEN {self.went_out} THEN 1 ELSE 0 END"
            case Unit.TURNS:
                main = f"coalesce(({_QUERY_CLASS}), '{MAIN_LOOP}') = '{MAIN_LOOP}'"
                return f"CASE WHEN {self.went_out} AND r.status_code < 400 AND {main} THEN 1 ELSE 0 END"
            case Unit.CONCURRENT:
                return "0"


async def recount(connection: Connection, budget: Budget, since: int) -> Sums:
    """The counts of all rows from ``since`` on (microseconds since the epoch), as the ledger would have added them."""
    sums = Sums()
    if budget.window.kind is Kind.ROLLING:
        await _add(connection, budget, sums, since, None)
        return sums
    start: int | None = since
    while start is not None:
        end = budget.window.span(start).end
        await _add(connection, budget, sums, start, end)
        start = None if end is None else await _next_span(connection, budget, end)
    return sums


async def used_between(connection: Connection, budget: Budget, start: int, end: int) -> dict[str, int]:
    """What the rows of any stretch of time have used, by value: from ``start`` up to ``end``, windows or not."""
    found: dict[str, int] = {}
    for row in await _rows(connection, budget, start, end, rolling=False):
        value = shortened(row["value"] or UNTOLD)
        found[value] = found.get(value, 0) + from_unit(budget.unit, row["spent"])
    return found


async def _next_span(connection: Connection, budget: Budget, end: int) -> int | None:
    """Where the next window begins that has rows: with sound clocks there is none behind the present one."""
    question = Question(budget)
    first = await connection.fetchval(
        f"SELECT min(r.requested_at) FROM llm_requests r WHERE {question.where}"  # noqa: S608
        f" AND r.requested_at >= {question.parameter(moment_of(end))}",
        *question.parameters,
    )
    return None if first is None else budget.window.span(stamp_us(first)).start


async def _add(connection: Connection, budget: Budget, sums: Sums, start: int, end: int | None) -> None:
    rolling = budget.window.kind is Kind.ROLLING
    for row in await _rows(connection, budget, start, end, rolling=rolling):
        value = shortened(row["value"] or UNTOLD)
        cell = Cell(budget.id, value, int(row["step"]) * budget.window.step if rolling else start)
        unpriced = row["unpriced"] if budget.unit is Unit.USD else 0
        sums.add(cell, budget, Used(from_unit(budget.unit, row["spent"]), row["requests"], unpriced), None)


async def _rows(
    connection: Connection, budget: Budget, start: int, end: int | None, *, rolling: bool
) -> list[asyncpg.Record]:
    question = Question(budget)
    value, amount = question.value, question.amount
    step = "0"
    if rolling:
        step = (
            f"floor(extract(epoch FROM r.requested_at) * 1000000 / {question.parameter(budget.window.step)}::numeric)"
        )
    times = f"r.requested_at >= {question.parameter(moment_of(start))}"
    if end is not None:
        times += f" AND r.requested_at < {question.parameter(moment_of(end))}"
    return await connection.fetch(
        f"SELECT {value} AS value, {step} AS step, sum({amount}) AS spent,"  # noqa: S608
        f" count(*) FILTER (WHERE {question.went_out}) AS requests, count(*) FILTER (WHERE {_UNPRICED}) AS unpriced"
        f" FROM llm_requests r WHERE {question.where} AND {times} GROUP BY 1, 2",
        *question.parameters,
    )
