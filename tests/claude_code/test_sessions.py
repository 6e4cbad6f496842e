"""Random sessions, with everything that goes wrong in a day: the two ledgers add up, and every detail is true."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from campaign.sizes import tell
from claude_cli import ledgers
from claude_cli.cli import ClaudeCode
from claude_cli.provider import ScriptedProvider
from claude_cli.scenario import Author, Director, perform
from claude_cli.sizes import SEED, SESSIONS
from gateway_fixture import Gateway

from majordomo.meter import claude_display

ClaudeAt = Callable[..., ClaudeCode]


@pytest.mark.parametrize("number", range(SESSIONS))
@pytest.mark.parametrize("way", ["gateway", "companion"])
def test_a_session_adds_up(
    claude_gateway: Gateway, claude_at: ClaudeAt, claude_provider: ScriptedProvider, way: str, number: int
) -> None:
    author = Author(SEED, number if way == "gateway" else SESSIONS + number)
    scenario = author.scenario()
    claude, tag = claude_at(), claude_gateway.tag()
    tell(f"CLAUDE_SEED={SEED} through the {way}: {scenario}")
    if way == "gateway":
        claude.go_through(claude_gateway, tag)
    else:
        claude.go_behind_companion(claude_gateway, tag)
    performance = perform(scenario, Director(scenario, author), claude_provider, claude)
    result = performance.result
    served = claude_provider.messages()
    rows = ledgers.rows_of(claude_gateway, tag, len(served))
    tell(f"{len(served)} requests, {result.cost} USD: {ledgers.told(rows)}")
    for one, row in ledgers.pairs(served, rows):
        ledgers.check_details(one, row)
    assert [why for row in rows if (why := ledgers.unexplained(row))] == []
    assert result.cost in ledgers.sums(rows)
    if way == "companion":
        _check_closing_line(claude_gateway, performance.last_words, rows, result.cost)


def _check_closing_line(gateway: Gateway, said: str, rows: list[Any], cost: float) -> None:
    """The companion said one line, none of it a difference from what the tool itself counted; its session has ended."""
    (line,) = [line for line in said.splitlines() if line.startswith("majordomo-companion:")]
    found = re.search(r": (\d+) requests?, .*/usage shows (\S+); session (\S+) ", line)
    assert found is not None, line
    assert (int(found[1]), found[2]) == (len(rows), claude_display.money(cost))
    assert {str(row["claude_session_id"]) for row in rows} == {found[3]}
    (session,) = gateway.sql("SELECT * FROM claude_sessions WHERE id = $1::text::uuid", found[3])
    assert session["ended_by"] == "owner"
    assert session["total_requests"] == len(rows)
    assert session["total_cost"] == sum(row["total_cost"] or 0 for row in rows)
    assert session["usage_cost"] == pytest.approx(cost, rel=1e-12)
