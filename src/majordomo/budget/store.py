"""Budgets in the database: loaded, made, changed, and every change remembered with who made it.

Whoever makes a budget, or changes what it counts, first takes the seam's lock alone: then no row is being written by
somebody who does not know of it, what is there is counted, and what comes is counted by the ledger. No row is missed,
and none counted twice.
"""

import datetime as dt
from decimal import Decimal
from typing import Any, Final, Literal
from uuid import UUID

import asyncpg
import msgspec

from majordomo.budget.definition import BudgetError, Draft, amount_of, define, described, draft_of, written
from majordomo.budget.matching import BudgetIndex
from majordomo.budget.model import Budget, Raise, Scope, Unit, from_unit, in_unit
from majordomo.budget.recount import recount
from majordomo.budget.statements import statement
from majordomo.budget.windows import Window, moment_of, parse_window, stamp_us
from majordomo.clock import WallClock, wall_us
from majordomo.ids import new_uuid
from majordomo.logs import logger
from majordomo.record.database import Connection
from majordomo.record.rows import NIL_ORG

_log = logger("budgets")

#: As in ``majordomo_budget_revision()``.
SEAM_LOCK: Final = int.from_bytes(b"budgets!")
MOST_BUDGETS = 10_000  # each front desk holds all of them, and asks those without a key about every head
MOST_REASON_CHARACTERS = 1000
LONGEST_RAISE = dt.timedelta(days=366)
#: Counting what is there may read every row; the rows that come meanwhile wait in the journal.
_NO_TIMEOUT = "SET LOCAL statement_timeout = 0"

What = Literal["created", "updated", "raised", "paused", "resumed", "deleted"]


class UnknownBudgetError(BudgetError):
    """No budget has this id or name."""


class Change(msgspec.Struct, frozen=True):
    """One entry of a budget's history."""

    changed_at: dt.datetime
    changed_by: str
    what: What
    reason: str | None
    old: dict[str, Any] | None
    new: dict[str, Any] | None


class _Scope(msgspec.Struct, omit_defaults=True):
    """The column ``scope``."""

    keys: list[UUID] = []
    metadata: dict[str, str] = {}
    each: str | None = None
    models: list[str] = []
    providers: list[str] = []
    sessions: list[str] = []


class _Raise(msgspec.Struct):
    amount: str
    until: str  # seconds since the epoch, with six digits behind the point
    reason: str


async def load_index(connection: Connection) -> BudgetIndex:
    """All budgets of the moment. One that cannot be read is left out, and the log says so."""
    revision = int(
        await connection.fetchval("SELECT revision FROM budget_revision")
    )  # before: never newer than they are
    return BudgetIndex(await load(connection), revision)


async def load(connection: Connection) -> list[Budget]:
    """All budgets, oldest first."""
    budgets = []
    for row in await connection.fetch(statement("budgets_all")):
        try:
            budgets.append(_budget(row))
        except (ValueError, TypeError, msgspec.MsgspecError) as wrong:
            _log.error("a budget cannot be read and is not kept", budget_id=str(row["id"]), reason=str(wrong))
    return budgets


async def find(connection: Connection, id_or_name: str, org_id: bytes | None = None) -> Budget:
    """The budget with this id or name; ``org_id``: of this organisation only.

    Raises:
        UnknownBudgetError: there is none.
        BudgetError: several organisations have one of this name.
    """
    wanted = id_or_name.strip().lower()
    ours = [one for one in await load(connection) if org_id in (None, one.org_id)]
    found = [one for one in ours if wanted == str(UUID(bytes=one.id))] or [
        one for one in ours if id_or_name == one.name
    ]
    if not found:
        raise UnknownBudgetError(f"no budget has the id or name {id_or_name!r}; see: majordomo budgets list")
    if len(found) > 1:
        ids = ", ".join(str(UUID(bytes=one.id)) for one in found)
        raise BudgetError(f"several organisations have a budget {id_or_name!r}; name it by its id: {ids}")
    return found[0]


async def create(
    connection: Connection, draft: Draft, by: str, clock: WallClock = wall_us, *, org_id: bytes = NIL_ORG
) -> Budget:
    """Make a budget of an organisation; what its present window has used already counts.

    Raises:
        BudgetError: with everything that is wrong with it.
    """
    now = clock()
    budget = define(draft, new_uuid(now).bytes, org_id)
    budget = msgspec.structs.replace(budget, counts_from=budget.window.counted_from(now))
    async with connection.transaction():
        await _take_seam(connection)
        if await connection.fetchval("SELECT count(*) FROM budgets WHERE deleted_at IS NULL") >= MOST_BUDGETS:
            raise BudgetError(f"there are {MOST_BUDGETS:,} budgets, which is the most; use --each, or delete some")
        await _put(connection, budget)
        await _count_what_is_there(connection, budget)
        await _remember(connection, budget, "created", by, None, None, described(budget))
    return budget


