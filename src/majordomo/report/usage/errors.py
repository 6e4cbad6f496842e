"""The route of what failed."""

import datetime as dt
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from majordomo.report.identity import Asking
from majordomo.report.questions import failures, pivot
from majordomo.report.usage.parameters import Given, reading, understand
from majordomo.report.usage.shapes import PeriodOut

router = APIRouter(prefix="/api/v1/usage", tags=["usage"])


class SampleOut(BaseModel):
    """The newest request of a kind."""

    id: str
    requested_at: dt.datetime
    message: str | None = Field(description="what the provider, or the gateway, said")


class FailureOut(BaseModel):
    """One kind of failure."""

    error_type: str | None
    status_code: int | None
    outcome: str
    provider: str
    model: str | None
    requests: int
    first_at: dt.datetime
    last_at: dt.datetime
    sample: SampleOut


class ErrorsAnswer(BaseModel):
    """What failed, the most frequent first."""

    period: PeriodOut
    requests: int = Field(description="all requests of the period")
    errors: int = Field(description="those that failed")
    kinds: int = Field(description="how many kinds of failure there are, shown or not")
    rows: list[FailureOut]


@router.get("/errors", summary="What failed")
async def errors(
    request: Request,
    asking: Asking,
    given: Given,
    limit: Annotated[int, Query(ge=1, le=failures.MOST_KINDS, description="Kinds of failure shown.")] = 50,
) -> ErrorsAnswer:
    """By the provider's word for it, status, outcome, provider and model; each with its newest request."""
    async with reading(request) as connection:
        asked = await understand(connection, asking, given)
        found = await failures.failures(connection, asked.scope, limit)
        whole = await pivot.usage(connection, asked.scope)
    return ErrorsAnswer(
        period=PeriodOut.of(asked.period),
        requests=whole.requests,
        errors=found.all_requests,
        kinds=found.all_kinds,
        rows=[
            FailureOut(
                error_type=kind.error_type,
                status_code=kind.status_code,
                outcome=kind.outcome,
                provider=kind.provider,
                model=kind.model,
                requests=kind.requests,
                first_at=kind.first_at,
                last_at=kind.last_at,
                sample=SampleOut(id=str(kind.sample_id), requested_at=kind.last_at, message=kind.sample_message),
            )
            for kind in found.kinds
        ],
    )
