"""What budgets cost: governed requests against ungoverned ones, refused against served, and one decision by itself.

Ungoverned and governed requests take turns on one front desk, so that whatever slows the machine slows both.
"""

import statistics
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus

import psutil

from bench.contender import Contender
from bench.decisions import BODY, decisions
from bench.load import WARM_UP_SECONDS, run_wrk
from bench.processes import BenchmarkError, cpu_seconds, wait_until
from bench.product import Product, wait_for_key

ROUNDS = 5
TRIES = 4
SHORTEST_TURN = 1  # seconds

#: The budgets that govern: money, calls and tokens, one of them with a count for each team.
BUDGETS: dict[str, Sequence[str]] = {
    "money": ("--limit", "100000", "--window", "month", "--each", "Team"),
    "calls": ("--limit", "1000000000", "--unit", "requests", "--window", "day", "--tz", "Europe/Berlin"),
    "tokens": ("--limit", "1000000000000", "--unit", "tokens", "--window", "rolling:24h"),
}


@dataclass
class GateFigures:
    """CPU microseconds of the front desk for each request, and of the gate for each decision."""

    no_budget_us: float  # before there was any budget
    ungoverned_us: float  # there are budgets, and none concerns the request
    one_budget_us: float
    three_budgets_us: float
    refused_us: float
    one_budget_ratio: float  # to the ungoverned of the same round, as the other ratios; the median of the rounds
    three_budgets_ratio: float
    refused_ratio: float
    decide_one_us: float  # ask, alone
    decide_three_us: float
    decide_strict_us: float
    refuse_us: float
    settle_one_us: float
    rounds: int


def measure_gate(product: Product, seconds: int) -> GateFigures:
    """All figures; ``seconds`` is how long each contender has in all."""
    product.split_cores()
    turn = max(SHORTEST_TURN, seconds // ROUNDS)
    contenders = {name: _contender(product, name) for name in ("ungoverned", "one", "three", "refused")}
    _turn(contenders["ungoverned"], WARM_UP_SECONDS)
    no_budget = _turn(contenders["ungoverned"], turn)
    _make_budgets(product, contenders)
    used: dict[str, list[float]] = {name: [] for name in contenders}
    with _suspended(product.back_office()):
        for _ in range(ROUNDS):
            for name, contender in contenders.items():
                used[name].append(_turn(contender, turn, refused=name == "refused"))
    return GateFigures(
        no_budget_us=no_budget,
        ungoverned_us=statistics.mean(used["ungoverned"]),
        one_budget_us=statistics.mean(used["one"]),
        three_budgets_us=statistics.mean(used["three"]),
        refused_us=statistics.mean(used["refused"]),
        one_budget_ratio=_ratio(used["one"], used["ungoverned"]),
        three_budgets_ratio=_ratio(used["three"], used["ungoverned"]),
        refused_ratio=_ratio(used["refused"], used["ungoverned"]),
        rounds=ROUNDS,
        **decisions(),
    )


@contextmanager
def _suspended(process: psutil.Process) -> Iterator[None]:
    """Stand still: where it has more to do on the load generator's core, fewer requests would come."""
    process.suspend()
    try:
        yield
    finally:
        process.resume()


def _contender(product: Product, name: str) -> Contender:
    _, key = product.new_key(f"gate-{name}")
    contender = product.as_contender(name, key)
    wait_for_key(contender)
    return contender


def _make_budgets(product: Product, contenders: dict[str, Contender]) -> None:
    for key, names in (("one", ("money",)), ("three", BUDGETS)):
        for name in names:
            product.cli("budgets", "create", "--name", f"{key}-{name}", "--key", f"gate-{key}", *BUDGETS[name])
    product.cli("budgets", "create", "--name", "spent", "--key", "gate-refused", "--limit", "0.000001")
    wait_until(lambda: _is_refused(contenders["refused"]), seconds=20, what="the spent budget refuses nothing")
    for name in ("one", "three", "refused"):
        _turn(contenders[name], WARM_UP_SECONDS, refused=name == "refused")


def _is_refused(contender: Contender) -> bool:
    """Whether budgets are known by now: this one was made last."""
    request = urllib.request.Request(contender.url, BODY, contender.headers)
    try:
        urllib.request.urlopen(request, timeout=10).close()
    except urllib.error.HTTPError as answer:
        return answer.code == HTTPStatus.TOO_MANY_REQUESTS
    return False


def _turn(contender: Contender, seconds: int, *, refused: bool = False) -> float:
    """CPU microseconds per request. One that was disturbed (the database was too slow) comes again."""
    for _ in range(TRIES - 1):
        try:
            return _measured(contender, seconds, refused=refused)
        except BenchmarkError:
            time.sleep(1.0)
    return _measured(contender, seconds, refused=refused)


def _measured(contender: Contender, seconds: int, *, refused: bool) -> float:
    processes = contender.processes()
    before = cpu_seconds(processes)
    load = run_wrk(contender.url, contender.headers, seconds=seconds, refused=refused)
    return (cpu_seconds(processes) - before) / load.requests * 1e6


def _ratio(ones: Sequence[float], others: Sequence[float]) -> float:
    return statistics.median(one / other for one, other in zip(ones, others, strict=True))
