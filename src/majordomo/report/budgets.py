"""Routes about budgets, ``/api/v1/budgets``: members look, admins change, a gateway key sees those that govern it."""

import datetime as dt
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from majordomo.budget import reach, sight, store
from majordomo.budget.definition import MOST_ENTRIES, BudgetError, Draft, define, draft_of
from majordomo.budget.model import Budget, Each
from majordomo.budget.simulate import simulate
from majordomo.budget.standing import MOST_COUNTS, Standing, standing, with_standing
from majordomo.budget.store import UnknownBudgetError
from majordomo.budget.windows import Kind, stamp_us
from majordomo.clock import wall_us
from majordomo.record.database import Connection
from majordomo.report.auth import owner_of
from majordomo.report.errors import ApiError
from majordomo.report.identity import Admin, Asking, Principal, principal
from majordomo.report.questions.plain import plain

router = APIRouter(prefix="/api/v1/budgets", tags=["budgets"])

Text = Annotated[str, Field(max_length=1000)]
Texts = Annotated[list[Text], Field(max_length=MOST_ENTRIES)]
Unit = Literal["usd", "tokens", "input_tokens", "output_tokens", "requests", "turns", "concurrent"]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class BudgetFields(_Body):
    """What can be said of a budget; what is left out has its default, or stays as it is. Amounts are decimal text."""

    name: Text | None = None
    limit: Text | None = None
    unit: Unit | None = None
    window: Text | None = None
    time_zone: Text | None = None
    week_start: Text | None = None
    month_start: int | None = None
    keys: Texts | None = None
    metadata: dict[Text, Text] | None = None
    each: Text | None = None
    models: Texts | None = None
    providers: Texts | None = None
    sessions: Texts | None = None
    mode: Literal["balanced", "strict"] | None = None
    action: Literal["enforce", "warn"] | None = None
    on_unpriced: Text | None = None
    fail: Literal["open", "closed"] | None = None
    warn_at: list[int] | None = None
    contact: Text | None = None

    def told(self) -> dict[str, Any]:
        """The fields of a draft that were named."""
        named = self.model_dump(exclude_unset=True, exclude={"reason", "allow_unseen"})
        return {
            field: value
            for field, value in named.items()
            if value is not None or field in ("each", "contact", "window")
        }


class NewBudget(BudgetFields):
    """A budget to make."""

    name: Text
    limit: Text
    allow_unseen: bool = False  # models, providers and sessions that nobody knows yet


class BudgetChange(BudgetFields):
    """What is to be different, and why."""

    reason: Text | None = None
    allow_unseen: bool = False


class Reason(_Body):
    """Why; the history keeps it."""

    reason: Text | None = None


class RaiseBody(_Body):
    """How much is added to the limit, until when, and why."""

    amount: Text
    until: dt.datetime
    reason: Text


class Trial(BudgetFields):
    """A limit to replay the past against: a budget that is there, changed by the other fields, or these alone."""

    budget: Text | None = None
    since: dt.datetime
    until: dt.datetime


class CountOut(BaseModel):
    """One count of a budget in its present window."""

    value: str
    limit: str
    spent: str
    reserved: str
    at_risk: str
    remaining: str
    percent: str
    requests: int
    unpriced: int
    resets_at: dt.datetime | None
    rate_per_hour: str | None
    runs_out_at: dt.datetime | None


class RaiseOut(BaseModel):
    """A limit lifted for a while."""

    amount: str
    until: dt.datetime
    reason: str


class BudgetOut(BaseModel):
    """A budget and how its fullest count stands."""

    id: str
    name: str
    unit: Unit
    base_limit: str
    limit: str
    spent: str
    reserved: str
    at_risk: str
    remaining: str
    resets_at: dt.datetime | None
    runs_out_at: dt.datetime | None
    window: str
    time_zone: str
    week_start: str
    month_start: int
    keys: list[str]
    metadata: dict[str, str]
    each: str | None
    models: list[str]
    providers: list[str]
    sessions: list[str]
    mode: str
    action: str
    on_unpriced: str
    fail: str
    warn_at: list[int]
    contact: str | None
    paused: bool
    revision: int
    raises: list[RaiseOut]
    counts: list[CountOut]
    number_of_counts: int
    warnings: list[str] = []


class Budgets(BaseModel):
    """All that may be seen."""

    budgets: list[BudgetOut]


class ChangeOut(BaseModel):
    """One entry of a budget's history."""

    changed_at: dt.datetime
    changed_by: str
    what: str
    reason: str | None
    old: dict[str, Any] | None
    new: dict[str, Any] | None


class RefusedOut(BaseModel):
    """The requests of one gateway key that a budget refused of late."""

    who: str
    api_key_id: str
    requests: int
    since: dt.datetime
    latest: dt.datetime


class AlertOut(BaseModel):
    """A threshold that was reached."""

    value: str
    window_start: dt.datetime
    threshold: int
    spent: str
    limit: str
    created_at: dt.datetime


class Sight(BaseModel):
    """What a budget did, and what was done to it."""

    history: list[ChangeOut]
    refusals: list[RefusedOut]
    alerts: list[AlertOut]


class WouldRefuseOut(BaseModel):
    """What would have been refused of one gateway key and value."""

    api_key_id: str
    value: str
    requests: int
    used: str
    first: dt.datetime | None


class RefusedRequestOut(BaseModel):
    """A request that would have been refused."""

    id: str
    requested_at: dt.datetime
    value: str
    used: str
    spent: str


class SimulationOut(BaseModel):
    """What came of a replay."""

    requests: int
    used: str
    refused: int
    refused_used: str
    windows: int
    windows_exhausted: int
    highest: str
    whose: list[WouldRefuseOut]
    first_refused: list[RefusedRequestOut]


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


def _by(asking: Principal) -> str:
    """Who stands in the history."""
    return asking.user.email
