"""Price a stored row again: pure, from what the row keeps of its reading."""

from collections.abc import Sequence
from typing import Any

import msgspec

from majordomo.apis import Api
from majordomo.meter.reading import Part, Reading, RequestFacts, UsageState
from majordomo.price.bill import Bill
from majordomo.price.pricer import Pricer


def reprice(
    pricer: Pricer,
    *,
    provider: str,
    api: str,
    model: str | None,
    parts: Sequence[Part] | bytes | str,
    service_tier: str | None,
    speed: str | None,
    geo: str | None,
    batch: bool,
    requested_at_us: int,
) -> Bill:
    """What a stored request costs by the prices of now, for the day on which it was made.

    ``parts`` as a journal's close or a row's JSON has them. A row that cannot be understood stays unpriced.
    """
    try:
        known = Api(api)
        read = _parts(parts)
    except (ValueError, msgspec.DecodeError):
        return Bill(price_version=pricer.version, problems=("unreadable_row",))
    if not read:
        return Bill(price_version=pricer.version, problems=("no_usage",))
    reading = Reading(
        model=model,
        parts=read,
        state=UsageState.FINAL,
        service_tier=service_tier,
        speed=speed,
        geo=geo,
        batch=batch,
    )
    return pricer.bill(provider, known, reading, RequestFacts(model=model), requested_at_us)


def _parts(stored: Sequence[Part] | bytes | str) -> tuple[Part, ...]:
    if not isinstance(stored, bytes | str):
        return tuple(stored)
    if not stored:
        return ()
    plain: Any = msgspec.json.decode(stored)
    if isinstance(plain, str):  # JSON text within JSON: a column read without its codec
        plain = msgspec.json.decode(plain)
    return msgspec.convert(plain, tuple[Part, ...])
