"""``majordomo-companion stop``: end a proxy that was left running."""

import argparse
from pathlib import Path

from majordomo.companion.standing import stop


def parser() -> argparse.ArgumentParser:
    """The command line of ``stop``."""
    made = argparse.ArgumentParser(
        prog="majordomo-companion stop",
        description="Stop the proxy that `start` left running: its session ends, its files are removed.",
        allow_abbrev=False,
    )
    made.add_argument("--pid-file", metavar="FILE", type=Path, required=True, help="the file that `start` wrote")
    return made


def run(arguments: list[str]) -> int:
    """Stop it; 0 once it has ended."""
    return stop(parser().parse_args(arguments).pid_file)
