"""Majordomo as a contender: started as a user starts it, its processes told apart, its rows checked."""

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import asyncpg
import psutil

from bench.contender import CALLER_CREDENTIAL, CHAT_PATH, COMPLETION_TOKENS, PROMPT_TOKENS, Contender
from bench.processes import (
    BOTH_CORES,
    CONTENDER_CORE,
    LOAD_CORE,
    BenchmarkError,
    Crew,
    answers,
    free_port,
    pin,
    stop,
    tree,
    wait_until,
)

# gpt-4o-mini: 0.15 USD per million prompt tokens, 0.60 USD per million completion tokens.
UNIT_COST = (PROMPT_TOKENS * Decimal("0.15") + COMPLETION_TOKENS * Decimal("0.60")) / 1_000_000
START_SECONDS = 60.0
DRAIN_SECONDS = 120.0


@dataclass(frozen=True)
class Ledger:
    """What PostgreSQL holds of a run."""

    rows: int
    total: Decimal
    unpriced: int
    distinct: int


class Product:
    """A running `majordomo serve` with a data directory of its own."""

    def __init__(self, crew: Crew, data_dir: Path, upstream_port: int) -> None:
        self.port = free_port()
        self.data_dir = data_dir
        self._crew = crew
        self._env = {
            "MAJORDOMO_PORT": str(self.port),
            "MAJORDOMO_DATA_DIR": str(data_dir),
            "MAJORDOMO_PROVIDERS__OPENAI__BASE_URL": f"http://127.0.0.1:{upstream_port}",
            "MAJORDOMO_PRICE_FEED": "false",
            "MAJORDOMO_LOG_LEVEL": "warning",
        }
        self._serve: subprocess.Popen[bytes] | None = None
        self._log = ""

    def start(self) -> tuple[float, float]:
        """Start serving; seconds until `/health` and until `/readyz` answered with 200."""
        self._log = f"majordomo-{self.port}-{time.monotonic_ns()}"
        begin = time.perf_counter()
        self._serve = self._crew.start(self._log, [*_command(), "serve"], cores=BOTH_CORES, env=self._env)
        self._wait("/health")
        healthy = time.perf_counter() - begin
        self._wait("/readyz")
        return healthy, time.perf_counter() - begin

    def stop(self) -> None:
        """End it as SIGTERM would."""
        if self._serve is not None:
            stop(self._serve)

    def _wait(self, path: str) -> None:
        def answered() -> bool:
            if self._serve is None or self._serve.poll() is not None:
                raise BenchmarkError("majordomo serve ended")
            return answers(f"http://127.0.0.1:{self.port}{path}")

        try:
            wait_until(answered, seconds=START_SECONDS, what=f"majordomo {path}")
        except BenchmarkError as late:
            raise BenchmarkError(f"{late}\n{self._crew.log_tail(self._log)}") from None

    def point_at(self, upstream_port: int) -> None:
        """Stop, and start again with another upstream on the same data directory."""
        self.stop()
        self._env["MAJORDOMO_PROVIDERS__OPENAI__BASE_URL"] = f"http://127.0.0.1:{upstream_port}"
        self.start()

    def cli(self, *arguments: str) -> str:
        """Run one command of the product against this data directory; its standard output."""
        done = subprocess.run(
            [*_command(), *arguments],
            env={**os.environ, **self._env},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode:
            raise BenchmarkError(f"majordomo {' '.join(arguments)} failed: {done.stderr.strip()[-600:]}")
        return done.stdout

    def new_key(self, name: str | None = None) -> tuple[str, str]:
        """Id and secret of a fresh gateway key."""
        name = name or f"bench-{time.monotonic_ns()}"
        made = json.loads(self.cli("keys", "create", "--name", name, "--json"))
        return made["id"], made["key"]

    def processes(self) -> list[psutil.Process]:
        """Everything: supervisor, front desks, back office, PostgreSQL."""
        return tree(self._serve.pid) if self._serve else []

    def front_desks(self) -> list[psutil.Process]:
        """The processes that proxy."""
        desks: list[psutil.Process] = []
        for one in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):  # PostgreSQL's come and go
                if "majordomo.front_desk" in one.cmdline():
                    desks.append(one)
        return desks

    def back_office(self) -> psutil.Process:
        """The process that moves journals."""
        return next(one for one in self.processes() if "majordomo.back_office" in one.cmdline())

    def split_cores(self) -> None:
        """Front desks on the contender's core, everything else on the load generator's."""
        desks = self.front_desks()
        pin([one for one in self.processes() if one not in desks], LOAD_CORE)
        pin(desks, CONTENDER_CORE)

    def share_core(self) -> None:
        """The whole product on the contender's core."""
        pin(self.processes(), CONTENDER_CORE)

    def as_contender(self, name: str, key: str, *, whole: bool = False) -> Contender:
        """Itself, with a gateway key; ``whole`` counts all processes, else the front desks only."""
        headers = {"Authorization": CALLER_CREDENTIAL, "X-Majordomo-Key": key}
        return Contender(name, self.port, self.processes if whole else self.front_desks, headers)

    def ledger(self, key_id: str) -> Ledger:
        """Rows and total cost of one key."""
        return asyncio.run(self._ledger(self.cli("db", "url").splitlines()[-1], key_id))

    async def _ledger(self, url: str, key_id: str) -> Ledger:
        connection = await asyncpg.connect(url)
        try:
            (row,) = await connection.fetch(
                "SELECT count(*), coalesce(sum(total_cost), 0), count(*) FILTER (WHERE total_cost IS NULL),"
                " count(DISTINCT id) FROM llm_requests"
                " WHERE majordomo_api_key_id = $1::text::uuid AND request_path = $2",
                key_id,
                CHAT_PATH,
            )
        finally:
            await connection.close()
        return Ledger(rows=row[0], total=row[1], unpriced=row[2], distinct=row[3])

    def ledger_when_drained(self, key_id: str, expected: int) -> tuple[Ledger, float]:
        """The ledger once it holds ``expected`` rows or no longer grows, and the seconds that took."""
        begin = time.perf_counter()
        ledger = self.ledger(key_id)
        while ledger.rows < expected and time.perf_counter() - begin < DRAIN_SECONDS:
            time.sleep(1.0)
            ledger, before = self.ledger(key_id), ledger
            if ledger.rows == before.rows and time.perf_counter() - begin > DRAIN_SECONDS / 4:
                break
        return ledger, time.perf_counter() - begin


def wait_for_key(contender: Contender) -> None:
    """Until a key that was just made is accepted."""

    def accepted() -> bool:
        request = urllib.request.Request(f"http://127.0.0.1:{contender.port}/v1/models", headers=contender.headers)
        try:
            urllib.request.urlopen(request, timeout=5).close()
        except urllib.error.HTTPError as refused:
            return refused.code != 401
        except OSError:
            return False
        return True

    wait_until(accepted, seconds=10, what="the new gateway key was not accepted", step=0.2)


def fresh_folder(folder: Path) -> Path:
    """An empty folder of this name."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    return folder


def _command() -> list[str]:
    return [str(Path(sys.executable).with_name("majordomo"))]
