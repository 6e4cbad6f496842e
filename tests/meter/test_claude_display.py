"""Figures look as Claude Code's own do. The expected texts come from JavaScript itself, run by the tests' Node."""

import json
import subprocess
import sysconfig
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from majordomo.meter.claude_display import money, tokens

SCRIPT = """
const money = (usd) => `$${usd > 0.5 ? (Math.round(usd * 100) / 100).toFixed(2) : usd.toFixed(4)}`;
const forms = [0, 1].map((digits) => new Intl.NumberFormat("en-US",
  {notation: "compact", maximumFractionDigits: 1, minimumFractionDigits: digits}));
const tokens = (count) => forms[count >= 1000 ? 1 : 0].format(count).toLowerCase();
const asked = JSON.parse(require("fs").readFileSync(0, "utf8"));
console.log(JSON.stringify({money: asked.money.map(money), tokens: asked.tokens.map(tokens)}));
"""

# Halves that a double holds exactly, and decimals that it only seems to hold.
AMOUNTS = [
    0,
    0.5,
    0.5000001,
    0.505,
    1.005,
    1.115,
    10.235,
    0.00005,
    0.00015,
    0.00025,
    0.03125,
    0.49995,
    8.5e-9,
    123456.785,
]
AMOUNTS += [number / 20_000 for number in range(0, 20_000, 7)] + [number / 1000 + 0.0005 for number in range(500, 3000)]
COUNTS = [0, 999, 1000, 1049, 1050, 1150, 99_949, 99_950, 999_949, 999_950, 1_000_000, 999_950_000, 10**9, 10**12]
COUNTS += list(range(900, 160_000, 50))


def test_money_and_tokens_are_what_javascript_writes():
    node = Path(sysconfig.get_path("scripts")) / "node"
    run = subprocess.run(
        [node, "-e", SCRIPT],
        input=json.dumps({"money": AMOUNTS, "tokens": COUNTS}),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    theirs = json.loads(run.stdout)
    assert [money(amount) for amount in AMOUNTS] == theirs["money"]
    assert [tokens(count) for count in COUNTS] == theirs["tokens"]


@pytest.mark.parametrize(
    ("usd", "shown"), [(1.115, "$1.12"), (10.235, "$10.24"), (0.00015, "$0.0001"), (0.5, "$0.5000"), (0.501, "$0.50")]
)
def test_money_is_rounded_as_the_page_on_display_says(usd: float, shown: str):
    assert money(usd) == shown


@settings(deadline=None)
@given(st.integers(0, 10**14))
def test_tokens_are_never_shown_as_a_thousand_of_a_unit_that_has_a_larger_one(count: int):
    shown = tokens(count)
    assert float(shown.rstrip("kmbt")) < 1000
