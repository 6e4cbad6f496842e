"""``majordomo-companion exec``: a command behind a proxy of its own, from its start to its end."""

import argparse

from majordomo.companion import caps
from majordomo.companion.execute import execute
from majordomo.companion.order import add_options, read_order


def parser() -> argparse.ArgumentParser:
    """The command line of ``exec``."""
    made = argparse.ArgumentParser(
        prog="majordomo-companion exec",
        usage="majordomo-companion exec [options] -- COMMAND [ARGUMENT ...]",
        description="Register a session, run the command behind a local proxy, and end the session when the command "
        "ends. The command keeps the terminal; its exit code is returned. One line at the end says what it used.",
        allow_abbrev=False,
    )
    add_options(made)
    caps.add_options(made)
    made.add_argument("command", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return made


def run(arguments: list[str]) -> int:
    """Run the command; its exit code."""
    # What follows the first `--` is the command's, whatever it looks like.
    at = arguments.index("--") if "--" in arguments else len(arguments)
    reading = parser()
    told = reading.parse_args(arguments[:at])
    rest = arguments[at:]
    command = told.command + rest if told.command else rest[1:]
    if not command:
        reading.error("no command to run: put it behind --, as in: majordomo-companion exec -- claude")
    return execute(read_order(told), command)
