"""The route of what prompt caches saved."""

from decimal import Decimal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from majordomo.clock import wall_us
from majordomo.report.identity import Asking
from majordomo.report.questions.caching import caching
from majordomo.report.questions.plain import exact
from majordomo.report.usage.parameters import Given, reading, understand
from majordomo.report.usage.shapes import PeriodOut, Usd

router = APIRouter(prefix="/api/v1/usage", tags=["usage"])


class CachedOut(BaseModel):
    """One model's use of caches."""

    provider: str
    model: str | None
    prompt_tokens: int
    cached_tokens: int = Field(description="read from a cache")
    cache_creation_tokens: int = Field(description="written to one")
    cache_hit_rate: float | None = Field(description="cached_tokens of prompt_tokens")
    cache_read_cost: Usd
    cache_creation_cost: Usd
    saved: Usd | None = Field(
        description="against plain input; below zero where writing cost more than reading saved; "
        "null where today's prices do not tell"
    )


class CachingAnswer(BaseModel):
    """The models that used a cache, those with the most tokens first."""

    period: PeriodOut
    saved: Usd = Field(description="the sum of those that are known")
    unknown: int = Field(description="cached tokens of which it is not known what they saved")
    rows: list[CachedOut]


@router.get("/caching", summary="What prompt caches saved")
async def show_caching(request: Request, asking: Asking, given: Given) -> CachingAnswer:
    """By model: what its cached tokens would have cost as plain input, less what they, and writing them, did cost."""
    async with reading(request) as connection:
        asked = await understand(connection, asking, given)
        found = await caching(connection, asked.scope, request.app.state.pricer, wall_us())
    return CachingAnswer(
        period=PeriodOut.of(asked.period),
        saved=exact(sum((one.saved for one in found if one.saved is not None), Decimal(0))),
        unknown=sum(one.usage.cached_tokens for one in found if one.saved is None),
        rows=[
            CachedOut(
                provider=one.provider,
                model=one.model,
                prompt_tokens=one.usage.prompt_tokens,
                cached_tokens=one.usage.cached_tokens,
                cache_creation_tokens=one.usage.cache_creation_tokens,
                cache_hit_rate=one.usage.cache_hit_rate,
                cache_read_cost=exact(one.usage.cache_read_cost),
                cache_creation_cost=exact(one.usage.cache_creation_cost),
                saved=None if one.saved is None else exact(one.saved),
            )
            for one in found
        ],
    )
