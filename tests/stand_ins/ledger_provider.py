"""The scripted provider with a ledger: ledger_provider.py PORT LEDGER.

Every request that carries a mark in its body is answered with a usage of its own, which nobody else knows, and leaves
one JSON line in the ledger file before a byte of the answer goes out: what reached the provider, and what it said was
used. Prints its URL; stops when its standard input ends.
"""

import os
import re
import sys
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import uvloop

from majordomo.demo import provider
from majordomo.demo.script import Script, read_script
from majordomo.demo.stage import SCRIPT_HEADER, Stage, Wire
from majordomo.demo.visits import Visit

_MARK = re.compile(rb"mark-[0-9a-f]+-\d+-\d+")


class LedgerStage(Stage):
    """Answers by the caller's script, with usage by its own dice."""

    def __init__(self) -> None:
        super().__init__()
        self._ledger = os.open(Path(sys.argv[2]), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._dice = Random()

    def reply(self, visit: Visit, headers: tuple[tuple[str, str], ...]) -> tuple[Wire, bytes]:
        found = _MARK.search(visit.body)
        told = dict(headers).get(SCRIPT_HEADER)
        times = int(dict(headers).get("x-text-times", "1"))  # long replies asked for in a short header
        if found is None:
            if told is not None and times > 1:
                headers = _with_script(headers, _repeated(read_script(told), times))
            return super().reply(visit, headers)
        script = read_script(told) if told is not None else Script()
        api, usage = usage_of(visit.target, self._dice)
        if script.status == 200:
            script = msgspec.structs.replace(_repeated(script, times), usage=usage)
        entry = {"mark": found[0].decode(), "api": api, "usage": usage if script.status == 200 else None}
        os.write(self._ledger, msgspec.json.encode(entry) + b"\n")
        # Kept bodies would be most of this process's memory, and are not looked at.
        self.visits.clear()
        return super().reply(visit, _with_script(headers, script))


def _repeated(script: Script, times: int) -> Script:
    return msgspec.structs.replace(script, text=script.text and script.text * times)


def _with_script(headers: tuple[tuple[str, str], ...], script: Script) -> tuple[tuple[str, str], ...]:
    others = tuple(pair for pair in headers if pair[0] != SCRIPT_HEADER)
    return (*others, (SCRIPT_HEADER, msgspec.json.encode(script).decode()))


def usage_of(target: str, dice: Random) -> tuple[str, dict[str, Any]]:
    """The API that a path belongs to, and a usage object of it."""
    cached = dice.randrange(0, 5000)
    prompt = cached + dice.randrange(1, 3000)
    reasoning = dice.randrange(0, 400)
    output = reasoning + dice.randrange(1, 900)
    if "/messages" in target:
        short, long = dice.randrange(0, 2000), dice.randrange(0, 2000)
        return "messages", {
            "input_tokens": prompt - cached,
            "cache_creation_input_tokens": short + long,
            "cache_read_input_tokens": cached,
            "cache_creation": {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long},
            "output_tokens": output,
            "service_tier": "standard",
        }
    if "enerateContent" in target:
        return "gemini", {
            "promptTokenCount": prompt,
            "cachedContentTokenCount": cached,
            "candidatesTokenCount": output - reasoning,
            "thoughtsTokenCount": reasoning,
            "totalTokenCount": prompt + output,
        }
    names = ("input", "output") if "/responses" in target else ("prompt", "completion")
    return "responses" if names[0] == "input" else "chat", {
        f"{names[0]}_tokens": prompt,
        f"{names[1]}_tokens": output,
        "total_tokens": prompt + output,
        f"{names[0]}_tokens_details": {"cached_tokens": cached},
        f"{names[1]}_tokens_details": {"reasoning_tokens": reasoning},
    }


async def main() -> None:
    provider.Stage = LedgerStage
    await provider.serve(int(sys.argv[1]), until_eof=True)


if __name__ == "__main__":
    uvloop.run(main())
