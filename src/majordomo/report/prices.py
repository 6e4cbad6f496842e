"""Routes about prices, ``/api/v1/prices``: which models have one, and what each costs by tier, length and class."""

import datetime as dt
from decimal import Decimal
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field

from majordomo.clock import wall_us
from majordomo.meter.reading import Bucket
from majordomo.price import listing
from majordomo.price.listing import PriceList
from majordomo.price.pricer import Pricer
from majordomo.report.errors import ApiError
from majordomo.report.identity import Asking
from majordomo.report.questions.plain import exact

router = APIRouter(prefix="/api/v1/prices", tags=["prices"])

MOST_MODELS = 200  # of one answer
_MOST_CHARACTERS = 100  # as llm_requests.model
_TEXT = r"^[^\x00]*$"
_US = dt.timedelta(microseconds=1)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

#: What a list of models tells of each; the rest is on its own page.
_FOREMOST = (Bucket.INPUT, Bucket.CACHE_READ, Bucket.OUTPUT)


class RateOut(BaseModel):
    """A rate in USD."""

    usd: str
    per: str = Field(description="`$/M` for a million tokens, `$/1k`, `$/hour`, or `$` for each")


class ModelOut(BaseModel):
    """A model and its foremost rates, for standard processing of short prompts."""

    provider: str
    model: str
    rates: dict[str, RateOut]


class ModelsAnswer(BaseModel):
    """Models that have a price, and which prices are in use."""

    version: str
    source: str
    overlay_error: str | None = Field(description="why the overlay file as it is now is not in use")
    found: int = Field(description="how many there are, shown or not")
    models: list[ModelOut]


class LineOut(BaseModel):
    """The rates of one processing at one prompt length."""

    processing: str = Field(description="`standard`, `flex`, `batch`, `fast`, ...")
    above: int | None = Field(description="for prompts longer than so many tokens; null: from the start")
    rates: dict[str, RateOut]
    inexact: list[str] = Field(description="units whose rate cannot be charged exactly: they stay unpriced")


class PriceListOut(BaseModel):
    """What one provider charges for a model."""

    provider: str
    entry: str | None = Field(description="the catalogue's id; null: a model of the overlay's own")
    lines: list[LineOut]
    comments: str | None
    pages: list[str] = Field(description="where the provider tells its prices")


class PricesAnswer(BaseModel):
    """A model's price lists, one for each provider that sells it."""

    model: str
    at: dt.datetime
    version: str
    source: str
    prices: list[PriceListOut]


@router.get("", summary="Models that have a price")
async def list_models(
    request: Request,
    asking: Asking,
    q: Annotated[
        str, Query(max_length=_MOST_CHARACTERS, pattern=_TEXT, description="Words that `provider/model` has in it.")
    ] = "",
    limit: Annotated[int, Query(ge=1, le=MOST_MODELS)] = 50,
) -> ModelsAnswer:
    """By provider and name, with the rates of today."""
    pricer: Pricer = request.app.state.pricer
    named = listing.models_named(pricer.book, q, listing.provider_names(pricer.book))
    now = wall_us()
    return ModelsAnswer(
        version=pricer.version,
        source=pricer.book.catalogue.source,
        overlay_error=pricer.overlay_error,
        found=len(named),
        models=[_model(pricer, provider, model, now) for provider, model in named[:limit]],
    )


@router.get(
    "/{model:path}",
    responses={404: {"description": "No price is known; the message names models like it"}},
    summary="What a model costs",
)
async def show_model(
    request: Request,
    asking: Asking,
    model: Annotated[str, Path(max_length=_MOST_CHARACTERS, pattern=_TEXT)],
    provider: Annotated[str | None, Query(max_length=_MOST_CHARACTERS, pattern=_TEXT)] = None,
    at: Annotated[dt.datetime | None, Query(description="The prices of then; of now if left out.")] = None,
) -> PricesAnswer:
    """By tier, prompt length and class of token, at every provider that sells it, or at one."""
    pricer: Pricer = request.app.state.pricer
    moment = dt.datetime.now(dt.UTC) if at is None else at.replace(tzinfo=at.tzinfo or dt.UTC)
    providers = listing.provider_names(pricer.book) if provider is None else [provider]
    lists = listing.price_lists(pricer.book, model, providers, (moment - _EPOCH) // _US)
    if not lists:
        near = listing.near_names(pricer.book, model, providers)
        hint = f"near it are {', '.join(near)}" if near else "an own model's rates go into the price overlay"
        raise ApiError(HTTPStatus.NOT_FOUND, "price_unknown", f"no price is known for this model; {hint}")
    return PricesAnswer(
        model=model,
        at=moment,
        version=pricer.version,
        source=pricer.book.catalogue.source,
        prices=[_list(one) for one in lists],
    )


def _model(pricer: Pricer, provider: str, model: str, at_us: int) -> ModelOut:
    lists = listing.price_lists(pricer.book, model, [provider], at_us)
    rates = lists[0].lines[0].rates if lists and lists[0].lines else {}
    return ModelOut(
        provider=provider,
        model=model,
        rates={unit.value: _rate(unit, rates[unit]) for unit in _FOREMOST if unit in rates},
    )


def _list(listed: PriceList) -> PriceListOut:
    return PriceListOut(
        provider=listed.provider,
        entry=listed.entry,
        lines=[
            LineOut(
                processing=line.processing,
                above=line.above,
                rates={unit: _rate(unit, rate) for unit, rate in line.rates.items()},
                inexact=line.inexact,
            )
            for line in listed.lines
        ],
        comments=listed.comments,
        pages=listed.pages,
    )


def _rate(unit: str, usd: Decimal) -> RateOut:
    return RateOut(usd=exact(usd), per=listing.quoted(unit))