async def update(
    connection: Connection, budget: Budget, changes: dict[str, Any], by: str, reason: str | None = None,
    clock: WallClock = wall_us,
) -> Budget:  # fmt: skip
    """Change fields of a ``Draft``. If they change what is counted, counting begins anew with the present window.

    Raises:
        BudgetError: with everything that is wrong with the result.
    """
    async with connection.transaction():
        await _take_seam(connection)
        budget = await _again(connection, budget)
        wanted = define(msgspec.structs.replace(draft_of(budget), **changes), budget.id, budget.org_id)
        new = msgspec.structs.replace(
            wanted,
            paused=budget.paused,
            raises=budget.raises if wanted.unit is budget.unit else (),
            counts_from=budget.counts_from,
            revision=budget.revision + 1,
        )
        anew = _what_is_counted(new) != _what_is_counted(budget)
        if anew:
            new = msgspec.structs.replace(new, counts_from=new.window.counted_from(clock()))
        await _put(connection, new)
        if anew:
            await _forget_counts(connection, new)
            if wanted.unit is not budget.unit:
                await connection.execute("DELETE FROM budget_raises WHERE budget_id = $1", UUID(bytes=budget.id))
            await _count_what_is_there(connection, new)
        await _remember(connection, new, "updated", by, reason, described(budget), described(new))
    return new


async def raise_limit(
    connection: Connection, budget: Budget, amount: str, until: dt.datetime, by: str, reason: str,
    clock: WallClock = wall_us,
) -> Budget:  # fmt: skip
    """Add ``amount`` to the limit until then.

    Raises:
        BudgetError: no amount, no time to come, or no reason.
    """
    wrong = []
    now = moment_of(clock())
    if not now < until <= now + LONGEST_RAISE:
        wrong.append(f"until {until:%Y-%m-%d %H:%M:%S %Z}: expected a time to come, within {LONGEST_RAISE.days} days")
    if not reason.strip() or len(reason) > MOST_REASON_CHARACTERS or "\0" in reason:
        wrong.append(f"reason: expected 1 to {MOST_REASON_CHARACTERS} characters; the history is to say why")
    try:
        added = amount_of(amount, budget.unit)
    except BudgetError as found:
        wrong.append(str(found))
    if wrong:
        raise BudgetError("\n".join(wrong))
    async with connection.transaction():
        await _take_seam(connection)
        budget = await _again(connection, budget)
        raised = Raise(amount=added, until=stamp_us(until), reason=reason.strip())
        await connection.execute(
            "INSERT INTO budget_raises (id, budget_id, amount, until, reason) VALUES ($1, $2, $3, $4, $5)",
            new_uuid(clock()),
            UUID(bytes=budget.id),
            in_unit(budget.unit, added),
            until,
            raised.reason,
        )
        new = msgspec.structs.replace(budget, raises=(*budget.raises, raised), revision=budget.revision + 1)
        await _put(connection, new)
        told = {"amount": written(budget.unit, added), "until": until.astimezone(dt.UTC).isoformat()}
        await _remember(
            connection, new, "raised", by, raised.reason, described(budget), described(new) | {"raise": told}
        )
    return new


async def pause(connection: Connection, budget: Budget, by: str, reason: str | None = None) -> Budget:
    """Enforce it no more for the time being; it is counted on."""
    return await _set_paused(connection, budget, True, by, reason)


async def resume(connection: Connection, budget: Budget, by: str, reason: str | None = None) -> Budget:
    """Enforce it again."""
    return await _set_paused(connection, budget, False, by, reason)


async def delete(connection: Connection, budget: Budget, by: str, reason: str | None = None) -> None:
    """Take it away, with its counts. Its history stays."""
    async with connection.transaction():
        await _take_seam(connection)
        budget = await _again(connection, budget)
        await connection.execute(
            "UPDATE budgets SET deleted_at = clock_timestamp(), updated_at = clock_timestamp() WHERE id = $1",
            UUID(bytes=budget.id),
        )
        await _forget_counts(connection, budget)
        await connection.execute("DELETE FROM budget_raises WHERE budget_id = $1", UUID(bytes=budget.id))
        await _remember(connection, budget, "deleted", by, reason, described(budget), None)


async def history(connection: Connection, budget_id: bytes) -> list[Change]:
    """Every change, newest first."""
    rows = await connection.fetch(
        "SELECT changed_at, changed_by, what, reason, old, new FROM budget_changes"
        " WHERE budget_id = $1 ORDER BY id DESC",
        UUID(bytes=budget_id),
    )
    return [
        Change(
            row["changed_at"],
            row["changed_by"],
            row["what"],
            row["reason"],
            None if row["old"] is None else msgspec.json.decode(row["old"]),
            None if row["new"] is None else msgspec.json.decode(row["new"]),
        )
        for row in rows
    ]


