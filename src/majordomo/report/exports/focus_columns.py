"""The columns of FOCUS 1.2 that we fill, and the words that its rules fix. https://focus.finops.org/focus-specification/"""

from typing import Final

from majordomo.report.exports.columns import Column, Kind
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
    Column("ResourceName", _TEXT),
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
    "ResourceType": "Model",
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

#: Words for what ``UNITS`` counts, and how many of it are one.
_UNITS: Final = {
    "tokens": ("Tokens", 1),
    "calls": ("Calls", 1),
    "queries": ("Queries", 1),
    "characters": ("Characters", 1),
    "ms": ("Seconds", 1000),
    "images": ("Images", 1),
    "requests": ("Requests", 1),
}


def provider_name(provider: str) -> str:
    """Whose invoice it is on: the company behind a provider of ours, or the provider's own name."""
    return _PROVIDERS.get(provider, provider)


def service_name(provider: str) -> str:
    """The service that was used."""
    return "Gemini API" if provider.startswith("gemini") else f"{provider_name(provider)} API"


def unit(meter: str) -> tuple[str, int]:
    """The unit of a meter, and how many of the meter's counts are one."""
    return ("Requests", 1) if meter == "tools" else _UNITS[UNITS.get(meter, "tokens")]
