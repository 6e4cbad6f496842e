"""The route of what the same traffic would have cost elsewhere."""

from decimal import Decimal
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from majordomo.clock import wall_us
from majordomo.report.errors import ApiError
from majordomo.report.identity import Asking
from majordomo.report.questions.plain import exact
from majordomo.report.questions.what_if import TooManyRequestsError, WhatIf, what_if
from majordomo.report.usage.parameters import Given, reading, understand
from majordomo.report.usage.shapes import PeriodOut, Usd

router = APIRouter(prefix="/api/v1/usage", tags=["usage"])

_MOST_MODEL_CHARACTERS = 100  # as llm_requests.model
_MODEL = r"^[^\x00]*$"


class NotPricedOut(BaseModel):
    """Something that has no price there."""

    model_config = ConfigDict(from_attributes=True)

    what: str = Field(description="a billed quantity, or why nothing can be priced, such as unknown_model")
    units: int


class WhatIfOut(BaseModel):
    """One model's traffic. Costs compare its requests whose price is known."""

    provider: str
    model: str | None
    requests: int
    unpriced: int = Field(description="requests whose own price is unknown; they are not compared")
    actual_cost: Usd
    what_if_cost: Usd | None = Field(description="null where something has no price there")
    difference: Usd | None = Field(description="what_if_cost less actual_cost: negative where it would cost less")
    not_priced: list[NotPricedOut]


class WhatIfTotal(BaseModel):
    """What can be compared, together."""

    requests: int
    actual_cost: Usd
    what_if_cost: Usd
    difference: Usd


class WhatIfAnswer(BaseModel):
    """The traffic by model, costliest first; ``total`` adds up the rows that have a ``what_if_cost``."""

    period: PeriodOut
    model: str
    provider: str | None = Field(description="null: each request's own")
    price_version: str
    rows: list[WhatIfOut]
    total: WhatIfTotal
    not_compared: int = Field(description="requests without a price of their own, or there")


@router.get("/what-if", summary="The same traffic on another model's prices")
async def show_what_if(
    request: Request,
    asking: Asking,
    given: Given,
    model: Annotated[str, Query(min_length=1, max_length=_MOST_MODEL_CHARACTERS, pattern=_MODEL)],
    provider: Annotated[
        str | None,
        Query(max_length=_MOST_MODEL_CHARACTERS, pattern=_MODEL, description="Each request's own if left out."),
    ] = None,
) -> WhatIfAnswer:
    """By the prices of today, each prompt in the bracket that its length is in; at most 500,000 requests."""
    pricer = request.app.state.pricer
    async with reading(request) as connection:
        asked = await understand(connection, asking, given)
        try:
            found = await what_if(connection, asked.scope, pricer, model, provider, wall_us())
        except TooManyRequestsError as wrong:
            raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "too_many_requests", str(wrong)) from None
    compared = [one for one in found if one.what_if_cost is not None]
    actual = sum((one.actual_cost for one in compared), Decimal(0))
    elsewhere = sum((one.what_if_cost or Decimal(0) for one in compared), Decimal(0))
    return WhatIfAnswer(
        period=PeriodOut.of(asked.period),
        model=model,
        provider=provider,
        price_version=pricer.version,
        rows=[_row(one) for one in found],
        total=WhatIfTotal(
            requests=sum(one.requests for one in compared),
            actual_cost=exact(actual),
            what_if_cost=exact(elsewhere),
            difference=exact(elsewhere - actual),
        ),
        not_compared=sum(one.unpriced for one in found)
        + sum(one.requests for one in found if one.what_if_cost is None),
    )


def _row(one: WhatIf) -> WhatIfOut:
    difference = None if one.what_if_cost is None else one.what_if_cost - one.actual_cost
    return WhatIfOut(
        provider=one.provider,
        model=one.model,
        requests=one.requests,
        unpriced=one.unpriced,
        actual_cost=exact(one.actual_cost),
        what_if_cost=None if one.what_if_cost is None else exact(one.what_if_cost),
        difference=None if difference is None else exact(difference),
        not_priced=[NotPricedOut.model_validate(missing) for missing in one.not_priced],
    )
