"""What the figures must reach, and whether they did."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Target:
    """One promise: ``measured`` must be at most (or at least) ``limit``."""

    claim: str
    measured: float
    limit: float
    at_least: bool = False
    unit: str = ""

    @property
    def met(self) -> bool:
        """Whether the promise holds in this run."""
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit


def targets(results: dict[str, Any]) -> Iterator[Target]:
    """All targets for which the run has figures."""
    yield from _requests(results)
    yield from _gate(results)
    yield from _streams(results)
    if recording := results.get("recording"):
        yield Target("Back office, rows per second", recording["rows_per_second"], 10_000, at_least=True, unit="rows/s")
        yield Target("Back office, its own CPU per row", recording["cpu_us_per_row"], 60, unit="µs")
    if start := results.get("start"):
        yield Target("/health after `serve`, initialised database", start["warm_health"], 3, unit="s")
    if memory := results.get("memory"):
        yield Target("Whole product at rest", memory["whole_product_pss"], 250, unit="MB")
        yield Target("1,000 idle streams above a resting worker", memory["streams_growth"], 60, unit="MB")
        yield Target("A 30 MB request body", memory["body_copies"], 2, unit="copies")


def _requests(results: dict[str, Any]) -> Iterator[Target]:
    cpu = mean_cpu(results.get("requests", []))
    front_desk = cpu.get("Majordomo front desk")
    if front_desk is None:
        return
    for check in results.get("row_checks", []):
        missing = abs(check["reached_upstream"] - check["rows"])
        yield Target("Requests at the upstream without exactly one row", missing, 0)
        yield Target("Total cost exact to the last digit (1 = yes)", float(check["exact"]), 1, at_least=True)
    if nginx := cpu.get("nginx proxy_pass"):
        yield Target("Front desk, CPU per request against nginx", front_desk / nginx, 2.5, unit="×")
    if go := cpu.get("Go httputil.ReverseProxy"):
        yield Target("Front desk, CPU per request against Go's ReverseProxy", front_desk / go, 1, unit="×")
    for name, value in cpu.items():
        if name.startswith("LiteLLM"):
            yield Target(
                "LiteLLM's CPU per request against the front desk", value / front_desk, 100, at_least=True, unit="×"
            )


def _gate(results: dict[str, Any]) -> Iterator[Target]:
    if gate := results.get("gate"):
        yield Target("Front desk with a governing budget, CPU against none", gate["one_budget_ratio"], 1.1, unit="×")
        yield Target("The same with three budgets", gate["three_budgets_ratio"], 1.1, unit="×")
        yield Target("A refused request, CPU against a served one", gate["refused_ratio"], 1, unit="×")
        yield Target("One decision of the gate, three budgets", gate["decide_three_us"], 20, unit="µs")
        yield Target("One decision of the gate, a strict budget", gate["decide_strict_us"], 20, unit="µs")


def _streams(results: dict[str, Any]) -> Iterator[Target]:
    rows = {row["name"]: row for row in results.get("streams", [])}
    ours, nginx = rows.get("Majordomo front desk"), rows.get("nginx proxy_pass")
    if ours and nginx:
        for kind in ("paced", "burst"):
            column = f"{kind}_cpu_us_per_reply"
            title = "20 ms apart" if kind == "paced" else "back to back"
            yield Target(
                f"Streamed reply, events {title}, CPU against nginx", ours[column] / nginx[column], 2, unit="×"
            )
        yield Target("Added delay per event, p99 at half load", ours["added_p99_us"] / 1000, 1, unit="ms")


def mean_cpu(rows: list[dict[str, Any]]) -> dict[str, float]:
    """CPU microseconds per request by contender; an anchor that ran before and after counts with its mean."""
    found: dict[str, list[float]] = {}
    for row in rows:
        found.setdefault(row["name"], []).append(row["cpu_us"])
    return {name: sum(values) / len(values) for name, values in found.items()}
