"""``python -m bench``: run all parts, print the tables, keep the figures under ``artefacts/bench/``."""

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import anchors, peers, resting, streaming
from bench import requests as one_request
from bench.contender import ROOT, Contender
from bench.gate import measure_gate
from bench.processes import CONTENDER_CORE, LOAD_CORE, BenchmarkError, Crew
from bench.product import Product, fresh_folder, wait_for_key
from bench.tables import show

PARTS = ("requests", "gate", "streams", "recording", "start", "memory")
WHOLE_RUN_SECONDS = 30 * 60
QUIET_LOAD = 0.5
RECORDING_ROWS = 200_000
WIDTH = 132  # of the tables, where the output is not a terminal


class Run:
    """One run of the benchmark: its processes, its options, and the figures so far."""

    def __init__(self, console: Console, crew: Crew, options: argparse.Namespace) -> None:
        self.console = console
        self.crew = crew
        self.options = options
        self.results: dict[str, Any] = {"machine": machine(), "not_measured": {}}
        self.go = anchors.build_go()

    def all_parts(self) -> None:
        """Every part that was asked for; one that cannot be measured does not stop the others."""
        for part in self.options.only or PARTS:
            with self._part(part):
                getattr(self, part)()

    def requests(self) -> None:
        """Anchors, peers, Majordomo, anchors again, all against one nginx upstream."""
        upstream = anchors.start_upstream(self.crew)
        seconds = self.options.seconds
        self._say("the upstream alone")
        direct = one_request.measure_direct(upstream, seconds)
        self.results["direct"] = asdict(direct)
        rows: list[dict[str, Any]] = []
        self.results["requests"] = rows

        def measure(start: Callable[[], Contender]) -> None:
            contender = start()
            self._say(contender.name)
            rows.append(asdict(one_request.measure_requests(contender, direct, seconds)))
            _end(contender)

        limits: list[Callable[[], Contender]] = [
            partial(anchors.start_nginx, self.crew, upstream.port),
            partial(anchors.start_go, self.crew, self.go, upstream.port),
        ]
        for start in limits:
            measure(start)
        if not self.options.quick:
            for start in self._peers(upstream.port):
                measure(start)
        with self._part("Majordomo"), self._product(upstream.port) as product:
            checks: list[dict[str, Any]] = []
            self.results["row_checks"] = checks
            for whole in (False, True):
                self._say("Majordomo" + (", all on one core" if whole else ""))
                figures, check = one_request.measure_product(product, upstream, direct, seconds, whole=whole)
                rows.append(asdict(figures))
                checks.append(check.as_json())
        for start in limits:
            measure(start)

    def gate(self) -> None:
        """What budgets cost, on one front desk."""
        upstream = anchors.start_upstream(self.crew)
        with self._product(upstream.port) as product:
            self._say("gate")
            self.results["gate"] = asdict(measure_gate(product, self.options.seconds))

    def streams(self) -> None:
        """nginx, Go and Majordomo before two streaming upstreams."""
        burst_port = anchors.start_events(self.crew, self.go, interval="0s")
        paced_port = anchors.start_events(self.crew, self.go, interval="20ms")
        seconds = self.options.seconds
        rows: list[dict[str, Any]] = []
        self.results["streams"] = rows
        own = streaming.measure_direct_streams(self.go, paced_port, streaming.PACED_CONNECTIONS, seconds)
        self.results["direct_streams"] = asdict(own)
        limits: list[Callable[[int], Contender]] = [
            partial(anchors.start_nginx, self.crew),
            partial(anchors.start_go, self.crew, self.go),
        ]
        for start in limits:
            contender = start(burst_port)
            self._say(f"streams: {contender.name}")
            burst = streaming.measure_burst(contender, self.go, seconds)
            _end(contender)
            contender = start(paced_port)
            rows.append(asdict(streaming.measure_paced(contender, self.go, paced_port, seconds, burst)))
            _end(contender)
        with self._part("Majordomo streams"), self._product(burst_port) as product:
            self._say("streams: Majordomo")
            burst = streaming.measure_burst(self._front_desk(product), self.go, seconds)
            product.point_at(paced_port)
            contender = self._front_desk(product)
            rows.append(asdict(streaming.measure_paced(contender, self.go, paced_port, seconds, burst)))

    def recording(self) -> None:
        """The back office's writer alone: ``bench/journal_to_postgres.py``."""
        script = ROOT / "bench" / "journal_to_postgres.py"
        self._say("journal to PostgreSQL")
        command = [sys.executable, str(script), "--rows", str(RECORDING_ROWS)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=ROOT)
        if done.returncode:
            raise BenchmarkError(f"{script.name} failed: {done.stderr.strip()[-600:]}")
        figures = json.loads(done.stdout.strip().splitlines()[-1])
        if not figures["exact"]:
            raise BenchmarkError("the rows in PostgreSQL are not those of the journal")
        self.results["recording"] = figures

    def start(self) -> None:
        """How long `serve` takes, with and without an initialised database."""
        self._say("start")
        upstream = anchors.start_upstream(self.crew)
        figures = resting.measure_start(self.crew, self.crew.logs / "start data", upstream.port)
        self.results["start"] = asdict(figures)

    def memory(self) -> None:
        """The product at rest, with many streams, with a large body."""
        upstream = anchors.start_upstream(self.crew)
        with self._product(upstream.port) as product:
            self._say("memory")
            self.results["memory"] = asdict(resting.measure_memory(self.crew, product, self.go, upstream.port))

    def _peers(self, upstream_port: int) -> Iterator[Callable[[], Contender]]:
        for name, install, start in (
            ("LiteLLM", peers.install_litellm, peers.start_litellm),
            ("Portkey", peers.install_portkey, peers.start_portkey),
        ):
            with self._part(name):
                self._say(f"{name}: installing if need be (a minute or two)")
                program = install()
                contender = start(self.crew, program, upstream_port)
                yield partial(_itself, contender)

    def _front_desk(self, product: Product) -> Contender:
        _, key = product.new_key()
        contender = product.as_contender("Majordomo front desk", key)
        product.split_cores()
        wait_for_key(contender)
        return contender

    @contextmanager
    def _product(self, upstream_port: int) -> Iterator[Product]:
        data_dir = Path(tempfile.mkdtemp(prefix="data-", dir=self.crew.logs))
        product = Product(self.crew, fresh_folder(data_dir), upstream_port)
        try:
            product.start()
            yield product
        finally:
            product.stop()

    @contextmanager
    def _part(self, name: str) -> Iterator[None]:
        try:
            yield
        except BenchmarkError as why:
            self.results["not_measured"][name] = str(why)
            self.console.print(f"[yellow]{name}:[/] {why}")

    def _say(self, what: str) -> None:
        self.console.print(f"[dim]{time.strftime('%H:%M:%S')}[/] {what}")


