"""What one request cost: the noun that ``price`` hands to ``record``.

Money is a whole number of femto-dollars (10^-15 USD), so that sums are exact and cheap. The finest published rate,
some 0.001 USD per million tokens, is 10^6 of them per token; multipliers such as 1.1 and 0.5 stay whole.
"""

from decimal import Decimal

import msgspec

#: Femto-dollars in one USD.
FEMTO_PER_USD = 10**15
_FEMTO_EXPONENT = -15


def usd(femto: int) -> Decimal:
    """A sum of femto-dollars as an exact decimal of USD."""
    return Decimal(femto).scaleb(_FEMTO_EXPONENT)


class Bill(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The cost of one request in femto-dollars. All five costs are None when any billed unit has no known price."""

    input_cost: int | None = None
    output_cost: int | None = None
    cache_read_cost: int | None = None
    cache_creation_cost: int | None = None
    tool_cost: int | None = None
    total_cost: int | None = None  # the sum of the five
    price_version: str | None = None  # the catalogue (and overlay) that was asked
    model_found: bool = False  # llm_requests.model_alias_found
    problems: tuple[str, ...] = ()  # "unknown_model", "unknown_tier", "no_rate:grounding", ...
