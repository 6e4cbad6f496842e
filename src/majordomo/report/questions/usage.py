"""What the sums over some requests are, and what follows from them. Sums are exact; costs are ``Decimal`` USD."""

from decimal import Decimal

import asyncpg
import msgspec


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over some requests. A request whose cost is unknown adds its tokens, and nothing to the costs."""

    requests: int = 0
    errors: int = 0  # status 400 or more, or broken off, refused, stopped, lost
    unpriced: int = 0  # something was used and no price is known
    timed_requests: int = 0  # how many have a response time
    response_time_ms: int = 0  # the sum of these
    input_tokens: int = 0  # the providers' own numbers, which count cached tokens or do not
    output_tokens: int = 0  # reasoning included
    cached_tokens: int = 0
    cache_creation_tokens: int = 0
    reasoning_tokens: int = 0
    prompt_tokens: int = 0  # uncached + cache read + cache write
    input_cost: Decimal = Decimal(0)
    output_cost: Decimal = Decimal(0)
    cache_read_cost: Decimal = Decimal(0)
    cache_creation_cost: Decimal = Decimal(0)
    tool_cost: Decimal = Decimal(0)
    total_cost: Decimal = Decimal(0)

    @property
    def uncached_tokens(self) -> int:
        """Input tokens billed at the full rate."""
        return self.prompt_tokens - self.cached_tokens - self.cache_creation_tokens

    @property
    def cache_hit_rate(self) -> float | None:
        """Share of prompt tokens read from a cache; None if there were none."""
        return self.cached_tokens / self.prompt_tokens if self.prompt_tokens else None

    @property
    def error_rate(self) -> float | None:
        """Share of the requests that failed; None if there were none."""
        return self.errors / self.requests if self.requests else None

    @property
    def mean_response_ms(self) -> float | None:
        """Mean response time of the requests that have one."""
        return self.response_time_ms / self.timed_requests if self.timed_requests else None

    @property
    def cost_unknown(self) -> bool:
        """Whether all that was used has no known price: the sums of costs, which are 0 then, say nothing."""
        return self.unpriced > 0 and not self.total_cost and self.unpriced >= self.requests - self.errors

    @classmethod
    def of(cls, row: asyncpg.Record) -> "Usage":
        """The sums that a row of an answer has."""
        return cls(**{name: row[name] for name in cls.__struct_fields__})

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(**{name: getattr(self, name) + getattr(other, name) for name in Usage.__struct_fields__})
