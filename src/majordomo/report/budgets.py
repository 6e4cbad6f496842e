"""Routes about budgets, ``/api/v1/budgets``: members look, admins change, a gateway key sees those that govern it."""

import datetime as dt
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Query, Request

from majordomo.budget import reach, sight, store
from majordomo.budget.definition import BudgetError, Draft, define, draft_of
from majordomo.budget.model import Budget, Each
from majordomo.budget.simulate import simulate
from majordomo.budget.standing import MOST_COUNTS, Standing, standing, with_standing
from majordomo.budget.store import UnknownBudgetError
from majordomo.budget.windows import Kind, stamp_us
from majordomo.clock import wall_us
from majordomo.record.database import Connection
from majordomo.report.auth import owner_of
from majordomo.report.bodies import JsonRoute
from majordomo.report.budget_forms import (
    AllRefused,
    BudgetChange,
    BudgetOut,
    Budgets,
    NearLimits,
    NewBudget,
    RaiseBody,
    Reason,
    Sight,
    SimulationOut,
    Trial,
)
from majordomo.report.errors import ApiError
from majordomo.report.identity import Admin, Asking, Principal, principal
from majordomo.report.questions.plain import plain

router = APIRouter(prefix="/api/v1/budgets", tags=["budgets"], route_class=JsonRoute)


async def _database(request: Request) -> AsyncIterator[Connection]:
    try:
        async with request.app.state.connections.acquire() as connection:
            yield connection
    except UnknownBudgetError as unknown:
        raise ApiError(HTTPStatus.NOT_FOUND, "not_found", str(unknown)) from None
    except BudgetError as wrong:
        findings: list[dict[str, Any]] = [{"problem": line} for line in str(wrong).splitlines()]
        message = "the budget cannot be so; see details" if len(findings) > 1 else str(wrong)
        raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_budget", message, findings) from None


Database = Annotated[Connection, Depends(_database)]


@router.get("", summary="All budgets, or those that govern a gateway key")
async def list_budgets(request: Request, connection: Database) -> Budgets:
    """With how the fullest count of each stands. Whoever sends ``X-Majordomo-Key`` sees the budgets of that key."""
    secret = request.headers.get("x-majordomo-key")
    if secret is not None:
        owner = await owner_of(request.app.state.connections, secret)
        found = [one for one in await store.load(connection) if one.org_id == owner.org_id.bytes]
        governing = [one for one in found if not one.scope.keys or owner.key_id.bytes in one.scope.keys]
        return Budgets(budgets=[await _of_key(connection, one, owner.key_id.bytes) for one in governing])
    asking = await principal(request)
    found = [one for one in await store.load(connection) if one.org_id == asking.org_id.bytes]
    return Budgets(budgets=[await _out(connection, one) for one in found])


@router.post("", status_code=HTTPStatus.CREATED, summary="Make a budget")
async def create_budget(body: NewBudget, asking: Admin, connection: Database, request: Request) -> BudgetOut:
    """What its present window has used counts already."""
    draft, org_id = await reach.with_key_ids(connection, body.told(), asking.org_id.bytes)
    meant = define(Draft(**draft), bytes(16), org_id)
    warned = await reach.check(connection, meant, _known(request), draft, allow_unseen=body.allow_unseen)
    made = await store.create(connection, Draft(**draft), _by(asking), org_id=org_id)
    return await _out(connection, made, warned)


@router.post("/simulate", summary="Replay the past against a limit")
async def try_out(body: Trial, asking: Asking, connection: Database) -> SimulationOut:
    """What would have been refused, when and whose. Changes nothing."""
    if body.budget is None and body.limit is None:
        raise BudgetError("budget, limit: name a budget that is there, or a limit to try")
    if not _aware(body.since) < _aware(body.until):
        raise BudgetError("since, until: since must be before until")
    start = Draft(name="a limit to try", limit="1")
    if body.budget is not None:
        start = draft_of(await store.find(connection, body.budget, asking.org_id.bytes))
    told = {field: value for field, value in body.told().items() if field not in ("budget", "since", "until")}
    changes, org_id = await reach.with_key_ids(connection, told, asking.org_id.bytes)
    tried = define(_changed(start, changes), bytes(16), org_id)
    came = await simulate(connection, tried, stamp_us(_aware(body.since)), stamp_us(_aware(body.until)))
    return SimulationOut.model_validate(plain(came))


@router.get("/near", summary="Who is near a limit")
async def near_limits(
    asking: Asking, connection: Database, at: Annotated[int, Query(ge=1, le=100)] = sight.NEAR
) -> NearLimits:
    """The counts of which ``at`` per cent of the limit are spent, fullest first, with rate and forecast."""
    ours = [one for one in await store.load(connection) if one.org_id == asking.org_id.bytes]
    found = await sight.near(connection, ours, wall_us(), at)
    return NearLimits.model_validate(
        {"near": [{**_naming(one.budget), **plain(msgspec.structs.asdict(one.count))} for one in found]}
    )