async def _set_paused(connection: Connection, budget: Budget, paused: bool, by: str, reason: str | None) -> Budget:
    async with connection.transaction():
        await _take_seam(connection)
        budget = await _again(connection, budget)
        if budget.paused is paused:
            raise BudgetError(f"the budget {budget.name!r} is {'paused already' if paused else 'not paused'}")
        new = msgspec.structs.replace(budget, paused=paused, revision=budget.revision + 1)
        await _put(connection, new)
        what: What = "paused" if paused else "resumed"
        await _remember(connection, new, what, by, reason, described(budget), described(new))
    return new


def _what_is_counted(budget: Budget) -> tuple[object, ...]:
    return (budget.scope, budget.unit, budget.window, budget.ceiling)


async def _take_seam(connection: Connection) -> None:
    await connection.execute(_NO_TIMEOUT)
    await connection.execute("SELECT pg_advisory_xact_lock($1)", SEAM_LOCK)


async def _again(connection: Connection, budget: Budget) -> Budget:
    """The budget as it is now that nobody else can change it."""
    for present in await load(connection):
        if present.id == budget.id:
            return present
    raise UnknownBudgetError(f"the budget {budget.name!r} was deleted meanwhile")


async def _count_what_is_there(connection: Connection, budget: Budget) -> None:
    await (await recount(connection, budget, budget.counts_from)).write(connection)


async def _forget_counts(connection: Connection, budget: Budget) -> None:
    for table in ("budget_cells", "budget_leases", "budget_alerts"):
        await connection.execute(f"DELETE FROM {table} WHERE budget_id = $1", UUID(bytes=budget.id))  # noqa: S608


async def _put(connection: Connection, budget: Budget) -> None:
    scope = _Scope(
        keys=sorted(UUID(bytes=key) for key in budget.scope.keys),
        metadata=budget.scope.metadata,
        each=budget.scope.each,
        models=list(budget.scope.models),
        providers=list(budget.scope.providers),
        sessions=list(budget.scope.sessions),
    )
    try:
        await connection.execute(
            statement("budget_put"),
            UUID(bytes=budget.id),
            UUID(bytes=budget.org_id),
            budget.name,
            msgspec.json.encode(scope).decode(),
            budget.unit.value,
            in_unit(budget.unit, budget.limit),
            str(budget.window),
            budget.window.zone,
            budget.window.week_start,
            budget.window.month_start,
            budget.mode,
            budget.action,
            budget.on_unpriced,
            None if budget.ceiling is None else in_unit(Unit.USD, budget.ceiling * 1_000_000),
            budget.fail,
            list(budget.warn_at),
            budget.contact,
            budget.paused,
            moment_of(budget.counts_from),
            budget.revision,
        )
    except asyncpg.UniqueViolationError:
        raise BudgetError(f"name {budget.name!r}: another budget has it; see: majordomo budgets list") from None


async def _remember(
    connection: Connection, budget: Budget, what: What, by: str, reason: str | None,
    old: dict[str, Any] | None, new: dict[str, Any] | None,
) -> None:  # fmt: skip
    await connection.execute(
        "INSERT INTO budget_changes (budget_id, org_id, changed_by, what, reason, old, new)"
        " VALUES ($1, $2, $3, $4, $5, $6::text::jsonb, $7::text::jsonb)",
        UUID(bytes=budget.id),
        UUID(bytes=budget.org_id),
        by,
        what,
        reason,
        None if old is None else msgspec.json.encode(old).decode(),
        None if new is None else msgspec.json.encode(new).decode(),
    )


def _budget(row: asyncpg.Record) -> Budget:
    unit = Unit(row["unit"])
    told = msgspec.json.decode(row["scope"], type=_Scope)
    window: Window = parse_window(
        row["time_window"], zone=row["time_zone"], week_start=row["week_start"], month_start=row["month_start"]
    )
    ceiling = row["ceiling"]
    return Budget(
        id=row["id"].bytes,
        org_id=row["org_id"].bytes,
        name=row["name"],
        scope=Scope(
            keys=frozenset(key.bytes for key in told.keys),
            metadata=told.metadata,
            each=told.each,
            models=tuple(told.models),
            providers=tuple(told.providers),
            sessions=tuple(told.sessions),
        ),
        unit=unit,
        limit=from_unit(unit, row["limit_amount"]),
        window=window,
        mode=row["mode"],
        action=row["action"],
        on_unpriced=row["on_unpriced"],
        ceiling=None if ceiling is None else from_unit(Unit.USD, ceiling) // 1_000_000,
        fail=row["fail"],
        warn_at=tuple(row["warn_at"]),
        contact=row["contact"],
        paused=row["paused"],
        raises=tuple(_raise(unit, one) for one in msgspec.json.decode(row["raises"], type=list[_Raise])),
        counts_from=stamp_us(row["counts_from"]),
        revision=row["revision"],
    )


def _raise(unit: Unit, told: _Raise) -> Raise:
    seconds, _, micros = told.until.partition(".")
    until = int(seconds) * 1_000_000 + int(micros.ljust(6, "0")[:6])
    return Raise(amount=from_unit(unit, Decimal(told.amount)), until=until, reason=told.reason)
