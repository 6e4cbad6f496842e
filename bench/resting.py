"""Part 4: start time, memory at rest, with 1,000 streams open, and with a 30 MB request."""

import http.client
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from bench.anchors import start_events
from bench.contender import CHAT_PATH, Contender
from bench.processes import LOAD_CORE, BenchmarkError, Crew, memory_mb, peak_mb, reset_peak, wait_until
from bench.product import Product, fresh_folder, wait_for_key

IDLE_STREAMS = 1000
BODY_MB = 30
SETTLE_SECONDS = 3.0


@dataclass
class StartFigures:
    """Seconds from `majordomo serve` to a 200."""

    cold_health: float
    cold_ready: float
    warm_health: float
    warm_ready: float


@dataclass
class MemoryFigures:
    """Megabytes (10^6 bytes). Growth is of the front desk's resident set above its rest."""

    whole_product_pss: float
    worker_rss_at_rest: float
    streams_growth: float
    body_growth: float
    body_copies: float


def measure_start(crew: Crew, folder: Path, upstream_port: int) -> StartFigures:
    """Once with an empty data directory, then three times with an initialised one (the median)."""
    product = Product(crew, fresh_folder(folder), upstream_port)
    cold = product.start()
    product.stop()
    warm = []
    for _ in range(3):
        warm.append(product.start())
        product.stop()
    health, ready = sorted(warm)[1]
    return StartFigures(cold[0], cold[1], health, ready)


def measure_memory(crew: Crew, product: Product, program: Path, upstream_port: int) -> MemoryFigures:
    """On a product that was started a moment ago and has one worker; it is restarted in between."""
    product.point_at(upstream_port)
    time.sleep(SETTLE_SECONDS)
    at_rest = memory_mb(product.processes())

    _, key = product.new_key()
    contender = product.as_contender("Majordomo", key)
    wait_for_key(contender)
    worker = product.front_desks()[0].pid
    time.sleep(SETTLE_SECONDS)
    worker_rest = memory_mb(product.front_desks(), "Rss")
    reset_peak(worker)
    _send_large_body(contender)
    body_growth = peak_mb(worker) - worker_rest

    # The upstream sends an event to each stream every half second, so all of them stay open and none is busy.
    product.point_at(start_events(crew, program, interval="500ms"))
    _, key = product.new_key()
    contender = product.as_contender("Majordomo", key)
    time.sleep(SETTLE_SECONDS)
    before = memory_mb(product.front_desks(), "Rss")
    streams_growth = _with_idle_streams(product, contender, program) - before
    return MemoryFigures(at_rest, worker_rest, streams_growth, body_growth, body_growth / BODY_MB)


def _send_large_body(contender: Contender) -> None:
    """One chat request of 30 MB; its reply must be the upstream's."""
    padding = "x" * (BODY_MB * 1_000_000)
    body = b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"' + padding.encode() + b'"}]}'
    connection = http.client.HTTPConnection("127.0.0.1", contender.port, timeout=60)
    try:
        connection.request("POST", CHAT_PATH, body, {**contender.headers, "Content-Type": "application/json"})
        reply = connection.getresponse()
        reply.read()
    finally:
        connection.close()
    if reply.status != 200:
        raise BenchmarkError(f"a body of {BODY_MB} MB was answered with {reply.status}")


def _with_idle_streams(product: Product, contender: Contender, program: Path) -> float:
    """The front desk's resident set in MB while the streams are open."""
    lines = "\n".join(f"{name}: {value}" for name, value in contender.headers.items())
    command = ["taskset", "-c", str(LOAD_CORE), str(program), "streams", "-url", contender.url, "-headers", lines]
    client = subprocess.Popen(
        [*command, "-connections", str(IDLE_STREAMS), "-seconds", "12"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        front_desk = product.front_desks()[0]
        # Each stream is one connection of a caller and one to the upstream.
        wait_until(
            lambda: len(front_desk.net_connections("tcp")) >= 2 * IDLE_STREAMS,
            seconds=10,
            what=f"{IDLE_STREAMS} streams were not open",
            step=0.5,
        )
        return memory_mb([front_desk], "Rss")
    finally:
        client.kill()
        client.wait()
