"""What a budget is: a limit on what the requests of a scope may use within a window, and what happens when it is spent.

Amounts are whole numbers: femto-dollars (10^-15 USD) where the unit is ``usd``, else a count.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Literal

import msgspec

from majordomo.budget.windows import Window
from majordomo.price.bill import FEMTO_PER_USD, usd
from majordomo.price.units import EXACT

#: Where callers name a developer: each has a count of their own with ``each`` set to it.
DEVELOPER = "Developer"


class Unit(StrEnum):
    """What is counted. The value is how people write it."""

    USD = "usd"  # total_cost, exact
    TOKENS = "tokens"  # all that the model read and wrote
    INPUT_TOKENS = "input_tokens"  # all that it read: prompt_tokens, cached or not
    UNCACHED_TOKENS = "uncached_tokens"  # of these: neither read from a cache nor written to it
    CACHE_READ_TOKENS = "cache_read_tokens"
    CACHE_WRITE_TOKENS = "cache_write_tokens"
    OUTPUT_TOKENS = "output_tokens"  # reasoning included
    REASONING_TOKENS = "reasoning_tokens"
    REQUESTS = "requests"  # what went to a provider to be answered by a model
    TURNS = "turns"  # of these the answered ones of an agent's main loop: see docs/budgets.md
    CONCURRENT = "concurrent"  # requests that run at one time


class Each(StrEnum):
    """What there may be one count for each of, besides a metadata key."""

    KEY = "key"
    SESSION = "session"
    MODEL = "model"
    PROVIDER = "provider"


Mode = Literal["strict", "balanced"]
Action = Literal["enforce", "warn"]
Fail = Literal["open", "closed"]
OnUnpriced = Literal["refuse", "allow", "ceiling"]

#: What ``each`` has for a request that tells no such value: these share one count, so that silence is no way out.
UNTOLD = ""


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """Which requests a budget governs: those that meet every field; an empty field is met by all."""

    keys: frozenset[bytes] = frozenset()  # any of these gateway keys, by id
    metadata: dict[str, str] = {}  # all of these, under their canonical names
    each: str | None = None  # one count for each value: a metadata key's name, or an ``Each``
    models: tuple[str, ...] = ()  # any of these patterns, with * and ?: asked for, or answered by
    providers: tuple[str, ...] = ()  # any of these
    sessions: tuple[str, ...] = ()  # any of these Claude Code sessions: UUIDs as text


class Raise(msgspec.Struct, frozen=True, kw_only=True):
    """A limit lifted for a while."""

    amount: int  # added to the limit
    until: int  # microseconds since the epoch; not after it
    reason: str


class Budget(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One budget as it stands. Immutable: a change makes another."""

    id: bytes
    org_id: bytes
    name: str
    scope: Scope
    unit: Unit
    limit: int
    window: Window
    mode: Mode = "balanced"  # strict reserves the worst case, balanced the likely one
    action: Action = "enforce"  # warn: refuse nothing
    on_unpriced: OnUnpriced = "refuse"  # what a model without a known price does to a limit in USD
    ceiling: int | None = None  # femto-dollars a token, for ``ceiling``
    fail: Fail = "open"  # what happens while the database is away and nothing is left of the lease
    warn_at: tuple[int, ...] = ()  # per cent of the limit, ascending
    contact: str | None = None  # whom a refused caller is to ask
    paused: bool = False  # counted, not enforced
    raises: tuple[Raise, ...] = ()
    counts_from: int = 0  # earlier requests are not counted: microseconds since the epoch
    revision: int = 1  # grows with every change

    def limit_at(self, at: int) -> int:
        """The limit with what it is raised by at ``at``."""
        limit = self.limit
        for raised in self.raises:
            if at < raised.until:
                limit += raised.amount
        return limit

    @property
    def enforced(self) -> bool:
        """Whether it refuses anything."""
        return self.action == "enforce" and not self.paused


def in_unit(unit: Unit, amount: int) -> Decimal:
    """An amount as people and the database have it: exact USD, or the count."""
    return usd(amount).normalize() if unit is Unit.USD else Decimal(amount)


def from_unit(unit: Unit, amount: Decimal) -> int:
    """The same, back.

    Raises:
        ValueError: finer than a femto-dollar, or a part of a count.
    """
    try:
        whole = EXACT.multiply(amount, FEMTO_PER_USD if unit is Unit.USD else 1)
    except ArithmeticError:
        whole = None
    if whole is None or whole != whole.to_integral_value():
        raise ValueError(f"{amount} is no whole number of what {unit} counts")
    return int(whole)
