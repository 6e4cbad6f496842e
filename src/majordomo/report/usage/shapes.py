"""The JSON of the routes under ``/api/v1/usage``."""

import datetime as dt
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field

from majordomo.report.questions.periods import Granularity, Period
from majordomo.report.questions.plain import exact
from majordomo.report.questions.usage import Usage


def _usd(amount: Any) -> Any:
    return exact(amount) if isinstance(amount, Decimal) else amount


Usd = Annotated[str, BeforeValidator(_usd), Field(description="USD in decimal, every digit")]


class PeriodOut(BaseModel):
    """The time that was asked about: ``[from, to)``."""

    since: dt.datetime = Field(serialization_alias="from")
    until: dt.datetime = Field(serialization_alias="to")
    timezone: str

    @classmethod
    def of(cls, period: Period) -> "PeriodOut":
        """The same as JSON has it."""
        return cls(since=period.since, until=period.until, timezone=period.zone)


class UsageOut(BaseModel):
    """Sums over some requests. One whose price is unknown adds its tokens, and nothing to the costs."""

    requests: int
    errors: int = Field(description="status 400 or more, or broken off, refused, stopped, lost")
    unpriced: int = Field(description="something was used and no price is known")
    prompt_tokens: int = Field(description="uncached + cached + cache_creation")
    uncached_tokens: int
    cached_tokens: int = Field(description="read from a cache")
    cache_creation_tokens: int = Field(description="written to a cache")
    output_tokens: int = Field(description="reasoning included")
    reasoning_tokens: int
    input_cost: Usd
    cache_read_cost: Usd
    cache_creation_cost: Usd
    output_cost: Usd
    tool_cost: Usd
    total_cost: Usd
    cost_unknown: bool = Field(description="no price is known for any of it: the costs of 0 say nothing")
    error_rate: float | None
    cache_hit_rate: float | None = Field(description="cached_tokens of prompt_tokens")
    mean_response_ms: float | None

    @classmethod
    def of(cls, usage: Usage) -> "UsageOut":
        """The same as JSON has it."""
        return cls(**{name: getattr(usage, name) for name in cls.model_fields})


class SummaryOut(BaseModel):
    """All usage of a time."""

    period: PeriodOut
    usage: UsageOut
    estimated: int = Field(description="requests with some count of the gateway's own")
    lost: int = Field(description="requests whose end was never learnt")


class SummaryAnswer(SummaryOut):
    """All usage of a time, and of the one before if that was asked for."""

    previous: SummaryOut | None


class ShareOut(BaseModel):
    """One value's usage; ``value`` is null for the requests that have none."""

    value: str | None
    label: str | None = Field(description="what people call it: the name of a gateway key")
    usage: UsageOut
    previous: UsageOut | None = Field(description="in the time before, if that was asked for")


class RestOut(BaseModel):
    """All values beyond the limit together."""

    values: int = Field(description="how many these are")
    usage: UsageOut
    previous: UsageOut | None


class BreakdownAnswer(BaseModel):
    """Usage by one dimension, foremost first. ``rows`` and ``rest`` add up to ``total``."""

    period: PeriodOut
    previous_period: PeriodOut | None
    group_by: str
    rows: list[ShareOut]
    rest: RestOut | None
    total: UsageOut
    previous_total: UsageOut | None


Points = dict[str, list[Annotated[int | float | str | None, BeforeValidator(_usd)]]]


class SeriesOut(BaseModel):
    """One value over time: a list for each metric, as long as ``buckets``."""

    value: str | None = Field(description="null for the requests that have none, and for the rest")
    label: str | None
    is_rest: bool = Field(description="all values beyond the limit together")
    points: Points


class TimeseriesAnswer(BaseModel):
    """Usage over time. ``series`` add up to ``total`` in every bucket."""

    period: PeriodOut
    granularity: Granularity
    group_by: str | None
    buckets: list[dt.datetime] = Field(description="where each begins; the first may begin before the period")
    series: list[SeriesOut]
    total: Points
    previous_period: PeriodOut | None
    previous_total: Points | None = Field(description="of the time before, in buckets of its own")
