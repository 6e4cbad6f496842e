"""What callers are told of budgets: the refusal when there is no room, and what is left in the head of every reply."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from operator import attrgetter
from urllib.parse import quote

from majordomo.admit import refusal as why
from majordomo.admit.refusal import Refusal
from majordomo.budget.model import Budget, Unit
from majordomo.budget.purse import Purse
from majordomo.budget.windows import Kind
from majordomo.price.bill import FEMTO_PER_USD

_MICRO = FEMTO_PER_USD // 1_000_000
_SECOND_US = 1_000_000

#: Bytes of a budget's name in a header and of a value in a message: both may be as long as metadata is allowed to be.
_NAME_SHOWN = 100

#: Texts that are remembered: made once for each budget, limit and window.
_REMEMBERED = 4096

_USD = Unit.USD.value
_share_left = attrgetter("share_left")


def exceeded(purse: Purse, need: int, now_us: int) -> Refusal:
    """There is no room in this cell for a request that is expected to use ``need``."""
    budget, cell = purse.budget, purse.cell
    if is_rate(budget) and need <= purse.limit:  # else no waiting helps
        return _too_fast(purse, now_us)
    held = f", {_amount(purse, purse.reserved)} held for requests under way" if purse.reserved else ""
    whose = f" for {cell.value[:_NAME_SHOWN]!r}" if cell.value else ""
    message = (
        f"The budget {budget.name[:_NAME_SHOWN]!r}{whose} has no room for this request: "
        f"{_number_shown(purse, purse.spent)} of {_amount(purse, purse.limit)} spent{held}, and this request may need "
        f"{_amount(purse, need)}. {_resets(purse, now_us)} "
        f"To go on sooner, ask {budget.contact or 'the owner of this gateway'} to raise it."
    )
    return why.budget_exceeded(message, _headers(purse))


def _resets(purse: Purse, now_us: int) -> str:
    again = purse.full_again_us
    if again is None:
        return "It does not reset by itself."
    when = f"{_moment(again)}, {_wait(again - now_us)} from now"
    window = purse.budget.window
    if window.kind is Kind.ROLLING:
        return f"It counts the last {str(window).partition(':')[2]}: room comes back as they pass, all of it by {when}."
    return f"It resets at {when}."


def is_rate(budget: Budget) -> bool:
    """Whether it limits how fast requests come, not how much they use: waiting helps."""
    return budget.unit is Unit.CONCURRENT or budget.window.kind is Kind.MINUTE


def _too_fast(purse: Purse, now_us: int) -> Refusal:
    budget = purse.budget
    whose = f" for {purse.cell.value[:_NAME_SHOWN]!r}" if purse.cell.value else ""
    name = f"The rate limit {budget.name[:_NAME_SHOWN]!r}{whose}"
    if budget.unit is Unit.CONCURRENT:
        message = f"{name} lets {purse.limit:,} requests run at one time, and as many do. Try again when one has ended."
        return why.rate_limited(message, _headers(purse), 1)
    wait = max(1, -(-((purse.ends_us or now_us) - now_us) // _SECOND_US))
    message = (
        f"{name} lets {_amount(purse, purse.limit)} through a minute, and this minute has no room for this request. "
        f"Try again in {wait} seconds."
    )
    return why.rate_limited(message, _headers(purse), wait)


def undecided(purse: Purse) -> Refusal:
    """Nobody can say whether there is room, and the budget's owner chose to refuse then."""
    return why.budget_undecided(
        f"The gateway cannot reach its database to tell what is left of the budget "
        f"{purse.budget.name[:_NAME_SHOWN]!r}, and that budget is set to refuse requests then (fail closed); try again "
        f"in a few seconds.",
    )


def unpriced(purse: Purse, model: str | None) -> Refusal:
    """The budget counts money, and nobody knows what this model costs."""
    named = f"the model {model[:_NAME_SHOWN]!r}" if model else "a request that names no model"
    return why.budget_unpriced(
        f"The budget {purse.budget.name[:_NAME_SHOWN]!r} counts money, and no price is known for {named}. Use another "
        f"model, or ask {purse.budget.contact or 'the owner of this gateway'} to add its price or to let the budget "
        f"allow unpriced models.",
        _headers(purse),
    )


