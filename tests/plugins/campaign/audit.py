"""Do the books balance? What the callers saw, what the provider says, what was done, what stands in the database."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import asyncpg

from campaign.callers import Call
from campaign.fortress import Blow
from campaign.ledger import Bill, Entry

#: Problems listed before "and more".
_LISTED = 12

#: Clocks of two processes on one machine, and a blow that is noted after it fell (s).
_SLACK = 0.5

_ROWS = """
SELECT id::text AS id, raw_metadata->>'Mark' AS mark, outcome, status_code, usage_state, input_tokens, output_tokens,
    coalesce(cached_tokens, 0) AS cached_tokens, total_cost, extract(epoch FROM requested_at)::float8 AS requested_at
FROM llm_requests WHERE split_part(raw_metadata->>'Mark', '-', 3) = $1
"""

_SUMS = """
    count(*) AS requests,
    count(*) FILTER (WHERE status_code >= 400
        OR outcome IN ('provider_broke', 'refused', 'gateway_stopped', 'lost')) AS errors,
    coalesce(sum(input_tokens), 0) AS input_tokens, coalesce(sum(output_tokens), 0) AS output_tokens,
    coalesce(sum(cached_tokens), 0) AS cached_tokens, coalesce(sum(prompt_tokens), 0) AS prompt_tokens,
    coalesce(sum(response_time_ms), 0) AS response_time_ms,
    coalesce(sum(input_cost), 0) AS input_cost, coalesce(sum(total_cost), 0) AS total_cost
