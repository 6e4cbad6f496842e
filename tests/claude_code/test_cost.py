"""Every model and every kind of usage: ``SUM(usage_cost)`` is the CLI's own ``total_cost_usd``, to the last bit.

Many turns in one process, each with another model and usage; the CLI's running total is compared after each of them.
"""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest
from campaign.sizes import tell
from claude_cli import ledgers
from claude_cli.cli import ClaudeCode
from claude_cli.provider import ScriptedProvider, usage
from claude_cli.sizes import PRICE_ROUNDS, SEED
from gateway_fixture import Gateway

from majordomo.demo.script import Script
from majordomo.meter.claude_cost import price_of

ClaudeAt = Callable[..., ClaudeCode]

#: Every row of the CLI's price table, under an id that its users have.
KNOWN = (
    "claude-opus-4-8", "claude-opus-4-7", "claude-opus-4-6", "claude-opus-4-5-20251101", "claude-opus-4-1-20250805",
    "claude-opus-4-20250514", "claude-opus-4-0", "claude-sonnet-5", "claude-sonnet-4-6", "claude-sonnet-4-5-20250929",
    "claude-sonnet-4-20250514", "claude-3-7-sonnet-20250219", "claude-3-5-sonnet-20241022",
    "claude-haiku-4-5-20251001", "claude-3-5-haiku-20241022", "claude-fable-5", "claude-mythos-5",
)  # fmt: skip

#: What it knows without a price, what it does not know, and what it takes for another.
OTHERS = (
    "claude-3-opus-20240229", "claude-3-sonnet-20240229", "claude-3-haiku-20240307", "claude-mythos-preview",
    "claude-opus-4-9", "claude-opus-4.8", "claude-haiku-5", "claude-haiku-4.5", "gpt-5.2",
    "us.anthropic.claude-opus-4-6-v1:0", "anthropic.claude-sonnet-4-5-20250929-v1:0",
)  # fmt: skip

#: How an account shows itself, by the variables of the environment. An unknown model's price depends on it.
ACCOUNTS = {
    "key": {},
    "bearer": {"ANTHROPIC_API_KEY": "", "ANTHROPIC_AUTH_TOKEN": "dummy-token"},
    "subscription": {"ANTHROPIC_API_KEY": "", "CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01-dummy-" + "x" * 40},
}


def usages(dice: Random) -> Iterator[Script]:
    """One reply of each kind of usage."""

    def some() -> int:
        return dice.randint(1, 12_000)

    yield Script(usage=usage(some(), some()))
    yield Script(usage=usage(some(), some(), read=some()))
    yield Script(usage=usage(some(), some(), short=some()))
    yield Script(usage=usage(some(), some(), long=some()))
    yield Script(usage=usage(some(), some(), read=some(), short=some(), long=some()))
    yield Script(usage=usage(some(), some(), searches=dice.randint(1, 100)))
    yield Script(usage=usage(some(), some(), read=some(), short=some(), long=some(), searches=3, speed="fast"))
    yield Script(usage=usage(some(), some(), short=some(), speed="standard"))
    yield Script(usage=usage(some(), some(), iterations=[{"type": "message", **usage(some(), some())}]))
    yield Script(start_usage=_odd(dice, some), stream_usage=_odd(dice, some))
    yield Script(start_usage=_odd(dice, some), stream_usage={**_odd(dice, some), "output_tokens": 0})


