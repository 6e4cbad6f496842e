"""The ``majordomo-companion`` command: finds the sub-command, turns errors into one line and an exit code.

A sub-command's module, ``majordomo.companion.commands.NAME``, is imported when it is called. It holds a ``parser`` and
a ``run``, which takes the arguments and gives the exit code. Not Typer, as in ``majordomo``: to import it and read a
command line with it takes 0.2 s and pydantic, argparse one hundredth.
"""

import importlib
import importlib.util
import os
import sys

from majordomo.companion.errors import tell

#: Sub-command and its line in ``majordomo-companion --help``. One whose module is missing is not shown.
COMMANDS = {
    "start": "Start the proxy and leave it running.",
    "stop": "Stop a proxy that `start` left running.",
    "exec": "Start the proxy, run a command behind it, stop when the command ends.",
    "setup": "Write the gateway into Claude Code's settings: the way without a companion.",
    "doctor": "Say why requests do not appear, and what to do.",
    "deliver": "Hand locally recorded requests to a gateway.",
}

PROGRAM = "majordomo-companion"

#: What a shell reports of a command ended by Ctrl-C.
_INTERRUPTED = 130

_WRONG_USAGE = 2


def main(arguments: list[str] | None = None) -> None:
    """Run the command line. Ends the process: 0 done, 1 an error, 2 a wrong command line; `exec` as its command."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        code = _run(words)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:
        # The reader (`head`, a pager) has what it wanted. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as wrong:
        if not type(wrong).__module__.startswith("majordomo."):
            raise
        # Our own errors say what happened, why, and what to do.
        tell(str(wrong))
        sys.exit(getattr(wrong, "exit_code", 1))
    sys.exit(code)


def available() -> list[str]:
    """The sub-commands that are there."""
    return [name for name in COMMANDS if importlib.util.find_spec(_module(name))]


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        sys.stdout.write(_help())
        return 0 if words else _WRONG_USAGE
    name = words[0]
    if name in ("--version", "-V"):
        from majordomo import __version__

        sys.stdout.write(f"{PROGRAM} {__version__}\n")
        return 0
    if name not in COMMANDS or importlib.util.find_spec(_module(name)) is None:
        tell(f"no such command: {name}; there are: {', '.join(available())}")
        return _WRONG_USAGE
    module = importlib.import_module(_module(name))
    code: int = module.run(words[1:])
    return code


def _help() -> str:
    lines = [f"  {name:<9}{COMMANDS[name]}" for name in available()]
    return (
        f"Usage: {PROGRAM} <command> [options]\n\n"
        "The local proxy beside Claude Code: sessions, exact cost, and no request lost while the gateway is away.\n\n"
        "Commands:\n" + "\n".join(lines) + f"\n\n{PROGRAM} <command> --help says more.\n"
    )


def _module(name: str) -> str:
    return f"majordomo.companion.commands.{name}"
