"""Takes deliveries: a journal's next requests, its position and all that is counted from them, in one transaction.

A delivery is taken as a whole or not at all, and only where the journal's position stands. So whoever repeats one,
after whatever cut, changes nothing, and of two who deliver at once the slower finds the position moved.
"""

import asyncio
from typing import NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from majordomo.record.database import Connection
from majordomo.record.delivery import MOST_REQUESTS, VERSION, Delivery
from majordomo.record.intake import Terms, UnfitError, take_in
from majordomo.record.registry import Registry
from majordomo.record.rows import Finished
from majordomo.record.statements import statement
from majordomo.record.store import Store, Stored
from majordomo.record.tally import Tally

#: Advisory locks of deliveries, "dlvr" read as a number: one key's come one after the other, on whichever replica, so
#: that a request delivered twice at once is found to be there.
_LOCK_CLASS = int.from_bytes(b"dlvr", signed=True)

#: A delivery that lost against another writer is tried again so often before its sender is asked to.
_ATTEMPTS = 4
#: Requests judged before the others of this process have a turn: some ms.
_AT_A_TIME = 50

_NULL = b"null"

_DURABLE = """
SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'
"""
_BEGIN_JOURNAL = """
INSERT INTO delivered_journals (journal_id, org_id, majordomo_api_key_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
"""
_POSITION = "SELECT majordomo_api_key_id, position FROM delivered_journals WHERE journal_id = $1 AND org_id = $2"
_MOVE = "UPDATE delivered_journals SET position = $3, updated_at = now() WHERE journal_id = $1 AND org_id = $2"


class DeliveryError(Exception):
    """A delivery that is not taken. The message says why and what to do."""


class MalformedError(DeliveryError):
    """It is no delivery, of no version that is known here, or too large."""


class UnfitRequestsError(DeliveryError):
    """Some of its requests cannot become rows."""

    def __init__(self, problems: dict[int, str]) -> None:
        super().__init__(f"{len(problems)} of its requests cannot be taken; leave null in their places, or mend them")
        self.problems = problems  # by place in the delivery


class PositionMovedError(DeliveryError):
    """It does not begin where the journal's position is."""

    def __init__(self, position: int) -> None:
        super().__init__(f"{position} requests of this journal were taken; go on from there")
        self.position = position


class ForeignJournalError(DeliveryError):
    """The journal is another key's."""

    def __init__(self) -> None:
        super().__init__("another key began to deliver this journal; go on with that key")


class Taken(NamedTuple):
    """What became of a delivery."""

    position: int  # requests of the journal that were taken, this delivery's included
    stored: int
    duplicates: int  # had a row already
    refused: int  # left out by the sender
    counts: Stored


class _Unstorable:
    """Collects rows that PostgreSQL refuses: they go back to their sender instead of to the dead letters."""

    def __init__(self) -> None:
        self.reasons: dict[bytes, str] = {}

    def put(self, *, now_us: int, reason: str, opening: msgspec.Struct, close: msgspec.Struct) -> None:
        del now_us, close
        self.reasons[opening.id] = f"the database does not take it ({reason.partition(':')[0]})"  # type: ignore[attr-defined]

    def by_place(self, rows: dict[int, Finished]) -> dict[int, str]:
        """Why, by the rows' places in the delivery."""
        return {place: self.reasons[row.opening.id] for place, row in rows.items() if row.opening.id in self.reasons}


def read_delivery(body: bytes) -> Delivery:
    """A delivery as far as its frame goes; its requests are still bytes.

    Raises:
        MalformedError: it is none.
    """
    try:
        delivery = msgspec.json.decode(body, type=Delivery)
    except (ValueError, RecursionError) as wrong:
        reason = "nested too deeply" if isinstance(wrong, RecursionError) else str(wrong)
        raise MalformedError(f"the body is no delivery: {reason}") from None
    if delivery.version != VERSION:
        raise MalformedError(
            f"this gateway takes deliveries of version {VERSION}, not {delivery.version}; upgrade the older of the two"
        )
    if len(delivery.requests) > MOST_REQUESTS:
        raise MalformedError(f"a delivery has at most {MOST_REQUESTS} requests; send the rest in another one")
    return delivery


