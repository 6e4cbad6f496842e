"""Estimates before a request leaves: learned, carried on within a conversation, bounded by what was asked."""

from typing import Any

import msgspec
from budget_terms import budget

from majordomo.budget import estimate
from majordomo.budget.estimate import FIRST_OUTPUT, FIRST_RATIO, Ask, Estimate, Estimator
from majordomo.budget.expected import Expected
from majordomo.budget.model import Unit
from majordomo.clock import wall_us
from majordomo.meter.reading import RequestFacts, UsageState
from majordomo.price.bill import FEMTO_PER_USD, Bill
from majordomo.price.pricer import Pricer
from majordomo.record.frames import Close, Opening, Outcome

PRICER = Pricer.load(None, None)
AT = wall_us()
NOTHING = dict.fromkeys(Close.__struct_fields__)
UNTOLD = dict.fromkeys(Opening.__struct_fields__)


def ask(size: int = 4000, model: str = "claude-opus-4-8", **also: Any) -> Ask:
    most = also.pop("most", 64_000)
    tier = also.pop("tier", None)
    head = UNTOLD | {"provider": "anthropic", "api": "anthropic.messages", "method": "POST", "path": "/v1/messages"}
    facts = RequestFacts(model=model, input_bytes=size, max_output_tokens=most, service_tier=tier)
    return Ask(Opening(**(head | also)), facts, AT)


def ended(
    prompt: int | None, output: int | None, state: UsageState = UsageState.FINAL, read: int = 0, write: int = 0,
    bill: Bill | None = None,
) -> Close:  # fmt: skip
    told = {
        "outcome": Outcome.COMPLETED,
        "usage_state": state,
        "prompt_tokens": prompt,
        "output_tokens": output,
        "cached_tokens": read,
        "cache_creation_tokens": write,
        "bill": bill or Bill(),
    }
    return Close(**(NOTHING | told))


def reasoned(close: Close, tokens: int) -> Close:
    return msgspec.structs.replace(close, reasoning_tokens=tokens)


CLASSES = (Unit.UNCACHED_TOKENS, Unit.CACHE_READ_TOKENS, Unit.CACHE_WRITE_TOKENS, Unit.REASONING_TOKENS)


def in_unit(unit: Unit) -> Any:
    return budget(unit, 1)


def likely(estimator: Estimator, asked: Ask) -> Estimate:
    return estimator.estimate(asked, b"")


def test_the_first_request_is_guessed_and_never_more_than_it_allows() -> None:
    first = likely(Estimator(PRICER), ask(1000)).likely
    assert (first.input_tokens, first.output_tokens) == (round(1000 * FIRST_RATIO), FIRST_OUTPUT)
    assert likely(Estimator(PRICER), ask(1000, most=7)).likely.output_tokens == 7


def test_a_model_s_ratio_and_replies_are_learned() -> None:
    estimator = Estimator(PRICER)
    for _ in range(60):
        estimator.learn(ask(4000), ended(1000, 300))
    found = likely(estimator, ask(8000)).likely
    assert abs(found.input_tokens - 2000) <= 1
    assert 300 <= found.output_tokens <= 600
    assert likely(estimator, ask(8000, model="claude-haiku-4-5")).likely.output_tokens == FIRST_OUTPUT


def test_what_a_body_only_refers_to_says_nothing_of_the_next_one() -> None:
    estimator = Estimator(PRICER)
    estimator.learn(ask(4000), ended(1_000_000, 300))
    assert likely(estimator, ask(8000)).likely.input_tokens <= 8000


def test_four_of_five_replies_stay_under_the_estimate() -> None:
    estimator = Estimator(PRICER)
    for number in range(100):
        estimator.learn(ask(), ended(1000, 5000 if number % 10 == 0 else 100))
    assert 100 <= likely(estimator, ask()).likely.output_tokens < 5000


def test_a_conversation_is_carried_on_from_the_provider_s_own_count() -> None:
    estimator = Estimator(PRICER)
    estimator.learn(ask(4000), ended(1000, 10))
    estimator.learn(ask(10_000, client_session="s"), ended(5000, 10))
    ratio = likely(estimator, ask(1_000_000)).likely.input_tokens / 1_000_000
    assert likely(estimator, ask(10_400, client_session="s")).likely.input_tokens == 5000 + round(400 * ratio)
    other = likely(estimator, ask(10_400, client_session="s", agent_id="a")).likely.input_tokens
    assert other == round(10_400 * ratio)


