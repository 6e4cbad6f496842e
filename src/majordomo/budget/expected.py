"""How much a request is expected to use, in every unit that a budget can be kept in. What it did use: ``amounts``.

Money is femto-dollars (10^-15 USD), as in ``price``; everything else is a plain count.
"""

from collections.abc import Callable, Mapping

import msgspec

from majordomo.budget.model import Budget, Unit


class Expected(msgspec.Struct, frozen=True, gc=False):
    """What one request may use. ``usd`` is None where no price is known."""

    usd: int | None
    input_tokens: int  # the whole prompt, cached or not
    output_tokens: int
    turns: int = 1
    cache_read: int | None = None  # of the prompt; None: as much as all of it
    cache_write: int | None = None
    reasoning: int | None = None  # of the output

    def of(self, budget: Budget) -> int | None:
        """The amount in a budget's unit; None: its price is unknown and the budget does not take that."""
        return _AMOUNTS[budget.unit](self, budget)


def _usd(expected: Expected, budget: Budget) -> int | None:
    if expected.usd is None and budget.on_unpriced != "refuse":
        return (budget.ceiling or 0) * (expected.input_tokens + expected.output_tokens)
    return expected.usd


def _uncached(expected: Expected, _budget: Budget) -> int:
    return max(0, expected.input_tokens - (expected.cache_read or 0) - (expected.cache_write or 0))


#: By unit, as several are looked up for each request: comparing with one unit after the other takes longer.
_AMOUNTS: Mapping[Unit, Callable[[Expected, Budget], int | None]] = {
    Unit.USD: _usd,
    Unit.TOKENS: lambda expected, _: expected.input_tokens + expected.output_tokens,
    Unit.INPUT_TOKENS: lambda expected, _: expected.input_tokens,
    Unit.UNCACHED_TOKENS: _uncached,
    Unit.CACHE_READ_TOKENS: lambda one, _: one.input_tokens if one.cache_read is None else one.cache_read,
    Unit.CACHE_WRITE_TOKENS: lambda one, _: one.input_tokens if one.cache_write is None else one.cache_write,
    Unit.OUTPUT_TOKENS: lambda expected, _: expected.output_tokens,
    Unit.REASONING_TOKENS: lambda one, _: one.output_tokens if one.reasoning is None else one.reasoning,
    Unit.TURNS: lambda expected, _: expected.turns,
    Unit.REQUESTS: lambda _expected, _budget: 1,
    Unit.CONCURRENT: lambda _expected, _budget: 1,
}