@router.get("/refusals", summary="What budgets refused, by name")
async def all_refusals(
    asking: Asking, connection: Database, days: Annotated[int, Query(ge=1, le=366)] = 7
) -> AllRefused:
    """In the last ``days``: which budget, whose requests, why and how many."""
    found = await sight.all_refusals(connection, asking.org_id.bytes, dt.timedelta(days=days))
    return AllRefused.model_validate(plain({"refusals": found}))


@router.get("/{budget}", summary="One budget")
async def get_budget(budget: str, asking: Asking, connection: Database) -> BudgetOut:
    """By id or name, with how fast it went in the last hour and when it will be gone at that rate."""
    return await _out(connection, await store.find(connection, budget, asking.org_id.bytes), rate=True)


@router.get("/{budget}/history", summary="What a budget did, and what was done to it")
async def get_history(budget: str, asking: Asking, connection: Database) -> Sight:
    """Every change, whom it refused in the last week, and the thresholds that were reached."""
    found = await store.find(connection, budget, asking.org_id.bytes)
    told = {
        "history": await store.history(connection, found.id),
        "refusals": await sight.refusals(connection, found),
        "alerts": await sight.alerts(connection, found),
    }
    return Sight.model_validate(plain(told))


@router.patch("/{budget}", summary="Change a budget")
async def change_budget(
    budget: str, body: BudgetChange, asking: Admin, connection: Database, request: Request
) -> BudgetOut:
    """Another scope, unit or window is counted anew from the beginning of the present window."""
    found = await store.find(connection, budget, asking.org_id.bytes)
    changes, _ = await reach.with_key_ids(connection, body.told(), found.org_id)
    meant = define(_changed(draft_of(found), changes), found.id, found.org_id)
    warned = await reach.check(connection, meant, _known(request), changes, allow_unseen=body.allow_unseen)
    changed = await store.update(connection, found, changes, _by(asking), body.reason)
    return await _out(connection, changed, warned)


@router.delete("/{budget}", status_code=HTTPStatus.NO_CONTENT, summary="Take a budget away")
async def delete_budget(budget: str, asking: Admin, connection: Database) -> None:
    """Its history stays in the database."""
    await store.delete(connection, await store.find(connection, budget, asking.org_id.bytes), _by(asking))


@router.post("/{budget}/raise", summary="Lift a limit for a while")
async def raise_budget(budget: str, body: RaiseBody, asking: Admin, connection: Database) -> BudgetOut:
    """It ends by itself."""
    found = await store.find(connection, budget, asking.org_id.bytes)
    until = _aware(body.until)
    raised = await store.raise_limit(connection, found, body.amount, until, _by(asking), body.reason)
    return await _out(connection, raised)


@router.post("/{budget}/pause", summary="Enforce a budget no more for the time being")
async def pause_budget(budget: str, body: Reason, asking: Admin, connection: Database) -> BudgetOut:
    """It is counted on."""
    found = await store.find(connection, budget, asking.org_id.bytes)
    return await _out(connection, await store.pause(connection, found, _by(asking), body.reason))


@router.post("/{budget}/resume", summary="Enforce a paused budget again")
async def resume_budget(budget: str, body: Reason, asking: Admin, connection: Database) -> BudgetOut:
    """As before."""
    found = await store.find(connection, budget, asking.org_id.bytes)
    return await _out(connection, await store.resume(connection, found, _by(asking), body.reason))


async def _out(
    connection: Connection, budget: Budget, warnings: list[str] | None = None, *, rate: bool = False
) -> BudgetOut:
    stands = await standing(connection, budget, wall_us(), rate=rate)
    return BudgetOut.model_validate(plain({**with_standing(budget, stands), "warnings": warnings or []}))


async def _of_key(connection: Connection, budget: Budget, key_id: bytes) -> BudgetOut:
    """A budget as a gateway key may see it: no other key's name, and no values that others told."""
    value, most = None, MOST_COUNTS
    if budget.scope.each == Each.KEY:
        value = key_id.hex()
    elif budget.scope.keys != {key_id} and (budget.scope.each is not None or budget.window.kind is Kind.SESSION):
        most = 0
    stands = await standing(connection, budget, wall_us(), value=value, most=most)
    shown = Standing(counts=stands.counts, number=len(stands.counts))
    told = {**with_standing(budget, shown), "warnings": []}
    told["keys"] = [key for key in told["keys"] if key.replace("-", "") == key_id.hex()]
    return BudgetOut.model_validate(plain(told))


def _known(request: Request) -> reach.Known:
    state = request.app.state
    return reach.Known(state.providers, state.pricer.book)


def _changed(draft: Draft, changes: dict[str, Any]) -> Draft:
    fields = {field: getattr(draft, field) for field in draft.__struct_fields__}
    return Draft(**{**fields, **changes})


def _aware(moment: dt.datetime) -> dt.datetime:
    """A moment; UTC unless it says otherwise."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)


def _naming(budget: Budget) -> dict[str, Any]:
    return {
        "budget_id": str(UUID(bytes=budget.id)),
        "budget": budget.name,
        "unit": budget.unit.value,
        "window": str(budget.window),
        "paused": budget.paused,
        "action": budget.action,
    }


def _by(asking: Principal) -> str:
    """Who stands in the history."""
    return asking.user.email