"""
_COLUMNS = (
    "requests, errors, input_tokens, output_tokens, cached_tokens, prompt_tokens, response_time_ms, input_cost, "
    "total_cost"
)

#: Each gives what differs between two ways to count the same; nothing, if all is well.
_BALANCES = (
    {
        f"usage_by_model_{name}": f"""
    (SELECT date_trunc('{bucket}', requested_at, 'UTC') AS bucket, majordomo_api_key_id, provider,
        coalesce(model, '') AS model, {_SUMS} FROM llm_requests GROUP BY 1, 2, 3, 4)
    EXCEPT ALL
    (SELECT bucket_start, majordomo_api_key_id, provider, model, {_COLUMNS} FROM usage_by_model_{name})
    """
        for name, bucket in (("hourly", "hour"), ("daily", "day"))
    }
    | {
        f"usage_by_metadata_{name}": f"""
    (SELECT date_trunc('{bucket}', requested_at, 'UTC') AS bucket, majordomo_api_key_id, 'Team' AS key_name,
        indexed_metadata->>'Team' AS key_value, {_SUMS} FROM llm_requests
        WHERE indexed_metadata ? 'Team' GROUP BY 1, 2, 4)
    EXCEPT ALL
    (SELECT bucket_start, majordomo_api_key_id, key_name, key_value, {_COLUMNS} FROM usage_by_metadata_{name})
    """
        for name, bucket in (("hourly", "hour"), ("daily", "day"))
    }
    | {
        "sum of usage_by_model_hourly": """
    (SELECT count(*), coalesce(sum(total_cost), 0) FROM llm_requests)
    EXCEPT
    (SELECT coalesce(sum(requests), 0), coalesce(sum(total_cost), 0) FROM usage_by_model_hourly)
    """,
        "api_keys": """
    SELECT name, request_count, last_used_at, rows, used FROM api_keys LEFT JOIN
        (SELECT majordomo_api_key_id AS id, count(*) AS rows, max(requested_at) AS used FROM llm_requests GROUP BY 1) r
        USING (id)
    WHERE request_count <> coalesce(rows, 0) OR last_used_at IS DISTINCT FROM used
    """,
        "llm_requests_metadata_keys": """
    (SELECT majordomo_api_key_id, key_name, count(*), max(requested_at)
        FROM llm_requests, jsonb_object_keys(raw_metadata) AS key_name GROUP BY 1, 2)
    EXCEPT ALL
    (SELECT majordomo_api_key_id, key_name, request_count, last_seen_at FROM llm_requests_metadata_keys)
    """,
        "claude_sessions": """
    (SELECT claude_session_id, r.majordomo_api_key_id, count(*), coalesce(sum(input_tokens), 0),
        coalesce(sum(output_tokens), 0), coalesce(sum(total_cost), 0),
        round(coalesce(sum(usage_cost), 0)::numeric, 9)
        FROM llm_requests r LEFT JOIN claude_request_details d ON d.llm_request_id = r.id
        WHERE claude_session_id IS NOT NULL GROUP BY 1, 2)
    EXCEPT ALL
    (SELECT id, majordomo_api_key_id, total_requests, total_input_tokens, total_output_tokens, total_cost,
        round(usage_cost::numeric, 9) FROM claude_sessions)
    """,
        "claude_request_details": """
    SELECT r.id, count(d.id) FROM llm_requests r
        LEFT JOIN claude_request_details d ON d.llm_request_id = r.id AND d.created_at = r.requested_at
        WHERE r.api = 'anthropic.messages' AND r.client = 'claude-code' AND r.status_code < 400
            AND r.outcome = 'completed'
        GROUP BY r.id HAVING count(d.id) <> 1
    """,
        "details that stand twice, or have no request of the same session": """
    SELECT llm_request_id FROM claude_request_details d LEFT JOIN llm_requests r ON r.id = d.llm_request_id
        GROUP BY 1 HAVING count(*) <> 1 OR count(r.id) <> 1
            OR bool_or(d.session_id IS DISTINCT FROM r.claude_session_id)
    """,
        "ids that stand twice": "SELECT id FROM llm_requests GROUP BY id HAVING count(*) > 1",
        "openings of what has ended": "SELECT id FROM journal_openings JOIN llm_requests ON request_id = id",
    }
)


@dataclass
class Tally:
    """What an audit counted."""

    calls: int = 0
    reached: int = 0  # requests in the provider's ledger
    rows: int = 0
    whole: int = 0  # replies that callers saw whole
    exact: int = 0  # rows whose tokens and cost were compared
    unsent: Counter[str] = field(default_factory=Counter)  # rows of what never reached the provider
    outcomes: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    cost: Decimal = Decimal(0)  # of the completed rows

    def __str__(self) -> str:
        return (
            f"{self.calls} calls, {self.reached} reached the provider, {self.rows} rows ({_counts(self.outcomes)}), "
            f"{self.exact} compared to the last decimal, {self.cost.normalize():f} USD; "
            f"never reached it: {_counts(self.unsent)}; callers saw: {_counts(self.seen)}"
        )

    def add(self, other: "Tally") -> None:
        """Add another round."""
        for name in ("calls", "reached", "rows", "whole", "exact", "cost"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("unsent", "outcomes", "seen"):
            getattr(self, name).update(getattr(other, name))


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counter.most_common()) or "none"


class Auditor:
    """Compares one round's calls, ledger and rows; ``problems`` has what does not agree."""

    def __init__(self, calls: Iterable[Call], entries: Iterable[Entry], blows: Iterable[Blow]) -> None:
        self.problems: list[str] = []
        self.tally = Tally()
        self._calls = {call.mark: call for call in calls}
        self._entries: dict[str, Entry] = {}
        self._blows = list(blows)
        self._loses = any(blow.loses for blow in self._blows)
        self._refuses = any(blow.refuses for blow in self._blows)
        for entry in entries:
            if entry.mark in self._entries:
                self._problem(f"{entry.mark} reached the provider twice")
            self._entries[entry.mark] = entry

    def missing(self, rows: Iterable[asyncpg.Record]) -> set[str]:
        """Marks that reached the provider and have no row yet."""
        return self._entries.keys() - {row["mark"] for row in rows}

    def check(self, rows: Iterable[asyncpg.Record]) -> Tally:
        """Compare everything.

        Raises:
            AssertionError: what does not agree, a dozen of it.
        """
        by_mark: dict[str, asyncpg.Record] = {}
        for row in rows:
            if row["mark"] in by_mark:
                self._problem(f"{row['mark']} has two rows: {row} and {by_mark[row['mark']]}")
            by_mark[row["mark"]] = row
        for mark in self.missing(by_mark.values()):
            self._problem(f"{mark} reached the provider and has no row; its caller: {self._told(mark)}")
        for mark, row in by_mark.items():
            if mark in self._calls:
                self._check_row(row, self._calls[mark], self._entries.get(mark))
            else:
                self._problem(f"nobody made the call of {row}")
        for call in self._calls.values():
            self._check_call(call, by_mark.get(call.mark))
        tally = self.tally
        tally.calls, tally.reached, tally.rows = len(self._calls), len(self._entries), len(by_mark)
        tally.seen = Counter(call.seen for call in self._calls.values())
        tally.whole = tally.seen["whole"]
        self._raise()
        return tally

    def _check_row(self, row: asyncpg.Record, call: Call, entry: Entry | None) -> None:
        outcome = row["outcome"]
        self.tally.outcomes[outcome] += 1
        if entry is None:
            self.tally.unsent[outcome] += 1
        explained = {
            # The caller has it or left, or the connection to it died with what was being killed or stopped.
            "completed": entry is not None,
            "client_closed": call.seen == "left" or self._refuses,
            "provider_broke": call.breaks and entry is not None,
            # Refused for the gateway is stopping: nothing has gone to the provider.
            "refused": entry is None and self._refuses and call.seen in ("refused", "left", "nothing", "cut"),
            "lost": call.seen != "whole"
            and any(blow.loses and row["requested_at"] <= blow.ended + _SLACK for blow in self._blows),
        }
        if not explained.get(outcome):
            self._problem(f"{outcome} is not explained: {row}; its caller: {self._told(call.mark)}")
        if entry is not None and (outcome == "completed" or row["usage_state"] == "drained"):
            self._check_bill(row, entry)

    def _check_bill(self, row: asyncpg.Record, entry: Entry) -> None:
        bill = entry.bill()
        self.tally.exact += 1
        if bill is None:
            if row["total_cost"] or row["input_tokens"] is not None or row["status_code"] < 400:
                self._problem(f"an error was billed: {row}")
            return
        told = Bill(row["input_tokens"], row["output_tokens"], row["cached_tokens"], row["total_cost"])
        if told != bill or row["usage_state"] not in ("final", "drained"):
            self._problem(
                f"the provider says {bill}, the row {told}, {row['usage_state']}: {row}; {self._told(row['mark'])}"
            )
        if row["outcome"] == "completed":
            self.tally.cost += bill.total_cost

    def _check_call(self, call: Call, row: asyncpg.Record | None) -> None:
        told = self._told(call.mark)
        if call.seen == "hung":
            self._problem(f"a call hangs: {told}")
        if call.request_id is not None and (row is None or row["id"] != call.request_id):
            self._problem(f"the caller was told an id that the row does not have: {told}; {row}")
        said = None if row is None else (row["outcome"], row["status_code"])
        if call.seen == "whole" and said != ("completed", call.status):
            self._problem(f"the caller has the whole reply, and the row says {row}: {told}")
        if call.leaves or call.breaks or call.seen == "whole" or self._loses:
            return
        if call.mark in self._entries:
            self._problem(
                f"the provider had the request, no front desk was killed, and the caller was let down: {told}"
            )
        elif not self._refuses:
            self._problem(f"no front desk was touched, and the caller was let down: {told}")
        elif call.seen == "refused" and (call.status != 503 or not call.retry_after):
            self._problem(f"not refused as a stopping gateway should: {told}")
        elif call.seen == "cut":
            self._problem(f"an answer of the gateway's own was cut off: {told}")

    def _told(self, mark: str) -> str:
        call = self._calls.get(mark)
        if call is None:
            return "unknown"
        return (
            f"{mark} {call.seen} {call.status} {call.why} leaves={call.leaves!r} breaks={call.breaks} slow={call.slow} "
            f"{call.began:.3f}..{call.ended:.3f} id={call.request_id} {_scripted(call)} "
            f"of {[blow.name for blow in self._blows]} "
            f"{[f'{blow.began:.3f}..{blow.ended:.3f}' for blow in self._blows]}"
        )

    def _problem(self, text: str) -> None:
        self.problems.append(text)

    def _raise(self) -> None:
        if self.problems:
            more = f"\n… {len(self.problems) - _LISTED} more" if len(self.problems) > _LISTED else ""
            raise AssertionError(f"{len(self.problems)} problems:\n" + "\n".join(self.problems[:_LISTED]) + more)