def _itself(contender: Contender) -> Contender:
    return contender


def _end(contender: Contender) -> None:
    for process in contender.processes()[:1]:
        process.terminate()


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    model = next(
        (line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")), platform.machine()
    )
    return {
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cpu": model,
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }


def _cpuinfo() -> list[str]:
    return Path("/proc/cpuinfo").read_text().splitlines()


def parse(arguments: list[str]) -> argparse.Namespace:
    """The few options of the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="without LiteLLM and Portkey, and with shorter runs")
    parser.add_argument("--seconds", type=int, help="length of each measured run (6; 3 with --quick)")
    parser.add_argument("--only", action="append", choices=PARTS, help="only this part; may be repeated")
    options = parser.parse_args(arguments)
    options.seconds = options.seconds or (3 if options.quick else 6)
    return options


def main(arguments: list[str]) -> int:
    """0 if every part was measured and every row is there; a missed target is shown, not an error."""
    options = parse(arguments)
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    if sys.platform != "linux" or not {CONTENDER_CORE, LOAD_CORE} <= os.sched_getaffinity(0):
        console.print(
            "The benchmark needs Linux and two cores: it pins the contender to one and the load to the other."
        )
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGALRM, lambda *_: sys.exit("the benchmark took longer than half an hour and was ended"))
    signal.alarm(WHOLE_RUN_SECONDS)
    scratch = Path(tempfile.mkdtemp(prefix="majordomo-bench-"))
    try:
        with Crew(scratch) as crew:
            run = Run(console, crew, options)
            if run.results["machine"]["load_before"] > QUIET_LOAD:
                console.print("[yellow]The machine is not quiet; figures will be worse than they are.[/]")
            run.all_parts()
    except BenchmarkError as why:
        console.print(f"[red]{why}[/]")
        return 1
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    show(console, run.results)
    console.print(f"Figures: {keep(run.results)}")
    inexact = [check for check in run.results.get("row_checks", []) if not check["exact"]]
    return 1 if inexact or run.results["not_measured"] else 0


def keep(results: dict[str, Any]) -> Path:
    """Write the figures to a JSON file of their own; its path."""
    folder = ROOT / "artefacts" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{results['machine']['when'].replace(':', '')}.json"
    path.write_text(json.dumps(results, indent=2) + "\n")
    return path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