def unbounded(purse: Purse, reason: str) -> Refusal:
    """The budget is strict, and nobody can say what this request costs at most."""
    return why.budget_unbounded(
        f"The budget {purse.budget.name[:_NAME_SHOWN]!r} is strict, so it takes only requests whose highest cost is "
        f"known beforehand, and this one's is not: {reason}. Change the request, or ask "
        f"{purse.budget.contact or 'the owner of this gateway'} to make the budget balanced.",
        _headers(purse),
    )


def reply_lines(purses: Sequence[Purse]) -> bytes:
    """Header lines about the tightest of several cells, without a line end at their end."""
    purse = purses[0] if len(purses) == 1 else tightest(purses)
    budget = purse.budget
    lines = _lasting_lines(budget.name, budget.unit, purse.limit, purse.full_again_us)
    return lines + _number(budget.unit, purse.remaining).encode()


def tightest(purses: Sequence[Purse]) -> Purse:
    """The one with the smallest share of its limit left."""
    return min(purses, key=_share_left)


def _headers(purse: Purse) -> dict[str, str]:
    budget = purse.budget
    told = dict(_lasting(budget.name, budget.unit, purse.limit, purse.full_again_us))
    told["X-Majordomo-Budget-Remaining"] = _number(budget.unit, purse.remaining)
    return told


@lru_cache(maxsize=_REMEMBERED)
def _lasting(name: str, unit: str, limit: int, again: int | None) -> dict[str, str]:
    """The headers that stay the same from one request to the next."""
    told = {
        "X-Majordomo-Budget-Name": quote(name[:_NAME_SHOWN], safe=" !#$&'()*+,/:;=?@[]"),
        "X-Majordomo-Budget-Limit": _number(unit, limit),
        "X-Majordomo-Budget-Unit": unit,
    }
    if again is not None:
        told["X-Majordomo-Budget-Resets-At"] = _stamp(again)
    return told


@lru_cache(maxsize=_REMEMBERED)
def _lasting_lines(name: str, unit: str, limit: int, again: int | None) -> bytes:
    """The same as lines, up to where the amount follows that remains."""
    lines = [f"{header}: {value}\r\n" for header, value in _lasting(name, unit, limit, again).items()]
    return "".join((*lines, "X-Majordomo-Budget-Remaining: ")).encode("ascii")


def _amount(purse: Purse, amount: int) -> str:
    """For people: ``$0.1234`` or ``1,200 tokens``."""
    if purse.budget.unit != Unit.USD:
        return f"{amount:,} {purse.budget.unit.replace('_', ' ')}"
    return _number_shown(purse, amount)


def _number_shown(purse: Purse, amount: int) -> str:
    """The same without its unit, where that follows: ``$0.1234`` or ``1,200``."""
    if purse.budget.unit != Unit.USD:
        return f"{amount:,}"
    cents, rest = divmod(amount * 100, FEMTO_PER_USD)
    if not rest:
        return f"${cents // 100:,}.{cents % 100:02d}"
    micro = -(-amount // _MICRO)
    return f"${micro // 1_000_000:,}.{micro % 1_000_000:06d}"


def _number(unit: str, amount: int) -> str:
    """For programs: USD with six decimals, rounded down; counts as they are."""
    if unit != _USD:
        return str(amount)
    micro = amount // _MICRO
    return f"{micro // 1_000_000}.{micro % 1_000_000:06d}"


def _stamp(at_us: int) -> str:
    return datetime.fromtimestamp(at_us // _SECOND_US, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@lru_cache(maxsize=_REMEMBERED)
def _moment(at_us: int) -> str:
    return datetime.fromtimestamp(at_us // _SECOND_US, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _wait(for_us: int) -> str:
    minutes = max(0, -(-for_us // (60 * _SECOND_US)))
    if minutes < 120:
        return f"{minutes} minute{'' if minutes == 1 else 's'}"
    hours = minutes // 60
    return f"{hours} hours" if hours < 48 else f"{hours // 24} days"
