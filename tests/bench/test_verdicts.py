"""The benchmark judges honestly: a missing row or digit is seen, and each target has its direction right."""

from dataclasses import replace
from typing import Any

import pytest

from bench.contender import COMPLETION, COMPLETION_TOKENS, PROMPT_TOKENS
from bench.product import UNIT_COST
from bench.requests import RowCheck
from bench.targets import mean_cpu, targets

EXACT = RowCheck(
    counted_by_wrk=90,
    reached_upstream=100,
    rows=100,
    distinct_ids=100,
    unpriced=0,
    total_cost="0.01095",
    expected_cost="0.01095",
    drain_seconds=0.5,
)


def test_as_many_rows_as_requests_and_the_right_total_are_exact() -> None:
    assert EXACT.exact


@pytest.mark.parametrize(
    "fault",
    [
        {"rows": 99},
        {"rows": 101},
        {"distinct_ids": 99},
        {"unpriced": 1},
        {"total_cost": "0.01094999"},
        {"counted_by_wrk": 101},
    ],
    ids=lambda fault: next(iter(fault)),
)
def test_a_single_wrong_row_or_digit_is_not_exact(fault: dict[str, Any]) -> None:
    assert not replace(EXACT, **fault).exact


def test_one_request_costs_what_a_person_would_compute() -> None:
    assert str(UNIT_COST) == "0.0001095"  # 250 x 0.15 and 120 x 0.60 USD per million
    assert f'"prompt_tokens":{PROMPT_TOKENS},"completion_tokens":{COMPLETION_TOKENS}' in COMPLETION


def test_an_anchor_that_ran_twice_counts_with_its_mean() -> None:
    assert mean_cpu([{"name": "nginx", "cpu_us": 20.0}, {"name": "nginx", "cpu_us": 24.0}]) == {"nginx": 22.0}


def test_ratios_are_judged_in_the_right_direction() -> None:
    rows = [
        {"name": "nginx proxy_pass", "cpu_us": 20.0},
        {"name": "Go httputil.ReverseProxy", "cpu_us": 80.0},
        {"name": "LiteLLM proxy 1", "cpu_us": 5_100.0},
        {"name": "Majordomo front desk", "cpu_us": 51.0},
    ]
    judged = {target.claim: target.met for target in targets({"requests": rows})}
    assert judged == {
        "Front desk, CPU per request against nginx": False,  # 2.55 x
        "Front desk, CPU per request against Go's ReverseProxy": True,
        "LiteLLM's CPU per request against the front desk": True,  # exactly 100 x
    }


def test_a_part_that_was_not_measured_has_no_verdict() -> None:
    assert list(targets({})) == []
