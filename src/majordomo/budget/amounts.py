"""What one finished request uses of a budget. The same in SQL stands in ``recount.py``; a test holds them together."""

from collections.abc import Callable, Mapping

from majordomo.budget.matching import is_gated
from majordomo.budget.model import Budget, Unit
from majordomo.meter.claude_class import MAIN
from majordomo.meter.reading import UsageState
from majordomo.record.frames import Close, Opening, Outcome

#: How Claude Code's main loop is named among the kinds of its requests (``claude_request_details.query_class``).
MAIN_LOOP = MAIN


def amount(budget: Budget, opening: Opening, close: Close) -> int:
    """Femto-dollars or a count; 0 where nothing was used or nobody knows what it costs."""
    return _AMOUNTS[budget.unit](budget, opening, close)


def _usd(budget: Budget, _opening: Opening, close: Close) -> int:
    cost = close.bill.total_cost
    return unpriced_amount(budget, close) if cost is None else cost


def unpriced_amount(budget: Budget, close: Close) -> int:
    """What a request without a known price is counted at: its tokens at the ceiling price, if the budget has one."""
    return _tokens(close) * budget.ceiling if budget.ceiling is not None else 0


def is_unpriced(close: Close) -> bool:
    """Whether something was used and nobody knows what it costs."""
    return close.bill.total_cost is None and close.usage_state is not UsageState.NONE


def _input(close: Close) -> int:
    prompt = close.prompt_tokens
    return _count(close.input_tokens if prompt is None else prompt)


def _tokens(close: Close) -> int:
    return _input(close) + _count(close.output_tokens)


def _count(tokens: int | None) -> int:
    return tokens if tokens and tokens > 0 else 0


def went_out(opening: Opening, close: Close) -> bool:
    """Whether a provider was asked for something: what counts as a request."""
    return close.outcome is not Outcome.REFUSED and is_gated(opening.method, opening.api, opening.path)


def _is_turn(opening: Opening, close: Close) -> bool:
    """Answered, and asked by the main loop as far as the client tells its requests apart."""
    if not went_out(opening, close) or close.status_code is None or close.status_code >= 400:
        return False
    return close.claude is None or close.claude.query_class in (None, MAIN_LOOP)


def _uncached(close: Close) -> int:
    return max(0, _input(close) - _count(close.cached_tokens) - _count(close.cache_creation_tokens))


#: By unit, as several are looked up for each request: comparing with one unit after the other takes longer.
_AMOUNTS: Mapping[Unit, Callable[[Budget, Opening, Close], int]] = {
    Unit.USD: _usd,
    Unit.TOKENS: lambda _budget, _opening, close: _tokens(close),
    Unit.INPUT_TOKENS: lambda _budget, _opening, close: _input(close),
    Unit.UNCACHED_TOKENS: lambda _budget, _opening, close: _uncached(close),
    Unit.CACHE_READ_TOKENS: lambda _budget, _opening, close: _count(close.cached_tokens),
    Unit.CACHE_WRITE_TOKENS: lambda _budget, _opening, close: _count(close.cache_creation_tokens),
    Unit.OUTPUT_TOKENS: lambda _budget, _opening, close: _count(close.output_tokens),
    Unit.REASONING_TOKENS: lambda _budget, _opening, close: _count(close.reasoning_tokens),
    Unit.REQUESTS: lambda _budget, opening, close: 1 if went_out(opening, close) else 0,
    Unit.TURNS: lambda _budget, opening, close: 1 if _is_turn(opening, close) else 0,
    Unit.CONCURRENT: lambda _budget, _opening, _close: 0,  # it runs no longer
}
