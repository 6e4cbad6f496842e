"""What Claude Code books for a reply: equal to the last bit to what the CLI said of itself."""

import json
import math

import pytest
from claude_requests import FOLDER

from majordomo.meter.claude_cost import Booked, canonical_name, price_of, usage_cost
from majordomo.meter.claude_release import PRICES, Price

ORACLE = json.loads((FOLDER / "cost_oracle.json").read_bytes())
NONE = {"input_tokens": 0, "output_tokens": 0}


def booked(model, start, *deltas, oauth=False):
    usage = Booked().merged(start)
    total = 0.0
    for delta in deltas:
        usage = usage.merged(delta)
        total += usage_cost(model, usage, oauth=oauth)
    return total


def test_every_cost_that_the_cli_reported_is_met_bit_for_bit():
    """All models, both tiers, every class of tokens, every rule of the merge that was tried on the CLI."""
    assert len(ORACLE) == 120
    for row in ORACLE:
        assert booked(row["wire_model"], row["start"], *row["deltas"]) == row["total_cost_usd"], row["case"]


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("Claude-Opus-4-8", "claude-opus-4-8"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("claude-sonnet-4@20250514", "claude-sonnet-4-0"),
        ("claude-sonnet-4-20250514", "claude-sonnet-4-0"),
        ("claude-opus-4", "claude-opus-4-0"),
        ("claude-opus-4-9", "claude-opus-4-9"),
        ("claude-opus-4-10", "claude-opus-4-1"),
        ("claude-opus-4-20", "claude-opus-4-0"),
        ("claude-opus-4.8", "claude-opus-4-0"),
        ("claude-haiku-4.5", "claude-haiku-4.5"),
        ("claude-haiku-5-20270101", "claude-haiku-5"),
        ("gpt-5", "gpt-5"),
    ],
)
def test_the_canonical_name(model, name):
    """By substring in the CLI's own order, so that any cloud's id works; dots do not."""
    assert canonical_name(model) == name


def test_an_unknown_model_costs_what_the_default_model_costs():
    """Which one that is depends on the login."""
    assert price_of("gpt-5", None, oauth=False) == PRICES["claude-opus-4-8"]
    assert price_of("gpt-5", None, oauth=True) == PRICES["claude-sonnet-5"]
    assert price_of("claude-haiku-4-5", "fast", oauth=True) == PRICES["claude-haiku-4-5"]


def test_what_the_server_told_counts_for_models_that_the_table_lacks_and_for_no_other():
    told = {"gpt-5": Price(7, 35, 0.7, 8.75, 14), "claude-opus-4-8": Price(1, 1, 1, 1, 1)}
    assert price_of("gpt-5", None, oauth=False, told=told) == told["gpt-5"]
    assert price_of("gpt-5-20270101", None, oauth=False, told=told) == told["gpt-5"]
    assert price_of("claude-opus-4-8", None, oauth=False, told=told) == PRICES["claude-opus-4-8"]
    assert price_of("gpt-6", None, oauth=False, told=told) == PRICES["claude-opus-4-8"]


@pytest.mark.parametrize(
    ("cost", "start", "deltas"),
    [
        (3.0, {"input_tokens": 10**6}, [{"input_tokens": None, "output_tokens": None}]),
        (3.0, {"input_tokens": 10**6}, [{"input_tokens": 0}]),
        (15.0, {"output_tokens": 10**6}, [{}]),
        (0.0, {"output_tokens": 10**6}, [{"output_tokens": 0}]),
        (6.0, {"input_tokens": 10**6}, [{}, {}]),
        (6.0, {"cache_creation": {"ephemeral_1h_input_tokens": 10**6}}, [{}]),
        (3.75, {"cache_creation": {"ephemeral_5m_input_tokens": 10**6}}, [{"cache_creation": {}}]),
        (0.02, {"server_tool_use": {"web_search_requests": 5}}, [{"server_tool_use": {"web_search_requests": 2}}]),
        (0.0, {"input_tokens": "1000000", "output_tokens": True, "cache_creation": [], "speed": 3}, [{}]),
        (0.0, {"iterations": [{"type": "message", "model": "x", "input_tokens": 10**6}, 5]}, [{"iterations": "x"}]),
        (10.0, NONE, [{"iterations": [{"type": "advisor_message", "model": "claude-fable-5", "input_tokens": 10**6}]}]),
        (
            0.0,
            {"iterations": [{"type": "advisor_message", "model": "claude-fable-5", "input_tokens": 10**6}]},
            [{"iterations": []}],
        ),
    ],
)
def test_the_merge(cost, start, deltas):
    """Zeros and nothings never undo a count of the prompt; a zero output does; each delta is booked."""
    assert booked("claude-sonnet-5", start, *deltas) == cost


def test_no_usage_makes_the_sum_infinite():
    """Numbers that no reply has are not counted: one such row would spoil the total of its session."""
    for value in (1e308, -1e308, 10**400, math.inf, math.nan):
        assert booked("claude-sonnet-5", {"input_tokens": value, "output_tokens": value}, {}) == 0.0
