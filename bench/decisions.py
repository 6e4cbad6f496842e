"""The gate by itself: microseconds of one decision, of one refusal and of one end, with nothing around it."""

import json
import time
from collections.abc import Callable

from bench.contender import CHAT_PATH, COMPLETION_TOKENS, PROMPT_TOKENS
from majordomo.admit.refusal import Refusal
from majordomo.apis import Api
from majordomo.budget.definition import Draft, define
from majordomo.budget.estimate import Estimator
from majordomo.budget.gate import Gate, OwnTreasury, Pass, Waiting
from majordomo.budget.matching import BudgetIndex, head_of
from majordomo.clock import wall_us
from majordomo.meter.reading import UsageState
from majordomo.meter.request import read_request
from majordomo.price.bill import Bill
from majordomo.price.pricer import Pricer
from majordomo.record.frames import Close, Opening, Outcome
from majordomo.record.rows import NIL_ORG

DECISIONS = 2_000
REPEATS = 15

#: As chat.lua sends it.
BODY = json.dumps(
    {
        "model": "gpt-4o-mini",
        "temperature": 0.2,
        "max_tokens": 256,
        "messages": [
            {"role": "system", "content": "You answer briefly, with figures, and name the source of each."},
            {"role": "user", "content": "How much did each team spend on which feature last month? " * 14},
        ],
    }
).encode()

_COST = 109_500_000_000  # femto-dollars
MONEY = {"limit": "100000", "window": "month", "each": "Team"}
CALLS = {"limit": "1000000000", "unit": "requests", "window": "day", "time_zone": "Europe/Berlin"}
TOKENS = {"limit": "1000000000000", "unit": "tokens", "window": "rolling:24h"}


def decisions() -> dict[str, float]:
    """Microseconds of one decision, with nothing around it: the fastest of several rounds' means."""
    one, three = _Desk(MONEY), _Desk(MONEY, CALLS, TOKENS)
    strict, spent = _Desk({**MONEY, "mode": "strict"}), _Desk({"limit": "0.000001"})
    return {
        "decide_one_us": _fastest(lambda: one.decide(DECISIONS)),
        "decide_three_us": _fastest(lambda: three.decide(DECISIONS)),
        "decide_strict_us": _fastest(lambda: strict.decide(DECISIONS)),
        "refuse_us": _fastest(lambda: spent.refuse(DECISIONS)),
        "settle_one_us": _fastest(lambda: one.settle(DECISIONS)),
    }


def _fastest(measure: Callable[[], float]) -> float:
    return min(measure() for _ in range(REPEATS))


class _Desk:
    """A gate by itself, and the requests that ask it."""

    def __init__(self, *drafts: dict[str, str]) -> None:
        now = wall_us()
        budgets = [
            define(Draft(name=f"b{number}", **draft), bytes([number]) * 16, NIL_ORG)  # type: ignore[arg-type]
            for number, draft in enumerate(drafts)
        ]
        self.gate = Gate(Estimator(Pricer.load(None, None)), OwnTreasury())
        self.gate.budgets = BudgetIndex(budgets)
        self._opening = Opening(
            id=bytes(16), requested_at=now, api_key_id=bytes(16), org_id=None, provider="openai",
            api=Api.OPENAI_CHAT, method="POST", path=CHAT_PATH, provider_key_hash=None, provider_key_alias=None,
            metadata={"Feature": "benchmark", "Team": "platform"},
        )  # fmt: skip
        self._close = _close(now)
        self._governing = self.gate.budgets.governing(head_of(self._opening))
        assert len(self._governing) == len(budgets)

    def decide(self, times: int) -> float:
        """Ask and cancel; only the asking is timed."""
        passes, used = self._ask(times)
        for one in passes:
            assert isinstance(one, Pass)
            one.cancel()
        return used

    def settle(self, times: int) -> float:
        """Ask, and end at a real cost; only the end is timed."""
        passes, _ = self._ask(times)
        settled = [one.settle for one in passes if isinstance(one, Pass)]
        assert len(settled) == times
        begun = time.thread_time_ns()
        for settle in settled:
            settle(self._close)
        return (time.thread_time_ns() - begun) / times / 1000

    def refuse(self, times: int) -> float:
        """Ask in vain."""
        answers, used = self._ask(times)
        assert all(isinstance(answer, Refusal) for answer in answers)
        return used

    def _ask(self, times: int) -> tuple[list[Pass | Waiting | Refusal | None], float]:
        facts = read_request(Api.OPENAI_CHAT, CHAT_PATH, BODY, "application/json")
        ask, opening, governing, body = self.gate.ask, self._opening, self._governing, BODY
        answers: list[Pass | Waiting | Refusal | None] = []
        begun = time.thread_time_ns()
        for _ in range(times):
            answers.append(ask(opening, governing, facts, body))
        return answers, (time.thread_time_ns() - begun) / times / 1000


def _close(now: int) -> Close:
    """The end of a served request."""
    return Close(
        id=bytes(16), outcome=Outcome.COMPLETED, status_code=200, responded_at=now, response_time_ms=1,
        time_to_first_byte_ms=1, streamed=False, requested_model="gpt-4o-mini", model="gpt-4o-mini-2024-07-18",
        usage_state=UsageState.FINAL, usage=None, input_tokens=PROMPT_TOKENS, output_tokens=COMPLETION_TOKENS,
        cached_tokens=0, cache_creation_tokens=None, cache_creation_5m_tokens=None, cache_creation_1h_tokens=None,
        reasoning_tokens=0, prompt_tokens=PROMPT_TOKENS, service_tier=None, parts=(), speed=None, geo=None, batch=False,
        bill=Bill(total_cost=_COST), error_type=None, error_message=None,
    )  # fmt: skip
