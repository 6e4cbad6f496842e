"""How the dashboard writes figures, asked of the module itself: money is rounded as decimal text, never as a float."""

import json
import shutil
import subprocess
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from majordomo.report import static_files

SCRIPT = """
import * as format from "./format.mjs";
const calls = JSON.parse(process.argv[1]);
console.log(JSON.stringify(calls.map(([name, ...values]) => format[name](...values))));
"""

Ask = Any


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """Calls functions of format.js: each call a name and its arguments; their values in the same order."""
    node = shutil.which("node") or str(Path(__file__).parents[2] / ".venv/bin/node")
    folder = tmp_path_factory.mktemp("format")
    (folder / "format.mjs").write_bytes(static_files.files()["app/format.js"].body)

    def asked(*calls: list[Any]) -> list[Any]:
        done = subprocess.run(
            [node, "--input-type=module", "-e", SCRIPT, json.dumps(calls)],
            cwd=folder, capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        return list(json.loads(done.stdout))

    return asked


def test_money_keeps_what_matters_of_any_size(ask: Ask) -> None:
    shown = {
        "0": "$0",
        "0.000000000000": "$0",
        "1234567.895": "$1,234,567.90",
        "12.345": "$12.35",
        "-12.345": "−$12.35",
        "0.5": "$0.5000",
        "0.02731": "$0.0273",
        "0.0000042": "$0.0000042",
        "0.000000000000001": "$0.000000000000001",
        "9007199254740993.005": "$9,007,199,254,740,993.01",  # no float holds this
    }
    assert ask(*(["money", text] for text in shown)) == list(shown.values())
    assert ask(["money", None], ["exactMoney", "0.000000000000001"]) == ["unknown", "$0.000000000000001"]


@settings(max_examples=10, deadline=None)
@given(some.lists(some.decimals(-(10**12), 10**12, places=15), min_size=20, max_size=20), some.integers(0, 12))
def test_rounding_is_that_of_decimals(ask: Ask, amounts: list[Decimal], places: int) -> None:
    texts = [f"{amount:f}" for amount in amounts]
    for told, text in zip(ask(*(["rounded", text, places] for text in texts)), texts, strict=True):
        assert Decimal(told) == Decimal(text).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)


def test_a_rate_for_one_is_told_for_a_million(ask: Ask) -> None:
    rates = {"0.000005": "5", "0.0000005": "0.5", "0.00000015": "0.15", "3": "3000000", "0.0000000000001": "0.0000001"}
    assert ask(*(["shifted", rate, 6] for rate in rates)) == list(rates.values())
    for rate, told in rates.items():
        assert Decimal(rate) * 10**6 == Decimal(told)


def test_counts_shares_and_times(ask: Ask) -> None:
    calls = {
        ("short", 9_999): "9,999",
        ("short", 12_345): "12.3k",
        ("short", 1_234_567): "1.23M",
        ("count", 1_234_567): "1,234,567",
        ("count", None): "–",
        ("percent", 0): "0%",
        ("percent", 0.0002): "<0.1%",
        ("percent", -0.456): "−45.6%",
        ("percent", None): "–",
        ("duration", 840): "840 ms",
        ("duration", 1_240): "1.24 s",
        ("duration", 125_000): "2 min 5 s",
        ("duration", 11_040_000): "3 h 4 min",
        ("duration", None): "–",
    }
    assert ask(*(list(call) for call in calls)) == list(calls.values())


def test_a_bucket_is_named_by_the_clock_of_its_zone(ask: Ask) -> None:
    at = "2026-03-28T23:00:00Z"
    assert ask(["bucket", at, "day", "Europe/Berlin"], ["bucket", at, "day", "UTC"]) == ["29 Mar", "28 Mar"]
    assert ask(["bucket", at, "hour", "Europe/Berlin"], ["longBucket", at, "day", "Europe/Berlin"]) == [
        "00:00",
        "Sun 29 Mar",
    ]
