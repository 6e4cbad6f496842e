"""The provider's side of the books: what reached it, what it said was used, and what that costs by published rates."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

STAND_IN = Path(__file__).parents[2] / "stand_ins" / "ledger_provider.py"

_MILLION = 1_000_000


class Rates(NamedTuple):
    """USD per million tokens."""

    input: str
    cached: str
    output: str
    write_5m: str = "0"
    write_1h: str = "0"


#: The published rates of the models that the callers ask for.
RATES = {
    "chat": Rates("2.50", "1.25", "10.00"),  # gpt-4o
    "responses": Rates("1.25", "0.125", "10.00"),  # gpt-5
    "messages": Rates("1.00", "0.10", "5.00", "1.25", "2.00"),  # claude-haiku-4-5
    "gemini": Rates("1.25", "0.125", "10.00"),  # gemini-2.5-pro, prompt of at most 200,000
}


class Bill(NamedTuple):
    """What a row must say, column by column."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int
    total_cost: Decimal


class Entry(NamedTuple):
    """One request that reached the provider. ``usage`` is None where it answered with an error."""

    mark: str
    api: str
    usage: dict[str, Any] | None

    def bill(self) -> Bill | None:
        """The bill of a whole reply; None where there is nothing to bill."""
        usage = self.usage
        if usage is None:
            return None
        write_5m = write_1h = 0
        if self.api == "messages":
            given, cached, output = usage["input_tokens"], usage["cache_read_input_tokens"], usage["output_tokens"]
            uncached = given
            write_5m = usage["cache_creation"]["ephemeral_5m_input_tokens"]
            write_1h = usage["cache_creation"]["ephemeral_1h_input_tokens"]
        elif self.api == "gemini":
            given, cached = usage["promptTokenCount"], usage["cachedContentTokenCount"]
            uncached = given - cached
            output = usage["candidatesTokenCount"] + usage["thoughtsTokenCount"]
        else:
            into, out = ("input", "output") if self.api == "responses" else ("prompt", "completion")
            given, output = usage[f"{into}_tokens"], usage[f"{out}_tokens"]
            cached = usage[f"{into}_tokens_details"]["cached_tokens"]
            uncached = given - cached
        rates = RATES[self.api]
        counts = (uncached, cached, output, write_5m, write_1h)
        total = sum((Decimal(rate) * count for rate, count in zip(rates, counts, strict=True)), Decimal(0)) / _MILLION
        return Bill(given, output, cached, total)


class LedgerProvider:
    """The provider in a process of its own, and its ledger."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "ledger"
        self._path.touch()
        self._process = subprocess.Popen(
            [sys.executable, STAND_IN, "0", self._path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()

    def entries(self, campaign_round: int | None = None) -> list[Entry]:
        """Everything that reached it, in its order; or what belongs to one round."""
        lines = self._path.read_text().splitlines()
        entries = [Entry(**json.loads(line)) for line in lines]
        return [entry for entry in entries if campaign_round in (None, round_of(entry.mark))]

    def close(self) -> None:
        """Stop it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


def round_of(mark: str) -> int:
    """The round that a mark was made in."""
    return int(mark.split("-")[2])


@contextmanager
def ledger_provider(folder: Path) -> Iterator[LedgerProvider]:
    """A running provider with an empty ledger."""
    provider = LedgerProvider(folder)
    try:
        yield provider
    finally:
        provider.close()
