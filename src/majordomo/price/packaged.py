"""Makes the packaged catalogue from the ``genai-prices`` package: ``make prices``.

The package holds its prices as Python literals that take a second and 99 MB to import, so the product ships them as a
file made here, at development time. ``docs/decisions/price-catalogue.md``.
"""

import dataclasses
import sys
from datetime import UTC, date, datetime, time
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from majordomo.price import catalogue

_KEPT = ("id", "match", "prices", "price_variants", "price_comments")


def feed_of_package() -> bytes:
    """The installed package's data in the form of its v2 feed, rates as decimal strings."""
    from genai_prices.data import providers

    return msgspec.json.encode(
        [
            {
                "id": provider.id,
                "pricing_urls": provider.pricing_urls or [],
                "models": [
                    {name: _plain(value) for name in _KEPT if (value := getattr(model, name)) is not None}
                    for model in provider.models
                ],
            }
            for provider in providers
        ]
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if dataclasses.is_dataclass(value) or type(value).__name__ == "ModelPrice":
        return {key.rstrip("_"): _plain(inner) for key, inner in vars(value).items() if inner is not None}
    return value


def main() -> None:
    """Write the packaged catalogue next to this file."""
    source = f"genai-prices {version('genai-prices')}"
    envelope = catalogue.parse_feed(feed_of_package(), source, datetime.now(UTC).replace(microsecond=0))
    target = Path(__file__).with_name(catalogue.PACKAGED_NAME)
    target.write_bytes(catalogue.encode(envelope))
    sys.stdout.write(f"{target.name}: {source}, version {envelope.version}, {target.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