async def position(connection: Connection, journal_id: UUID, key_id: UUID, org_id: UUID) -> int:
    """How many requests of a journal were taken; 0 for one that nothing is known of.

    Raises:
        ForeignJournalError: another key began it.
    """
    row = await connection.fetchrow(_POSITION, journal_id, org_id)
    if row is None:
        return 0
    if row["majordomo_api_key_id"] != key_id:
        raise ForeignJournalError
    return int(row["position"])


async def take(
    connection: Connection, journal_id: UUID, delivery: Delivery, terms: Terms, tally: Tally | None = None
) -> Taken:
    """Store a delivery. ``tally``: what else is counted from rows, as the writer has it.

    Raises:
        PositionMovedError, ForeignJournalError, UnfitRequestsError: it is not taken; nothing has changed.
        asyncpg.PostgresError, OSError: the database cannot be used now.
    """
    present = await position(connection, journal_id, terms.key_id, terms.org_id)
    if present != delivery.position:
        raise PositionMovedError(present)
    if not delivery.requests:
        return Taken(present, 0, 0, 0, Stored())
    rows = await _judged(delivery, terms._replace(owned=await _owned(connection, terms.key_id)))
    attempt = 1
    while True:
        try:
            return await _take(connection, journal_id, delivery, rows, terms, tally)
        except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError):
            # Rows that PostgreSQL refuses make a writer go back in its order of locks; PostgreSQL ends one of the two.
            attempt += 1
            if attempt > _ATTEMPTS:
                raise


async def _owned(connection: Connection, key_id: UUID) -> dict[str, str]:
    """The metadata that a key has of its own."""
    told = await connection.fetchval("SELECT metadata FROM api_keys WHERE id = $1", key_id)
    try:
        return msgspec.json.decode(told or "{}", type=dict[str, str])
    except msgspec.DecodeError:  # no object of texts: passed over, as front desks do
        return {}


async def _take(
    connection: Connection,
    journal_id: UUID,
    delivery: Delivery,
    rows: dict[int, Finished],
    terms: Terms,
    tally: Tally | None,
) -> Taken:
    async with connection.transaction():
        await connection.execute(_DURABLE)
        await connection.execute("SELECT pg_advisory_xact_lock($1, hashtext($2))", _LOCK_CLASS, str(terms.key_id))
        await connection.execute(_BEGIN_JOURNAL, journal_id, terms.org_id, terms.key_id)
        present = await position(connection, journal_id, terms.key_id, terms.org_id)
        if present != delivery.position:
            raise PositionMovedError(present)
        fresh = await _without_known(connection, list(rows.values()))
        after = present + len(delivery.requests)
        # Before the rows, as the writer moves its journals: whoever locks, locks positions first.
        await connection.execute(_MOVE, journal_id, terms.org_id, after)
        stored = Stored()
        if fresh:
            refusals = _Unstorable()
            registry = Registry()  # of this transaction alone: nothing to unlearn if it comes to nothing
            await registry.refresh(connection)
            store = Store(registry, refusals, lambda: terms.now_us, tally, delivered_from=journal_id)
            await store.put(connection, fresh, stored)
            if refusals.reasons:
                raise UnfitRequestsError(refusals.by_place(rows))
    await stored.news.tell(connection)
    left_out = len(delivery.requests) - len(rows)
    return Taken(after, len(fresh), len(rows) - len(fresh), left_out, stored)


async def _judged(delivery: Delivery, terms: Terms) -> dict[int, Finished]:
    """The rows by their places in the delivery, without those that the sender left out."""
    rows: dict[int, Finished] = {}
    problems: dict[int, str] = {}
    for place, raw in enumerate(delivery.requests):
        if bytes(raw) == _NULL:
            continue
        try:
            rows[place] = take_in(raw, terms)
        except UnfitError as unfit:
            problems[place] = str(unfit)
        if place % _AT_A_TIME == 0:
            await asyncio.sleep(0)
    if problems:
        raise UnfitRequestsError(problems)
    return rows


async def _without_known(connection: Connection, rows: list[Finished]) -> list[Finished]:
    """Each request once, without those that have a row already: the gateway may have recorded it itself."""
    by_id = {row.opening.id: row for row in reversed(rows)}  # of two with one id the first counts
    known = await connection.fetch(statement("delivered_before"), [UUID(bytes=request_id) for request_id in by_id])
    for record in known:
        del by_id[record["id"].bytes]
    return list(reversed(by_id.values()))
