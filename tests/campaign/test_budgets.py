"""Budgets in real processes: 200 requests at once, by eight front desks of two replicas, against room for 37."""

import asyncio
import random
from collections import Counter

import msgspec
import pytest
from campaign.holding import Held, until
from campaign.replicas import CALLERS, FIT, MOST_OUTPUT, Replicas, answer, one, strict_budget, watched, worst_case
from campaign.sizes import BUDGET_SEEDS, SEED, tell

from majordomo.budget.bounds import ADDED_TOKENS
from majordomo.budget.model import Unit

#: What a budget is kept in, and in which of an ``Expected``'s fields its worst case stands.
UNITS = (Unit.USD, Unit.USD, Unit.TOKENS, Unit.OUTPUT_TOKENS, Unit.REQUESTS)

#: Waves against one budget: later ones find room that one front desk got and did not need.
_MOST_WAVES = 3


def use(held: Held, dice: random.Random, added: int = ADDED_TOKENS, *, greedy: bool = False) -> None:
    """Answer one request: with any usage that it may have, at the worst with all; or with an error, or not at all.

    ``added``: tokens of the prompt that are the provider's own; ``greedy``: with all, every time.
    """
    kind = dice.random() if not greedy else 0.25
    if kind < 0.1:
        held.hang_up()
    elif kind < 0.2:
        held.answer(529, {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}})
    else:
        most = len(held.body) + added
        prompt, output = (
            (most, MOST_OUTPUT) if kind < 0.3 else (dice.randrange(1, most), dice.randrange(1, MOST_OUTPUT))
        )
        usage = {"input_tokens": prompt, "output_tokens": output}
        held.answer(200, {"type": "message", "role": "assistant", "model": "claude-opus-4-8", "usage": usage})


async def strict_round(both: Replicas, seed: int) -> str:
    """One fresh budget, waves of 200 until nothing more fits; what happened."""
    dice = random.Random(seed)
    unit = dice.choice(UNITS)
    told = []
    most = msgspec.structs.asdict(worst_case()).get(unit, 1) if unit is not Unit.TOKENS else one()
    budget = await both.budget(f"strict-{seed}", most * FIT + dice.randrange(most), unit, mode="strict")
    left = budget.limit - await both.spent(budget)
    for _ in range(_MOST_WAVES):
        wave = await both.wave(budget.name)
        told.append(len(wave.left))
        assert len(wave.left) == min(CALLERS, left // most), f"seed {seed}: {left / most:.2f} {unit} fit; waves {told}"
        assert Counter(answer.code for answer in wave.refused) == Counter(["billing_error"] * len(wave.refused))
        wave.hang_up(0.1, dice)
        for held in dice.sample(wave.left, len(wave.left)):
            use(held, dice)
        await wave.ended()
        left = budget.limit - await both.spent(budget)
        assert left >= 0, f"seed {seed}: {-left} {unit} over the limit"
        if left < most:
            break
        await asyncio.sleep(1.0)  # for so long a front desk believes that there is no room
    return f"seed {seed}: {unit}, {told} left; {100 * left / budget.limit:.1f} % of the limit unused"


async def balanced_round(both: Replicas, seed: int) -> str:
    """One fresh budget and a wave of 200, then another one; what happened."""
    dice = random.Random(seed)
    unit = dice.choice((Unit.USD, Unit.TOKENS))
    most = worst_case().usd if unit is Unit.USD else one()
    assert most is not None
    budget = await both.budget(f"balanced-{seed}", most * dice.randrange(2, 8), unit)
    first = await both.wave(budget.name)
    stated = await both.overshoot(budget)
    greedy = dice.random() < 0.5
    for held in dice.sample(first.left, len(first.left)):
        use(held, dice, added=0, greedy=greedy)
    await first.ended()
    spent = await both.spent(budget)
    assert spent <= budget.limit + stated, f"seed {seed}: {spent} {unit} of {budget.limit} and {stated}"
    used, more = 100 * spent / budget.limit, 100 * stated / budget.limit
    return (
        f"seed {seed}: {unit}{' at the worst' if greedy else ''}, {len(first.left)} left;"
        f" {used:.1f} % of the limit used, stated overshoot {more:.1f} %"
    )


@pytest.mark.slow
def test_of_200_requests_at_once_exactly_as_many_leave_as_fit_and_strict_is_never_exceeded(replicas: Replicas) -> None:
    """Every round has its own budget, in a unit by chance; replies use what they may, fail, break off or are left."""
    tell(f"CAMPAIGN_SEED={SEED} BUDGET_SEEDS={BUDGET_SEEDS}")

    async def run() -> None:
        async with replicas.open(), watched(replicas):
            for seed in range(SEED, SEED + BUDGET_SEEDS):
                tell(await strict_round(replicas, seed))

    asyncio.run(run())


@pytest.mark.slow
def test_balanced_stays_within_the_overshoot_that_it_states(replicas: Replicas) -> None:
    tell(f"CAMPAIGN_SEED={SEED} BUDGET_SEEDS={BUDGET_SEEDS}")

    async def run() -> None:
        async with replicas.open():
            for seed in range(SEED, SEED + BUDGET_SEEDS):
                tell(await balanced_round(replicas, seed))

    asyncio.run(run())


@pytest.mark.slow
def test_what_a_killed_replica_held_is_free_as_soon_as_it_has_read_its_journal(replicas: Replicas) -> None:
    """With the product's own leases, which last far longer than the start."""

    async def run() -> None:
        async with replicas.open(), watched(replicas):
            budget = await strict_budget(replicas, "risen")
            wave = await replicas.wave("risen")
            assert len(wave.left) == FIT
            replicas.gateways[0].kill_everything_and_start_again()
            await until(lambda: not wave.waiting(0), lambda: "callers of a dead replica still wait")
            survive = wave.waiting(1)
            replicas.gateways[0].wait_until_sound()
            answer(wave)
            await wave.ended()
            assert await replicas.spent(budget) == survive * one()
            assert len((await replicas.wave("risen")).left) == FIT - survive

    asyncio.run(run())
