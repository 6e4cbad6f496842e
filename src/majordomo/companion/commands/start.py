"""``majordomo-companion start``: a proxy that is left running."""

import argparse
from pathlib import Path

from majordomo.companion.order import add_options, read_order
from majordomo.companion.standing import start


def parser() -> argparse.ArgumentParser:
    """The command line of ``start``."""
    made = argparse.ArgumentParser(
        prog="majordomo-companion start",
        description="Register a session and run the local proxy until `stop`, Ctrl-C or SIGTERM. "
        "Prints the proxy's URL, for ANTHROPIC_BASE_URL.",
        allow_abbrev=False,
    )
    add_options(made)
    add = made.add_argument
    add("--pid-file", metavar="FILE", type=Path, required=True, help="file to write the process id to, for `stop`")
    add("--env-file", metavar="FILE", type=Path, help="file to write `export ANTHROPIC_BASE_URL=...` to, for `source`")
    add("--detach", action="store_true", help="go to the background as soon as requests are taken")
    return made


def run(arguments: list[str]) -> int:
    """Run the proxy; 0 once it has stopped, or stands in the background."""
    told = parser().parse_args(arguments)
    return start(read_order(told), told.pid_file, told.env_file, detach=told.detach)
