"""The price catalogue as data: parsed, checked, and identified by a version.

Its shape is that of the ``genai-prices`` v2 feed, cut down to what prices a request. A provider's models stay undecoded
until the first request to that provider, so that a front desk holds a few hundred kilobytes, not a hundred megabytes.
"""

import gzip
import hashlib
from datetime import datetime
from decimal import Decimal
from importlib import resources
from typing import Any

import msgspec

from majordomo.price import matching
from majordomo.price.spans import Constraint
from majordomo.price.units import CATALOGUE_KEYS, DEAREST_USD, SPLITS

PACKAGED_NAME = "catalogue.json.gz"

#: A catalogue with fewer models than this is cut off or something else altogether; the packaged one has over 2,000.
FEWEST_MODELS = 100

#: The feed is some 2 MB of JSON; ten times that is no price list.
MAX_CATALOGUE_BYTES = 32 * 1024 * 1024


class CatalogueError(ValueError):
    """A catalogue cannot be used. The message says what is wrong with it."""


class Tier(msgspec.Struct, frozen=True):
    """The rate for requests whose prompt is longer than ``start`` tokens."""

    start: int
    price: Decimal


class Tiered(msgspec.Struct, frozen=True):
    """A rate by prompt length; the whole request is priced at the highest tier it exceeds."""

    base: Decimal
    tiers: list[Tier]


Prices = dict[str, Decimal | Tiered]


class Conditional(msgspec.Struct, frozen=True, omit_defaults=True):
    """Prices that hold under a date or time of day. The last one met counts."""

    prices: Prices
    constraint: Constraint | None = None


class Variant(msgspec.Struct, frozen=True, omit_defaults=True):
    """Rates that replace the standard ones for a service tier, a speed or batch processing."""

    when: dict[str, str]
    prices: Prices
    constraint: Constraint | None = None


