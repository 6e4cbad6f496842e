"""Random sessions, with everything that goes wrong in a day: the two ledgers add up, and every detail is true."""

from collections.abc import Callable

import pytest
from campaign.sizes import tell
from claude_cli import ledgers
from claude_cli.cli import ClaudeCode
from claude_cli.provider import ScriptedProvider
from claude_cli.scenario import Author, Director, perform
from claude_cli.sizes import SEED, SESSIONS
from gateway_fixture import Gateway

ClaudeAt = Callable[..., ClaudeCode]


@pytest.mark.parametrize("number", range(SESSIONS))
def test_a_session_through_the_gateway_adds_up(
    claude_gateway: Gateway, claude_at: ClaudeAt, claude_provider: ScriptedProvider, number: int
) -> None:
    tell(f"CLAUDE_SEED={SEED} session {number}")
    author = Author(SEED, number)
    scenario = author.scenario()
    claude = claude_at(claude_gateway.base_url)
    tag = claude_gateway.tag()
    claude.send_headers(claude_gateway.headers(tag, Client="claude-code"))
    result = perform(scenario, Director(scenario, author), claude_provider, claude)
    served = claude_provider.messages()
    rows = ledgers.rows_of(claude_gateway, tag, len(served))
    tell(f"{scenario}: {len(served)} requests, {result.cost} USD")
    for one, row in ledgers.pairs(served, rows):
        ledgers.check_details(one, row)
    assert [why for row in rows if (why := ledgers.unexplained(row))] == []
    assert result.cost in ledgers.sums(rows)
