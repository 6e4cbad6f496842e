"""The columns of FOCUS 1.2 that we fill, and the words that its rules fix. https://focus.finops.org/focus-specification/"""

from typing import Final

import msgspec

from majordomo.report.exports.columns import Column, Kind
from majordomo.report.exports.meters import BY_REQUEST, TOOLS
from majordomo.report.questions.billed import UNITS

_TEXT, _JSON, _, _DECIMAL, _TIME, _BOOLEAN = Kind

VERSION: Final = "1.2"

COLUMNS: Final = (
    Column("BilledCost", _DECIMAL),
    Column("BillingAccountId", _TEXT),
    Column("BillingAccountName", _TEXT),
    Column("BillingAccountType", _TEXT),
    Column("BillingCurrency", _TEXT),
    Column("BillingPeriodEnd", _TIME),
    Column("BillingPeriodStart", _TIME),
    Column("ChargeCategory", _TEXT),
    Column("ChargeClass", _TEXT),
    Column("ChargeDescription", _TEXT),
    Column("ChargeFrequency", _TEXT),
    Column("ChargePeriodEnd", _TIME),
    Column("ChargePeriodStart", _TIME),
    Column("ConsumedQuantity", _DECIMAL),
    Column("ConsumedUnit", _TEXT),
    Column("ContractedCost", _DECIMAL),
    Column("ContractedUnitPrice", _DECIMAL),
    Column("EffectiveCost", _DECIMAL),
    Column("InvoiceIssuerName", _TEXT),
    Column("ListCost", _DECIMAL),
    Column("ListUnitPrice", _DECIMAL),
    Column("PricingCategory", _TEXT),
    Column("PricingQuantity", _DECIMAL),
    Column("PricingUnit", _TEXT),
    Column("ProviderName", _TEXT),
    Column("PublisherName", _TEXT),
    Column("RegionId", _TEXT),
    Column("RegionName", _TEXT),
    Column("ResourceId", _TEXT),
    Column("ResourceType", _TEXT),
    Column("ServiceCategory", _TEXT),
    Column("ServiceName", _TEXT),
    Column("ServiceSubcategory", _TEXT),
    Column("SkuId", _TEXT),
    Column("SkuMeter", _TEXT),
    Column("SkuPriceDetails", _JSON),
    Column("SkuPriceId", _TEXT),
    Column("SubAccountId", _TEXT),
    Column("SubAccountName", _TEXT),
    Column("SubAccountType", _TEXT),
    Column("Tags", _JSON),
    Column("x_OrganisationId", _TEXT),
    Column("x_PriceKnown", _BOOLEAN),
    Column("x_PriceVersion", _TEXT),
    Column("x_Requests", Kind.INTEGER),
)

#: What has one value in every row.
FIXED: Final = {
    "BillingAccountType": "Provider credential",
    "BillingCurrency": "USD",
    "ChargeCategory": "Usage",
    "ChargeFrequency": "Usage-Based",
    "PricingCategory": "Standard",
    "ServiceCategory": "AI and Machine Learning",
    "ServiceSubcategory": "Generative AI",
    "SubAccountType": "Gateway key",
}

_PROVIDERS: Final = {
    "anthropic": "Anthropic",
    "baseten": "Baseten",
    "deepinfra": "DeepInfra",
    "deepseek": "DeepSeek",
    "fireworks": "Fireworks AI",
    "gemini": "Google",
    "gemini-openai": "Google",
    "moonshot": "Moonshot AI",
    "nebius": "Nebius",
    "novita": "Novita AI",
    "openai": "OpenAI",
    "together": "Together AI",
}


class Units(msgspec.Struct, frozen=True):
    """What a meter is consumed and priced in, and how many of its counts are one of each."""

    consumed: str
    consumed_size: int
    priced: str
    priced_size: int


#: By what ``UNITS`` counts. Priced as providers' price lists do; but by the second, as a minute has no exact part.
_UNITS: Final = {
    "tokens": Units("Tokens", 1, "1000000 Tokens", 1_000_000),
    "calls": Units("Calls", 1, "1000 Calls", 1000),
    "queries": Units("Queries", 1, "1000 Queries", 1000),
    "characters": Units("Characters", 1, "1000000 Characters", 1_000_000),
    "ms": Units("Seconds", 1000, "Seconds", 1000),
    "images": Units("Images", 1, "Images", 1),
    "requests": Units("Requests", 1, "Requests", 1),
}


def provider_name(provider: str) -> str:
    """Whose invoice it is on: the company behind a provider of ours, or the provider's own name."""
    return _PROVIDERS.get(provider, provider)


def service_name(provider: str) -> str:
    """The service that was used."""
    return "Gemini API" if provider.startswith("gemini") else f"{provider_name(provider)} API"


def units(meter: str) -> Units:
    """What a meter is consumed and priced in."""
    by_request = meter == TOOLS or meter.endswith(BY_REQUEST)
    return _UNITS["requests" if by_request else UNITS.get(meter, "tokens")]