class Model(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry: whom it means and what it costs. USD per the quantity in the price key's name."""

    id: str
    match: dict[str, Any]
    prices: list[Conditional] | Prices
    price_variants: list[Variant] | None = None
    price_comments: str | None = None

    def conditionals(self) -> list[Conditional]:
        """The standard prices with their dates, oldest first."""
        return self.prices if isinstance(self.prices, list) else [Conditional(self.prices)]


class FeedProvider(msgspec.Struct, omit_defaults=True):
    """A provider in full, as the feed and the file have it."""

    id: str
    models: list[Model]
    pricing_urls: list[str] | None = None


class _LazyProvider(msgspec.Struct):
    id: str
    models: msgspec.Raw
    pricing_urls: list[str] | None = None


class Envelope(msgspec.Struct, kw_only=True):
    """A catalogue file: the cut-down feed with where and when it comes from."""

    format: int = 1
    source: str  # "genai-prices 0.2.3", or the feed's host
    dated: datetime  # when these prices were fetched or packaged
    version: str
    providers: list[FeedProvider]


class _LazyEnvelope(msgspec.Struct, kw_only=True):
    format: int
    source: str
    dated: datetime
    version: str
    providers: list[_LazyProvider]


class Catalogue:
    """All models of all providers, looked up by catalogue provider id and model id."""

    def __init__(self, envelope: _LazyEnvelope) -> None:
        self.source = envelope.source
        self.dated = envelope.dated
        self.version = envelope.version
        self._raw = {provider.id: provider for provider in envelope.providers}
        self._models: dict[str, list[Model]] = {}

    def providers(self) -> list[str]:
        """The ids of all providers."""
        return list(self._raw)

    def pricing_urls(self, provider: str) -> list[str]:
        """The pages that a provider's rates were read from."""
        known = self._raw.get(provider)
        return list(known.pricing_urls or ()) if known else []

    def models(self, provider: str) -> list[Model]:
        """A provider's models; none for an unknown provider."""
        found = self._models.get(provider)
        if found is None:
            raw = self._raw.get(provider)
            found = msgspec.json.decode(raw.models, type=list[Model]) if raw else []
            if raw:
                self._models[provider] = found
        return found

    def find(self, provider: str, model: str) -> Model | None:
        """The entry that a model id means, by the rule of ``matching``; None if there is none."""
        return next((entry for entry in self.models(provider) if matching.matches(entry.match, model)), None)


def parse_feed(data: bytes, source: str, dated: datetime) -> Envelope:
    """Read and check a v2 feed.

    Raises:
        CatalogueError: malformed, or its content is no usable price list.
    """
    try:
        providers = msgspec.json.decode(data, type=list[FeedProvider])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        raise CatalogueError(f"not a price feed: {wrong}") from None
    _check(providers)
    return Envelope(source=source, dated=dated, version=_version(providers, dated), providers=providers)


def encode(envelope: Envelope) -> bytes:
    """The file form of a catalogue: gzipped JSON, reproducible byte for byte."""
    return gzip.compress(msgspec.json.encode(envelope), mtime=0)


def load(packed: bytes) -> Catalogue:
    """A catalogue from its file form, which was checked when it was made; gzip's checksum tells damage since.

    Raises:
        CatalogueError: the file is damaged or of another format.
    """
    try:
        envelope = msgspec.json.decode(gzip.decompress(packed), type=_LazyEnvelope)
    except (msgspec.DecodeError, OSError, EOFError, ValueError) as wrong:
        raise CatalogueError(f"not a catalogue file: {wrong}") from None
    if envelope.format != 1:
        raise CatalogueError(f"catalogue file of format {envelope.format}; this version reads format 1")
    return Catalogue(envelope)


def packaged() -> Catalogue:
    """The catalogue that came with this version of the product: the floor under everything else."""
    return load(packaged_bytes())


def packaged_bytes() -> bytes:
    """The file form of the packaged catalogue."""
    return resources.files(__package__).joinpath(PACKAGED_NAME).read_bytes()


def _version(providers: list[FeedProvider], dated: datetime) -> str:
    """Date and a hash over what prices a request: a reworded comment makes no new version."""
    digest = hashlib.sha256()
    for provider in sorted(providers, key=lambda p: p.id):
        for model in provider.models:
            plain = msgspec.to_builtins(model, builtin_types=(Decimal,))
            plain.pop("price_comments", None)
            digest.update(msgspec.json.encode([provider.id, _plain(plain)], order="deterministic"))
    return f"{dated:%Y-%m-%d}.{digest.hexdigest()[:8]}"


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def _check(providers: list[FeedProvider]) -> None:
    if sum(len(provider.models) for provider in providers) < FEWEST_MODELS:
        raise CatalogueError(f"fewer than {FEWEST_MODELS} models: empty or cut off")
    if len({provider.id for provider in providers}) != len(providers):
        raise CatalogueError("a provider is listed twice")
    for provider in providers:
        for model in provider.models:
            try:
                _check_model(model)
            except ValueError as wrong:
                raise CatalogueError(f"{provider.id} {model.id}: {wrong}") from None


def _check_model(model: Model) -> None:
    matching.check(model.match)
    conditionals = model.conditionals()
    if not conditionals:
        raise ValueError("has no prices")
    for holder in (*conditionals, *(model.price_variants or ())):
        for key, price in holder.prices.items():
            _check_price(key, price)
    if any(not variant.when for variant in model.price_variants or ()):
        raise ValueError("a variant without a condition")


def _check_price(key: str, price: Decimal | Tiered) -> None:
    rates = [price] if isinstance(price, Decimal) else [price.base, *(tier.price for tier in price.tiers)]
    for rate in rates:
        if not rate.is_finite() or rate < 0 or rate > DEAREST_USD:
            raise ValueError(f"{key} = {rate} is no plausible rate")
    if isinstance(price, Tiered):
        starts = [tier.start for tier in price.tiers]
        if any(start < 0 for start in starts) or starts != sorted(set(starts)):
            raise ValueError(f"{key}: tiers do not rise")


def known_key(key: str) -> bool:
    """Whether a price key is one that a request can be billed by."""
    return key in CATALOGUE_KEYS or key in SPLITS