def _scripted(call: Call) -> str:
    lines = call.head.decode().split("\r\n")
    return " ".join([lines[0], *(line for line in lines if line.startswith("X-Script"))])[:300]


async def rows_of(connection: "asyncpg.Connection[asyncpg.Record]", campaign_round: int) -> list[asyncpg.Record]:
    """The rows of one round."""
    return await connection.fetch(_ROWS, str(campaign_round))


def check_ledger(entries: Sequence[Entry], rows: Sequence[asyncpg.Record]) -> None:
    """One row for each entry, none twice, and those that were completed say and cost what the ledger says.

    Raises:
        AssertionError: where not.
    """
    marks = Counter(row["mark"] for row in rows)
    assert not [mark for mark, times in marks.items() if times > 1]
    assert {entry.mark for entry in entries} <= marks.keys()
    bills = {entry.mark: bill for entry in entries if (bill := entry.bill()) is not None}
    completed = [row for row in rows if row["outcome"] == "completed" and row["mark"] in bills]
    assert completed
    for row in completed:
        told = Bill(row["input_tokens"], row["output_tokens"], row["cached_tokens"], row["total_cost"])
        assert told == bills[row["mark"]], row


async def check_balances(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Everything that is counted beside the rows equals what the rows add up to.

    Raises:
        AssertionError: where not.
    """
    wrong: dict[str, Any] = {}
    async with connection.transaction(isolation="repeatable_read"):
        for name, query in _BALANCES.items():
            if found := await connection.fetch(query):
                wrong[name] = found[:3]
    assert not wrong, wrong


async def check_totals(connection: "asyncpg.Connection[asyncpg.Record]", tally: Tally) -> None:
    """The whole table against the sums of all rounds.

    Raises:
        AssertionError: where they differ.
    """
    rows, completed = await connection.fetchrow(
        "SELECT count(*), coalesce(sum(total_cost) FILTER (WHERE outcome = 'completed'), 0) FROM llm_requests"
    )
    assert (rows, completed) == (tally.rows, tally.cost)
