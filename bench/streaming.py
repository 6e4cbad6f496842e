"""Part 2: streamed replies of 100 events, back to back for the CPU per reply, 20 ms apart for the delay per event."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.contender import CHAT_PATH, Contender
from bench.processes import INSTRUMENT_ENV, LOAD_CORE, BenchmarkError, become_instrument, cpu_seconds

EVENTS = 100
PACED_CONNECTIONS = 400
BURST_CONNECTIONS = 16
HALF_LOAD = 0.5
HALF_LOAD_TOLERANCE = 0.1
DELAY_ROUNDS = 3


@dataclass
class Streams:
    """What the streaming client saw of one run."""

    replies: int
    events: int
    seconds: float
    p50_us: float
    p99_us: float
    worst_us: float


@dataclass
class StreamFigures:
    """One row of the table. CPU in microseconds; delays are what was added to the direct ones at half load."""

    name: str
    burst_cpu_us_per_reply: float
    paced_cpu_us_per_reply: float
    half_load_connections: int
    half_load_core_use: float
    added_p50_us: float
    added_p99_us: float
    replies: int


def run_streams(program: Path, url: str, headers: dict[str, str], *, connections: int, seconds: float) -> Streams:
    """Keep ``connections`` streams running for some seconds.

    Raises:
        BenchmarkError: a stream broke off or was refused; then nothing may be quoted.
    """
    lines = "\n".join(f"{name}: {value}" for name, value in headers.items())
    command = ["taskset", "-c", str(LOAD_CORE), str(program), "streams", "-url", url, "-headers", lines]
    command += ["-connections", str(connections), "-seconds", str(seconds), "-events", str(EVENTS)]
    done = subprocess.run(
        command,
        env={**os.environ, **INSTRUMENT_ENV},
        preexec_fn=become_instrument,
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=False,
    )
    if done.returncode:
        raise BenchmarkError(f"the streaming client failed: {done.stderr.strip()}")
    seen = json.loads(done.stdout)
    if seen["broken"] or not seen["events"]:
        raise BenchmarkError(
            f"{seen['broken']} streams from {url} broke ({seen['problem']}); the figures would be worthless"
        )
    return Streams(seen["replies"], seen["events"], seen["seconds"], seen["p50_us"], seen["p99_us"], seen["worst_us"])


def measure_direct_streams(program: Path, paced_port: int, connections: int, seconds: float) -> Streams:
    """The streaming upstream's own delays. Check that it is not the one that saturates."""
    return run_streams(
        program, f"http://127.0.0.1:{paced_port}{CHAT_PATH}", {}, connections=connections, seconds=seconds
    )


def measure_burst(contender: Contender, program: Path, seconds: float) -> tuple[float, int]:
    """CPU microseconds per reply of 100 events sent back to back, and the replies."""
    run_streams(program, contender.url, contender.headers, connections=BURST_CONNECTIONS, seconds=1)
    used, seen, _ = _with_cpu(contender, program, BURST_CONNECTIONS, seconds)
    return used / (seen.events / EVENTS) * 1e6, seen.replies


def measure_paced(
    contender: Contender, program: Path, paced_port: int, seconds: float, burst: tuple[float, int]
) -> StreamFigures:
    """CPU per reply at 400 paced streams; then the added delay at as many streams as use half of the core.

    The delay is the median of three rounds, each right after one of the upstream alone with as many streams.
    """
    used, seen, core_use = _with_cpu(contender, program, PACED_CONNECTIONS, seconds)
    connections = PACED_CONNECTIONS
    if abs(core_use - HALF_LOAD) > HALF_LOAD_TOLERANCE:
        connections = max(50, min(2 * PACED_CONNECTIONS, round(PACED_CONNECTIONS * HALF_LOAD / core_use)))
    p50, p99, cores = [], [], []
    for _ in range(DELAY_ROUNDS):
        direct = measure_direct_streams(program, paced_port, connections, seconds)
        _, through, core_use = _with_cpu(contender, program, connections, seconds)
        p50.append(through.p50_us - direct.p50_us)
        p99.append(through.p99_us - direct.p99_us)
        cores.append(core_use)
    return StreamFigures(
        name=contender.name,
        burst_cpu_us_per_reply=burst[0],
        paced_cpu_us_per_reply=used / (seen.events / EVENTS) * 1e6,
        half_load_connections=connections,
        half_load_core_use=median(cores),
        added_p50_us=median(p50),
        added_p99_us=median(p99),
        replies=burst[1],
    )


def _with_cpu(contender: Contender, program: Path, connections: int, seconds: float) -> tuple[float, Streams, float]:
    processes = contender.processes()
    before = cpu_seconds(processes)
    seen = run_streams(program, contender.url, contender.headers, connections=connections, seconds=seconds)
    used = cpu_seconds(processes) - before
    return used, seen, used / seen.seconds
