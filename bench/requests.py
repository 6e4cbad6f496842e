"""Part 1: one chat completion per request, CPU per request the figure that counts."""

from dataclasses import asdict, dataclass

from bench.anchors import Upstream
from bench.contender import CHAT_PATH, Contender
from bench.load import CONNECTIONS, WARM_UP_SECONDS, run_wrk
from bench.processes import cpu_seconds, memory_mb
from bench.product import UNIT_COST, Product, wait_for_key

ALONE_SECONDS = 2


@dataclass
class RequestFigures:
    """One row of the table. Latencies are in microseconds and are what the contender added to the upstream's own."""

    name: str
    cpu_us: float
    per_second: float
    added_p50_us: float
    added_p99_us: float
    alone_added_p50_us: float
    pss_mb: float
    requests: int
    failures: int


@dataclass
class Direct:
    """The upstream without any contender, in microseconds."""

    p50_us: float
    p99_us: float
    alone_p50_us: float
    per_second: float


@dataclass
class RowCheck:
    """Requests that reached the upstream against rows in PostgreSQL."""

    counted_by_wrk: int
    reached_upstream: int
    rows: int
    distinct_ids: int
    unpriced: int
    total_cost: str
    expected_cost: str
    drain_seconds: float

    @property
    def exact(self) -> bool:
        """Every request that went upstream is one row, and the total is right to the last digit."""
        return (
            self.rows == self.distinct_ids == self.reached_upstream >= self.counted_by_wrk
            and self.unpriced == 0
            and self.total_cost == self.expected_cost
        )

    def as_json(self) -> dict[str, object]:
        """All figures and the verdict."""
        return {**asdict(self), "exact": self.exact}


def measure_direct(upstream: Upstream, seconds: int) -> Direct:
    """The upstream's own latency, as the load generator sees it."""
    url = f"http://127.0.0.1:{upstream.port}{CHAT_PATH}"
    busy = run_wrk(url, {}, seconds=seconds)
    alone = run_wrk(url, {}, seconds=ALONE_SECONDS, connections=1)
    return Direct(busy.p50_us, busy.p99_us, alone.p50_us, busy.per_second)


def measure_requests(contender: Contender, direct: Direct, seconds: int) -> RequestFigures:
    """Warm up, load with 16 connections, then with one; CPU over the loaded run only."""
    run_wrk(contender.url, contender.headers, seconds=WARM_UP_SECONDS)
    processes = contender.processes()
    before = cpu_seconds(processes)
    busy = run_wrk(contender.url, contender.headers, seconds=seconds)
    used = cpu_seconds(processes) - before
    memory = memory_mb(processes)
    alone = run_wrk(contender.url, contender.headers, seconds=ALONE_SECONDS, connections=1)
    return RequestFigures(
        name=contender.name,
        cpu_us=used / busy.requests * 1e6,
        per_second=busy.per_second,
        added_p50_us=busy.p50_us - direct.p50_us,
        added_p99_us=busy.p99_us - direct.p99_us,
        alone_added_p50_us=alone.p50_us - direct.alone_p50_us,
        pss_mb=memory,
        requests=busy.requests,
        failures=busy.failures,
    )


def measure_product(
    product: Product, upstream: Upstream, direct: Direct, seconds: int, *, whole: bool
) -> tuple[RequestFigures, RowCheck]:
    """Majordomo's row, and the check that what reached the upstream is in PostgreSQL.

    ``whole`` puts all processes on the one core and counts them all, until the last row is written; otherwise only
    the front desk has the core and is counted.
    """
    key_id, key = product.new_key()
    name = "Majordomo, all processes on the core" if whole else "Majordomo front desk"
    contender = product.as_contender(name, key, whole=whole)
    product.share_core() if whole else product.split_cores()
    wait_for_key(contender)
    reached_before = upstream.requests()
    begun = cpu_seconds(product.processes())
    figures = measure_requests(contender, direct, seconds)
    reached = upstream.requests() - reached_before
    ledger, drained = product.ledger_when_drained(key_id, reached)
    if whole:  # the back office lags behind the load, so its share is only whole once the last row is written
        figures.cpu_us = (cpu_seconds(product.processes()) - begun) / max(reached, 1) * 1e6
    check = RowCheck(
        counted_by_wrk=figures.requests,
        reached_upstream=reached,
        rows=ledger.rows,
        distinct_ids=ledger.distinct,
        unpriced=ledger.unpriced,
        total_cost=f"{ledger.total.normalize():f}",
        expected_cost=f"{(reached * UNIT_COST).normalize():f}",
        drain_seconds=drained,
    )
    return figures, check


def connections_note() -> str:
    """How the load was made, for the table's caption."""
    return f"{CONNECTIONS} connections; added = latency less the upstream's own; alone = the same with 1 connection"