def _odd(dice: Random, some: Callable[[], int]) -> dict[str, Any]:
    """A usage as start or end of a stream may tell it: in part, with nulls and zeros, the split against the sum."""
    told: dict[str, Any] = {
        "input_tokens": dice.choice((some(), 0, None)),
        "cache_creation_input_tokens": dice.choice((some(), 0, None)),
        "cache_read_input_tokens": dice.choice((some(), 0, None)),
        "output_tokens": dice.choice((some(), 0, None)),
        "cache_creation": dice.choice(
            (
                None,
                {"ephemeral_5m_input_tokens": some(), "ephemeral_1h_input_tokens": some()},
                {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
                {"ephemeral_1h_input_tokens": some()},
            )
        ),
        "server_tool_use": dice.choice((None, {"web_search_requests": dice.choice((0, 2))})),
    }
    return {name: value for name, value in told.items() if dice.random() < 0.8}


@pytest.mark.parametrize("account", ACCOUNTS)
def test_every_model_and_kind_of_usage_is_booked_as_the_tool_does(
    claude_gateway: Gateway, claude_at: ClaudeAt, claude_provider: ScriptedProvider, account: str
) -> None:
    tell(f"CLAUDE_SEED={SEED} CLAUDE_PRICE_ROUNDS={PRICE_ROUNDS} {account}")
    dice = Random(f"{SEED}/{account}")
    # A legacy model is asked as the newest Opus unless it is told otherwise.
    claude = claude_at(CLAUDE_CODE_DISABLE_LEGACY_MODEL_REMAP="1", **ACCOUNTS[account])
    tag = claude_gateway.tag()
    claude.go_through(claude_gateway, tag)
    totals = []
    with claude.conversation() as conversation:
        for model in (KNOWN if account == "key" else KNOWN[:2]) + OTHERS:
            conversation.set_model(model)
            for _ in range(PRICE_ROUNDS):
                for script in usages(dice):
                    claude_provider.queue(script)
                    totals.append((conversation.say("Next.").cost, model, script))
        conversation.end()
    rows = ledgers.rows_of(claude_gateway, tag, len(totals))
    added = 0.0
    for row, (total, model, script) in zip(rows, totals, strict=True):
        assert row["requested_model"] == model
        added += row["usage_cost"]
        assert added == total, (model, script)
    in_sql = """
        SELECT sum(usage_cost ORDER BY d.created_at) FROM claude_request_details d
        JOIN llm_requests r ON r.id = d.llm_request_id WHERE r.raw_metadata->>'Test-Case' = $1
    """
    assert claude_gateway.sql(in_sql, tag)[0][0] == totals[-1][0]
    assert totals[-1][0] > 1


def test_an_advisors_turn_is_a_second_booking_in_the_same_row(
    claude_gateway: Gateway, claude_at: ClaudeAt, claude_provider: ScriptedProvider
) -> None:
    """The tool adds the two to its total one after the other, the row holds their sum: the last bit may differ."""
    dice = Random(SEED)
    claude, tag = claude_at(), claude_gateway.tag()
    claude.go_through(claude_gateway, tag)
    expected, total = [], 0.0
    with claude.conversation("--model", "claude-opus-4-8") as conversation:
        for advisor in KNOWN + OTHERS:
            tokens = [dice.randint(1, 12_000) for _ in range(4)]
            turn = {"type": "advisor_message", "model": advisor, **usage(tokens[2], tokens[3])}
            claude_provider.queue(Script(usage=usage(tokens[0], tokens[1], iterations=[turn])))
            own = tokens[0] / 1e6 * 5 + tokens[1] / 1e6 * 25
            price = price_of(advisor, None, oauth=False)
            advised = tokens[2] / 1e6 * price.input + tokens[3] / 1e6 * price.output
            total = total + own + advised
            expected.append(own + advised)
            assert conversation.say("Next.").cost == total, advisor
        conversation.end()
    assert [row["usage_cost"] for row in ledgers.rows_of(claude_gateway, tag, len(expected))] == expected


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("claude-sonnet-4-5[1m]", usage(300_000, 1_000)),
        ("claude-opus-4-8", {**usage(20_000, 1_000), "inference_geo": "us"}),
    ],
    ids=["a long context", "a region"],
)
def test_what_the_provider_bills_more_for_the_tool_does_not_book(
    claude_gateway: Gateway, claude_at: ClaudeAt, claude_provider: ScriptedProvider, model: str, said: dict[str, Any]
) -> None:
    claude, tag = claude_at(), claude_gateway.tag()
    claude.go_through(claude_gateway, tag)
    claude_provider.queue(Script(usage=said))
    result = claude.ask("Go on.", "--model", model)
    (row,) = ledgers.rows_of(claude_gateway, tag, 1)
    assert row["usage_cost"] == result.cost
    assert float(row["total_cost"]) > result.cost * 1.05
