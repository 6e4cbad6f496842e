"""What is said and answered about budgets over HTTP. Amounts are decimal text."""

import datetime as dt
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from majordomo.budget.definition import MOST_ENTRIES
from majordomo.report.bodies import Flag, Moment, Whole

Text = Annotated[str, Field(max_length=1000)]
Texts = Annotated[list[Text], Field(max_length=MOST_ENTRIES)]
Unit = Literal[
    "usd", "tokens", "input_tokens", "uncached_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens",
    "reasoning_tokens", "requests", "turns", "concurrent",
]  # fmt: skip


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
    month_start: Whole | None = None
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
    warn_at: list[Whole] | None = None
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
    allow_unseen: Flag = False  # models, providers and sessions that nobody knows yet


class BudgetChange(BudgetFields):
    """What is to be different, and why."""

    reason: Text | None = None
    allow_unseen: Flag = False


class Reason(_Body):
    """Why; the history keeps it."""

    reason: Text | None = None


class RaiseBody(_Body):
    """How much is added to the limit, until when, and why."""

    amount: Text
    until: Moment
    reason: Text


class Trial(BudgetFields):
    """A limit to replay the past against: a budget that is there, changed by the other fields, or these alone."""

    budget: Text | None = None
    since: Moment
    until: Moment


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


class NearOut(CountOut):
    """A count near its limit, and whose it is."""

    budget_id: str
    budget: str
    unit: Unit
    window: str
    paused: bool
    action: str


class NearLimits(BaseModel):
    """Counts near their limits, fullest first."""

    near: list[NearOut]


class BudgetRefusedOut(RefusedOut):
    """What one budget refused of one gateway key, for one value and reason."""

    budget: str
    value: str
    code: str


class AllRefused(BaseModel):
    """What budgets refused, most first."""

    refusals: list[BudgetRefusedOut]


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
