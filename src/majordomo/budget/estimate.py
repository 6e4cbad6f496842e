"""What a request is likely to use, before it leaves: learned from what earlier ones used.

Input: the provider's own count of the same conversation's last request, carried on by what the body has grown; else the
body's size times the model's learned ratio of tokens to bytes. Output: a high quantile of what the model has answered
so far, at most what the request allows. Cost: at the rates of the tier, context bracket and cache classes that are
likely; of a model that is not billed by tokens, what its requests have cost so far. Bounded memory, no waiting;
learning is one step per finished request.
"""

from collections import OrderedDict
from typing import NamedTuple, Protocol

import msgspec

from majordomo.apis import Api
from majordomo.budget.bounds import bound
from majordomo.budget.expected import Expected
from majordomo.meter.reading import Bucket, Part, Reading, RequestFacts, UsageState
from majordomo.price.bill import Bill
from majordomo.price.dearest import Dearest
from majordomo.price.text_rates import TextRates
from majordomo.record.frames import Close, Opening

#: Models and conversations whose habits are remembered; the least recently used are forgotten.
MAX_MODELS = 1024
MAX_CONVERSATIONS = 8192

#: Tokens per byte of a body before anything was learned. English in JSON has 0.25, Claude Code's bodies 0.24.
FIRST_RATIO = 0.3
#: Output tokens before anything was learned: measured replies of coding agents have a median of 200 and a mean of 600.
FIRST_OUTPUT = 1024

#: More tokens than bytes come from what a body only refers to; that says nothing of the next one's text.
_HIGHEST_RATIO = 1.0

#: How much one request weighs in a learned average; the first ones weigh more.
_WEIGHT = 0.1
_REPLIES_UNTIL_EVEN = 8
#: The share of replies that the output estimate is to cover.
_QUANTILE = 0.8
#: Replies after which the older half of the weight is forgotten, so that a model's habits may change.
_REPLIES_KEPT = 256
_POWERS = 32
#: Up to so many replies the output estimate follows each of them, and then every so many.
_REPLIES_LOOKED_AT = 16
_LOOKED_AT_EVERY = 8


class Prices(Protocol):
    """The pricer, as far as the gate asks it."""

    def bill(self, provider: str, api: Api, reading: Reading, facts: RequestFacts, at_us: int) -> Bill:
        """What a reading costs."""

    def dearest(self, provider: str, model: str, at_us: int) -> Dearest | None:
        """The highest rates that a request for a model can be billed at."""

    def text_rates(self, provider: str, model: str, tier: str | None, at_us: int) -> TextRates | None:
        """What plain text costs, where its tokens alone tell."""


class Ask(msgspec.Struct, frozen=True, gc=False):
    """One request that asks to leave."""

    opening: Opening  # what its row will say of its head
    facts: RequestFacts
    at_us: int
    turn: bool = True  # of the main loop, as far as the client tells


class Estimate(msgspec.Struct, frozen=True, gc=False):
    """``likely``: what most such requests stay under; ``ceiling``: what a plain text request cannot exceed; ``bound``:
    what this very request cannot exceed, or why nobody can say, worked out only when asked for."""

    likely: Expected
    ceiling: Expected
    ask: Ask
    body: bytes | bytearray
    prices: Prices

    def bound(self) -> Expected | str:
        """The worst case. See ``bounds``."""
        opening, model = self.ask.opening, self.ask.facts.model or ""
        return bound(self.prices, opening.provider, Api(opening.api), model, self.body, self.ask.at_us)


