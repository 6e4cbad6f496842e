"""What several requests can be told the usage of is billed to the first of them: see ``billed_once`` in the schema.

Decided in the transaction that stores the rows, before anything is counted from them, so that rows, rollups and totals
agree and a replay decides the same.
"""

from uuid import UUID

import msgspec

from majordomo.meter.reading import UsageState
from majordomo.price.bill import Bill
from majordomo.record.database import Connection
from majordomo.record.frames import Close
from majordomo.record.rows import NIL_ORG, Finished
from majordomo.record.safe_text import safe
from majordomo.record.statements import statement

#: The problem code of a row whose usage another row was billed for.
BILLED_BEFORE = "billed_before"
#: Longest mark, in characters. The meter's are shorter; an index entry must stay far below a third of a page.
MARK_LIMIT = 512

_Mark = tuple[bytes, str, str]  # org, provider, what


async def bill_once(connection: Connection, rows: list[Finished]) -> list[Finished]:
    """The same rows; those whose mark another request has claimed cost nothing. ``rows`` themselves stay as they are.

    Asks the database only if some row carries a mark.
    """
    marked = {row.opening.id: _mark(row, row.close.billed_once) for row in rows if row.close.billed_once is not None}
    if not marked:
        return rows
    first: dict[_Mark, Finished] = {}
    for row in rows:
        if row.opening.id in marked:
            first.setdefault(marked[row.opening.id], row)
    claims = sorted(first)
    claimed = await connection.fetch(
        statement("claim_billed_once"),
        [UUID(bytes=org) for org, _, _ in claims],
        [provider for _, provider, _ in claims],
        [what for _, _, what in claims],
        [UUID(bytes=first[claim].opening.id) for claim in claims],
        [first[claim].opening.requested_at for claim in claims],
    )
    winners = {record["llm_request_id"].bytes for record in claimed}
    lost = marked.keys() - winners
    return [row._replace(close=_unbilled(row.close)) if row.opening.id in lost else row for row in rows]


def _mark(row: Finished, what: str | None) -> _Mark:
    opening = row.opening
    return opening.org_id or NIL_ORG, opening.provider, safe(what or "", MARK_LIMIT)


def _unbilled(close: Close) -> Close:
    """The close as a row that bills nothing: it keeps the provider's usage as it came, and counts none of it."""
    nothing = Bill(
        input_cost=0,
        output_cost=0,
        cache_read_cost=0,
        cache_creation_cost=0,
        tool_cost=0,
        total_cost=0,
        price_version=close.bill.price_version,
        model_found=close.bill.model_found,
    )
    return msgspec.structs.replace(
        close,
        bill=nothing,
        parts=(),
        usage_state=UsageState.NONE,
        input_tokens=None,
        output_tokens=None,
        cached_tokens=None,
        cache_creation_tokens=None,
        cache_creation_5m_tokens=None,
        cache_creation_1h_tokens=None,
        reasoning_tokens=None,
        prompt_tokens=None,
        problems=(*close.problems, BILLED_BEFORE),
    )
