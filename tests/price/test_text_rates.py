"""The short way to a likely cost ends where the bill does, or says that it leads nowhere."""

import pytest

from majordomo.apis import Api
from majordomo.clock import wall_us
from majordomo.meter.reading import Bucket, Part, Reading, RequestFacts, UsageState
from majordomo.price.pricer import Pricer

PRICER = Pricer.load(None, None)
NOW = wall_us()


@pytest.mark.parametrize(
    ("provider", "api", "model", "tier"),
    [
        ("anthropic", Api.ANTHROPIC_MESSAGES, "claude-opus-4-8", None),
        ("anthropic", Api.ANTHROPIC_MESSAGES, "claude-haiku-4-5", None),
        ("openai", Api.OPENAI_CHAT, "gpt-4o-mini", None),
        ("openai", Api.OPENAI_CHAT, "gpt-5", "priority"),
        ("openai", Api.OPENAI_RESPONSES, "gpt-5", "flex"),
        ("gemini", Api.GEMINI_GENERATE, "gemini-2.5-flash", None),
    ],
)
def test_text_costs_what_its_bill_says(provider: str, api: Api, model: str, tier: str | None) -> None:
    rates = PRICER.text_rates(provider, model, tier, NOW)
    assert rates is not None
    for uncached, read, output in ((1, 0, 0), (0, 0, 1), (1000, 0, 100), (10, 90_000, 7), (3, 1, 2)):
        counts = {Bucket.INPUT: uncached, Bucket.CACHE_READ: read, Bucket.OUTPUT: output}
        reading = Reading(parts=(Part(None, counts),), state=UsageState.ESTIMATED, service_tier=tier)
        bill = PRICER.bill(provider, api, reading, RequestFacts(model=model), NOW)
        assert rates.cost(uncached, read, 0, output, write_1h=False) == bill.total_cost


def test_each_class_of_the_cache_has_its_own_rate() -> None:
    rates = PRICER.text_rates("anthropic", "claude-opus-4-8", None, NOW)
    assert rates is not None
    plain, short, long = (
        rates.cost(*counts, 0, write_1h=one_hour)
        for counts, one_hour in (((100, 0, 0), False), ((0, 0, 100), False), ((0, 0, 100), True))
    )
    assert plain and (short, long) == (plain * 5 // 4, plain * 2)


@pytest.mark.parametrize(("provider", "model"), [("gemini", "gemini-2.5-pro"), ("openai", "nobody-knows")])
def test_what_its_tokens_alone_do_not_tell_has_no_short_way(provider: str, model: str) -> None:
    assert PRICER.text_rates(provider, model, None, NOW) is None
