"""What Claude Code books for a reply, by its own arithmetic: IEEE doubles, in its order of operations.

This is the second ledger (docs/decisions/two-ledgers.md). It is not what the provider bills: there is no context
bracket, no region, no batch, and the requested model's price counts. Only ``claude_release`` says what a token costs.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from majordomo.meter.claude_release import (
    CANONICAL,
    DEFAULT_MODEL,
    DEFAULT_MODEL_OAUTH,
    FAST_PRICES,
    MODEL_DATE,
    PRICES,
    Price,
)
from majordomo.meter.counts import MAX_COUNT
from majordomo.meter.text import name

Number = int | float

_ADVISOR: Final = "advisor_message"
_NOTHING: Final[Mapping[str, Any]] = {}

#: Model to price, where nothing is known beyond the release's own table.
NO_PRICES: Final[Mapping[str, Price]] = {}


class Booked(NamedTuple):
    """A usage as the CLI holds it while a reply goes on. The start is all zero."""

    input: Number = 0
    output: Number = 0
    cache_read: Number = 0
    cache_write: Number = 0
    write_5m: Number = 0  # the provider's split of the writes
    write_1h: Number = 0
    web_searches: Number = 0
    speed: str | None = None
    advisors: tuple[tuple[str, "Booked"], ...] = ()  # turns of an advisor: its model and its own usage

    def merged(self, news: Mapping[str, Any]) -> "Booked":
        """This with the usage of ``message_start`` or a ``message_delta`` laid over it."""
        split = _table(news, "cache_creation")
        told_5m = _number(split, "ephemeral_5m_input_tokens")
        told_1h = _number(split, "ephemeral_1h_input_tokens")
        told = (told_1h or 0) + (told_5m or 0)
        write_5m, write_1h = self.write_5m, self.write_1h
        if told > 0:
            write_5m = write_5m if told_5m is None else told_5m
            write_1h = write_1h if told_1h is None else told_1h
        writes = _positive(news, "cache_creation_input_tokens", told if told > 0 else self.cache_write)
        output = _number(news, "output_tokens")
        searches = _number(_table(news, "server_tool_use"), "web_search_requests")
        speed = news.get("speed")
        iterations = news.get("iterations")
        return Booked(
            _positive(news, "input_tokens", self.input),
            self.output if output is None else output,
            _positive(news, "cache_read_input_tokens", self.cache_read),
            writes,
            write_5m,
            write_1h,
            self.web_searches if searches is None else searches,
            speed if isinstance(speed, str) else self.speed,
            self.advisors if iterations is None else _advisors(iterations),
        )


def usage_cost(model: str, usage: Booked, *, oauth: bool, told: Mapping[str, Price] = NO_PRICES) -> float:
    """USD that the CLI adds to its total for one booking: ``model`` as requested, then each advisor's turn."""
    cost = _cost(price_of(model, usage.speed, oauth=oauth, told=told), usage)
    for advisor, own in usage.advisors:
        cost += _cost(price_of(advisor, own.speed, oauth=oauth, told=told), own)
    return cost


def price_of(model: str, speed: str | None, *, oauth: bool, told: Mapping[str, Price] = NO_PRICES) -> Price:
    """The price that the CLI takes for ``model``, known to it or not. ``oauth``: logged in with a subscription.

    ``told``: what Anthropic's server told this CLI of models that its own table lacks.
    """
    known = canonical_name(model)
    if speed == "fast" and known in FAST_PRICES:
        return FAST_PRICES[known]
    found = PRICES.get(known) or told.get(model) or told.get(known)
    return found or PRICES[DEFAULT_MODEL_OAUTH if oauth else DEFAULT_MODEL]


@lru_cache(maxsize=256)
def canonical_name(model: str) -> str:
    """The name under which the CLI looks a model up: ``claude-sonnet-4-5`` of any cloud's id of that model."""
    low = model.lower()
    for pattern, known in CANONICAL:
        if pattern.search(low):
            return known
    return MODEL_DATE.sub("", low)


def _cost(price: Price, usage: Booked) -> float:
    one_hour = min(usage.write_1h, usage.cache_write)
    if one_hour > 0:
        writes = one_hour / 1e6 * price.write_1h + (usage.cache_write - one_hour) / 1e6 * price.write_5m
    else:
        writes = usage.cache_write / 1e6 * price.write_5m
    return (
        usage.input / 1e6 * price.input
        + usage.output / 1e6 * price.output
        + usage.cache_read / 1e6 * price.cache_read
        + writes
        + usage.web_searches * price.web_search
    )


def _advisors(iterations: Any) -> tuple[tuple[str, Booked], ...]:
    entries = iterations if isinstance(iterations, list) else []
    return tuple(
        (model, _told(entry))
        for entry in entries
        if isinstance(entry, dict) and entry.get("type") == _ADVISOR and (model := name(entry.get("model")))
    )


def _told(entry: Mapping[str, Any]) -> Booked:
    """An advisor's usage, which is taken as it stands, not merged."""
    split = _table(entry, "cache_creation")
    speed = entry.get("speed")
    return Booked(
        _number(entry, "input_tokens") or 0,
        _number(entry, "output_tokens") or 0,
        _number(entry, "cache_read_input_tokens") or 0,
        _number(entry, "cache_creation_input_tokens") or 0,
        _number(split, "ephemeral_5m_input_tokens") or 0,
        _number(split, "ephemeral_1h_input_tokens") or 0,
        _number(_table(entry, "server_tool_use"), "web_search_requests") or 0,
        speed if isinstance(speed, str) else None,
    )


def _table(usage: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = usage.get(key)
    return value if isinstance(value, dict) else _NOTHING


def _number(usage: Mapping[str, Any], key: str) -> Number | None:
    """The number at ``key``; None if there is none, or one that no reply has (so that sums stay finite)."""
    value = usage.get(key)
    if value.__class__ in (int, float) and -MAX_COUNT <= value <= MAX_COUNT:
        return value
    return None


def _positive(usage: Mapping[str, Any], key: str, otherwise: Number) -> Number:
    value = _number(usage, key)
    return value if value is not None and value > 0 else otherwise
