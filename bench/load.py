"""One run of wrk, and what it counted."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.processes import LOAD_CORE, BenchmarkError

SCRIPT = Path(__file__).with_name("chat.lua")
CONNECTIONS = 16
WARM_UP_SECONDS = 2


@dataclass(frozen=True)
class Load:
    """What one run of wrk saw."""

    requests: int
    seconds: float
    p50_us: float
    p99_us: float
    failures: int

    @property
    def per_second(self) -> float:
        """Requests answered per second."""
        return self.requests / self.seconds


def run_wrk(
    url: str, headers: dict[str, str], *, seconds: int, connections: int = CONNECTIONS, refused: bool = False
) -> Load:
    """Load ``url`` for some seconds from the load generator's core. ``refused``: every answer is to be a refusal.

    Raises:
        BenchmarkError: wrk failed, or more than one request in a hundred ended as it should not.
    """
    command = [
        "taskset",
        "-c",
        str(LOAD_CORE),
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds}",
        "--latency",
        "--timeout",
        "10s",
    ]
    command += ["-s", str(SCRIPT), url]
    lines = "\n".join(f"{name}: {value}" for name, value in headers.items())
    try:
        done = subprocess.run(
            command,
            env={**os.environ, "BENCH_HEADERS": lines},
            capture_output=True,
            text=True,
            timeout=seconds + 30,
            check=False,
        )
    except FileNotFoundError:
        raise BenchmarkError("wrk is not installed: `make bench-deps` as root, or put it on PATH") from None
    found = [line.removeprefix("RESULT ") for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if not found:
        raise BenchmarkError(f"wrk failed on {url}: {done.stderr.strip() or done.stdout.strip()}")
    counted = json.loads(found[-1])
    refusals = counted["not_2xx"]
    failures = counted["socket_errors"] + (counted["requests"] - refusals if refused else refusals)
    if counted["requests"] == 0 or failures > counted["requests"] / 100:
        what = "were not refused" if refused else "failed; a contender that refuses is not measured"
        raise BenchmarkError(f"{failures} of {counted['requests']} requests to {url} {what}")
    return Load(
        requests=counted["requests"],
        seconds=counted["microseconds"] / 1e6,
        p50_us=counted["p50_us"],
        p99_us=counted["p99_us"],
        failures=failures,
    )
