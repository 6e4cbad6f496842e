"""``majordomo-companion doctor``: says why requests do not appear, and what to do."""

import argparse
import os
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

from majordomo.checkup.finding import Finding, State
from majordomo.companion import gateway_key, gateway_url

_SIGNS = {State.OK: "✓", State.WARN: "!", State.FAIL: "✗"}
_WIDTH = 120
_CHECK_WIDTH = 14


def parser() -> argparse.ArgumentParser:
    """The command line of ``doctor``."""
    made = argparse.ArgumentParser(
        prog="majordomo-companion doctor",
        description="Look at everything between a Claude Code started here and the gateway, and say what is wrong and "
        "what to do. Nothing is changed, and no secret is shown. Exit code 1 if something is broken.",
        allow_abbrev=False,
    )
    add = made.add_argument
    add("--gateway", metavar="URL", help="gateway URL (default: the base URL that is set)")
    add("--api-key", metavar="KEY", help=f"Majordomo key to try; else {gateway_key.VARIABLE}, or the one that is set")
    add("--workdir", metavar="DIR", type=Path, help="the project to look at (default: here)")
    add("--pid-file", metavar="FILE", type=Path, help="the PID file of a companion that should run")
    add("--json", action="store_true", help="print JSON for programs")
    return made


def run(arguments: list[str]) -> int:
    """Look, and print what was found; 1 if something is broken."""
    told = parser().parse_args(arguments)
    findings = list(_examine(told))
    if told.json:
        import msgspec

        text = msgspec.json.format(msgspec.json.encode({"findings": findings}), indent=2).decode() + "\n"
    else:
        text = "".join(_lines(finding) for finding in findings)
    sys.stdout.write(text)
    return 1 if any(finding.state is State.FAIL for finding in findings) else 0


def _examine(told: argparse.Namespace) -> Iterator[Finding]:
    from majordomo.companion.checkup import gateway, machine, way
    from majordomo.companion.checkup.surroundings import Surroundings

    around = Surroundings(os.environ, Path.home(), told.workdir or Path.cwd())
    yield from around.settings()
    yield from way.base_url(around)
    yield from way.headers(around)
    yield from way.proxies(around)
    yield from way.clouds(around)
    yield from way.sign_in(around)
    yield from way.tool_search(around)
    key = told.api_key or os.environ.get(gateway_key.VARIABLE) or around.key
    yield from gateway.gateway(told.gateway or around.base_url or gateway_url.DEFAULT, key)
    yield from machine.claude_code(around)
    yield from machine.project_metadata(around)
    yield from machine.journals()
    if told.pid_file is not None:
        yield from machine.pid_file(told.pid_file)


def _lines(finding: Finding) -> str:
    head = f"{_SIGNS[finding.state]} {finding.state:<4} {finding.check:<{_CHECK_WIDTH}} "
    margin = " " * len(head)
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in finding.message)
    lines = textwrap.wrap(shown, _WIDTH - len(head), break_long_words=False, break_on_hyphens=False)
    if finding.advice:
        lines += textwrap.wrap(
            f"→ {finding.advice}", _WIDTH - len(head), break_long_words=False, break_on_hyphens=False
        )
    return head + f"\n{margin}".join(lines) + "\n"
