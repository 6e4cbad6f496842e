"""How much a request is expected to use, in every unit that a budget can be kept in. What it did use: ``amounts``.

Money is femto-dollars (10^-15 USD), as in ``price``; everything else is a plain count.
"""

from typing import NamedTuple

from majordomo.budget.model import Budget, Unit


class Expected(NamedTuple):
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
        match budget.unit:
            case Unit.USD:
                if self.usd is None and budget.on_unpriced != "refuse":
                    return (budget.ceiling or 0) * (self.input_tokens + self.output_tokens)
                return self.usd
            case Unit.TOKENS:
                return self.input_tokens + self.output_tokens
            case Unit.INPUT_TOKENS:
                return self.input_tokens
            case Unit.UNCACHED_TOKENS:
                return max(0, self.input_tokens - (self.cache_read or 0) - (self.cache_write or 0))
            case Unit.CACHE_READ_TOKENS:
                return self.input_tokens if self.cache_read is None else self.cache_read
            case Unit.CACHE_WRITE_TOKENS:
                return self.input_tokens if self.cache_write is None else self.cache_write
            case Unit.OUTPUT_TOKENS:
                return self.output_tokens
            case Unit.REASONING_TOKENS:
                return self.output_tokens if self.reasoning is None else self.reasoning
            case Unit.TURNS:
                return self.turns
            case Unit.REQUESTS | Unit.CONCURRENT:
                return 1