class _Habits:
    """What requests for one model have used so far."""

    __slots__ = ("_output", "_stale", "outputs", "priced", "ratio", "read", "reasoning", "replies", "usd", "write")

    def __init__(self) -> None:
        self.ratio = FIRST_RATIO
        self.read = 0.0  # shares of the prompt that are read from the cache, and written to it
        self.write = 0.0
        self.reasoning = 0.0  # share of the output
        self.outputs = [0] * _POWERS  # replies by the bit length of their output tokens
        self.replies = 0
        self._output = FIRST_OUTPUT
        self._stale = False
        self.usd = 0  # femto-dollars: what a request without tokens costs, billed by time or by the piece
        self.priced = 0

    def output(self) -> int:
        """Tokens that the wanted share of replies stays under."""
        if self._stale:
            self._stale = False
            self._output = self._quantile()
        return self._output

    def _quantile(self) -> int:
        if not self.replies:
            return FIRST_OUTPUT
        wanted = self.replies * _QUANTILE
        for power, replies in enumerate(self.outputs):
            wanted -= replies
            if wanted <= 0:
                return 1 << power
        return 1 << _POWERS

    def cached(self, prompt: int) -> tuple[int, int]:
        """Tokens of a prompt that are likely to be read from the cache, and written to it."""
        if not self.read and not self.write:
            return 0, 0
        read = round(prompt * self.read)
        return read, min(round(prompt * self.write), prompt - read)

    def learn(self, input_bytes: int, prompt: int, read: int, write: int, output: int, reasoning: int) -> None:
        """One finished request; counts are tokens."""
        if output and (reasoning or self.reasoning):
            self.reasoning += max(_WEIGHT, 1 / (self.replies + 1)) * (min(1.0, reasoning / output) - self.reasoning)
        if prompt and input_bytes:
            weight = _WEIGHT if self.replies >= _REPLIES_UNTIL_EVEN else 1 / (self.replies + 2)
            ratio = prompt / input_bytes
            self.ratio += weight * ((ratio if ratio < _HIGHEST_RATIO else _HIGHEST_RATIO) - self.ratio)
            if read or self.read:
                self.read += weight * (read / prompt - self.read)
            if write or self.write:
                self.write += weight * (write / prompt - self.write)
        self.outputs[min(output.bit_length(), _POWERS - 1)] += 1
        self.replies += 1
        # Later replies hardly move the quantile, and looking for it costs more than counting.
        self._stale |= self.replies < _REPLIES_LOOKED_AT or not self.replies % _LOOKED_AT_EVERY
        if self.replies >= _REPLIES_KEPT:
            self.outputs = [replies // 2 for replies in self.outputs]
            self.replies = sum(self.outputs)

    def learn_cost(self, usd: int) -> None:
        """What one request without tokens cost, in femto-dollars."""
        self.priced += 1
        self.usd += round((usd - self.usd) * max(_WEIGHT, 1 / self.priced))


class _Last(NamedTuple):
    """A conversation's last request."""

    input_bytes: int
    prompt: int
    output: int


class Estimator:
    """Learns and estimates for one process."""

    __slots__ = ("_conversations", "_habits", "_prices")

    def __init__(self, prices: Prices) -> None:
        self._prices = prices
        self._habits: OrderedDict[tuple[str, str], _Habits] = OrderedDict()
        self._conversations: OrderedDict[tuple[str, str | None, str], _Last] = OrderedDict()

    def estimate(self, ask: Ask, body: bytes | bytearray) -> Estimate:
        """What this request is likely to use."""
        opening, facts = ask.opening, ask.facts
        model = facts.model or ""
        size = facts.input_bytes
        habits = self._habits.get((ask.opening.provider, model)) or _UNKNOWN
        prompt = round(size * habits.ratio)
        if opening.client_session is not None:
            last = self._conversations.get((opening.client_session, opening.agent_id, model))
            if last is not None and size >= last.input_bytes:
                prompt = last.prompt + round((size - last.input_bytes) * habits.ratio)
        output = habits.output()
        most = facts.max_output_tokens
        if most is not None and most < output:
            output = most
        turns = 1 if ask.turn else 0
        read, write = habits.cached(prompt)
        usd = self._likely_cost(ask, habits.usd, prompt - read - write, read, write, output)
        return Estimate(
            Expected(usd, prompt, output, turns, read, write, round(output * habits.reasoning)),
            self._ceiling(ask, size, max(output, most or 0), turns),
            ask,
            body,
            self._prices,
        )

    def learn(self, ask: Ask, close: Close) -> None:
        """A request has ended: what it used counts for the next ones."""
        if close.usage_state not in _COUNTED:
            return
        opening = ask.opening
        model = ask.facts.model or ""
        habits = self._habits_of((opening.provider, model))
        if close.bill.total_cost is not None and not (close.prompt_tokens or close.output_tokens):
            habits.learn_cost(close.bill.total_cost)
        if close.prompt_tokens is None:
            return
        prompt, output = close.prompt_tokens, close.output_tokens or 0
        size = ask.facts.input_bytes
        habits.learn(
            size,
            prompt,
            close.cached_tokens or 0,
            close.cache_creation_tokens or 0,
            output,
            close.reasoning_tokens or 0,
        )
        if opening.client_session is not None and prompt:
            conversation = (opening.client_session, opening.agent_id, model)
            self._conversations[conversation] = _Last(size, prompt, output)
            self._conversations.move_to_end(conversation)
            if len(self._conversations) > MAX_CONVERSATIONS:
                self._conversations.popitem(last=False)

    def _habits_of(self, key: tuple[str, str]) -> _Habits:
        """Those of a model, and it is the one that was used last."""
        habits = self._habits.get(key)
        if habits is None:
            habits = self._habits[key] = _Habits()
            if len(self._habits) > MAX_MODELS:
                self._habits.popitem(last=False)
        else:
            self._habits.move_to_end(key)
        return habits

    def _likely_cost(
        self, ask: Ask, without_tokens: int, uncached: int, read: int, write: int, output: int
    ) -> int | None:
        """In femto-dollars; ``without_tokens``: what requests cost that are billed by time or by the piece."""
        facts = ask.facts
        if ask.opening.api in _TEXT_APIS and facts.characters is None:
            rates = self._prices.text_rates(ask.opening.provider, facts.model or "", _asked_tier(facts), ask.at_us)
            cost = rates and rates.cost(uncached, read, write, output, write_1h=facts.cache_ttl_1h)
            if cost:
                return cost
        counts = {Bucket.INPUT: uncached, Bucket.OUTPUT: output}
        if read:
            counts[Bucket.CACHE_READ] = read
        if write:
            counts[Bucket.CACHE_WRITE_1H if facts.cache_ttl_1h else Bucket.CACHE_WRITE_5M] = write
        if facts.characters is not None:
            counts = {Bucket.CHARACTERS: facts.characters}
        reading = Reading(parts=(Part(None, counts),), state=UsageState.ESTIMATED, service_tier=_asked_tier(facts))
        cost = self._prices.bill(ask.opening.provider, Api(ask.opening.api), reading, facts, ask.at_us).total_cost
        if cost:
            return cost
        dearest = self._prices.dearest(ask.opening.provider, facts.model or "", ask.at_us)
        if dearest is None:
            return None
        if dearest.free:
            return 0
        # A class without a rate of its own, or a tier whose price is unknown: the dearest rates will do. What is not
        # billed by tokens may be cheap, but it is not free: nothing may pass a spent budget as if it were.
        return max(1, without_tokens, dearest.text_cost(uncached + read + write, output) if cost is None else 0)

    def _ceiling(self, ask: Ask, size: int, output: int, turns: int) -> Expected:
        dearest = self._prices.dearest(ask.opening.provider, ask.facts.model or "", ask.at_us)
        return Expected(dearest.text_cost(size, output) if dearest is not None else None, size, output, turns)


_UNKNOWN = _Habits()

#: What the provider itself counted.
_COUNTED = (UsageState.FINAL, UsageState.DRAINED)

#: What is billed by the tokens of its text and nothing else, as long as nobody knows better.
_TEXT_APIS = frozenset(
    {Api.ANTHROPIC_MESSAGES, Api.OPENAI_CHAT, Api.OPENAI_RESPONSES, Api.GEMINI_GENERATE, Api.GEMINI_STREAM}
)


def _asked_tier(facts: RequestFacts) -> str | None:
    """The tier that was asked for; ``auto`` is the provider's choice and mostly the standard one."""
    return None if facts.service_tier == "auto" else facts.service_tier