def test_what_the_cache_usually_serves_is_expected_at_its_rate() -> None:
    estimator = Estimator(PRICER)
    for _ in range(100):
        estimator.learn(ask(4000), ended(1000, 1, read=1000))
    found = likely(estimator, ask(4_000_000, most=1)).likely
    assert found.usd is not None
    assert abs(found.usd - FEMTO_PER_USD // 2) < FEMTO_PER_USD // 1000  # a million tokens read at $0.50


def test_the_classes_of_tokens_are_expected_as_they_were_before() -> None:
    estimator = Estimator(PRICER)
    first = likely(estimator, ask(4000)).likely
    assert (first.cache_read, first.cache_write, first.reasoning) == (0, 0, 0)
    for _ in range(100):
        estimator.learn(ask(4000), reasoned(ended(1000, 100, read=800, write=100), 50))
    found = likely(estimator, ask(4000)).likely
    assert abs(found.of(in_unit(Unit.CACHE_READ_TOKENS)) - 800) <= 1
    assert abs(found.of(in_unit(Unit.CACHE_WRITE_TOKENS)) - 100) <= 1
    assert abs(found.of(in_unit(Unit.UNCACHED_TOKENS)) - 100) <= 2
    assert found.of(in_unit(Unit.REASONING_TOKENS)) == round(found.output_tokens / 2)


def test_at_worst_each_class_is_all_there_is() -> None:
    worst = Expected(None, 500, 20)
    assert [worst.of(in_unit(unit)) for unit in CLASSES] == [500, 500, 500, 20]


def test_estimated_and_failed_replies_teach_nothing() -> None:
    estimator = Estimator(PRICER)
    estimator.learn(ask(4000), ended(9999, 9999, UsageState.ESTIMATED))
    estimator.learn(ask(4000), ended(0, 0, UsageState.NONE))
    assert likely(estimator, ask(1000)).likely.output_tokens == FIRST_OUTPUT


def test_the_ceiling_is_never_below_the_likely_case() -> None:
    found = likely(Estimator(PRICER), ask(100_000))
    assert found.ceiling.usd is not None and found.likely.usd is not None
    assert found.ceiling.usd >= found.likely.usd
    assert found.ceiling.output_tokens == 64_000


def test_a_dearer_tier_is_expected_at_its_own_price() -> None:
    head = {"provider": "openai", "api": "openai.chat"}
    costs = [
        likely(Estimator(PRICER), ask(100_000, "gpt-5", tier=tier, **head)).likely.usd
        for tier in ("priority", "auto", "flex")
    ]
    assert None not in costs
    assert costs == sorted(costs, key=lambda cost: -(cost or 0))
    assert len(set(costs)) == 3


def test_a_model_without_a_price_is_expected_in_tokens_alone() -> None:
    found = likely(Estimator(PRICER), ask(1000, model="nobody-knows"))
    assert (found.likely.usd, found.ceiling.usd) == (None, None)
    assert found.likely.input_tokens == 300


def test_one_dear_request_does_not_make_all_later_ones_seem_dear() -> None:
    estimator = Estimator(PRICER)
    estimator.learn(ask(), ended(1200, 1, bill=Bill(total_cost=2 * FEMTO_PER_USD, tool_cost=FEMTO_PER_USD)))
    assert (likely(estimator, ask()).likely.usd or 0) < FEMTO_PER_USD // 10


def test_what_is_billed_by_time_is_never_expected_to_be_free_and_its_price_is_learned() -> None:
    estimator = Estimator(PRICER)
    speech = ask(model="whisper-1", provider="openai", api="openai.transcription")
    assert likely(estimator, speech).likely.usd == 1
    estimator.learn(speech, ended(None, None, bill=Bill(total_cost=6 * 10**12)))
    assert likely(estimator, speech).likely.usd == 6 * 10**12


def test_a_free_model_is_expected_to_cost_nothing() -> None:
    free = ask(model="gemma-3", provider="gemini", api="gemini.generate")
    assert likely(Estimator(PRICER), free).likely.usd == 0


def test_memory_is_bounded(monkeypatch: Any) -> None:
    monkeypatch.setattr(estimate, "MAX_MODELS", 3)
    monkeypatch.setattr(estimate, "MAX_CONVERSATIONS", 3)
    estimator = Estimator(PRICER)
    for number in range(10):
        estimator.learn(ask(model=f"m{number}", client_session=f"s{number}"), ended(10, 10))
    assert len(estimator._habits) == len(estimator._conversations) == 3
